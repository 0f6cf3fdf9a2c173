"""Textured shapes: drawing them, and placing them in a picture."""

import colorsys
import dataclasses

import cv2
import numpy as np

_MARGIN = 1.06  # of the texture around the shape, for soft borders


@dataclasses.dataclass(frozen=True)
class Sprite:
    """A textured shape and its way through a clip.

    Attributes:
        contour: (N, 2) float64 outline of area 1 around its centroid, the
            origin; x to the right and y down.
        texture: (S, S, 3) float32 RGB, 0 to 255, of the square from -reach
            to reach in the contour's units.
        object_id: 1, 2, ... for objects, 0 for distractors.
        area: the shape's area in frame 0 in pixels.
        poses: (T, 2, 3) float64, maps the contour to pixels (x, y), with
            pixel centres at whole numbers.
    """

    contour: np.ndarray
    texture: np.ndarray
    object_id: int
    area: float
    poses: np.ndarray | None = None

    @property
    def reach(self):
        """Half the side of the texture's square, in the contour's units."""
        return _MARGIN * np.abs(self.contour).max()


def draw_sprite(rng, object_id, area, muted=False):
    """A `Sprite` with a contour and texture of its own, without poses.

    Args:
        rng: `numpy.random.Generator`.
        object_id: its id in the masks, 0 for a distractor.
        area: in pixels.
        muted: see `texture`.
    """
    outline = contour(rng)
    side = int(np.ceil(2 * _MARGIN * np.abs(outline).max() * np.sqrt(area)))
    surface = texture(rng, (side, side), np.sqrt(area), muted)
    return Sprite(outline, surface, object_id, area)


def contour(rng):
    """Outline of an ellipse, polygon, star or blob: see `Sprite.contour`."""
    kind = rng.choice(["ellipse", "polygon", "star", "blob"])
    if kind == "polygon":
        corners = rng.integers(3, 8)
        angle = np.arange(corners) + rng.uniform(-0.3, 0.3, corners)
        angle *= 2 * np.pi / corners
        radius = rng.uniform(0.8, 1.2, corners)
    elif kind == "star":
        corners = rng.integers(4, 8)
        angle = np.arange(2 * corners) * np.pi / corners
        radius = np.where(np.arange(2 * corners) % 2, rng.uniform(0.45, 0.7), 1.0)
    else:
        angle = np.linspace(0, 2 * np.pi, 72, endpoint=False)
        radius = np.ones_like(angle)
        if kind == "blob":
            for wave in range(2, 6):
                phase = rng.uniform(0, 2 * np.pi)
                radius += rng.uniform(0, 0.45) / wave * np.cos(wave * angle + phase)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
    points[:, 1] *= rng.uniform(0.5, 1.0)
    return _normalised(points)


def _normalised(points):
    """The outline moved and scaled to centroid 0 and area 1 (shoelace)."""
    following = np.roll(points, -1, 0)
    cross = points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]
    area = cross.sum() / 2
    centroid = ((points + following) * cross[:, None]).sum(0) / (6 * area)
    return (points - centroid) / np.sqrt(abs(area))


