"""J and F of every object in one frame, and reading mask files for them."""

import numpy as np

from osmn_recurrent import masks
from osmn_recurrent.errors import InputError
from osmn_recurrent.image_files import open_image
from osmn_recurrent.media.mask_files import read_mask
from osmn_recurrent.metrics.boundary import (
    contour_accuracy,
    crop_to_objects,
    tolerance,
)
from osmn_recurrent.metrics.png import read_plain_png
from osmn_recurrent.metrics.region import as_same_size, region_similarity


def read_values(path):
    """The pixel values of a mask file, as they are.

    Args:
        path: a palette, 8-bit grey or 1-bit PNG.

    Returns:
        (H, W) uint8: palette indices, grey values, or 0 and 1.

    Raises:
        InputError: unreadable file, one that is too large, colour or 16-bit
            image.
    """
    try:
        values = read_plain_png(path)
        if values is not None:
            return values
        with open_image(path, kind="mask") as image:
            if image.mode in ("P", "L", "1"):
                return np.asarray(image, np.uint8)
    except (OSError, InputError):
        pass
    return read_mask(path)  # says what is wrong with it


def is_binary(values):
    """Whether (H, W) uint8 `values` are 0 and 255, with some 255: one object."""
    return bool(values.max() == masks.VOID and np.isin(values, (0, masks.VOID)).all())


def scored_objects(values):
    """The objects that DAVIS 2017 scores, given the first true mask.

    As in the official evaluation these are all ids up to the largest one: an
    id that the mask does not show is an object with empty true masks.

    Args:
        values: (H, W) uint8 ids of the first mask; 255 is void.

    Returns:
        tuple: 1, 2, ... to the largest id.
    """
    return tuple(range(1, max(masks.object_ids(values), default=0) + 1))


def score_frame(true, predicted, objects, binary=False):
    """J and F of every object in one frame.

    Args:
        true: (H, W) object ids.
        predicted: (H, W) object ids.
        objects: N ids.
        binary: every non-zero pixel is the (one) object.

    Returns:
        List of N pairs of float, (J, F).

    Raises:
        InputError: the masks differ in size.
    """
    true, predicted = as_same_size(true, predicted)
    radius = tolerance(true.shape)
    pairs = []
    for each in objects:
        # Both metrics use this small part of the picture only.
        pair = crop_to_objects(
            *(m != 0 if binary else m == each for m in (true, predicted))
        )
        pairs.append((region_similarity(*pair), contour_accuracy(*pair, radius)))
    return pairs
