"""Several objects whose guides come from their own masks, as in the release."""

import copy

import numpy as np
import pytest
import tensorflow as tf
from reenactment import assert_decided, reenact

from osmn_recurrent import guides
from osmn_recurrent.inference.merging import argmax_merge
from osmn_recurrent.inference.objectwise import ObjectwiseSegmenter
from osmn_recurrent.inference.refinement import GuidedFilter, RefiningSegmenter
from osmn_recurrent.inference.segmenter import VideoSegmenter


def follow(segmenter, frames, first):
    """`(ids, own)`: maps handed out, and `{object: its own masks}`, per frame."""
    ids = [segmenter.start(frames[0], first)]
    own = {i: [first == i] for i in segmenter.objects}
    for frame in frames[1:]:
        ids.append(segmenter.step(frame))
        found = segmenter.probabilities
        assert list(found) == list(own)
        for i, probability in found.items():
            own[i].append(probability > 0.5)
        merged = np.asarray(argmax_merge(np.stack(list(found.values()))))
        np.testing.assert_array_equal(np.array((0, *found), np.uint8)[merged], ids[-1])
    return ids, own


@pytest.mark.parametrize(
    ("name", "objectwise"), [("osmn", False), ("osmn", True), ("reconvnet", False)]
)
def test_every_object_is_followed_as_if_it_were_alone(name, objectwise, network, scene):
    frames, ids = scene
    frames, model = frames[:4], network(name)
    if objectwise:
        models = dict.fromkeys((1, 5, 200), model)
        segmenter = ObjectwiseSegmenter(models, guides_from="own")
    else:
        segmenter = VideoSegmenter(model, guides_from="own")
    merged, own = follow(segmenter, frames, ids[0])
    for masks in own.values():
        alone = [mask.astype(np.uint8) for mask in masks]
        objects, logits = reenact(model, frames, alone)
        for mine, theirs in zip(alone[1:], logits, strict=True):
            assert_decided(mine, objects, theirs)
    overlap = np.sum([masks[-1] for masks in own.values()], axis=0) > 1
    assert overlap.any()  # which no merged map could have said
    # An interrupted run comes to the same masks, from the ones that are there.
    twin = copy.copy(segmenter)
    twin.start(frames[0], ids[0])
    for frame, known in zip(frames[1:3], merged[1:3], strict=True):
        twin.replay(frame, known)
    np.testing.assert_array_equal(twin.step(frames[3]), merged[3])


def test_objects_that_come_and_go(network, scene):
    frames, ids = scene
    segmenter = VideoSegmenter(network("osmn"), guides_from="own")
    alone = VideoSegmenter(network("osmn"), guides_from="own")
    segmenter.start(frames[0], np.where(ids[0] == 200, 200, 0))
    segmenter.step(frames[1], np.where(ids[1] == 5, 5, 0))
    alone.start(frames[0], np.where(ids[0] == 200, 200, 0))
    alone.step(frames[1])
    assert segmenter.objects == (5, 200) and segmenter.probabilities is None
    segmenter.step(frames[2])
    alone.step(frames[2])
    kept = segmenter.probabilities[200]  # not touched by the newcomer's pixels
    np.testing.assert_allclose(kept, alone.probabilities[200], atol=1e-3)
    segmenter.correct(frames[2], np.where(ids[2] == 5, 5, 0))
    segmenter.drop(200)
    segmenter.step(frames[3])
    assert list(segmenter.probabilities) == [5]


def test_own_masks_are_refined_one_by_one(network, scene):
    frames, ids = scene
    refine = GuidedFilter(4, 0.01)
    loop = RefiningSegmenter(network("osmn"), refine, guides_from="own")
    loop.start(frames[0], ids[0])
    first = loop.step(frames[1])
    refined = {
        i: refine(frames[1], (p > 0.5).astype(np.uint8)) > 0
        for i, p in loop.probabilities.items()
    }
    assert set(np.unique(first)) <= {0, *refined}
    np.testing.assert_array_equal(first > 0, np.any(list(refined.values()), axis=0))
    for i, mask in refined.items():
        assert not (first[~mask] == i).any()
    # The next frame is steered by these masks.
    alone = VideoSegmenter(network("osmn"))
    loop.step(frames[2])
    for i, mask in refined.items():
        alone.start(frames[0], (ids[0] == i).astype(np.uint8))
        alone.replay(frames[1], mask.astype(np.uint8))
        alone.step(frames[2])
        expected = alone.probabilities[1]
        np.testing.assert_allclose(loop.probabilities[i], expected, atol=1e-3)
    settings = loop.settings()
    assert settings["guides_from"] == "own" and settings["enlarge"] == "probabilities"


def test_labels_are_enlarged_by_nearest_neighbour(network, scene):
    """A pixel has the label of the network's pixel in which its centre lies."""
    frames, ids = scene
    first, size = (ids[0] == 5).astype(np.uint8), (48, 80)
    loop = VideoSegmenter(network("osmn"), working_size=size, enlarge="labels")
    found = list(loop.segment(frames[:2], first))[1]
    model = network("osmn")
    small = tf.image.resize(first[..., None], size, "nearest").numpy()[..., 0]
    logits, _ = model.step(
        model.encode(guides.network_image(frames[1], size)[None]),
        guides.spatial_guide(small)[None],
        model.adapt(guides.visual_guide(frames[0], first)[None]),
        (),
    )
    logits = np.asarray(logits)[0, ..., 0]
    places = [(2 * np.arange(n) + 1) * m for n, m in zip(first.shape, size)]
    rows, columns = (p // (2 * n) for p, n in zip(places, first.shape))
    border = [p % (2 * n) == 0 for p, n in zip(places, first.shape)]
    wide = logits[rows][:, columns]
    decided = np.abs(wide) > 1e-3 * np.abs(logits).max()
    decided &= ~(border[0][:, None] | border[1])  # centres on a border of pixels
    assert decided.mean() > 0.8
    np.testing.assert_array_equal(found[decided] > 0, wide[decided] > 0)
    smooth = VideoSegmenter(network("osmn"), working_size=size)
    assert (list(smooth.segment(frames[:2], first))[1] != found).any()


@pytest.mark.parametrize("name", ["guides_from", "enlarge"])
def test_unknown_choices_are_refused(network, name):
    with pytest.raises(ValueError, match=f"{name} must be one of"):
        VideoSegmenter(network("osmn"), **{name: "lion"})


def test_visual_guides_of_the_loop_are_as_asked(network, scene, monkeypatch):
    frames, ids = scene
    model, asked = network("osmn"), {"keep_aspect": True, "keep_background": True}
    seen = []
    adapt = model.adapt
    monkeypatch.setattr(
        model, "adapt", lambda views: seen.append(views) or adapt(views)
    )
    for segmenter in (
        VideoSegmenter(model, visual_guide=asked),
        ObjectwiseSegmenter({1: model}, visual_guide=asked),
    ):
        seen.clear()
        segmenter.start(frames[0], ids[0] == 1)
        segmenter.replace_visual_guide(1, frames[2], ids[2] == 1)
        for views, t in zip(seen, (0, 2), strict=True):
            expected = guides.visual_guide(frames[t], ids[t] == 1, **asked)
            np.testing.assert_array_equal(np.asarray(views)[0], expected)
        assert segmenter.settings()["visual_guide"] == asked
    assert "visual_guide" not in VideoSegmenter(model).settings()
