"""Fine-tuning on the first frame."""

import dataclasses
import pathlib
import sys

import numpy as np
import pytest

from osmn_recurrent import guides
from osmn_recurrent.errors import InputError
from osmn_recurrent.guides import GAUSSIAN
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.metrics.region import region_similarity
from osmn_recurrent.models import NAMES, building
from osmn_recurrent.training.first_frame import FirstFrameSamples, FirstFrameTransforms
from osmn_recurrent.training.online import (
    FinetuneSettings,
    FinetuneWarning,
    Tuner,
    finetune_online,
)
from osmn_recurrent.training.pseudo_clips import Motion

sys.path.append(str(pathlib.Path(__file__).parents[1] / "models"))
from random_networks import randomise


def scene(size=(48, 64)):
    """A bright square on a dark texture: frame, bool mask."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 90, (*size, 3), dtype=np.uint8)
    mask = np.zeros(size, bool)
    mask[12:32, 14:40] = True
    frame[mask] = rng.integers(150, 255, (mask.sum(), 3), dtype=np.uint8)
    return frame, mask


def quick(name, **changes):
    """The published settings, but few, large and small steps."""
    settings = FinetuneSettings.for_model(name)
    transforms = dataclasses.replace(settings.transforms, scales=(1.0,))
    if transforms.clip_length:
        transforms = dataclasses.replace(transforms, clip_length=2)
    changes = {"iterations": 2, "batch_size": 1, "transforms": transforms, **changes}
    return dataclasses.replace(settings, **changes)


def test_full_networks_have_the_published_settings_and_compact_ones_their_own():
    for name in NAMES:
        full = building.MODELS[name](backbone="vgg16")
        published = FinetuneSettings.for_model(name)
        assert FinetuneSettings.for_network(full) == published
        own = FinetuneSettings.for_network(
            building.MODELS[name](backbone="vgg16_compact")
        )
        assert (own.loss, own.transforms.clip_length) == ("lovasz_hinge", 3)
        assert own.trainable == published.trainable


def test_osmn_is_tuned_as_the_release_does_it():
    """`osmn_online_finetune.py`: no --fix_bn, and the total loss with its decay."""
    settings = FinetuneSettings.for_model("osmn")
    assert not settings.freeze_batch_norm and settings.weight_decay == 0.0002
    assert FinetuneSettings.for_model("reconvnet").freeze_batch_norm
    frame, mask = scene()
    start = building.build_model("osmn", "vgg16_compact")
    found = {}
    for frozen, decay in ((True, 0.0), (False, 0.0), (True, 1e4)):
        changes = {"freeze_batch_norm": frozen, "weight_decay": decay}
        own = quick("osmn", optimizer="sgd", learning_rate=1e-6, **changes)
        tuner = Tuner(start, frame, mask, own)
        tuner.first_frame_step(0)
        found[frozen, decay] = {
            v.path.split("/", 1)[1]: v.numpy() for v in building.weights_of(tuner.model)
        }
    plain, moved, smaller = found.values()
    for variable in building.weights_of(start):
        path, before = variable.path.split("/", 1)[1], variable.numpy()
        if "moving_" in path:
            assert (plain[path] == before).all() and (moved[path] != before).any()
        wanted = 1e-2 * before if path.endswith("kernel") else 0.0 * before
        np.testing.assert_allclose(plain[path] - smaller[path], wanted, atol=1e-5)
    assert np.abs(plain["seg/conv1/conv1_1/kernel"]).max() > 0.1


def values(model):
    return [v.numpy() for v in building.weights_of(model)]


@pytest.mark.parametrize(
    "name",
    ["osmn", *(pytest.param(n, marks=pytest.mark.slow) for n in NAMES if n != "osmn")],
)
def test_the_original_is_untouched_and_the_copy_moves(name):
    model = randomise(building.build_model(name, "vgg16_compact"))
    before = [v.numpy() for v in model.variables]
    frame, mask = scene()
    settings = quick(name, learning_rate=1e-3, reduction="image_mean")
    tuned = finetune_online(model, frame, mask, settings)
    for variable, value in zip(model.variables, before, strict=True):
        assert np.array_equal(variable.numpy(), value), variable.path
    moved = [
        new.path
        for new, old in zip(building.weights_of(tuned), values(model), strict=True)
        if not np.array_equal(new.numpy(), old)
    ]
    # The release's script for OSMN moves batch norm's averages.
    assert moved and any("moving_" in path for path in moved) == (name == "osmn")
    if name.endswith("_m"):  # the segmentation network is frozen
        assert all("/modulator/" in path for path in moved)
    else:
        assert any("/seg/" in path for path in moved)


@pytest.mark.slow
def test_the_seed_decides():
    """Dropout and transformations are the seed's, the order of sums is not."""
    model, settings = (
        randomise(building.build_model("osmn", "vgg16_compact")),
        quick("osmn"),
    )
    one, same, other = (
        values(finetune_online(model, *scene(), dataclasses.replace(settings, seed=s)))
        for s in (0, 0, 1)
    )
    for a, b in zip(one, same, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    # Adam's steps are about as large as its rate, whatever the gradient.
    assert max(np.abs(a - b).max() for a, b in zip(one, other)) > 5e-6


def test_only_the_chosen_parts_move():
    model = randomise(building.build_model("osmn", "vgg16_compact"))
    settings = quick("osmn", trainable=r"/fc8/|upscore-fuse", learning_rate=1e-3)
    tuned = finetune_online(model, *scene(), settings)
    for new, old in zip(building.weights_of(tuned), values(model), strict=True):
        chosen = "/fc8/" in new.path or "upscore-fuse" in new.path
        assert np.array_equal(new.numpy(), old) != chosen, new.path
    with pytest.raises(InputError, match="no variable of osmn matches 'convlstm'"):
        finetune_online(model, *scene(), quick("osmn", trainable="convlstm"))


@pytest.mark.slow
def test_it_learns_the_object():
    """A new network, which knows nothing, finds the object afterwards."""
    model, (frame, mask) = building.build_model("osmn", "vgg16_compact"), scene()
    transforms = FirstFrameTransforms(scales=(1.0,), flip=0.5, motion=Motion())
    settings = FinetuneSettings(
        iterations=60,
        learning_rate=1e-3,
        reduction="image_mean",
        transforms=transforms,
    )
    moved = np.roll(frame, (3, -4), (0, 1)), np.roll(mask, (3, -4), (0, 1))

    def score(network):
        _, ids = VideoSegmenter(network).segment([frame, moved[0]], mask)
        return region_similarity(moved[1], ids)

    assert score(model) < 0.6
    assert score(finetune_online(model, frame, mask, settings)) > 0.85


def test_first_mask_that_teaches_nothing():
    model = building.build_model("osmn", "vgg16_compact")
    frame, mask = scene()
    with pytest.raises(InputError, match="holds 0 objects, expected exactly one"):
        finetune_online(model, frame, ~mask & mask)
    with pytest.raises(InputError, match="holds 2 objects"):
        finetune_online(model, frame, mask + 1)
    with pytest.warns(FinetuneWarning, match="covers the whole first frame"):
        same = finetune_online(model, frame, mask | ~mask)
    assert all(map(np.array_equal, values(same), values(model)))
    one = np.zeros_like(mask)
    one[5, 5] = True
    small = quick("osmn", transforms=FirstFrameTransforms(size=(16, 16)))
    with pytest.warns(FinetuneWarning, match="vanishes when its mask is resized"):
        same = finetune_online(model, frame, one, small)
    assert all(map(np.array_equal, values(same), values(model)))
    with pytest.raises(InputError, match="lower the learning rate"):
        finetune_online(model, frame, mask, quick("osmn", learning_rate=1e30))


def test_an_object_of_one_pixel_is_tuned_on():
    """At small scales it would vanish; then the frame itself is taken."""
    model, (frame, _) = building.build_model("osmn", "vgg16_compact"), scene()
    mask = np.zeros(frame.shape[:2], bool)
    mask[5, 5] = True
    transforms = FirstFrameTransforms(scales=(0.5,))
    samples = FirstFrameSamples(frame, mask, transforms, GAUSSIAN, 2)
    for number in range(4):
        assert samples.batch(number)[1].sum() == 2
    tuned = finetune_online(model, frame, mask, quick("osmn", transforms=transforms))
    assert not all(map(np.array_equal, values(tuned), values(model)))


def test_stills_carry_their_own_guide_and_mirror():
    """Without disturbances a sample is the frame, or its mirror image."""
    from osmn_recurrent.training.augmentation import NO_AUGMENTATION

    frame, mask = scene()
    transforms = FirstFrameTransforms(scales=(1.0,), flip=0.5, guides=NO_AUGMENTATION)
    samples = FirstFrameSamples(frame, mask, transforms, GAUSSIAN)
    seen = set()
    for number in range(12):
        inputs, label = samples.batch(number)
        flipped = not np.array_equal(label[0, ..., 0], mask)
        seen.add(flipped)
        turn = slice(None, None, -1 if flipped else 1)
        assert np.array_equal(label[0, ..., 0], mask[:, turn])
        image = guides.network_image(frame[:, turn])
        assert np.array_equal(inputs["image"][0], image)
        guide = guides.spatial_guide(mask[:, turn])
        np.testing.assert_allclose(inputs["spatial_guide"][0], guide, atol=1e-6)
        visual_guide = guides.visual_guide(frame, mask, margins=(0,) * 4)
        np.testing.assert_array_equal(inputs["visual_guide"][0], visual_guide)
    assert seen == {True, False}


def test_thin_plate_spline_meets_its_points_and_affine_maps():
    from osmn_recurrent.training.first_frame import deformed, thin_plate_spline

    rng = np.random.default_rng(0)
    points, values = rng.uniform(0, 50, (6, 2)), rng.normal(size=(6, 2))
    np.testing.assert_allclose(
        thin_plate_spline(points, values, points), values, atol=1e-8
    )
    affine, where = rng.normal(size=(2, 2)), rng.uniform(0, 50, (9, 2))
    np.testing.assert_allclose(
        thin_plate_spline(points, points @ affine + 3, where), where @ affine + 3
    )
    mask = scene()[1].astype(np.uint8)
    assert np.array_equal(deformed(rng, mask, 0.0), mask)
    bent = deformed(rng, mask, 0.1)
    assert 0.6 < region_similarity(mask, bent) < 1
