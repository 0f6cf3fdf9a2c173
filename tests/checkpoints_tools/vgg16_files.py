"""VGG16 with few channels, and files of it as slim writes them."""

import numpy as np

from checkpoints_tools.vgg16_names import CONVS
from osmn_recurrent import backbones
from osmn_recurrent.backbones.vgg16 import VGG16, Width

NARROW = Width((4, 5, 6, 7, 8), 11, 16, 8, 1, 0.001, 1.0)


def register_narrow(monkeypatch):
    """Makes a trunk "narrow" with VGG16's structure (7x7 fc6) and few channels."""
    monkeypatch.setattr(backbones, "_REGISTERED", dict(backbones._REGISTERED))
    backbones.register(VGG16("narrow", NARROW))


def layers(width=NARROW, seed=0):
    """Random VGG16: `{layer: (kernel (h, w, in, out), bias)}`, fc8 included."""
    rng = np.random.default_rng(seed)
    found, before = {}, 3
    for layer in CONVS:
        channels = width.blocks[int(layer[4]) - 1]
        found[layer] = (3, 3, before, channels)
        before = channels
    found["fc6"] = (7, 7, before, width.fc)
    found["fc7"] = (1, 1, width.fc, width.fc)
    found["fc8"] = (1, 1, width.fc, 10)
    return {
        layer: (
            rng.normal(0, np.sqrt(2 / np.prod(shape[:3])), shape).astype(np.float32),
            rng.normal(0, 0.05, shape[3]).astype(np.float32),
        )
        for layer, shape in found.items()
    }


def slim_tensors(given):
    """As slim's vgg_16.ckpt names them."""
    found = {"global_step": np.int64(3), "vgg_16/mean_rgb": np.ones(3, np.float32)}
    for layer, (kernel, bias) in given.items():
        scope = f"vgg_16/{layer[:5]}/{layer}" if "conv" in layer else f"vgg_16/{layer}"
        found |= {f"{scope}/weights": kernel, f"{scope}/biases": bias}
    return found
