"""Soft edges: how opaque the objects are, from the network's probabilities."""

import importlib
import pathlib

import cv2
import numpy as np
from PIL import Image

from osmn_recurrent import files
from osmn_recurrent.errors import InputError
from osmn_recurrent.image_files import open_image
from osmn_recurrent.inference.video_exports import alpha_of

CERTAIN = 0.05
"""Probabilities that differ from 0 or 1 by less are taken for certain in refinement."""

MARGIN = 4
"""Pixels around uncertain ones that are refined too."""


def alpha_from(probabilities):
    """Opacity of all objects together.

    Args:
        probabilities: (N, H, W) float in [0, 1]; N may be 0.

    Returns:
        (H, W) uint8, the largest probability times 255. It is 128 or more exactly
        where that is above 0.5, which is where arg-max merging sees an object.
    """
    largest = np.max(probabilities, axis=0, initial=0.0)
    return np.ceil(np.clip(largest, 0, 1) * np.float32(255) - np.float32(0.5)).astype(
        np.uint8
    )


class ClosedForm:
    """Fits opacity to the frame by closed-form matting (Levin et al. 2008).

    Uncertain pixels and those around borders are solved anew, in the box that holds
    them; it takes seconds per megapixel. Needs the package `pymatting`.

    Raises:
        InputError: `pymatting` is not installed.
    """

    def __init__(self):
        try:
            self._package = importlib.import_module("pymatting")
        except ImportError as error:
            raise InputError(
                "--refine_matte needs the package pymatting, which cannot be imported "
                f"({error}); run pip install 'osmn_recurrent[matting]', or leave it "
                "out."
            ) from None

    def __call__(self, frame, alpha):
        """Refines a matte.

        Args:
            frame: (H, W, 3) uint8 RGB.
            alpha: (H, W) uint8.

        Returns:
            (H, W) uint8.
        """
        share = alpha / 255.0
        side = 2 * MARGIN + 1
        kernel = np.ones((side, side), np.uint8)
        sure = cv2.erode((share > 1 - CERTAIN).astype(np.uint8), kernel)
        possible = cv2.dilate((share >= CERTAIN).astype(np.uint8), kernel)
        unknown = (possible > 0) & (sure == 0)
        if not unknown.any() or not sure.any() or possible.all():
            return alpha
        rows, columns = (
            slice(max(found[0] - MARGIN, 0), found[-1] + MARGIN + 1)
            for found in (np.flatnonzero(unknown.any(axis)) for axis in (1, 0))
        )
        trimap = np.where(unknown, 0.5, sure)[rows, columns].astype(float)
        if not ((trimap == 0).any() and (trimap == 1).any()):
            return alpha
        solved = self._package.estimate_alpha_cf(
            frame[rows, columns].astype(float) / 255.0, trimap
        )
        refined = alpha.copy()
        part = np.rint(255 * np.clip(solved, 0, 1)).astype(np.uint8)
        inside = unknown[rows, columns]
        refined[rows, columns][inside] = part[inside]
        return refined


class Mattes:
    """The mattes of a clip, as 8-bit grey PNGs.

    Args:
        path: the folder.
        names: names of the frames.
        refine: function of a frame and its matte, such as `ClosedForm`, or None.

    Attributes:
        path: see there.
        files: the matte of each frame.
    """

    def __init__(self, path, names, refine=None):
        self.path, self._refine = pathlib.Path(path), refine
        self.files = [self.path / f"{name}.png" for name in names]

    def make(self, frame, ids, probabilities=None):
        """The matte of a frame.

        Args:
            frame: (H, W, 3) uint8 RGB.
            ids: (H, W) uint8 of it.
            probabilities: (N, H, W) float, or None where `ids` were given.

        Returns:
            (H, W) uint8.
        """
        alpha = alpha_of(ids) if probabilities is None else alpha_from(probabilities)
        return alpha if self._refine is None else self._refine(frame, alpha)

    def write(self, index, alpha):
        """Writes the matte of a frame, in one move."""
        with files.replace_when_done(self.files[index]) as temporary:
            Image.fromarray(alpha).save(temporary, format="PNG")

    def read(self, index):
        """(H, W) uint8, what `write` has written."""
        with open_image(self.files[index], kind="matte") as image:
            return np.asarray(image.convert("L"))
