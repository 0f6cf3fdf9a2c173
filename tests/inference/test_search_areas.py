"""The area around objects: where it lies, and that nothing else changes."""

import numpy as np
import pytest
import tensorflow as tf

from osmn_recurrent.inference import search_areas
from osmn_recurrent.inference.objectwise import ObjectwiseSegmenter
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.models.building import build_model
from tests.models.random_networks import randomise

FRAME = (60, 100)


def masks_with(*boxes):
    masks = np.zeros((len(boxes), *FRAME), bool)
    for mask, (top, bottom, left, right) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    return tf.constant(masks)


@pytest.mark.parametrize(
    "boxes, factor, expected",
    [
        # Three times 12 of 60 rows are more than three times 10 of 100 columns.
        ([(20, 32, 40, 50)], 3.0, (8, 15, 36, 60)),
        # At least half the frame; inside of it.
        ([(0, 2, 90, 100)], 3.0, (0, 50, 30, 50)),
        # Around all objects.
        ([(20, 25, 40, 50), (30, 32, 44, 50)], 3.0, (8, 15, 36, 60)),
        ([(20, 50, 40, 50)], 3.0, (0, 0, 60, 100)),
        ([(20, 32, 40, 50)], None, (0, 0, 60, 100)),
        ([(0, 0, 0, 0)], 3.0, (0, 0, 60, 100)),
    ],
)
def test_areas_are_around_the_objects_and_inside_the_frame(boxes, factor, expected):
    area = search_areas.around(masks_with(*boxes), factor)
    assert area == (*expected, FRAME)


def test_what_is_cut_comes_back_to_its_place():
    masks = masks_with((20, 32, 40, 50))
    area = search_areas.around(masks, 2.0)
    assert np.array_equal(area.placed(area.of_masks(masks)), masks)
    frame = np.arange(60 * 100 * 3).reshape(*FRAME, 3)
    assert area.of_frame(frame)[0, 0, 0] == 3 * (100 * area.top + area.left)


def test_states_move_with_the_area():
    # Each cell holds its own place in the frame; linear maps stay so.
    before = search_areas.SearchArea(0, 0, 60, 100, FRAME)
    area = search_areas.SearchArea(12, 25, 30, 50, FRAME)

    def places(area, size):
        rows, columns = (
            area[k] + (np.arange(size[k]) + 0.5) * area[2 + k] / size[k]
            for k in range(2)
        )
        return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)

    for size in ((6, 10), (9, 7)):
        old = tf.constant(np.stack(2 * [places(before, size)]), tf.float32)
        (found,) = search_areas.moved((old,), before, area)
        np.testing.assert_allclose(found[1], places(area, size), rtol=1e-5)
        (back,) = search_areas.moved((found,), area, before)
        assert not back[:, 0].numpy().any()  # where the area was not
    assert search_areas.moved((old,), None, area)[0] is old


@pytest.mark.parametrize("name", ["osmn", "reconvnet"])
def test_the_network_sees_the_area_alone(name):
    model = randomise(build_model(name, "vgg16_compact"))
    frames = np.random.default_rng(0).integers(0, 255, (3, *FRAME, 3), np.uint8)
    ids = np.zeros(FRAME, np.uint8)
    ids[20:32, 40:50] = 1
    segmenter = VideoSegmenter(model, search_area=3.0)
    segmenter.start(frames[0], ids)
    found = segmenter.step(frames[1])
    area = search_areas.around(masks_with((20, 32, 40, 50)), 3.0)
    by_hand = VideoSegmenter(model, working_size=FRAME)
    by_hand.start(area.of_frame(frames[0]), area.of_masks(ids[None])[0])
    by_hand.replace_visual_guide(1, frames[0], ids)
    expected = by_hand.step(area.of_frame(frames[1]))
    assert 0 < expected.sum()
    assert np.array_equal(found, area.placed(expected))
    assert segmenter.probabilities[1].shape == FRAME
    # One network per object: the same.
    alone = ObjectwiseSegmenter({1: model}, search_area=3.0)
    alone.start(frames[0], ids)
    probabilities = [segmenter.probabilities[1]]
    assert np.array_equal(alone.step(frames[1]), found)
    probabilities += [alone.probabilities[1]]
    np.testing.assert_allclose(*probabilities, atol=1e-5)
    # So large an area is the frame.
    large, plain = (
        list(VideoSegmenter(model, working_size=48, search_area=k).segment(frames, ids))
        for k in (1000.0, None)
    )
    assert np.array_equal(large, plain)


def test_factors_that_make_no_sense_are_refused():
    model = build_model(
        "reconvnet", "vgg16_compact", first_state="mask", recurrent_levels=(5,)
    )
    with pytest.raises(ValueError, match=r"at least 1\. Received: 0\.5"):
        VideoSegmenter(model, search_area=0.5)
    with pytest.raises(ValueError, match="remembers places of whole frames"):
        VideoSegmenter(model, search_area=2.0)
