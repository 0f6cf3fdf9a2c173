"""Guides against their definitions, and tensors against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageEnhance

from osmn_recurrent import guides
from osmn_recurrent.colours import MEAN_BGR

MASKS = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.sampled_from([0, 0, 1]),
)


def slow_spatial_guide(mask):
    """The definition: medians over lists of pixels."""
    rows, columns = np.nonzero(mask)
    if rows.size == 0:
        return np.zeros(mask.shape)
    exponent = 0.0
    grid = np.mgrid[: mask.shape[0], : mask.shape[1]]
    for pixels, axis in ((rows, grid[0]), (columns, grid[1])):
        centre = np.median(pixels)
        sigma = max(1.4826 * np.median(np.abs(pixels - centre)), 5.0)
        exponent = exponent + (axis - centre) ** 2 / (2 * sigma**2)
    return np.exp(-exponent)


@settings(max_examples=150, deadline=None)
@given(MASKS)
def test_spatial_guide_is_the_gaussian_of_the_medians(mask):
    expected = slow_spatial_guide(mask)[..., None]
    np.testing.assert_allclose(guides.spatial_guide(mask), expected, atol=1e-6)


def large_masks(count=4, size=(90, 140)):
    """Masks of several shapes, one of them empty."""
    rng = np.random.default_rng(0)
    masks = np.zeros((count, *size), np.uint8)
    for k in range(1, count):
        top, left = rng.integers(0, 50, 2)
        masks[k, top : top + rng.integers(1, 60), left : left + 35 * k] = 1
    return masks


def test_spatial_guides_on_the_device_equal_numpy():
    masks = large_masks()
    expected = np.stack([guides.spatial_guide(mask) for mask in masks])
    eager = guides.spatial_guide_tensor(keras.ops.convert_to_tensor(masks))
    np.testing.assert_allclose(eager, expected, atol=1e-5)
    traced = tf.function(
        guides.spatial_guide_tensor,
        input_signature=[tf.TensorSpec((None, None, None), tf.uint8)],
    )
    np.testing.assert_allclose(traced(masks), expected, atol=1e-5)
    fixed = tf.function(guides.spatial_guide_tensor)  # sizes known when traced
    np.testing.assert_allclose(fixed(tf.constant(masks)), expected, atol=1e-5)


def test_the_spatial_guide_moves_and_spreads_in_units_of_sigma():
    mask = large_masks()[3]
    centre, sigma = guides.robust_moments(mask)
    heat = guides.spatial_guide(mask, shift=(0.5, -0.25), scale=(1.3, 0.8))[..., 0]
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    expected = np.exp(
        -((x - centre[0] - 0.5 * sigma[0]) ** 2) / (2 * (1.3 * sigma[0]) ** 2)
        - (y - centre[1] + 0.25 * sigma[1]) ** 2 / (2 * (0.8 * sigma[1]) ** 2)
    )
    np.testing.assert_allclose(heat, expected, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(MASKS)
def test_mask_guide_is_a_dilation_by_a_disc(mask):
    rows, columns = np.nonzero(mask)
    y, x = np.mgrid[: mask.shape[0], : mask.shape[1]]
    near = np.zeros(mask.shape, bool)
    for row, column in zip(rows, columns, strict=True):
        near |= (y - row) ** 2 + (x - column) ** 2 <= 25
    expected = 255.0 * near[..., None]
    np.testing.assert_array_equal(guides.mask_guide(mask), expected)
    tensor = guides.mask_guide_tensor(keras.ops.convert_to_tensor(mask[None]))
    np.testing.assert_array_equal(tensor[0], expected)


def picture(size=(60, 80)):
    """A frame without black, so that margins can be told from it."""
    return np.random.default_rng(3).integers(60, 256, (*size, 3), dtype=np.uint8)


def test_network_size():
    assert guides.network_size(None, 37, 53) == (37, 53)
    assert guides.network_size((16, 24), 37, 53) == (16, 24)
    assert guides.network_size(160, 480, 854) == (160, 285)  # the shorter side
    assert guides.network_size(160, 854, 480) == (285, 160)


def test_network_image_is_bgr_minus_mean():
    frame = picture()
    expected = frame[..., ::-1].astype(np.float32) - [104.0, 117.0, 123.0]
    np.testing.assert_array_equal(guides.network_image(frame), expected)
    flat = np.full((40, 60, 3), (10, 20, 30), np.uint8)
    small = guides.network_image(flat, (17, 23))
    assert small.shape == (17, 23, 3)
    np.testing.assert_array_equal(small[5, 5], [30 - 104, 20 - 117, 10 - 123])


def test_visual_guide_without_margin_is_the_resized_crop():
    frame, mask = picture(), np.zeros((60, 80), np.uint8)
    mask[10:43, 20:53] = 1  # the half-open box is 32x32, a seventh of 224
    guide = guides.visual_guide(frame, mask, margins=(0.0,) * 4)
    assert guide.shape == (224, 224, 3)
    crop = guides.network_image(frame[10:42, 20:52])
    # At the centres of enlarged pixels bilinear interpolation changes nothing.
    np.testing.assert_allclose(guide[3::7, 3::7], crop, atol=0.51)


def test_visual_guide_is_zero_outside_of_the_object():
    frame, mask = picture(), np.zeros((60, 80), np.uint8)
    mask[10:50, 20:60] = 1
    mask[10:30, 20:40] = 0
    guide = guides.visual_guide(frame, mask)
    assert (guide[:100, :100] == 0).all()
    assert (np.abs(guide[130:200, 130:200]).sum(-1) > 0).mean() > 0.99
    # 3% of 39 pixels is one black pixel on each side: 224 / 41 columns of 0.
    assert (guide[:, :5] == 0).all()
    assert (guide[200, 8:12] != 0).any()


def test_visual_guide_flips_and_turns():
    frame, mask = picture(), np.zeros((60, 80), np.uint8)
    mask[10:50, 20:60] = 1
    plain = guides.visual_guide(frame, mask, margins=(0.0,) * 4)
    flipped = guides.visual_guide(frame, mask, margins=(0.0,) * 4, flip=True)
    np.testing.assert_array_equal(flipped, plain[:, ::-1])
    turned = guides.visual_guide(frame, mask, margins=(0.0,) * 4, rotation=90.0)
    # Counter-clockwise; the centre of rotation is off by half a pixel.
    expected = np.rot90(plain)
    close = [
        np.abs(turned[2:-2, 2:-2] - np.roll(expected, shift, (0, 1))[2:-2, 2:-2]).mean()
        for shift in ((0, 0), (1, 0), (0, 1), (1, 1), (-1, 0), (0, -1))
    ]
    assert min(close) < 0.5


@pytest.mark.parametrize("pixels", [0, 1])
def test_visual_guide_of_hardly_anything(pixels):
    mask = np.zeros((60, 80), np.uint8)
    mask[30, 40] = pixels
    guide = guides.visual_guide(picture(), mask)
    assert guide.shape == (224, 224, 3)
    assert (guide != 0).any() == bool(pixels)


def release_visual_guide(frame, mask, keep_aspect, light, margin):
    """`util.py: data_augmentation` of the release, and its masking, with Pillow."""
    rows, columns = np.nonzero(mask)
    box = (columns.min(), rows.min(), columns.max(), rows.max())
    pair = [Image.fromarray(each).crop(box) for each in (frame, mask)]
    width, height = pair[0].size
    right, down = int(margin * width), int(margin * height)
    pair = [each.crop((-right, -down, width + right, height + down)) for each in pair]
    kinds = (Image.Resampling.BILINEAR, Image.Resampling.NEAREST)
    if keep_aspect:
        sides = np.array(pair[0].size)
        fitted = (sides * np.amin(224 / sides)).astype(int)
        before = (224 - fitted) // 2
        outside = (*-before, *(224 - before))
        pair = [
            each.resize(tuple(fitted), kind).crop(tuple(int(v) for v in outside))
            for each, kind in zip(pair, kinds, strict=True)
        ]
    else:
        pair = [
            each.resize((224, 224), kind)
            for each, kind in zip(pair, kinds, strict=True)
        ]
    image = ImageEnhance.Brightness(pair[0]).enhance(light[0])
    image = ImageEnhance.Contrast(image).enhance(light[1])
    shown = np.asarray(image).astype(np.float32)[..., ::-1] - np.float32(MEAN_BGR)
    return shown, np.asarray(pair[1])


@pytest.mark.parametrize("keep_aspect", [False, True])
@pytest.mark.parametrize("light", [(1.0, 1.0), (0.83, 1.24)])
def test_visual_guides_of_the_releases_options(keep_aspect, light):
    frame, mask = picture((60, 80)), np.zeros((60, 80), np.uint8)
    mask[10:30, 20:71] = 1
    mask[12:20, 30:40] = 0
    expected, inside = release_visual_guide(frame, mask, keep_aspect, light, 0.03)
    options = {"keep_aspect": keep_aspect, "light": light}
    kept = guides.visual_guide(frame, mask, keep_background=True, **options)
    np.testing.assert_array_equal(kept, expected)
    masked = guides.visual_guide(frame, mask, **options)
    np.testing.assert_array_equal(masked, np.where(inside[..., None] > 0, expected, 0))
    assert keep_aspect == (inside[:40] == 0).all()
