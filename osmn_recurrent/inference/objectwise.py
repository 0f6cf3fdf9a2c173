"""The loop around a video with a network of its own for every object."""

import hashlib

import numpy as np
import tensorflow as tf
from keras import ops

from osmn_recurrent import guides
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import search_areas
from osmn_recurrent.inference.frame_function import (
    carried_spec,
    make_memory_function,
    make_probabilities,
)
from osmn_recurrent.inference.merging import MERGES
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.models import building
from osmn_recurrent.models.precision import precision_of


class ObjectwiseSegmenter(VideoSegmenter):
    """`VideoSegmenter` for networks that were tuned to one object each.

    The loop is the same: each network gives the probabilities of its object, they
    are merged into one id map, and the next guides are made as `guides_from` says.
    With the same network for all objects the masks are those of
    `VideoSegmenter`, up to rounding. What is shared there is computed once
    per object here, and every network is traced.

    Args:
        models: `{object id: built SegmentationModel}`, in the precision that
            they were built in.
        merge: see `VideoSegmenter`.
        working_size: see `VideoSegmenter`.
        **options: `guides_from`, `enlarge`, `visual_guide` and `search_area` of
            `VideoSegmenter`; each network sees the area around its own object.

    Raises:
        ValueError: no network, or arguments that `VideoSegmenter` refuses.
    """

    def __init__(self, models, merge="argmax", working_size=None, **options):
        if not models:
            raise ValueError("models must hold at least one network. Received: {}")
        self.models = dict(sorted(models.items()))
        first = next(iter(self.models.values()))
        super().__init__(first, precision_of(first), merge, working_size, **options)
        resized = working_size is not None or self.search_area is not None
        self._functions = {
            i: make_probability_function(model, resized, self.enlarge)
            for i, model in self.models.items()
        }
        self._memory_functions = {
            i: make_memory_function(model, resized)
            for i, model in self.models.items()
            if model.memorizes
        }

    def settings(self):
        """Those of `VideoSegmenter`; the digest is of all networks."""
        settings, digest = super().settings(), hashlib.sha256()
        for i, model in self.models.items():
            digest.update(f"{i} {building.weights_digest(model)}".encode())
        return {
            **settings,
            "objects": list(self.models),
            "weights_sha256": digest.hexdigest(),
        }

    def _forget_objects(self):
        self._objects = np.zeros(0, np.uint8)
        self._modulation, self._state, self._probabilities = {}, {}, None
        self._areas = {}

    def _run(self, frame):
        if not self.objects:
            return tf.zeros(frame.shape[:2], tf.uint8)
        size, masks = self._network_size(*frame.shape[:2]), self._last_masks()
        found, images, areas = [], {}, {}
        # New dicts: generators of one segmenter must not share their states.
        states = dict(self._state)
        for i, last in zip(self.objects, masks, strict=True):
            areas[i] = area = search_areas.around(last[None], self.search_area)
            if area not in images:
                images[area] = guides.network_image(area.of_frame(frame), size)[None]
            state = search_areas.moved(states[i], self._areas.get(i), area)
            probabilities, states[i] = self._object_probabilities(
                i, images[area], area.of_masks(last[None])[0], state
            )
            found.append(area.placed(probabilities))
        self._probabilities = tf.stack(found)
        values = np.array((0, *self.objects), np.uint8)
        ids = ops.take(values, MERGES[self.merge](self._probabilities))
        if self.guides_from == "own":
            self._own_masks = self._probabilities > 0.5
        else:
            self._own_masks = tf.equal(ids[None], self._objects[:, None, None])
        for i, mask in zip(self.objects, self._own_masks, strict=True):
            states[i] = self._memorized(i, images[areas[i]], mask, states[i])
        self._state, self._areas = states, areas
        return ids

    def _memorized(self, i, image, own_mask, state):
        """The state of object `i` with its mask (H, W) bool in it."""
        if not self.models[i].memorizes:
            return state
        return self._memory_functions[i](image, own_mask[None], state)

    def _object_probabilities(self, i, image, last, state):
        """(h, w) float32 of object `i`, and its state after this frame."""
        return self._functions[i](image, last, self._modulation[i], state)

    def _paint(self, frame, mask, painted):
        missing = [i for i in painted if i not in self.models]
        if missing:
            raise InputError(
                f"the mask holds the objects {missing}, for which there is no "
                f"network, only for {list(self.models)}; tune one for each or "
                "leave them out."
            )
        self._modulation, self._state = dict(self._modulation), dict(self._state)
        image = guides.network_image(frame, self._network_size(*frame.shape[:2]))[None]
        for i in painted:
            visual_guide = self._seen(frame, mask == i)[None]
            self._modulation[i] = ()
            if self.models[i].use_visual_modulator:
                self._modulation[i] = self.models[i].adapt(
                    ops.convert_to_tensor(visual_guide)
                )
            if i not in self.objects:
                size = self._network_size(*frame.shape[:2])
                self._state[i] = self.models[i].initial_state(1, *size)
            self._state[i] = self._memorized(i, image, mask == i, self._state[i])
        known = [i for i in painted if i in self.objects]
        new = [i for i in painted if i not in known]
        blank = tf.zeros((len(new), *mask.shape), tf.bool)
        self._objects = np.concatenate([self._objects, np.array(new, np.uint8)])
        self._own_masks = tf.concat([self._own_masks, blank], 0)
        self._keep(np.argsort(self._objects))
        return self._paint_ids(mask, painted, known)

    def _show(self, object_id, seen):
        model = self.models[object_id]
        if model.use_visual_modulator:
            made = model.adapt(ops.convert_to_tensor(seen))
            self._modulation = {**self._modulation, object_id: made}

    def _keep(self, rows):
        rows = np.array(rows, np.int32)
        self._objects, self._probabilities = self._objects[rows], None
        self._own_masks = tf.gather(self._own_masks, rows)


def make_probability_function(model, resized, enlarge="probabilities"):
    """Compiles guide and network of one object.

    Args:
        model: a built `SegmentationModel`.
        resized: whether images may have another size than masks.
        enlarge: see `VideoSegmenter`.

    Returns:
        `tf.function` of image (1, h, w, 3) float32 BGR minus mean, the
        object's last mask (H, W) bool, modulation and state; gives
        probabilities (H, W) float32 and the state.
    """
    probabilities_of = make_probabilities(model, resized, enlarge)

    def of_one_object(image, mask, modulation, state):
        probabilities, state = probabilities_of(image, mask[None], modulation, state)
        return probabilities[0], state

    return tf.function(
        of_one_object,
        input_signature=(
            tf.TensorSpec((1, None, None, 3), tf.float32),
            tf.TensorSpec((None, None), tf.bool),
            *carried_spec(model),
        ),
    )
