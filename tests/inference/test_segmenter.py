"""The loop against a slow re-enactment of the released one, and its edges."""

import numpy as np
import pytest
import tensorflow as tf
from conftest import random_network
from keras import ops
from reenactment import assert_decided, reenact

from osmn_recurrent import guides
from osmn_recurrent.datasets.video_files import example_clip
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference.frame_function import make_probabilities
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.models import building

NETWORKS = [
    ("osmn", {}),
    ("osmn", {"mod_early_conv": True}),
    ("osmn", {"use_visual_modulator": False}),
    ("reconvnet", {}),
    ("reconvnet", {"coupling": "residual", "modulate": "none"}),
    ("osvos", {}),
    ("osvos_m", {}),
    ("masktrack", {}),
    ("masktrack_m", {}),
]


@pytest.mark.parametrize(("name", "options"), NETWORKS)
def test_equals_the_released_loop(segmenters, scene, name, options):
    frames, ids = scene
    loop = segmenters(name, **options)
    found = list(loop.segment(iter(frames), ids[0]))
    assert len(found) == len(frames)
    objects, logits = reenact(loop.model, frames, found)
    for mine, theirs in zip(found[1:], logits, strict=True):
        assert mine.dtype == np.uint8
        assert_decided(mine, objects, theirs)
    # The comparison means something only if there is something to see.
    assert 0.01 < np.mean(found[-1] > 0) < 0.99


@pytest.mark.parametrize(("name", "options"), NETWORKS)
def test_logits_of_a_batch_of_objects(segmenters, scene, name, options):
    """What the compiled loop thresholds, against one object at a time."""
    frames, ids = scene
    model = segmenters(name, **options).model
    objects, (expected,) = reenact(model, frames[:2], ids[:2])
    own = np.stack([ids[0] == i for i in objects])
    visual_guides = np.stack([guides.visual_guide(frames[0], mask) for mask in own])
    probabilities, _ = tf.function(make_probabilities(model, resized=False))(
        guides.network_image(frames[1])[None],
        tf.constant(own),
        model.adapt(visual_guides),
        model.initial_state(len(objects), *ids[0].shape),
    )
    found = np.broadcast_to(probabilities, expected.shape).astype(np.float64)
    found = np.log(found / (1 - found))
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def follow(segmenter, frames, first_mask):
    """Continues through `frames[1:]` as a video that began with `first_mask` would."""
    found = [first_mask, *(segmenter.step(frame) for frame in frames[1:])]
    objects, logits = reenact(segmenter.model, frames, found)
    for mine, theirs in zip(found[1:], logits, strict=True):
        assert_decided(mine, objects, theirs)


def test_masks_of_objects_differ(segmenters, scene):
    """Each object is segmented by its own appearance, place and state."""
    frames, ids = scene
    for name in ("osmn", "reconvnet"):
        *_, last = segmenters(name).segment(frames, ids[0])
        assert np.unique(last).size > 2


def test_one_trace_for_all_sizes_and_object_counts(network, scene):
    frames, ids = scene
    for name, size in (("reconvnet", None), ("osmn", 40)):
        segmenter = VideoSegmenter(network(name), working_size=size)
        list(segmenter.segment(frames[:3], ids[0]))
        list(segmenter.segment(frames[:3], ids[0] == 5))
        list(segmenter.segment(frames[:3, :50, :70], ids[0, :50, :70]))
        list(segmenter.segment(frames[:3], ids[0] == 1, {1: ids[1]}))
        assert segmenter._frame_function.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("name", ["osmn", "reconvnet"])
def test_object_that_appears_later(segmenters, scene, name):
    """It is as if a video of its own began there."""
    frames, ids = scene
    segmenter = segmenters(name)
    first = np.where(ids[0] == 200, 200, 0)
    later = {2: np.where(ids[2] == 5, 5, ids[2])}  # 200 is in it as well
    found = list(segmenter.segment(frames, first, later))
    alone = list(segmenter.segment(frames, first))
    assert all(np.array_equal(a, b) for a, b in zip(found[:2], alone[:2], strict=True))
    assert np.array_equal(found[2] == 1, ids[2] == 1)
    assert np.array_equal(found[2] == 5, ids[2] == 5)
    # An id that is followed keeps its prediction.
    rest = np.isin(ids[2], (1, 5), invert=True)
    assert np.array_equal(found[2][rest], alone[2][rest])

    # With only the newcomers, the rest of the video is a video.
    segmenter.start(frames[0], first)
    segmenter.step(frames[1])
    segmenter.step(frames[2], later[2])
    segmenter.drop(200)
    assert segmenter.objects == (1, 5)
    newcomers = np.where(np.isin(ids[2], (1, 5)), ids[2], 0)
    follow(segmenter, frames[2:], newcomers)


