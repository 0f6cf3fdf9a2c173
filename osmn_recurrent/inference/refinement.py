"""Masks fitted to the edges of their frames, after the network.

Both refinements are callables `refine(frame, ids) -> ids`, with frames
(H, W, 3) uint8 RGB and masks (H, W) uint8 object ids. `RefiningSegmenter` makes the
guides of the next frame from refined masks, as the OSMN release does under
`--crf_postprocessing`: with `guides_from="own"` object by object, two labels at a time.
`osmn refine` refines a folder of finished masks, of which no guide is made any more.
"""

import dataclasses
import importlib

import cv2
import numpy as np
import tensorflow as tf

from osmn_recurrent import masks
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference.arrays import checked_frame, checked_mask
from osmn_recurrent.inference.segmenter import VideoSegmenter


@dataclasses.dataclass(frozen=True)
class DenseCRF:
    """Fully connected CRF (Kraehenbuehl and Koltun 2011) on a label map.

    Defaults are the OSMN release's (`dataset_davis.py: crf_processing`), which
    begins from the cut labels, not from probabilities. Several objects are
    labels of one CRF. Needs the package `pydensecrf`.

    Attributes:
        steps: mean-field iterations.
        gt_prob: confidence in the given label; the other labels share the
            rest evenly.
        gaussian_sxy: standard deviation in pixels of the smoothness term.
        gaussian_compat: its weight.
        bilateral_sxy: standard deviation in pixels of the appearance term.
        bilateral_srgb: its standard deviation in grey levels of R, G and B.
        bilateral_compat: its weight.

    Raises:
        InputError: `pydensecrf` is not installed.
    """

    steps: int = 5
    gt_prob: float = 0.9
    gaussian_sxy: float = 3.0
    gaussian_compat: float = 3.0
    bilateral_sxy: float = 40.0
    bilateral_srgb: float = 5.0
    bilateral_compat: float = 10.0

    def __post_init__(self):
        """Looks for the package before any work starts."""
        _densecrf()

    def __call__(self, frame, ids):
        """Refines one mask.

        Args:
            frame: (H, W, 3) uint8 RGB.
            ids: (H, W) uint8 object ids; 255 (void) counts as background.

        Returns:
            (H, W) uint8 ids out of those that were given; a mask without an
            object comes back as it is.

        Raises:
            InputError: arrays of another kind or size.
        """
        frame, ids = checked_frame(frame), checked_mask(ids, frame)
        labels = np.array((0, *masks.object_ids(ids)), np.uint8)
        if labels.size == 1:
            return ids
        height, width = ids.shape
        crf = _densecrf().DenseCRF2D(width, height, labels.size)
        crf.setUnaryEnergy(self._unary(np.searchsorted(labels, ids), labels.size))
        crf.addPairwiseGaussian(sxy=self.gaussian_sxy, compat=self.gaussian_compat)
        crf.addPairwiseBilateral(
            sxy=self.bilateral_sxy,
            srgb=self.bilateral_srgb,
            rgbim=np.ascontiguousarray(frame),
            compat=self.bilateral_compat,
        )
        beliefs = np.asarray(crf.inference(self.steps))
        return labels[beliefs.argmax(axis=0).reshape(height, width)]

    def _unary(self, index, count):
        """Energies (labels, pixels) float32 of the given label's index."""
        given = np.arange(count)[:, None] == index.ravel()
        chance = np.where(given, self.gt_prob, (1 - self.gt_prob) / (count - 1))
        return np.ascontiguousarray(-np.log(chance), np.float32)


def _densecrf():
    try:
        return importlib.import_module("pydensecrf.densecrf")
    except ImportError:
        raise InputError(
            "the dense CRF needs the package pydensecrf, which is not "
            "installed; install the extra with pip install "
            "'osmn_recurrent[crf]' (it compiles C++), or choose the guided "
            "filter."
        ) from None


