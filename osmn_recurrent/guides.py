"""The two guides and the network's image, with the release's arithmetic.

NumPy functions take one picture or mask and are used for loading and
training data. The functions whose names end in `_tensor` do the same for a
batch with `keras.ops`, so that the inference loop can stay on the device;
both share one implementation of the moments and the Gaussian. A `Guide` holds what
belongs to one kind of spatial guide; a network owns one.
"""

import dataclasses

import cv2
import numpy as np
from keras import ops
from numpy.typing import ArrayLike
from PIL import Image, ImageEnhance

from osmn_recurrent.colours import MEAN_BGR
from osmn_recurrent.masks import bounding_box

TEST_MARGIN = 0.03
"""Share of the box's width or height added on each side at test time."""

SMALLEST_SIGMA = 5.0
"""Lower bound of the Gaussian's sigma in pixels."""

MASK_GUIDE_RADIUS = 5
"""Radius of the disc that dilates MaskTrack's mask guide, in pixels."""

_LIGHT = (ImageEnhance.Brightness, ImageEnhance.Contrast)
_LESS_MEAN = np.arange(256, dtype=np.float32)[None, :, None] - np.array(
    MEAN_BGR, np.float32
)


def network_size(working_size, height, width):
    """Size at which a network sees a frame.

    Args:
        working_size: None, the frame's own; an int, the shorter side; or
            `(height, width)`.
        height: of the frame.
        width: of the frame.

    Returns:
        `(height, width)`, ints.
    """
    if working_size is None:
        return height, width
    if np.ndim(working_size) == 1:
        return tuple(int(length) for length in working_size)
    scale = working_size / min(height, width)
    return round(height * scale), round(width * scale)


def network_image(
    frame_rgb: np.ndarray, size: tuple[int, int] | None = None
) -> np.ndarray:
    """A frame as the networks read it.

    Args:
        frame_rgb: (H, W, 3) uint8 RGB.
        size: `(height, width)` to resize to first (Pillow, bilinear with
            antialiasing, as the release does), or None.

    Returns:
        (height, width, 3) float32 BGR minus `MEAN_BGR`.
    """
    if size is not None and tuple(size) != frame_rgb.shape[:2]:
        image = Image.fromarray(frame_rgb).resize(
            (size[1], size[0]), Image.Resampling.BILINEAR
        )
        frame_rgb = np.asarray(image)
    # One pass over a table of 256 differences per channel.
    return cv2.LUT(cv2.cvtColor(frame_rgb, cv2.COLOR_RGB2BGR), _LESS_MEAN)


def visual_guide(
    frame_rgb: np.ndarray,
    mask: ArrayLike,
    size: int = 224,
    margins: tuple[float, float, float, float] = (TEST_MARGIN,) * 4,
    rotation: float = 0.0,
    flip: bool = False,
    keep_aspect: bool = False,
    keep_background: bool = False,
    light: tuple[float, float] = (1.0, 1.0),
) -> np.ndarray:
    """What the visual modulator sees of the object.

    The box of the mask is cropped (half-open, see `masks.bounding_box`),
    its sides are moved, the crop is resized (image bilinear, mask nearest),
    rotated, flipped, and the background is set to zero (OSMN section 3.5;
    release `dataset_davis.py`, `util.py: data_augmentation`). The defaults
    are the release's at test time.

    Args:
        frame_rgb: (H, W, 3) uint8 RGB.
        mask: (H, W) of the same size; non-zero pixels are the object. An
            empty mask gives the whole frame as box, all background.
        size: side of the square guide in pixels.
        margins: shares of the box's width or height by which its left, top,
            right and bottom sides move outwards (negative: inwards). What
            lies outside of the crop is black. Training draws each from
            U(-0.1, 0.1).
        rotation: degrees, counter-clockwise, nearest neighbour. Training
            draws it from U(-10, 10).
        flip: mirror left and right.
        keep_aspect: the crop is not stretched to a square, but made as large as fits
            and padded with black (release --vg_keep_aspect_ratio, off in all figures).
        keep_background: the crop as it is, so that a box says as much as a mask
            (release --bbox_sup, off in all figures).
        light: factors of brightness and of contrast, Pillow's; training with the
            release's --vg_color_aug (off) draws both from U(0.8, 1.3).

    Returns:
        (size, size, 3) float32 BGR minus mean, background exactly 0.

    Example:

    >>> frame = np.full((120, 160, 3), 200, np.uint8)
    >>> mask = np.zeros((120, 160), np.uint8)
    >>> mask[40:80, 60:100] = 1
    >>> visual_guide(frame, mask).shape
    (224, 224, 3)
    """
    mask = (np.asarray(mask) > 0).astype(np.uint8)
    left, top, right, bottom = bounding_box(mask)
    # A box one pixel wide is empty as a half-open crop; keep that pixel.
    width, height = max(right - left, 1), max(bottom - top, 1)
    moved = (
        -int(width * margins[0]),
        -int(height * margins[1]),
        width + int(width * margins[2]),
        height + int(height * margins[3]),
    )

    def cut(values, resampling, light=(1.0, 1.0)):
        # Two crops: the margin is black, not the picture around the box.
        inside = values[top : top + height, left : left + width]
        image = Image.fromarray(np.ascontiguousarray(inside)).crop(moved)
        image = _square(image, size, resampling, keep_aspect)
        for enhance, factor in zip(_LIGHT, light, strict=True):
            image = enhance(image).enhance(factor) if factor != 1 else image
        image = np.asarray(image)
        if rotation:
            matrix = cv2.getRotationMatrix2D((size / 2, size / 2), rotation, 1)
            image = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_NEAREST)
        return image[:, ::-1] if flip else image

    image = network_image(cut(frame_rgb, Image.Resampling.BILINEAR, light))
    if keep_background:
        return image
    inside = np.ascontiguousarray(cut(mask, Image.Resampling.NEAREST))
    return cv2.copyTo(image, inside, np.zeros_like(image))