def test_correct_replaces_masks_and_visual_guides(segmenters, scene):
    frames, ids = scene
    segmenter = segmenters("osmn")
    segmenter.start(frames[0], np.where(ids[0] == 5, 1, 0))
    segmenter.step(frames[1])
    better = np.where(ids[1] == 1, 1, 0)
    assert np.array_equal(segmenter.correct(frames[1], better), better)
    # OSMN carries nothing: from here on it is a video begun at frame 1.
    follow(segmenter, frames[1:], better)


def test_objects_stay_sorted(segmenters, scene):
    """Objects that came in another order, two of them corrected."""
    frames, ids = scene
    segmenter = segmenters("osmn")
    segmenter.start(frames[0], np.where(ids[0] == 5, 5, 0))
    segmenter.add(frames[0], np.where(ids[0] == 200, 200, 0))
    segmenter.add(frames[0], np.where(ids[0] == 1, 1, 0))
    assert segmenter.objects == (1, 5, 200)
    follow(segmenter, frames, ids[0])
    # All are corrected, one by one or together, on a mirrored picture.
    mirrored = frames[0][:, ::-1], ids[0][:, ::-1]
    segmenter.correct(mirrored[0], np.where(mirrored[1] == 5, 5, 0))
    segmenter.correct(mirrored[0], np.where(mirrored[1] == 5, 0, mirrored[1]))
    follow(segmenter, np.stack([mirrored[0], *frames[:2]]), mirrored[1])


def test_drop_keeps_the_others(segmenters, scene):
    """Dropped objects leave the others' rows where they belong."""
    frames, ids = scene
    segmenter = segmenters("reconvnet")
    segmenter.start(frames[0], ids[0])
    segmenter.drop(5)
    nothing_new = segmenter.add(frames[0], np.zeros_like(ids[0]))
    assert np.array_equal(nothing_new, np.where(ids[0] == 5, 0, ids[0]))
    follow(segmenter, frames, np.where(ids[0] == 5, 0, ids[0]))
    segmenter.drop(1)
    segmenter.drop(200)
    assert not segmenter.step(frames[0]).any()
    assert segmenter.add(frames[0], ids[0]).max() == 200
    with pytest.raises(InputError, match="object 7 is not followed"):
        segmenter.drop(7)


def test_videos_side_by_side(segmenters, scene):
    """Generators of one segmenter do not disturb each other."""
    frames, ids = scene
    segmenter = segmenters("reconvnet")
    backwards = frames[::-1]
    pairs = list(
        zip(
            segmenter.segment(frames, ids[0]),
            segmenter.segment(backwards, ids[-1] == 1),
            strict=True,
        )
    )
    one, other = zip(*pairs, strict=True)
    assert np.array_equal(one, list(segmenter.segment(frames, ids[0])))
    assert np.array_equal(other, list(segmenter.segment(backwards, ids[-1] == 1)))


def test_lost_object(segmenters, scene):
    """An empty mask gives a guide of zeros, and the loop continues."""
    frames, ids = scene
    segmenter = segmenters("osmn")
    segmenter.start(frames[0], ids[0] == 5)
    segmenter.replay(frames[1], np.zeros_like(ids[0]))
    found = segmenter.step(frames[2])
    visual_guide = guides.visual_guide(frames[0], ids[0] == 5)
    logits = one_step(
        segmenter.model, frames[2], np.zeros((64, 96, 1), np.float32), visual_guide
    )
    assert_decided(found, [1], logits[..., 0])


def one_step(model, frame, guide, visual_guide, size=None):
    """Logits (1, h, w, 1) of one frame and object, nothing carried."""
    image = guides.network_image(frame, size)[None]
    logits, _ = model.step(
        model.encode(image), guide[None], model.adapt(visual_guide[None]), ()
    )
    return logits.numpy()


