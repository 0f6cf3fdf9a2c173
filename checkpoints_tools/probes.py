"""Checks against a stored probe: inputs, and what another program made of them.

A probe is a `.npz` file with one or both of two parts, which are checked
apart, so that a wrong colour order is not mistaken for wrong weights:

- preprocessing: `frame`, `guide_frame` (H, W, 3) uint8 RGB, `guide_mask`,
  `previous_mask` (H, W), and what the networks read of them:
  `frame_as_image` (h, w, 3) BGR minus mean, `guide_frame_as_visual_guide`
  (224, 224, 3), `previous_mask_as_spatial_guide` (h, w, 1);
- network: `image` (1, h, w, 3), `visual_guide` (1, 224, 224, 3),
  `spatial_guide` (1, h, w, 1) and its `logits` (1, h, w, 1), and if there is
  a visual modulator its `visual_params` (1, P).
"""

import pathlib

import keras
import numpy as np

import osmn_recurrent as osr
from checkpoints_tools.array_files import NpzFile
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.presets import sha256_of

PREPROCESSING = {
    "frame_as_image": ("frame",),
    "guide_frame_as_visual_guide": ("guide_frame", "guide_mask"),
    "previous_mask_as_spatial_guide": ("previous_mask",),
}
"""What is expected, and what it is made of."""

INPUTS = ("image", "visual_guide", "spatial_guide")
OUTPUTS = ("logits", "visual_params")

TOLERANCES = {
    "frame_as_image": 1.0,
    "guide_frame_as_visual_guide": 1.0,
    "previous_mask_as_spatial_guide": 1e-5,
    "logits": 1e-3,
    "visual_params": 1e-4,
}
"""Largest differences that pass. Pictures may round a resized grey level the
other way; of those at most `MEAN_TOLERANCE` on average."""

MEAN_TOLERANCE = 0.1


class Probe:
    """A stored probe.

    Args:
        path: `.npz` file.

    Raises:
        InputError: a missing or damaged file, or one without either part.
    """

    def __init__(self, path):
        path = pathlib.Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such probe; give a .npz file.")
        file = NpzFile(path)
        self.path = path
        self.arrays = {name: file.read(name) for name in file.tensors}
        if not self._has(PREPROCESSING) and not self._has(("image", "logits")):
            raise InputError(
                f"{path} is no probe: it holds {', '.join(self.arrays) or 'nothing'}, "
                "expected image, visual_guide, spatial_guide and logits, or "
                f"{', '.join(PREPROCESSING)} with what they are made of."
            )

    def _has(self, names):
        return any(name in self.arrays for name in names)

    def sha256(self):
        """SHA-256 of the file."""
        return sha256_of(self.path)

    def check_preprocessing(self, guide):
        """Compares this package's preprocessing with the probe's.

        Args:
            guide: of the network, a `guides.Guide`.

        Returns:
            `{name: largest difference}`, empty without this part.

        Raises:
            InputError: a difference above `TOLERANCES`.
        """
        made = {
            "frame_as_image": self._image,
            "guide_frame_as_visual_guide": osr.visual_guide,
            "previous_mask_as_spatial_guide": guide.of_mask if guide.is_used else None,
        }
        found = {}
        for name, sources in PREPROCESSING.items():
            if name in self.arrays and made[name] is not None:
                given = [self._array(source) for source in sources]
                found[name] = self._compare(name, made[name](*given), "preprocessing")
        return found

    def _image(self, frame):
        return osr.network_image(frame, self.arrays["frame_as_image"].shape[:2])

    def check_network(self, model):
        """Compares a network's outputs with the probe's.

        Args:
            model: a built `SegmentationModel`.

        Returns:
            `{name: largest difference}`, empty without this part.

        Raises:
            InputError: a difference above `TOLERANCES`.
        """
        if "logits" not in self.arrays:
            return {}
        given = {name: self._array(name) for name in INPUTS if name in self.arrays}
        if model.use_visual_modulator:
            given["visual_guide"] = self._array("visual_guide")
        if model.guide.is_used:
            given["spatial_guide"] = self._array("spatial_guide")
        outputs = outputs_of(model, given)
        return {
            name: self._compare(name, outputs[name], "the network")
            for name in OUTPUTS
            if name in self.arrays and name in outputs
        }

    def _array(self, name):
        if name not in self.arrays:
            raise InputError(
                f"{self.path} has no {name}, which the network or another array of "
                "the probe needs; add it to the probe."
            )
        return self.arrays[name]

    def _compare(self, name, found, what):
        expected = self.arrays[name]
        if found.shape != expected.shape:
            raise InputError(
                f"{self.path}: {name} is {expected.shape}, but {what} gives "
                f"{found.shape}; store it in this shape."
            )
        error = np.abs(found.astype(np.float64) - expected)
        picture = TOLERANCES[name] >= 1
        # Written so that NaN fails.
        if not (
            error.max() <= TOLERANCES[name]
            and (not picture or error.mean() <= MEAN_TOLERANCE)
        ):
            raise InputError(
                f"{self.path}: {what} gives {name} that differ from the probe's by up "
                f"to {error.max():.3g} (mean {error.mean():.3g}, allowed "
                f"{TOLERANCES[name]:g}); nothing was written. Look for another variant "
                "or size, or another colour order."
            )
        return float(error.max())


def outputs_of(model, given):
    """What a network makes of its inputs.

    Args:
        model: a built `SegmentationModel`.
        given: dict with "image", "visual_guide", "spatial_guide" as of
            `SegmentationModel.call`.

    Returns:
        `{"logits": (1, h, w, 1)}`, and "visual_params" (1, P) with a visual
        modulator, float32.
    """
    found = {"logits": model(given, training=False)}
    if model.use_visual_modulator:
        found["visual_params"] = model.adapt(given["visual_guide"])
    return {name: keras.ops.convert_to_numpy(value) for name, value in found.items()}


def made_up_inputs(height=64, width=96):
    """Inputs without a meaning, for comparing a network with its copy."""
    rng = np.random.default_rng(0)

    def noise(*shape):
        return rng.uniform(-110, 140, shape).astype(np.float32)

    return {
        "image": noise(1, height, width, 3),
        "visual_guide": noise(1, 224, 224, 3),
        "spatial_guide": rng.uniform(size=(1, height, width, 1)).astype(np.float32),
    }
