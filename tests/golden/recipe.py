"""Weights and inputs of the golden cases, rebuilt from their recipe."""

import json
import zlib

import numpy as np

from osmn_recurrent.colours import MEAN_BGR

CASES = {
    "osmn_64x96_seed7": ("osmn", {}),
    "osmn_75x101_seed11": ("osmn", {}),
    "osmn_modearly_48x64_seed13": ("osmn", {"mod_early_conv": True}),
    "osmn_novisual_64x96_seed7": ("osmn", {"use_visual_modulator": False}),
    "osmn_nospatial_64x96_seed7": ("osmn", {"use_spatial_modulator": False}),
    "masktrackm_65x97_seed7": ("masktrack_m", {}),
    "osmn_deeplab_65x97_seed7": ("osmn", {"backbone": "deeplab"}),
    "osmn_deeplab_90x122_seed11": ("osmn", {"backbone": "deeplab"}),
    "osmn_lite_64x96_seed7": ("osmn", {"backbone": "mobilenet"}),
    "osmn_lite_96x160_seed11": ("osmn", {"backbone": "mobilenet"}),
}


def variables_of(folder, case):
    """`{release name: shape}` of a case's graph."""
    listed = json.loads((folder / f"{case}.variables.json").read_text())
    return {name: tuple(shape) for name, shape in listed.items()}


def seed_of(case):
    """The seed in a case's name."""
    return int(case.rpartition("seed")[2])


def weight(name, shape, seed, training=False):
    """Values of the variable `name`, float32.

    With `training` those of the training traces, where MobileNet's differ.
    """
    rs = np.random.RandomState((zlib.crc32(name.encode()) + seed) % 2**32)
    fan, leaf = np.prod(shape[:-1]), name.rpartition("/")[2]
    if leaf == "weights":
        values = rs.standard_normal(shape)
        if "modulator_sp" in name:
            pass
        elif "/Conv2d_out_" in name:
            values = values * 0.25 / np.sqrt(fan)
        elif "/modulator/fc8" in name:
            values = values * 0.15 / np.sqrt(fan)
        else:
            values = values * np.sqrt(2 / fan)
            if name.endswith("conv1/conv1_1/weights"):
                values = values / 70
            elif "/fc8_voc12_" in name:
                values = values * 0.3
    elif leaf == "depthwise_weights":
        values = rs.standard_normal(shape) * np.sqrt(2 / 9)
    elif leaf == "biases":
        values = rs.standard_normal(shape) * 0.05
        if "/modulator/fc8" in name or "/Conv2d_out_" in name:
            values = values + 1
    elif training and "/Conv2d_" in name and leaf in ("beta", "gamma"):
        values = {"beta": 1, "gamma": 0.6}[leaf] * (1 + 0.2 * rs.standard_normal(shape))
    elif leaf == "beta":
        values = 0.5 * rs.standard_normal(shape)
    elif leaf == "gamma":
        values = 1 + 0.2 * rs.standard_normal(shape)
    elif leaf == "moving_mean":
        values = 0.3 * rs.standard_normal(shape)
    elif leaf == "moving_variance":
        values = 0.5 + rs.uniform(size=shape)
    else:
        raise ValueError(name)
    return values.astype(np.float32)


def inputs(height, width, seed):
    """Image, visual guide and spatial guide, as networks take them."""
    image, guide = pictures(np.random.RandomState(seed), height, width)
    heat = gaussian(height, width, (0.4, 0.6), (0.2, 0.15))
    return {"image": image[None], "visual_guide": guide[None], "spatial_guide": heat}


def pictures(rs, height, width):
    """`(image, guide)`, the guide drawn first."""
    mean = np.array(MEAN_BGR)
    guide = rs.uniform(0, 255, (1, 224, 224, 3)) - mean
    guide[:, :40] = 0
    guide[:, :, 190:] = 0
    image = rs.uniform(0, 255, (1, height, width, 3)) - mean
    return image[0].astype(np.float32), guide[0].astype(np.float32)


def gaussian(height, width, centre, sigma):
    """(1, height, width, 1) float32; centre and sigma in shares, x first."""
    yy, xx = np.mgrid[:height, :width]
    x = (xx - centre[0] * width) / (sigma[0] * width)
    y = (yy - centre[1] * height) / (sigma[1] * height)
    return np.exp(-(x**2 + y**2) / 2)[None, ..., None].astype(np.float32)


def batch(height, width, seed, step, count):
    """`(inputs, label)` of training step `step` (from 1), `count` samples."""
    rs = np.random.RandomState(seed + step)
    drawn = [pictures(rs, height, width) for _ in range(count)]
    heats = [
        gaussian(height, width, (0.4, 0.6), (0.2, 0.15)),
        gaussian(height, width, (0.65, 0.4), (0.1, 0.12)),
    ]
    heat = np.concatenate(heats[:count])
    given = {
        "image": np.stack([image for image, _ in drawn]),
        "visual_guide": np.stack([guide for _, guide in drawn]),
        "spatial_guide": heat,
    }
    return given, (heat > 0.5).astype(np.float32)