def test_working_size(network, segmenters, scene):
    """The network sees small frames; masks are thresholded at full size."""
    frames, ids = scene
    model, given = building.with_dtype(network("osmn"), "float32"), ids[0] == 1
    # Nearest neighbour at half size takes the odd rows and columns.
    inputs = (
        frames[1],
        guides.spatial_guide(given[1::2, 1::2]),
        guides.visual_guide(frames[0], given),
        (32, 48),
    )
    bias = model.seg.decoder.fusion.bias
    bias.assign(bias - np.median(one_step(model, *inputs)))
    probabilities = ops.sigmoid(one_step(model, *inputs))
    enlarged = ops.image.resize(probabilities, (64, 96)).numpy()[0, ..., 0]
    assert 0.4 < (enlarged > 0.5).mean() < 0.6
    small = VideoSegmenter(model, working_size=32)
    found = list(small.segment(frames, given))
    assert np.array_equal(found[0], given)
    clear = np.abs(enlarged - 0.5) > 1e-3 * np.abs(enlarged - 0.5).max()
    assert clear.mean() > 0.95
    assert np.array_equal(found[1][clear] > 0, enlarged[clear] > 0.5)
    same = VideoSegmenter(model, working_size=(32, 48))
    assert np.array_equal(found, list(same.segment(frames, given)))
    # At the frames' own size nothing changes.
    own = VideoSegmenter(network("osmn"), working_size=64)
    own.start(frames[0], ids[0])
    follow(own, frames, ids[0])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_precision(segmenters, scene, precision):
    frames, ids = scene
    exact = segmenters("reconvnet")
    model = exact.model
    segmenter = VideoSegmenter(model, precision=precision)
    assert segmenter.model.dtype_policy.compute_dtype == precision
    assert model.dtype_policy.name == "float32"
    half = list(segmenter.segment(frames[:2], ids[0]))[1]
    full = list(exact.segment(frames[:2], ids[0]))[1]
    assert 0.9 < np.mean(half == full)
    back = VideoSegmenter(segmenter.model, precision="float32").settings()
    assert back == exact.settings()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_precision_of_a_packaged_network(precision):
    # Its gammas are made outside of the network's own call, where Keras casts
    # variables even of layers that ask for none of it.
    clip = example_clip()
    found = [
        list(
            VideoSegmenter.from_preset("reconvnet-lite0", precision=each).segment(
                [clip.frame(0), clip.frame(1)], clip.mask(0)
            )
        )[1]
        for each in ("float32", precision)
    ]
    assert found[0].any()
    assert np.mean(found[0] != found[1]) < 0.01


def test_later_changes_of_the_weights_count(scene):
    frames, ids = scene
    model = building.build_model("osmn", "vgg16_compact")
    segmenter = VideoSegmenter(model)
    before = segmenter.settings()
    for bias, expected in ((100.0, 1), (-100.0, 0)):
        model.seg.decoder.fusion.bias.assign([bias])
        found = list(segmenter.segment(frames[:2], ids[0] == 1))[1]
        assert np.all(found == expected)
    assert before["weights_sha256"] != segmenter.settings()["weights_sha256"]


def test_void_is_background(segmenters, scene):
    frames, ids = scene
    mask = ids[0].copy()
    mask[:4] = 255
    segmenter = segmenters("osmn")
    assert segmenter.start(frames[0], mask).max() == 200
    assert segmenter.objects == (1, 5, 200)