@dataclasses.dataclass(frozen=True)
class GuidedFilter:
    """Masks smoothed along the frame's edges (He et al., ECCV 2010).

    The mask of each object, 0 and 1, is filtered with the colours of the frame
    as guide (section 3.4, the colour version); a pixel goes to the largest of
    objects and background. OpenCV's box filter does the work: nothing needs
    compiling.

    Attributes:
        radius: of the square window, in pixels.
        epsilon: regularisation, for colours in [0, 1]: edges weaker than its
            square root are smoothed over.
    """

    radius: int = 8
    epsilon: float = 1e-4

    def __call__(self, frame, ids):
        """Refines one mask; arguments and result as of `DenseCRF`."""
        frame, ids = checked_frame(frame), checked_mask(ids, frame)
        objects = masks.object_ids(ids)
        if not objects:
            return ids
        guide = frame.astype(np.float64) / 255.0
        mean = self._box(guide)
        covariance = self._box(guide[..., :, None] * guide[..., None, :])
        covariance -= mean[..., :, None] * mean[..., None, :]
        inverse = np.linalg.inv(covariance + self.epsilon * np.eye(3))
        filtered = [self._filter(ids == i, guide, mean, inverse) for i in objects]
        # The filter keeps constants, so that background and objects sum to 1.
        stack = np.stack([1.0 - np.sum(filtered, axis=0), *filtered])
        return np.array((0, *objects), np.uint8)[stack.argmax(axis=0)]

    def _filter(self, mask, guide, mean, inverse):
        mask = mask.astype(np.float64)
        average = self._box(mask)
        cross = self._box(guide * mask[..., None]) - mean * average[..., None]
        slope = np.einsum("...ij,...j->...i", inverse, cross)
        offset = average - np.sum(slope * mean, axis=-1)
        return np.sum(self._box(slope) * guide, axis=-1) + self._box(offset)

    def _box(self, values):
        """Window means of (H, W, ...) float64."""
        shape = values.shape
        flat = values.reshape(*shape[:2], -1)
        side = 2 * self.radius + 1
        return cv2.boxFilter(
            flat, -1, (side, side), borderType=cv2.BORDER_REFLECT
        ).reshape(shape)


REFINEMENTS = {"crf": DenseCRF, "guided": GuidedFilter}
"""Refinements by the name that users give."""


class RefiningSegmenter(VideoSegmenter):
    """A `VideoSegmenter` whose every predicted mask is refined at once.

    The refined masks are handed out and make the next frame's guides. With
    `guides_from="merged"` the merged map is refined, all labels together; with "own"
    each object's own mask apart, and where refined masks overlap the more probable
    object is handed out. The release refines per object too, at the network's size; its
    merged figures (DAVIS-2017) read unrefined probabilities, so that they feel the CRF
    through the guides alone. What a recurrent network carries is not touched.

    Args:
        model: see `VideoSegmenter`.
        refine: `DenseCRF`, `GuidedFilter` or another data class that is
            called with a frame and ids.
        **options: of `VideoSegmenter`.
    """

    def __init__(self, model, refine, **options):
        super().__init__(model, **options)
        self.refine = refine

    def settings(self):
        """Those of `VideoSegmenter`, and the refinement's."""
        return {**super().settings(), "refinement": describe(self.refine)}

    def _run(self, frame):
        ids = super()._run(frame)
        if self.guides_from == "merged" or not self.objects:
            return tf.constant(self.refine(frame, ids.numpy()))
        own = self._own_masks.numpy().astype(np.uint8)
        refined = np.stack([self.refine(frame, mask) > 0 for mask in own])
        self._own_masks = tf.constant(refined)
        chances = np.where(refined, self._probabilities.numpy(), -1.0)
        best = np.array(self.objects, np.uint8)[chances.argmax(0)]
        return tf.constant(np.where(refined.any(0), best, np.uint8(0)))


def describe(refine):
    """Name and parameters of a refinement as JSON values."""
    return {"name": type(refine).__name__, **dataclasses.asdict(refine)}
