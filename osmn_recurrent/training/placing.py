"""Where a picture lies in the network image of a training sample."""

import dataclasses

import cv2
import numpy as np
from PIL import Image

from osmn_recurrent import masks
from osmn_recurrent.colours import MEAN_BGR

GREY = tuple(int(value) for value in MEAN_BGR[::-1])
"""What lies outside of a picture: the mean, red, green, blue; 0 to a network."""


@dataclasses.dataclass(frozen=True)
class Stretch:
    """A part of the picture, stretched to the network's size, as released.

    Attributes:
        part: `(rows, columns)`, two slices.
        flip: whether it is mirrored.
        size: `(height, width)` of the network image.
    """

    part: tuple
    flip: bool
    size: tuple

    def mask(self, ids):
        """(H, W) uint8 ids at the network's size, nearest neighbour."""
        return self._mirrored(masks.resize_mask(self._cut(ids), self.size))

    def frame(self, picture):
        """(H, W, 3) uint8 at the network's size, as `guides.network_image`."""
        frame = self._mirrored(self._cut(picture))
        if frame.shape[:2] == tuple(self.size):
            return frame
        image = Image.fromarray(np.ascontiguousarray(frame))
        return np.array(image.resize(self.size[::-1], Image.Resampling.BILINEAR))

    def _cut(self, values):
        return values[self.part]

    def _mirrored(self, values):
        return np.ascontiguousarray(values[:, ::-1]) if self.flip else values


@dataclasses.dataclass(frozen=True)
class BoxStretch(Stretch):
    """The same of a box whose sides may lie outside of the picture, black there.

    Attributes:
        part: `(left, top, right, bottom)` in pixels, half open.
    """

    def _cut(self, values):
        return np.asarray(Image.fromarray(values).crop(self.part))


def moved_sides(rng, shape, ratio):
    """A picture's box with each side moved (release `util.py: data_augmentation`).

    Args:
        rng: `numpy.random.Generator`.
        shape: `(height, width)` of the picture.
        ratio: each side moves outwards by U(-r, r) of the width or height; below 0.5.

    Returns:
        `(left, top, right, bottom)` in pixels.
    """
    height, width = shape
    left, top, right, bottom = rng.uniform(-ratio, ratio, 4)
    return (
        -int(left * width),
        -int(top * height),
        width + int(right * width),
        height + int(bottom * height),
    )


@dataclasses.dataclass(frozen=True)
class View:
    """An affine view of a picture; what lies outside of it is grey.

    Attributes:
        matrix: (2, 3) float64, from a point (x, y, 1) of the picture to that
            of the network image.
        size: `(height, width)` of the network image.
    """

    matrix: np.ndarray
    size: tuple

    def mask(self, ids):
        """(H, W) uint8 ids in the network image, nearest neighbour."""
        return cv2.warpAffine(
            ids, self.matrix, self.size[::-1], flags=cv2.INTER_NEAREST
        )

    def frame(self, picture):
        """(H, W, 3) uint8 in the network image, bilinear, `GREY` outside."""
        picture, view = self.reduced(picture)
        return cv2.warpAffine(
            picture,
            view.matrix,
            self.size[::-1],
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=GREY,
        )

    def after(self, matrix):
        """The view of a picture that a (2, 3) transform has moved before."""
        return View(composed(self.matrix, matrix), self.size)

    def reduced(self, picture):
        """A smaller copy of a picture that is shown much smaller.

        Bilinear interpolation leaves pixels out below half the size.

        Args:
            picture: (H, W, 3) uint8.

        Returns:
            `(picture, view)`: the picture averaged over squares of k x k
            pixels, k the whole part of how often the view makes it smaller,
            and the view of that; both as they are where k is 1. Up to k - 1
            rows and columns at its end, which fill no square, are left out.
        """
        factor = np.sqrt(abs(np.linalg.det(self.matrix[:, :2])))
        k = int(min(1.0 / max(factor, 1e-6), *picture.shape[:2]))
        if k < 2:
            return picture, self
        height, width = (side // k for side in picture.shape[:2])
        small = cv2.resize(
            picture[: height * k, : width * k],
            (width, height),
            interpolation=cv2.INTER_AREA,
        )
        # Pixel p of the small picture has its centre at k p + (k - 1) / 2.
        enlarge = np.array([[k, 0.0, (k - 1) / 2], [0.0, k, (k - 1) / 2]])
        return small, View(composed(self.matrix, enlarge), self.size)


@dataclasses.dataclass(frozen=True)
class Window:
    """Random views of pictures: cut, scaled and turned, never stretched.

    The network image keeps its size whatever the picture's; the centre of the
    object's box lies somewhere in it. What lies outside of the picture is
    grey: a mirrored twin of the object that counts as background would teach
    against the visual guide.

    Attributes:
        zoom: `(smallest, largest)`; its logarithm is drawn evenly. At 1 the
            network image shows an area as large as the picture's.
        rotation: degrees, drawn from U(-r, r).
    """

    zoom: tuple = (0.75, 1.5)
    rotation: float = 8.0

    def view(self, rng, mask, size, flip=0.0):
        """A `View` with the object in it.

        As little as possible lies outside: a picture that is larger than the
        network image fills it, a smaller one lies in it whole (but for the
        corners that the rotation takes).

        Args:
            rng: `numpy.random.Generator`.
            mask: (H, W) uint8, non-zero pixels are the object; its box's
                centre lies in the view (an empty mask: the picture's).
            size: `(height, width)` of the network image.
            flip: probability of mirroring.
        """
        shape = np.array(mask.shape[::-1], np.float64)
        goal = np.array(size[::-1], np.float64)
        zoom = np.exp(rng.uniform(*np.log(self.zoom)))
        zoom *= np.sqrt(goal.prod() / shape.prod())
        angle = np.deg2rad(rng.uniform(-self.rotation, self.rotation))
        mirrored = rng.uniform() < flip
        centre = box_centre(mask)
        turn = [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        linear = zoom * np.array(turn) @ np.diag([-1.0 if mirrored else 1.0, 1.0])
        within = zoom * centre
        if mirrored:
            within[0] = zoom * (shape[0] - 1) - within[0]
        # The picture's corner: it covers the view, or lies in it.
        corner = np.sort([goal - zoom * shape, np.zeros(2)], axis=0)
        corner = np.clip(corner, -within, goal - 1 - within)
        place = within + rng.uniform(corner[0], corner[1])
        offset = place - linear @ centre
        return View(np.concatenate([linear, offset[:, None]], axis=1), tuple(size))


def box_centre(mask):
    """`(x, y)` of the centre of a mask's box, float64; empty: the picture's."""
    left, top, right, bottom = masks.bounding_box(mask)
    return np.array([left + right, top + bottom]) / 2


def composed(second, first):
    """The (2, 3) transform that does `first`, then `second`."""
    linear = second[:, :2] @ first[:, :2]
    offset = second[:, :2] @ first[:, 2] + second[:, 2]
    return np.concatenate([linear, offset[:, None]], axis=1)