def test_bad_arrays(network, scene):
    frames, ids = scene
    segmenter = VideoSegmenter(network("osmn"))
    with pytest.raises(InputError, match="call start"):
        segmenter.step(frames[0])
    cases = [
        (frames[0], ids[0, :50], "resized by nearest"),
        (frames[0], ids[0] * 0.5, "float64 with fractions .*cut a soft mask"),
        (frames[0], ids[0] * np.nan, "NaN"),
        (frames[0], ids[0].astype(int) * 2, "from 0 to 400, expected object ids"),
        (frames[0], -ids[0].astype(int), "from -200 to 0, expected object ids"),
        (frames[0], ids[0].astype(str), "<U3, expected object ids"),
        (frames[0], frames[0], r"shape \(64, 96, 3\)"),
        (frames[0] / 255, ids[0], "expected uint8 RGB"),
        (frames[0, ..., 0], ids[0], "expected uint8 RGB"),
    ]
    for frame, mask, message in cases:
        with pytest.raises(InputError, match=message):
            segmenter.start(frame, mask)
    segmenter.start(frames[0], ids[0])
    with pytest.raises(InputError, match="must have one size"):
        segmenter.step(frames[1, :50])
    with pytest.raises(InputError, match="resized by nearest"):
        segmenter.step(frames[1], ids[1, :50])


@pytest.mark.parametrize(
    "change",
    [
        lambda mask: mask.astype(np.float32),
        lambda mask: mask > 0,
        lambda mask: mask * np.uint8(255),
        lambda mask: mask[..., None],
        lambda mask: mask.astype(np.int64),
    ],
)
def test_arrays_of_one_object(segmenters, scene, change):
    frames, ids = scene
    mask = (ids[0] == 5).astype(np.uint8)
    found = segmenters("osmn").start(frames[0], change(mask))
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize("name", ["osmn", "reconvnet"])
def test_the_first_object_may_appear_later(segmenters, scene, name):
    """Until then masks are empty, from then on as if the video began there."""
    frames, ids = scene
    expected = list(segmenters(name).segment(frames[2:], ids[2]))
    for first in (None, np.zeros_like(ids[0])):
        found = list(segmenters(name).segment(frames, first, {2: ids[2]}))
        assert not np.any(found[:2])
        np.testing.assert_array_equal(found[2:], expected)
    live = segmenters(name)
    assert not live.start(frames[0]).any() and live.objects == ()
    assert not live.step(frames[1]).any()
    np.testing.assert_array_equal(live.step(frames[2], ids[2]), expected[0])
    np.testing.assert_array_equal(live.step(frames[3]), expected[1])


def test_a_video_without_any_object_is_refused(segmenters, scene):
    frames, ids = scene
    for first in (None, np.zeros_like(ids[0])):
        with pytest.raises(InputError, match="mask is empty and there is no later"):
            next(segmenters("osmn").segment(frames, first))


def test_bad_settings(network):
    for options in ({"precision": "int8"}, {"merge": "mean"}, {"working_size": 8}):
        with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
            VideoSegmenter(network("osmn"), **options)


def test_soft_merge_is_used(network, segmenters, scene):
    """Where objects are weak together the two merges differ."""
    frames, ids = scene[0][:2], scene[1][0]
    _, hard = segmenters("osmn").segment(frames, ids)
    _, soft = VideoSegmenter(network("osmn"), merge="soft").segment(frames, ids)
    assert not np.array_equal(hard, soft)
    # Soft aggregation only ever takes pixels from the background.
    assert np.all(soft[hard > 0] > 0)


def test_the_first_mask_goes_into_the_state(scene):
    frames, ids = scene
    mask = (ids[0] == 1).astype(np.uint8)
    model = random_network(
        "reconvnet", frames[0], mask, first_state="mask", recurrent_levels=(4, 5)
    )
    rng = np.random.default_rng(0)
    for start in model.starts:
        start.kernel.assign(rng.normal(0, 0.1, start.kernel.shape))
    segmenter = VideoSegmenter(model)
    segmenter.start(frames[0], mask)
    segmenter.step(frames[1])
    images = [guides.network_image(frame)[None] for frame in frames[:2]]
    modulation = model.adapt(guides.visual_guide(frames[0], mask)[None])
    given = model.memorize(
        model.encode(images[0]),
        mask[None, ..., None].astype(np.float32),
        model.initial_state(1, *mask.shape),
    )
    found = []
    for state in (given, model.initial_state(1, *mask.shape)):
        guide = guides.spatial_guide(mask)[None]
        logits, _ = model.step(model.encode(images[1]), guide, modulation, state)
        found.append(ops.sigmoid(logits)[0, ..., 0])
    np.testing.assert_allclose(segmenter.probabilities[1], found[0], atol=1e-4)
    assert np.abs(found[0] - found[1]).max() > 0.01
