"""Region similarity J: intersection over union."""

import cv2
import numpy as np


def region_similarity(true, predicted):
    """Jaccard index of two masks (DAVIS "J").

    Args:
        true: (H, W), non-zero pixels are the object.
        predicted: (H, W), likewise.

    Returns:
        float in [0, 1]; 1 where both are empty.
    """
    true, predicted = as_binary(true, predicted)
    union = cv2.countNonZero(cv2.bitwise_or(true, predicted))
    if union == 0:
        return 1.0
    return cv2.countNonZero(cv2.bitwise_and(true, predicted)) / union


def as_binary(true, predicted):
    """Both masks as (H, W) uint8 of 0 and 1.

    Raises:
        ValueError: they are not two-dimensional or differ in size.
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.ndim != 2 or true.shape != predicted.shape:
        raise ValueError(
            "true and predicted must be (H, W) masks of the same size. "
            f"Received: {true.shape} and {predicted.shape}"
        )
    return (true != 0).view(np.uint8), (predicted != 0).view(np.uint8)
