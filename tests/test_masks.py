"""Index masks in memory: palette, one-hot maps, boxes."""

import numpy as np

from osmn_recurrent import masks


def some_ids():
    ids = np.zeros((20, 30), np.uint8)
    ids[2:8, 3:10], ids[5:15, 12:20], ids[16:, 20:] = 2, 5, 255
    return ids


def test_palette_is_that_of_davis():
    palette = np.array(masks.davis_palette()).reshape(256, 3)
    known = {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        3: (128, 128, 0),
        8: (64, 0, 0),
        21: (128, 64, 128),
        255: (224, 224, 192),
    }
    for index, colour in known.items():
        assert tuple(palette[index]) == colour


def test_boxes():
    ids = some_ids()
    assert masks.bounding_box(ids == 2) == (3, 2, 9, 7)
    assert masks.bounding_box(ids == 7) == (0, 0, 30, 20)  # not there