def _square(image, size, resampling, keep_aspect):
    """A Pillow image as a square of `size` pixels; see `visual_guide`."""
    if not keep_aspect:
        return image.resize((size, size), resampling)
    ratio = min(size / side for side in image.size)
    width, height = (max(1, int(side * ratio)) for side in image.size)
    left, top = (size - width) // 2, (size - height) // 2
    fitted = image.resize((width, height), resampling)
    return fitted.crop((-left, -top, size - left, size - top))


def robust_moments(mask):
    """Centre and spread of a mask by median and median absolute deviation.

    Args:
        mask: (H, W); non-zero pixels are the object.

    Returns:
        `(centre, sigma)`: float64 arrays `(x, y)` in pixels; sigma is
        1.4826 * MAD, at least 5. Both zero-size safe: an empty mask gives
        centre 0 (release `util.py: compute_robust_moments`).
    """
    centre, sigma = _moments(np, _mask_counts(mask), "float64")
    return centre[0], sigma[0]


def spatial_guide(
    mask: ArrayLike, shift: ArrayLike = (0.0, 0.0), scale: ArrayLike = (1.0, 1.0)
) -> np.ndarray:
    """Heat map of where the object was: a Gaussian fitted to its mask.

    exp(-sum((p - centre)^2 / (2 sigma^2))) with `robust_moments` (OSMN
    section 3.4; release `util.py: get_gb_image`).

    Args:
        mask: (H, W); non-zero pixels are the object.
        shift: moves the centre by this share of sigma, `(x, y)`. Training
            draws each from U(-0.2, 0.2).
        scale: factor of sigma, `(x, y)`. Training: U(1/1.4, 1.4).

    Returns:
        (H, W, 1) float32 in [0, 1]; all zeros for an empty mask.

    Example:

    >>> mask = np.zeros((120, 160), np.uint8)
    >>> mask[40:81, 60:101] = 1
    >>> heat = spatial_guide(mask)
    >>> heat.shape, float(heat[60, 80, 0])  # 1 at the centre
    ((120, 160, 1), 1.0)
    """
    counts = _mask_counts(mask)
    if not counts[0].any():
        return np.zeros((*np.shape(mask), 1), np.float32)
    down, right = _falloffs(np, counts, "float64", np.array([shift]), np.array([scale]))
    heat = np.empty((*np.shape(mask), 1), np.float32)
    # Rounded once, in the one pass that multiplies.
    np.multiply(down[0][:, None], right[0][None], heat[..., 0], casting="same_kind")
    return heat


def spatial_guide_tensor(masks):
    """`spatial_guide` of a batch, on the device, in float32.

    Args:
        masks: (N, H, W) or (N, H, W, 1) tensor; values above 0.5 are set.

    Returns:
        (N, H, W, 1) float32.
    """
    if len(masks.shape) == 4:
        masks = ops.squeeze(masks, -1)
    return _gaussian(ops.cast(masks, "float32") > 0.5, "float32", 0.0, 1.0)


def mask_guide(mask: ArrayLike) -> np.ndarray:
    """MaskTrack's guide: the mask dilated by a disc of radius 5, times 255.

    Args:
        mask: (H, W); non-zero pixels are the object.

    Returns:
        (H, W, 1) float32 of 0 and 255.
    """
    mask = (np.asarray(mask) > 0).astype(np.uint8)
    return cv2.dilate(mask, _disc())[..., None].astype(np.float32) * 255.0


