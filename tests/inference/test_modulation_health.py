"""Spread of the gammas and dead units, against loops and networks made dead."""

import keras
import numpy as np
import pytest
from conftest import draw

from osmn_recurrent import guides
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import modulation_health, segmenter
from osmn_recurrent.models import building, presets


class DrawnClip:
    """A clip in memory: three objects of `draw` in its first frame."""

    def __init__(self, seed):
        self.frames, self.ids = draw(1, seed)

    def frame(self, t):
        return self.frames[t]

    def mask(self, t):
        return self.ids[t]


@pytest.fixture(scope="module")
def views():
    return modulation_health.first_guides([DrawnClip(s) for s in range(4)], most=10)


def test_first_guides_are_those_of_the_first_frames(views):
    assert len(views) == 10
    clip = DrawnClip(0)
    own = guides.visual_guide(clip.frame(0), clip.mask(0) == 1)
    np.testing.assert_array_equal(views[0], own)
    assert len({view.tobytes() for view in views}) == 10
    few = modulation_health.first_guides([DrawnClip(s) for s in range(4)], most=2)
    np.testing.assert_array_equal(few[0], views[0])


@pytest.mark.parametrize("name", ["osmn", "reconvnet"])
def test_spread_is_the_mean_deviation_over_objects(name, views, network):
    model = network(name)
    found = modulation_health.modulation_spread(model, views)
    gammas = np.concatenate([np.asarray(model.adapt(v[None])) for v in views])
    expected = [
        np.sqrt(np.mean((column - column.mean()) ** 2))
        for column in gammas.T.astype(np.float64)
    ]
    assert found.overall == pytest.approx(np.mean(expected), rel=1e-3)
    assert found.overall > 0.001
    for layer, start, end in model.gamma_layout():
        assert found.layers[layer] == pytest.approx(
            np.mean(expected[start:end]), rel=1e-2
        )
    assert found.summary()["spread/conv3_1"] == found.layers["conv3_1"]


def test_units_that_answer_alike_are_dead(views):
    keras.utils.set_random_seed(0)
    model = building.build_model("osmn", "vgg16_compact")
    before = modulation_health.dead_units(model, views)
    assert list(before) == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"]
    assert before["conv1"] == 0 and before["fc7"] < 0.5
    layer = model.modulator.fc7
    kernel, bias = (np.array(v) for v in (layer.kernel, layer.bias))
    kernel[..., : kernel.shape[-1] // 2] = 0
    bias[:3] = 7.0  # constant, not zero: dead all the same
    layer.kernel.assign(kernel)
    layer.bias.assign(bias)
    after = modulation_health.dead_units(model, views)
    assert after.pop("fc7") == pytest.approx(0.5 + before.pop("fc7") / 2, abs=0.15)
    assert after == before


def test_a_dead_block_kills_what_follows(views):
    keras.utils.set_random_seed(0)
    model = building.build_model("osmn", "vgg16_compact")
    rng = np.random.default_rng(0)
    fc8 = model.modulator.fc8
    fc8.kernel.assign(rng.normal(0, 0.3, fc8.kernel.shape))
    alive = modulation_health.modulation_spread(model, views)
    for variable in model.modulator.blocks[4].trainable_variables:
        if variable.path.endswith("bias"):
            variable.assign(variable - 1e6)
    found = modulation_health.modulation_spread(model, views)
    assert alive.overall > 0.01 and alive.dead["conv5"] < 0.5
    assert found.overall == 0.0
    assert found.dead["conv5"] == found.dead["fc6"] == found.dead["fc7"] == 1.0
    assert found.dead["conv4"] == alive.dead["conv4"]


def test_a_channelwise_modulator_has_no_trunk_to_die(views):
    model = building.build_model(
        "osmn", "vgg16_compact", visual_modulator="channelwise"
    )
    found = modulation_health.modulation_spread(model, views)
    assert found.dead == {} and found.overall > 0


def test_the_default_network_tells_objects_apart():
    model = segmenter.VideoSegmenter.from_preset(presets.DEFAULT).model
    drawn = modulation_health.drawn_guides(scenes=2)
    assert modulation_health.modulation_spread(model, drawn).overall > 0.02


def test_the_compact_networks_of_the_study_are_dead():
    """As their cards say; turn it round when they are replaced."""
    model = building.build_model("osmn", "vgg16_compact", weights="osmn-compact")
    drawn = modulation_health.drawn_guides(scenes=2)
    assert len({view.tobytes() for view in drawn}) == 4
    found = modulation_health.modulation_spread(model, drawn)
    assert found.overall < 1e-4 and found.dead["conv5"] == 1.0


def test_what_has_no_spread_is_refused(views):
    osvos = building.build_model("osvos", "vgg16_compact")
    with pytest.raises(InputError, match="no visual modulator"):
        modulation_health.modulation_spread(osvos, views)
    osmn = building.build_model("osmn", "vgg16_compact")
    with pytest.raises(InputError, match="two objects or more"):
        modulation_health.modulation_spread(osmn, views[:1])


@pytest.mark.parametrize("backbone", ["mobilenet", "efficientnet_lite0"])
def test_modulators_of_all_kinds_say_what_answers(backbone, views):
    keras.utils.set_random_seed(0)
    model = building.build_model("osmn", backbone, visual_modulator="release")
    found = modulation_health.modulation_spread(model, views[:2])
    assert found.overall == 0.0  # kernels of zeros
    names = [level.name for level in model.backbone.levels]
    assert [*found.dead][: len(names)] == names and found.dead[names[0]] < 1
