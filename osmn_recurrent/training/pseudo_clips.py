"""Pseudo-clips: an image and its mask, moved along a smooth random path.

ReConvNet is fine-tuned online on random transformations of the first frame
(its section 3); the same makes clips of COCO's images. No paper says how
these move; the path here is a choice of ours.
"""

import dataclasses

import cv2
import numpy as np

from osmn_recurrent.masks import bounding_box
from osmn_recurrent.training.placing import View, box_centre


@dataclasses.dataclass(frozen=True)
class Motion:
    """Random affine motion of a whole picture with its mask, smooth by default.

    Each parameter follows a quadratic Bezier curve whose three control points
    are drawn from U(-1, 1) times its range: it never leaves the range, and
    neither its value nor its speed jumps.

    Attributes:
        shift: largest shift, in shares of the picture's sides.
        scale: largest factor is 1 + scale, the smallest 1 / (1 + scale).
        rotation: largest angle in degrees.
        shear: largest horizontal shift per row, in pixels.
        jerk: share j of each frame's own draw in its parameters: they are
            (1 - j) times the curve's plus j times a draw from the same ranges
            for each frame, so that the object jumps and guides of the frame
            before lie beside it. 0: smooth.
        outside: what `move` has outside of the picture: "mirrored", or "grey"
            (the mean, background), where a mirrored twin of the object would
            mislead.
    """

    shift: float = 0.1
    scale: float = 0.2
    rotation: float = 10.0
    shear: float = 0.05
    jerk: float = 0.0
    outside: str = "mirrored"

    def path(self, rng, length):
        """Parameters of every frame.

        Args:
            rng: `numpy.random.Generator`.
            length: number of frames.

        Returns:
            (length, 5) float64: shift right and down (shares of the sides),
            logarithm of the scale, degrees (counter-clockwise), shear.
        """
        widest = np.log1p(self.scale)
        ranges = np.array([self.shift, self.shift, widest, self.rotation, self.shear])
        control = rng.uniform(-1.0, 1.0, (3, 5)) * ranges
        u = np.linspace(0.0, 1.0, length)[:, None]
        smooth = np.concatenate([(1 - u) ** 2, 2 * u * (1 - u), u**2], 1) @ control
        if not self.jerk:
            return smooth
        own = rng.uniform(-1.0, 1.0, smooth.shape) * ranges
        return (1.0 - self.jerk) * smooth + self.jerk * own

    def move(self, rng, picture, mask, length):
        """A pseudo-clip of one frame and its mask.

        The picture is reflected at its borders, and so is the mask: a
        mirrored part of the object counts as object (or see `outside`).
        Rotation and scaling are about the centre of the object's box.

        Args:
            rng: `numpy.random.Generator`.
            picture: (H, W, 3) uint8.
            mask: (H, W) uint8 object ids.
            length: number of frames.

        Returns:
            `(frames, masks)`: lists of arrays like `picture` (bilinear) and
            `mask` (nearest neighbour).
        """
        frames, masks = [], []
        for parameters in self.path(rng, length):
            matrix = affine_matrix(parameters, mask)
            if self.outside == "grey":
                view = View(matrix, mask.shape)
                frames.append(view.frame(picture))
                masks.append(view.mask(mask))
            else:
                frames.append(_warp(picture, matrix, cv2.INTER_LINEAR))
                masks.append(_warp(mask, matrix, cv2.INTER_NEAREST))
        return frames, masks

    def paste(self, rng, picture, mask, background, length):
        """A pseudo-clip in which the object moves over another picture.

        Object and background move along paths of their own, so that the
        object is what moves apart from its surroundings. Its border is
        blended over about two pixels; what leaves the frame is gone.

        Args:
            rng: `numpy.random.Generator`.
            picture: (H, W, 3) uint8 with the object.
            mask: (H, W) uint8 of 0 and 1, not empty.
            background: (h, w, 3) uint8, stretched to the picture's size.
            length: number of frames.

        Returns:
            `(frames, masks)` as of `move`.
        """
        size = picture.shape[1::-1]
        background = cv2.resize(background, size, interpolation=cv2.INTER_AREA)
        around = np.ones_like(mask)
        paths = self.path(rng, length), self.path(rng, length)
        frames, masks = [], []
        for behind, own in zip(*paths, strict=True):
            matrix = affine_matrix(behind, around)
            frames.append(_warp(background, matrix, cv2.INTER_LINEAR))
            matrix = affine_matrix(own, mask)
            masks.append(cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_NEAREST))
            blend(frames[-1], picture, matrix, masks[-1])
        return frames, masks


def affine_matrix(parameters, mask):
    """The transform that a row of `Motion.path` stands for.

    Args:
        parameters: shift right and down, log scale, degrees, shear.
        mask: (H, W); the centre of its box is the fixed point of rotation,
            scaling and shear.

    Returns:
        (2, 3) float64, from a point (x, y, 1) of the image to the frame's.
    """
    return affine_about(parameters, box_centre(mask), mask.shape)


def affine_about(parameters, centre, size):
    """`affine_matrix` about a given point.

    Args:
        parameters: a row of `Motion.path`.
        centre: `(x, y)`, the fixed point of rotation, scaling and shear.
        size: `(height, width)` whose shares the shifts are.

    Returns:
        (2, 3) float64.
    """
    right, down, log_scale, degrees, shear = parameters
    height, width = size
    centre = np.asarray(centre)
    angle = np.deg2rad(degrees)
    # y points down, so this turns counter-clockwise as seen.
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    linear = np.exp(log_scale) * turn @ np.array([[1.0, shear], [0.0, 1.0]])
    offset = centre - linear @ centre + (right * width, down * height)
    return np.concatenate([linear, offset[:, None]], axis=1)


def blend(frame, picture, matrix, mask):
    """Puts the moved `picture` into `frame` where `mask` is, in place.

    Outside of the mask's box, grown by the blur's pixel, nothing changes: only that
    part is warped and blended.

    Args:
        frame: (h, w, 3) uint8, changed.
        picture: (H, W, 3) uint8.
        matrix: (2, 3), from a point of the picture to the frame's.
        mask: (h, w) uint8 of 0 and 1, in the frame.
    """
    if not mask.any():
        return
    left, top, right, bottom = bounding_box(mask)
    left, top = max(left - 1, 0), max(top - 1, 0)
    part = slice(top, bottom + 2), slice(left, right + 2)
    weight = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)[part][..., None]
    moved = matrix.copy()
    moved[:, 2] -= left, top
    own = cv2.warpAffine(
        picture,
        moved,
        weight.shape[1::-1],
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    below = frame[part]
    below[...] = np.rint(below + (own.astype(np.float32) - below) * weight)


def _warp(values, matrix, interpolation):
    return cv2.warpAffine(
        values,
        matrix,
        values.shape[1::-1],
        flags=interpolation,
        borderMode=cv2.BORDER_REFLECT_101,
    )