def mask_guide_tensor(masks):
    """`mask_guide` of a batch, on the device.

    Args:
        masks: (N, H, W) or (N, H, W, 1) tensor; values above 0.5 are set.

    Returns:
        (N, H, W, 1) float32 of 0 and 255.
    """
    if len(masks.shape) == 4:
        masks = ops.squeeze(masks, -1)
    pixels = ops.cast(ops.cast(masks, "float32") > 0.5, "uint8")
    # The disc of radius 5 is the union of four boxes: half sides (rows,
    # columns) of (0, 5), (3, 4), (4, 3) and (5, 0). Nested, they take eight
    # small spreadings, a fraction of the time of a convolution by the disc.
    by_3 = _spread(_spread(pixels, 1, 2), 2, 2)
    by_4 = _spread(by_3, 1, 2)
    dilated = ops.maximum(by_3, _spread(pixels, 1, 1))
    dilated = ops.maximum(by_4, _spread(dilated, 1, 1))
    dilated = _spread(_spread(dilated, 1, 1), 2, 1)
    dilated = ops.maximum(_spread(by_4, 1, 2), dilated)
    return ops.cast(dilated, "float32")[..., None] * 255.0


def moved_mask_guide(rng, mask, shift=0.2, scale=0.2):
    """MaskTrack's guide from a moved and scaled mask.

    Release `util.py: perturb_mask`: the mask is scaled by U(1 - scale, 1 + scale) and
    its centre moved by U(-shift, shift) of its box, then dilated. The defaults are the
    release's, of OSMN's figures for MaskTrack-B and MaskTrack-M; MaskTrack's own paper
    (Perazzi et al. 2017) has 0.1 and 0.05.

    Args:
        rng: `numpy.random.Generator`.
        mask: (H, W), non-zero pixels are the object.
        shift: see above.
        scale: see above.

    Returns:
        (H, W, 1) float32 of 0 and 255.
    """
    mask = (np.asarray(mask) > 0).astype(np.uint8)
    left, top, right, bottom = bounding_box(mask)
    factor = rng.uniform(1 - scale, 1 + scale)
    centre = np.array([left + right, top + bottom]) / 2
    box = np.array([right - left, bottom - top])
    moved = centre + rng.uniform(-shift, shift, 2) * box
    matrix = np.array(
        [
            [factor, 0, moved[0] - factor * centre[0]],
            [0, factor, moved[1] - factor * centre[1]],
        ]
    )
    height, width = mask.shape
    return mask_guide(
        cv2.warpAffine(mask, matrix, (width, height), flags=cv2.INTER_NEAREST)
    )


@dataclasses.dataclass(frozen=True)
class Guide:
    """How the guide of a frame is made from an object's mask in the frame before.

    Another kind is a subclass; `SegmentationModel.guide` holds an instance.

    Attributes:
        is_used: whether there is a guide; where there is none, `()` takes its place.
        bends: whether `FirstFrameTransforms.deformation` applies to its masks.
    """

    is_used = True
    bends = False

    def of_mask(self, mask):
        """Guide of one mask, in NumPy.

        Args:
            mask: (H, W); non-zero pixels are the object.

        Returns:
            (H, W, 1) float32.
        """
        raise NotImplementedError

    def of_masks(self, masks):
        """The same of a batch, on the device.

        Args:
            masks: (N, H, W) or (N, H, W, 1) tensor; values above 0.5 are set.

        Returns:
            (N, H, W, 1) float32.
        """
        raise NotImplementedError

    def disturbed(self, rng, masks, augmentation):
        """Guides of a training sample, as a network's own masks would make them.

        Args:
            rng: `numpy.random.Generator`.
            masks: T true masks (H, W) of the frames before.
            augmentation: `GuideAugmentation` or another of its kind.

        Returns:
            List of T arrays (H, W, 1) float32.
        """
        raise NotImplementedError


class GaussianGuide(Guide):
    """`spatial_guide`: a Gaussian fitted to the mask (OSMN, ReConvNet)."""

    def of_mask(self, mask):
        """See `Guide`."""
        return spatial_guide(mask)

    def of_masks(self, masks):
        """See `Guide`."""
        return spatial_guide_tensor(masks)

    def disturbed(self, rng, masks, augmentation):
        """See `Guide`."""
        return augmentation.spatial_guides(rng, masks)


GAUSSIAN = GaussianGuide()
"""The default of networks and samples."""


