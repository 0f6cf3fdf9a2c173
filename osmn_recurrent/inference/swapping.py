"""Networks that are shown another object than the one in question."""

import cv2
import numpy as np
import tensorflow as tf
from keras import ops

from osmn_recurrent import guides, masks

SPATIAL_GUIDES = ("own", "both", "none")
"""The spatial guide of a swap: each object's own, one over both objects of the pair,
or zeros. A network without spatial guide gets none in all three."""


class Swapper:
    """Runs a network over pairs of objects with exchanged visual guides.

    Args:
        model: a built `SegmentationModel`, of any kind of spatial guide, with or
            without visual modulator.
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
        found = self.model.step(frame, guide, modulation, state)[0][..., 0] > 0.0
        # A network that knows no objects gives one map for all of them.
        return ops.broadcast_to(found, (2, *ops.shape(found)[1:]))

    def overlaps(self, picture, objects, pairs):
        """Region similarity of all pairs of a picture.

        Args:
            picture: (H, W, 3) uint8 RGB.
            objects: list of (H, W) bool, their masks.
            pairs: of `metrics.swap_scores.pairs_of`.

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
            for mask in objects
        ]
        modulation = ()
        if self.model.use_visual_modulator:
            seen = [guides.visual_guide(picture, mask) for mask in objects]
            modulation = ops.convert_to_numpy(self.model.adapt(np.stack(seen)))
        found = {kind: [] for kind in SPATIAL_GUIDES}
        for i, j in pairs:
            shown = modulation[[i, j]] if len(modulation) else ()
            for kind in SPATIAL_GUIDES:
                rows = []
                for target in (i, j):
                    if kind == "own" or not rows:
                        guide = self._guide(kind, small, target, (i, j))
                        twice = np.stack([guide] * 2) if len(guide) else ()
                        both = self._run(image, twice, shown)
                        both = ops.convert_to_numpy(both)
                    rows.append([_similarity(mask, small[target]) for mask in both])
                # rows[target][visual guide] to [visual guide][target].
                found[kind].append(np.transpose(rows))
        return {kind: np.array(values) for kind, values in found.items()}

    def _guide(self, kind, small, target, pair):
        if not self.model.guide.is_used:
            return ()
        if kind == "none":
            return np.zeros((*small[0].shape, 1), np.float32)
        under = small[target] if kind == "own" else small[pair[0]] | small[pair[1]]
        return self.model.guide.of_mask(under)


def _similarity(found, true):
    union = np.count_nonzero(found | true)
    return np.count_nonzero(found & true) / union if union else 1.0


def segment_swapped(segmenter, clip, shown):
    """Follows the objects of a clip that are shown as other ones.

    Args:
        segmenter: `VideoSegmenter`.
        clip: `Clip`; its objects begin in the first frame.
        shown: function of an object's id that gives what the visual modulator sees in
            its place: a frame (h, w, 3) uint8 RGB, of any size, and a mask (h, w),
            non-zero where the other object is.

    Yields:
        (H, W) uint8 ids, one map per frame.
    """
    for t, picture in enumerate(clip.frames()):
        if t:
            yield segmenter.step(picture)
            continue
        yield segmenter.start(picture, clip.mask(0))
        for i in segmenter.objects:
            segmenter.replace_visual_guide(i, *shown(i))


def first_object(clip):
    """The first frame of a clip and the mask (H, W) bool of its first object."""
    ids = clip.mask(0)
    return clip.frame(0), ids == masks.object_ids(ids)[0]