def texture(rng, shape, unit, muted=False):
    """A checker, stripes, dots, smooth noise or one colour, with shading.

    Args:
        rng: `numpy.random.Generator`.
        shape: `(height, width)` in pixels.
        unit: size in pixels of what wears it; patterns repeat two to five
            times in it.
        muted: pale colours and a quarter of the contrast; otherwise
            strong colours.

    Returns:
        (height, width, 3) float32 RGB, 0 to 255.
    """
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), unit * rng.uniform(0.2, 0.5)
    across = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period
    along = (y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / period
    # From one colour to the other within a pixel: hard, but not aliased.
    edge = period / np.pi
    kind = rng.choice(["checker", "stripes", "dots", "noise", "flat"])
    if kind == "checker":
        amount = np.sin(across) * np.sin(along) * edge
    elif kind == "stripes":
        amount = (np.sin(across) + rng.uniform(-0.4, 0.4)) * edge
    elif kind == "dots":
        amount = (np.cos(across) + np.cos(along) - rng.uniform(0.2, 1.0)) * edge
    elif kind == "noise":
        amount = 3.0 * _smooth_noise(rng, shape, period / 2)
    else:
        amount = np.full(shape, -1.0)
    amount = (0.5 + 0.5 * np.clip(amount, -1, 1))[..., None]
    first, second = _two_colours(rng, muted)
    colours = first * (1 - amount) + second * amount
    slope = rng.uniform(0.0, 0.3)
    direction = rng.uniform(0, 2 * np.pi)
    shade = np.cos(direction) * (x / width - 0.5)
    shade += np.sin(direction) * (y / height - 0.5)
    shade = 1 + slope * shade + 0.08 * _smooth_noise(rng, shape, unit / 12)
    return np.clip(colours * shade[..., None], 0, 255).astype(np.float32)


def _smooth_noise(rng, shape, period):
    """(h, w) float32 with standard deviation of about 0.7."""
    cells = [int(np.ceil(length / max(period, 1))) + 3 for length in shape]
    coarse = rng.standard_normal(cells).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _two_colours(rng, muted):
    """Two RGB colours, 0 to 255, that differ clearly."""
    while True:
        first, second = (
            255 * np.array(colorsys.hsv_to_rgb(h, 0.5 + 0.5 * s, 0.4 + 0.6 * v))
            for h, s, v in rng.random((2, 3))
        )
        if np.abs(first - second).max() > 80:
            break
    if not muted:
        return first, second
    middle = (first + second) / 2
    grey = middle.mean()
    return tuple(
        grey + 0.3 * (middle - grey) + 0.25 * (colour - middle)
        for colour in (first, second)
    )


def upright(sprite):
    """The sprite on its square: (S, S, 4) float32, RGB and coverage 0 to 1."""
    side, fine = sprite.texture.shape[0], 4
    points = (sprite.contour / sprite.reach + 1) / 2 * side * fine - 0.5
    coverage = np.zeros((side * fine, side * fine), np.uint8)
    cv2.fillPoly(coverage, [np.round(points * 16).astype(np.int32)], 255, shift=4)
    coverage = cv2.resize(coverage, (side, side), interpolation=cv2.INTER_AREA)
    return np.dstack([sprite.texture, coverage.astype(np.float32) / 255])


def paint(picture, canvas, reach, pose):
    """Blends a sprite into a picture, with soft borders.

    Args:
        picture: (H, W, 3) float32, changed in place.
        canvas: of `upright`.
        reach: `Sprite.reach`.
        pose: (2, 3), see `Sprite.poses`.

    Returns:
        (H, W) bool: the pixels of which the sprite covers at least half.
    """
    side = canvas.shape[0]
    # Canvas pixel i is at (2 i + 1 - side) / side * reach in the shape.
    matrix = pose.copy()
    matrix[:, :2] *= 2 * reach / side
    matrix[:, 2] -= matrix[:, :2].sum(1) * (side - 1) / 2
    height, width = picture.shape[:2]
    moved = cv2.warpAffine(canvas, matrix, (width, height), flags=cv2.INTER_LINEAR)
    coverage = moved[..., 3:]
    picture += coverage * (moved[..., :3] - picture)
    return coverage[..., 0] >= 0.5


def silhouettes(sprite, shape, shrink):
    """The whole sprite, also where another covers it.

    Args:
        sprite: a `Sprite` with poses.
        shape: `(height, width)` of the result.
        shrink: size of the result relative to the clip.

    Returns:
        (T, height, width) bool, borders about half a pixel too wide.
    """
    masks = np.zeros((len(sprite.poses), *shape), np.uint8)
    for mask, pose in zip(masks, sprite.poses):
        outline = (sprite.contour @ pose[:, :2].T + pose[:, 2]) * shrink
        points = np.round(outline * 16).astype(np.int32)
        cv2.fillPoly(mask, [points], 1, shift=4)
    return masks.astype(bool)
