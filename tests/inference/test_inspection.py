"""Looking into networks, against closed forms and the segmenter."""

import keras
import numpy as np
import pytest
from reenactment import assert_decided, reenact
from result_folders import moving_boxes

from osmn_recurrent import guides
from osmn_recurrent.colours import MEAN_BGR
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import inspection
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.models import building


class DrawnClip:
    """A clip in memory, with the calls of `Clip` that are needed."""

    name = "drawn"

    def __init__(self, frames=6):
        self.ids = moving_boxes(frames, (2, 5), seed=1, shape=(40, 56))
        noise = np.random.default_rng(0).integers(0, 90, (frames, 40, 56, 3))
        self.pictures = (noise + 30 * self.ids[..., None]).astype(np.uint8)
        self.mask_paths = dict.fromkeys(range(frames))

    def __len__(self):
        return len(self.ids)

    def frame(self, t):
        return self.pictures[t]

    def mask(self, t):
        return self.ids[t]


@pytest.fixture(scope="module")
def reconvnet():
    """A compact ReConvNet with random weights everywhere, the same in every run."""
    keras.utils.set_random_seed(0)
    model = building.build_model("reconvnet", "vgg16_compact", coupling="residual")
    rng = np.random.default_rng(0)
    for variable in (*model.modulator.variables, *model.modulator_sp.variables):
        noise = rng.normal(0, 0.05, variable.shape)
        if "moving_variance" in variable.path:
            noise = np.abs(noise) + 0.5
        variable.assign(np.array(variable) + noise)
    # Logits become so large otherwise that probabilities are 1 for all objects.
    fusion = model.seg.decoder.fusion
    fusion.kernel.assign(1e-10 * fusion.kernel)
    return model


def test_looks_and_their_pictures():
    clip = DrawnClip()
    seen = inspection.guides_of_clips([clip], per_object=3)
    assert seen.labels == ("drawn 2",) * 3 + ("drawn 5",) * 3
    first = guides.visual_guide(clip.frame(0), clip.mask(0) == 2)
    np.testing.assert_array_equal(seen.guides[0], first)
    last = guides.visual_guide(clip.frame(5), clip.mask(5) == 5)
    np.testing.assert_array_equal(seen.guides[5], last)
    shown = seen.pictures()[0]
    assert (shown[(first == 0).all(-1)] == 0).all()
    restored = first + np.float32(MEAN_BGR)
    inside = ~(first == 0).all(-1)
    np.testing.assert_allclose(shown[inside], restored[inside][:, ::-1], atol=0.5)


def test_gammas_lie_where_the_layout_says(reconvnet):
    seen = inspection.guides_of_clips([DrawnClip()], per_object=5)  # two batches
    gammas = inspection.modulation_of(reconvnet, seen)
    # In a batch of the same size: another one sums in another order.
    pair = np.asarray(reconvnet.adapt(seen.guides[8:10]))
    np.testing.assert_allclose(gammas[8:], pair, rtol=1e-4, atol=1e-5)
    layers = inspection.by_layer(reconvnet, gammas)
    np.testing.assert_array_equal(np.concatenate([*layers.values()], 1), gammas)
    assert list(layers)[-3:] == ["convlstm3", "convlstm4", "convlstm5"]


def test_spatial_scales_of_other_trunks():
    for backbone in ("mobilenet_compact", "efficientnet_lite0"):
        model, rng = building.build_model("osmn", backbone), np.random.default_rng(0)
        for variable in model.modulator_sp.weights:
            variable.assign(rng.uniform(0.2, 1.0, variable.shape))
        found = inspection.spatial_scales(model)
        one, zero = (
            model.modulator_sp(value((1, 32, 32, 1))) for value in (np.ones, np.zeros)
        )
        for number in model.modulated:
            for place, a, b in zip(
                model.backbone.level(number).places, one[number], zero[number]
            ):
                expected = np.asarray(a - b).reshape(-1, place.channels)[0]
                np.testing.assert_allclose(found[place.name], expected, atol=1e-5)


def test_spatial_scales_are_what_a_guide_adds(reconvnet):
    found = inspection.spatial_scales(reconvnet)
    assert len(found) == 9
    one, zero = (
        reconvnet.modulator_sp(value((1, 32, 32, 1))) for value in (np.ones, np.zeros)
    )
    for number in (3, 4, 5):
        # The layer gives one map or one per convolution: channels side by side.
        shifts = [
            np.concatenate([np.asarray(x) for x in each[number]], axis=-1)
            for each in (one, zero)
        ]
        expected = (shifts[0] - shifts[1]).reshape(-1, shifts[0].shape[-1])[0]
        own = [found[f"conv{number}_{k}"] for k in (1, 2, 3)]
        np.testing.assert_allclose(np.concatenate(own), expected, atol=1e-5)
        assert expected.min() < -0.001 and expected.max() > 0.001


def test_the_watched_network_does_what_the_segmenter_does(reconvnet):
    clip = DrawnClip()
    ours = inspection._segment(reconvnet, clip, 6)
    theirs = list(VideoSegmenter(reconvnet).segment(clip.pictures, clip.mask(0)))
    for found in (ours, theirs):
        objects, logits = reenact(reconvnet, clip.pictures, found)
        for ids, own in zip(found[1:], logits, strict=True):
            assert_decided(ids, objects, own)
    assert len(np.unique(ours[1:])) > 1


def test_gates_of_known_biases():
    model = building.build_model("reconvnet", "vgg16_compact")
    for cell in model.cells:
        cell.kernel.assign(np.zeros(cell.kernel.shape))
        cell.recurrent_kernel.assign(np.zeros(cell.recurrent_kernel.shape))
        biases = np.repeat([-1.0, 3.0, 0.5, 0.0], cell.filters)
        cell.bias.assign(biases)  # i, f, g, o
    found = inspection.gate_statistics(model, DrawnClip(), frames=4)
    assert list(found) == ["convlstm3", "convlstm4", "convlstm5"]
    for each in found.values():
        assert each.input == pytest.approx([1 / (1 + np.exp(1))] * 3, rel=1e-5)
        assert each.forget == pytest.approx([1 / (1 + np.exp(-3))] * 3, rel=1e-5)
        assert each.candidate == pytest.approx([np.tanh(0.5)] * 3, rel=1e-5)
        assert each.output == pytest.approx([0.5] * 3, rel=1e-5)
        assert each.open == pytest.approx([1.0] * 3)
    assert all(cell.observer is None for cell in model.cells)


def test_networks_without_the_part_are_refused():
    osvos = building.build_model("osvos", "vgg16_compact")
    seen = inspection.guides_of_clips([DrawnClip()], per_object=1)
    with pytest.raises(InputError, match="no visual modulator"):
        inspection.modulation_of(osvos, seen)
    with pytest.raises(InputError, match="no spatial modulator"):
        inspection.spatial_scales(osvos)
    with pytest.raises(InputError, match="no gates"):
        inspection.gate_statistics(osvos, DrawnClip())
