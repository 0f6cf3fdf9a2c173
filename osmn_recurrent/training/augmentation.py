"""Random changes of the guides: as OSMN's release draws them, and ReConvNet's."""

import dataclasses

import cv2
import numpy as np

from osmn_recurrent import guides
from osmn_recurrent.masks import bounding_box

LIGHT = (0.8, 1.3)
"""Range of the visual guide's factors of brightness and contrast, where they change."""


@dataclasses.dataclass(frozen=True)
class GuideAugmentation:
    """How far guides are disturbed in training (OSMN section 3.5; release
    `common_args.py`).

    Attributes:
        margin: each side of the visual guide's box moves by U(-m, m) of the
            box's width or height.
        rotation: the visual guide turns by U(-r, r) degrees.
        flip: probability of mirroring the visual guide.
        shift: the Gaussian's centre moves by U(-s, s) of its sigma.
        spread: the Gaussian's sigma is multiplied by U(1 / (1 + p), 1 + p).
        mask_shift: MaskTrack's guide moves by U(-s, s) of its box; 0.2 as released
            (OSMN's figures), 0.1 in MaskTrack's paper.
        mask_scale: it grows by a factor from U(1 - s, 1 + s); 0.2 as in the release,
            0.05 in MaskTrack's paper.
        light: whether brightness and contrast of the visual guide change, each by a
            factor from U(0.8, 1.3) (release --vg_color_aug, off in its figures).
        keep_aspect: see `guides.visual_guide`, as is `keep_background`. The release
            leaves the first out of COCO's samples and the second out of DAVIS'.
    """

    margin: float = 0.1
    rotation: float = 10.0
    flip: float = 0.5
    shift: float = 0.2
    spread: float = 0.4
    mask_shift: float = 0.2
    mask_scale: float = 0.2
    light: bool = False
    keep_aspect: bool = False
    keep_background: bool = False

    def undisturbed(self):
        """The same visual guides without anything random, for validation."""
        return GuideAugmentation(*[0.0] * 7, **self.visual_guide_options())

    def visual_guide_options(self):
        """Options of `guides.visual_guide` that hold in validation too, a dict."""
        return {
            "keep_aspect": self.keep_aspect,
            "keep_background": self.keep_background,
        }

    def visual_guide(self, rng, frame_rgb, mask):
        """`guides.visual_guide` with a random box, angle and mirroring.

        Args:
            rng: `numpy.random.Generator`.
            frame_rgb: (H, W, 3) uint8 RGB.
            mask: (H, W), non-zero pixels are the object.

        Returns:
            (224, 224, 3) float32 BGR minus mean, background 0.
        """
        drawn = {
            "margins": tuple(rng.uniform(-self.margin, self.margin, 4)),
            "rotation": float(rng.uniform(-self.rotation, self.rotation)),
            "flip": bool(rng.uniform() < self.flip),
        }
        if self.light:  # last, so that it leaves the other draws as they are
            drawn["light"] = tuple(rng.uniform(*LIGHT, 2))
        return guides.visual_guide(
            frame_rgb,
            mask,
            keep_aspect=self.keep_aspect,
            keep_background=self.keep_background,
            **drawn,
        )

    def spatial_guide(self, rng, mask):
        """`guides.spatial_guide` with a random centre and sigma.

        Args:
            rng: `numpy.random.Generator`.
            mask: (H, W), non-zero pixels are the object.

        Returns:
            (H, W, 1) float32 in [0, 1].
        """
        widest = 1.0 + self.spread
        return guides.spatial_guide(
            mask,
            shift=rng.uniform(-self.shift, self.shift, 2),
            scale=rng.uniform(1.0 / widest, widest, 2),
        )

    def spatial_guides(self, rng, masks):
        """`spatial_guide` of each of T masks, drawn anew for each; a list."""
        return [self.spatial_guide(rng, mask) for mask in masks]


NO_AUGMENTATION = GuideAugmentation().undisturbed()