class MaskGuide(Guide):
    """`mask_guide`: the mask itself, dilated (MaskTrack)."""

    bends = True

    def of_mask(self, mask):
        """See `Guide`."""
        return mask_guide(mask)

    def of_masks(self, masks):
        """See `Guide`."""
        return mask_guide_tensor(masks)

    def disturbed(self, rng, masks, augmentation):
        """See `Guide`; `mask_shift` and `mask_scale` of `augmentation` count."""
        amounts = augmentation.mask_shift, augmentation.mask_scale
        return [moved_mask_guide(rng, mask, *amounts) for mask in masks]


class NoGuide(GaussianGuide):
    """None: the network does not know where the object was.

    Samples have the Gaussian all the same, so that all are of one form.
    """

    is_used = False

    def of_mask(self, mask):
        """`()`."""
        return ()

    def of_masks(self, masks):
        """`()`."""
        return ()


def _spread(pixels, step, axis):
    """Maximum of (N, H, W) with itself moved by `step` to and fro."""
    edges = [[0, 0]] * 3
    edges[axis] = [step, step]
    padded = ops.pad(pixels, edges)
    if axis == 1:
        moved = ops.maximum(padded[:, : -2 * step], padded[:, 2 * step :])
    else:
        moved = ops.maximum(padded[:, :, : -2 * step], padded[:, :, 2 * step :])
    return ops.maximum(pixels, moved)


def _disc(radius=MASK_GUIDE_RADIUS):
    offsets = np.arange(-radius, radius + 1)
    return (offsets[:, None] ** 2 + offsets[None] ** 2 <= radius**2).astype(np.uint8)


def _mask_counts(mask):
    """Set pixels of each column (1, W) and row (1, H) of one mask, int64."""
    mask = np.ascontiguousarray(np.asarray(mask) != 0).view(np.uint8)
    counts = [
        cv2.reduce(mask, axis, cv2.REDUCE_SUM, dtype=cv2.CV_32S) for axis in (0, 1)
    ]
    return [each.reshape(1, -1).astype(np.int64) for each in counts]


def _gaussian(masks, dtype, shift, scale):
    """(N, H, W, 1) heat maps of (N, H, W) bool masks, on the device."""
    pixels = ops.where(masks, 1, 0)
    counts = [ops.sum(pixels, axis=axis) for axis in (1, 2)]
    down, right = _falloffs(ops, counts, dtype, shift, scale)
    # The Gaussian is separable: H + W exponentials instead of H * W.
    heat = down[:, :, None] * right[:, None, :]
    present = ops.any(masks, axis=(1, 2))[:, None, None]
    return ops.where(present, heat, ops.zeros_like(heat))[..., None]


def _falloffs(xp, counts, dtype, shift, scale):
    """The Gaussian's factors along rows (N, H) and columns (N, W)."""
    centre, sigma = _moments(xp, counts, dtype)
    centre = centre + shift * sigma
    sigma = scale * sigma

    def falloff(axis):
        # Two steps: for [:, axis, None] of a stack TensorFlow 2.21's graph
        # optimiser drops the new axis where the sizes are known.
        length = _shape(xp, counts[axis])[1]
        offset = xp.arange(length, dtype=dtype)[None] - centre[:, axis][:, None]
        return xp.exp(-0.5 * xp.square(offset / sigma[:, axis][:, None]))

    return falloff(1), falloff(0)


def _moments(xp, all_counts, dtype):
    """Centre and sigma, both (N, 2) as (x, y), from counts per column and row."""
    centres, sigmas = [], []
    for counts in all_counts:
        positions = xp.arange(_shape(xp, counts)[1], dtype=dtype)[None]
        positions = positions + xp.zeros_like(counts, dtype=dtype)
        centre = _weighted_median(xp, positions, counts)
        spread = _weighted_median(xp, xp.abs(positions - centre[:, None]), counts)
        centres.append(centre)
        sigmas.append(xp.maximum(1.4826 * spread, SMALLEST_SIGMA))
    return xp.stack(centres, axis=1), xp.stack(sigmas, axis=1)


def _weighted_median(xp, values, counts):
    """Median of `values` (N, L), each occurring `counts` (N, L) times."""
    order = xp.argsort(values, axis=-1)
    values = xp.take_along_axis(values, order, axis=-1)
    reached = xp.cumsum(xp.take_along_axis(counts, order, axis=-1), axis=-1)
    total = reached[:, -1:]
    last = _shape(xp, values)[1] - 1

    def statistic(rank):  # the value of the rank-th of the sorted pixels
        before = xp.where(reached <= rank, 1, 0)
        index = xp.minimum(xp.sum(before, axis=-1, keepdims=True), last)
        return xp.take_along_axis(values, index, axis=-1)[:, 0]

    return 0.5 * (statistic((total - 1) // 2) + statistic(total // 2))


def _shape(xp, array):
    """The shape; on a device, with tensors where it is not known."""
    return ops.shape(array) if xp is ops else array.shape
