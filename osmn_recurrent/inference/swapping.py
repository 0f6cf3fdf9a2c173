"""Networks that are shown another object than the one in question."""

import cv2
import numpy as np
import tensorflow as tf
from keras import ops

from osmn_recurrent import guides

SPATIAL_GUIDES = ("own", "both", "none")
"""The spatial guide of a swap: each object's own, one Gaussian over both objects of
the pair, or zeros."""


class Swapper:
    """Runs a network over pairs of objects with exchanged visual guides.

    Args:
        model: a built `SegmentationModel` with a Gaussian as spatial guide.
        shorter_side: rows or columns, whichever are fewer, at which the network sees
            pictures; both sides are rounded to multiples of 32.
    """

    def __init__(self, model, shorter_side=256):
        self.model, self.shorter_side = model, shorter_side
        self._run = tf.function(self._found, reduce_retracing=True)

    def _found(self, image, guide, modulation):
        size = ops.shape(image)[1:3]
        state = self.model.initial_state(2, *size)
        frame = self.model.encode(image)
        return self.model.step(frame, guide, modulation, state)[0][..., 0] > 0.0

    def overlaps(self, picture, masks, pairs):
        """Region similarity of all pairs of a picture.

        Args:
            picture: (H, W, 3) uint8 RGB.
            masks: list of (H, W) bool.
            pairs: of `metrics.swap_test.pairs_of`.

        Returns:
            `{kind of SPATIAL_GUIDES: (pairs, 2, 2) float64}`, see `swap_scores`.
        """
        scale = self.shorter_side / min(picture.shape[:2])
        size = tuple(max(32, round(n * scale / 32) * 32) for n in picture.shape[:2])
        image = guides.network_image(picture, size)[None]
        small = [
            cv2.resize(
                mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST
            )
            > 0
            for mask in masks
        ]
        modulation = ()
        if self.model.use_visual_modulator:
            seen = [guides.visual_guide(picture, mask) for mask in masks]
            modulation = ops.convert_to_numpy(self.model.adapt(np.stack(seen)))
        found = {kind: [] for kind in SPATIAL_GUIDES}
        for i, j in pairs:
            shown = modulation[[i, j]] if len(modulation) else ()
            for kind in SPATIAL_GUIDES:
                rows = []
                for target in (i, j):
                    if kind == "own" or not rows:
                        guide = self._guide(kind, small, target, (i, j))
                        both = self._run(image, np.stack([guide] * 2), shown)
                        both = ops.convert_to_numpy(both)
                    rows.append([_similarity(mask, small[target]) for mask in both])
                # rows[target][visual guide] to [visual guide][target].
                found[kind].append(np.transpose(rows))
        return {kind: np.array(values) for kind, values in found.items()}

    def _guide(self, kind, masks, target, pair):
        if kind == "own":
            return guides.spatial_guide(masks[target])
        if kind == "both":
            return guides.spatial_guide(masks[pair[0]] | masks[pair[1]])
        return np.zeros((*masks[0].shape, 1), np.float32)


def _similarity(found, true):
    union = np.count_nonzero(found | true)
    return np.count_nonzero(found & true) / union if union else 1.0