@dataclasses.dataclass(frozen=True)
class AffineAugmentation:
    """Shift, scale and rotation of both modulators' inputs (ReConvNet, section 3).

    The paper gives no ranges; the defaults stay near OSMN's.

    Attributes:
        shift: moves by U(-s, s) of the object's box, along each axis.
        scale: grows by a factor from U(1 / (1 + s), 1 + s).
        rotation: turns by U(-r, r) degrees, counter-clockwise.
        same_along_clip: one transform of the spatial guides' masks holds for
            all frames of a sample, so that their motion stays as it was;
            else each frame draws its own, as OSMN's guides do.
        mask_shift: see `GuideAugmentation`, as is `mask_scale`.
    """

    shift: float = 0.1
    scale: float = 0.2
    rotation: float = 10.0
    same_along_clip: bool = True
    mask_shift: float = 0.2
    mask_scale: float = 0.2

    def undisturbed(self):
        """`NO_AUGMENTATION`."""
        return NO_AUGMENTATION

    def visual_guide_options(self):
        """None, as of `GuideAugmentation`."""
        return {}

    def draw(self, rng):
        """`((x, y) shift in boxes, scale factor, degrees)` of a transform."""
        widest = 1.0 + self.scale
        return (
            rng.uniform(-self.shift, self.shift, 2),
            float(rng.uniform(1.0 / widest, widest)),
            float(rng.uniform(-self.rotation, self.rotation)),
        )

    def visual_guide(self, rng, frame_rgb, mask):
        """`guides.visual_guide` of a moved, scaled and turned object.

        Args:
            rng: `numpy.random.Generator`.
            frame_rgb: (H, W, 3) uint8 RGB.
            mask: (H, W), non-zero pixels are the object.

        Returns:
            (224, 224, 3) float32 BGR minus mean, background 0.
        """
        (right, down), factor, angle = self.draw(rng)
        # Where the object is to look larger, the box shrinks around it.
        wider = (1.0 / factor - 1.0) / 2
        margins = (wider + right, wider + down, wider - right, wider - down)
        return guides.visual_guide(frame_rgb, mask, margins=margins, rotation=angle)

    def spatial_guides(self, rng, masks):
        """`guides.spatial_guide` of transformed masks.

        Args:
            rng: `numpy.random.Generator`.
            masks: T masks (H, W), non-zero pixels are the object. A common
                transform turns about the first mask that is not empty.

        Returns:
            list of (H, W, 1) float32 in [0, 1].
        """
        masks = [(np.asarray(mask) > 0).astype(np.uint8) for mask in masks]
        if self.same_along_clip:
            anchor = next((mask for mask in masks if mask.any()), masks[0])
            matrix = self._matrix(rng, anchor)
            matrices = [matrix] * len(masks)
        else:
            matrices = [self._matrix(rng, mask) for mask in masks]
        return [
            guides.spatial_guide(
                cv2.warpAffine(mask, matrix, mask.shape[::-1], flags=cv2.INTER_NEAREST)
            )
            for mask, matrix in zip(masks, matrices, strict=True)
        ]

    def _matrix(self, rng, mask):
        shift, factor, angle = self.draw(rng)
        left, top, right, bottom = bounding_box(mask)
        centre = ((left + right) / 2, (top + bottom) / 2)
        matrix = cv2.getRotationMatrix2D(centre, angle, factor)
        matrix[:, 2] += shift * (right - left, bottom - top)
        return matrix


def recolouring(rng, strength):
    """A random change of colours, the same for every frame it is applied to.

        v' = 255 * gain_c * (v / 255)^gamma + offset, cut to 0..255

    Args:
        rng: `numpy.random.Generator`; not used if `strength` is 0.
        strength: s; gamma and, for each channel, gain are exp of U(-s, s) and
            U(-s / 2, s / 2), offset is U(-s, s) * 32.

    Returns:
        Function of (H, W, 3) uint8 that gives an array of its kind.
    """
    if not strength:
        return lambda frame: frame
    gamma = np.exp(rng.uniform(-strength, strength))
    gains = np.exp(rng.uniform(-strength, strength, 3) / 2)
    offset = 32.0 * rng.uniform(-strength, strength)
    values = np.linspace(0.0, 1.0, 256)[:, None] ** gamma * 255.0 * gains + offset
    table = np.rint(np.clip(values, 0.0, 255.0)).astype(np.uint8)[None]
    return lambda frame: cv2.LUT(frame, table)


def relighting(rng, strength):
    """A random change of light, the same for every picture it is applied to.

        v' = factor * (v + offset), cut to 0..255

    Args:
        rng: `numpy.random.Generator`; not used if `strength` is 0.
        strength: l; factor is from U(1 - l, 1 + l), offset from U(-l, l) * 80.

    Returns:
        Function of (H, W, 3) uint8 that gives an array of its kind.
    """
    if not strength:
        return lambda frame: frame
    factor = rng.uniform(1.0 - strength, 1.0 + strength)
    offset = 80.0 * rng.uniform(-strength, strength)
    table = np.rint(np.clip(factor * (np.arange(256) + offset), 0.0, 255.0))
    table = table.astype(np.uint8)
    return lambda frame: cv2.LUT(frame, table)


@dataclasses.dataclass(frozen=True)
class Colours:
    """The colour changes of one sample.

    Attributes:
        recolour: of `recolouring`, for all of its pictures.
        light: of `relighting`, for what its frames show.
    """

    recolour: object
    light: object

    @classmethod
    def draw(cls, rng, jitter, light):
        """Draws both, of these strengths; light from a generator of its own.

        So another light leaves the sample's other draws as they are.
        """
        own = rng.spawn(1)[0] if light else None
        return cls(recolouring(rng, jitter), relighting(own, light))

    def seen(self, picture):
        """A picture, (H, W, 3) uint8, as its visual guide is cut from it."""
        return self.recolour(picture)

    def shown(self, picture):
        """The same picture as a frame shows it."""
        return self.light(self.recolour(picture))


def random_part(rng, mask, least):
    """A random crop that shows some of the object.

    Args:
        rng: `numpy.random.Generator`; not used if `least` is 1.
        mask: (H, W) uint8, non-zero pixels are the object. One of its pixels,
            drawn at random, lies inside; an empty mask leaves any crop.
        least: each side keeps the share U(least, 1) of the picture's.

    Returns:
        `(rows, columns)`, two slices.
    """
    if least >= 1.0:
        return slice(None), slice(None)
    columns = np.flatnonzero(mask.any(0))
    column = int(rng.choice(columns)) if columns.size else None
    rows = None if column is None else np.flatnonzero(mask[:, column])
    inside = (None if rows is None else int(rng.choice(rows)), column)
    part = []
    for side, pixel in zip(mask.shape, inside, strict=True):
        length = max(1, round(side * rng.uniform(least, 1.0)))
        first, last = 0, side - length
        if pixel is not None:
            first, last = max(first, pixel - length + 1), min(last, pixel)
        start = int(rng.integers(first, last + 1))
        part.append(slice(start, start + length))
    return tuple(part)
