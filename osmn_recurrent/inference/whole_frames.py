"""A clip by two functions with everything inside, for export.

`begin` takes the first frame and its id map, `follow` each next frame and the last
ids: uint8 RGB in, ids out, modulation and state handed on. What `guides` and
`merging` do around a network is part of them; sizes and number of objects are fixed,
as not every runtime knows open ones.
"""

import numpy as np
import tensorflow as tf
from keras import ops

from osmn_recurrent.backbones.backbone import GUIDE_SIZE
from osmn_recurrent.colours import MEAN_BGR
from osmn_recurrent.errors import InputError
from osmn_recurrent.guides import TEST_MARGIN
from osmn_recurrent.inference.frame_function import make_probabilities
from osmn_recurrent.inference.merging import argmax_merge


def functions(model, objects, height, width, working_size=None):
    """`begin` and `follow` of a network.

    Args:
        model: a built float32 `SegmentationModel`.
        objects: number of objects N; their ids are 1 to N.
        height: rows H of the frames.
        width: columns W of the frames.
        working_size: `(h, w)` at which the network sees them, or None.

    Returns:
        `{name: tf.function}`, results in dicts:

        - "begin": frame (H, W, 3) uint8 RGB and ids (H, W) uint8 to modulation
          (N, P), where the network has it, and state_0, state_1 ...;
        - "follow": frame, the last ids, modulation and states to ids (H, W)
          uint8 and new_state_0, new_state_1 ...

        A network that carries nothing has no "begin".
    """
    refuse_memory(model)
    size = tuple(working_size or (height, width))
    example = model.initial_state(objects, *size)
    states = [f"state_{k}" for k in range(len(tf.nest.flatten(example)))]
    numbers = np.arange(1, objects + 1, dtype=np.int32)[:, None, None]
    frame = tf.TensorSpec((height, width, 3), tf.uint8, "frame")
    ids = tf.TensorSpec((height, width), tf.uint8, "ids")
    carried = []
    if model.use_visual_modulator:
        gammas = model.gamma_layout()[-1][2]
        carried.append(tf.TensorSpec((objects, gammas), tf.float32, "modulation"))
    for name, value in zip(states, tf.nest.flatten(example), strict=True):
        carried.append(tf.TensorSpec(value.shape, tf.float32, name))

    def masks_of(ids):
        return ops.equal(ops.cast(ids, "int32")[None], numbers)

    def begin(frame, ids):
        found = {}
        if model.use_visual_modulator:
            found["modulation"] = model.adapt(visual_guides(frame, masks_of(ids)))
        # Made from the input, or a runtime would fold them away with their names.
        nothing = 0.0 * ops.cast(ids[0, 0], "float32")
        for name, value in zip(states, tf.nest.flatten(example), strict=True):
            found[name] = ops.zeros(value.shape) + nothing
        return found

    probabilities_of = make_probabilities(model, False)

    def follow(frame, ids, *values):
        values = list(values)
        modulation = values.pop(0) if model.use_visual_modulator else ()
        state = tf.nest.pack_sequence_as(example, values)
        image = network_images(frame, size)
        masks = masks_of(_nearest(ids, size))
        shares, state = probabilities_of(image, masks, modulation, state)
        if size != (height, width):
            shares = tf.image.resize(shares[..., None], (height, width))[..., 0]
        shares = ops.broadcast_to(shares, (objects, height, width))
        found = {"new_ids": ops.cast(argmax_merge(shares), "uint8")}
        for name, value in zip(states, tf.nest.flatten(state), strict=True):
            found[f"new_{name}"] = value
        return found

    made = {}
    if carried:
        made["begin"] = tf.function(begin, input_signature=[frame, ids])
    made["follow"] = tf.function(follow, input_signature=[frame, ids, *carried])
    return made


def refuse_memory(model):
    """Raises `InputError` for a network that remembers masks (`memorize`)."""
    if model.memorizes:
        raise InputError(
            f"a {type(model).__name__} remembers masks, which the exported functions "
            "do not; export another network, or its weights."
        )


def _nearest(ids, size):
    """(H, W) ids at another size, at pixel centres."""
    for axis, wanted in enumerate(size):
        given = ids.shape[axis]
        if given != wanted:
            places = np.floor((np.arange(wanted) + 0.5) * given / wanted)
            ids = ops.take(ids, places.astype(np.int32), axis=axis)
    return ids


def network_images(frame, size):
    """`guides.network_image`, on the device.

    Args:
        frame: (H, W, 3) uint8 RGB.
        size: `(h, w)` of the result, by Pillow's bilinear rule.

    Returns:
        (1, h, w, 3) float32 BGR minus mean.
    """
    image = ops.cast(frame, "float32")
    height, width = frame.shape[:2]
    if (height, width) != tuple(size):
        down, right = (
            _triangles(0, given, given, wanted, 0)[0]
            for given, wanted in ((height, size[0]), (width, size[1]))
        )
        image = ops.round(ops.einsum("ih,hwc,jw->ijc", down, image, right))
    return _less_mean(image)[None]


def _less_mean(rgb):
    return rgb[..., ::-1] - ops.convert_to_tensor(MEAN_BGR, "float32")


def visual_guides(frame, masks):
    """`guides.visual_guide` of several objects, on the device.

    Args:
        frame: (H, W, 3) uint8 RGB.
        masks: (N, H, W) bool.

    Returns:
        (N, 224, 224, 3) float32 BGR minus mean, background 0; within a level of
        brightness of Pillow's, which rounds between its two passes.
    """
    image = ops.cast(frame, "float32")
    height, width = frame.shape[:2]
    top, rows = _extent(ops.any(masks, axis=2), height)
    left, columns = _extent(ops.any(masks, axis=1), width)
    down, down_nearest = _cut(top, rows, height)
    right, right_nearest = _cut(left, columns, width)
    crops = ops.einsum("nih,hwc->niwc", down, image)
    crops = ops.round(ops.einsum("niwc,njw->nijc", crops, right))
    inside = ops.einsum("nih,nhw->niw", down_nearest, ops.cast(masks, "float32"))
    inside = ops.einsum("niw,njw->nij", inside, right_nearest)
    return ops.where(inside[..., None] > 0.5, _less_mean(crops), 0.0)


def _extent(present, length):
    """`(start, length)`, both (N,) int32, of the half-open box along an axis.

    Args:
        present: (N, length) bool.
        length: of the axis.
    """
    place = ops.arange(length, dtype="int32")[None]
    first = ops.min(ops.where(present, place, length - 1), axis=1)
    last = ops.max(ops.where(present, place, 0), axis=1)
    return first, ops.maximum(last - first, 1)


def _cut(start, length, whole):
    """Weights of a crop with margins, resized to the guide along one axis.

    Args:
        start: (N,) first pixel of the box.
        length: (N,) pixels of the box.
        whole: pixels of the axis.

    Returns:
        `(bilinear, nearest)`: (N, 224, whole) float32 each.
    """
    margin = length * round(100 * TEST_MARGIN) // 100
    bound = whole * round(100 * TEST_MARGIN) // 100 + 1
    window = length + 2 * margin
    weights, places = _triangles(start - margin, window, whole, GUIDE_SIZE, bound)
    there = ops.arange(GUIDE_SIZE, dtype="float32")[None] + 0.5
    share = ops.cast(window, "float32")[:, None] / GUIDE_SIZE
    nearest = ops.cast(ops.floor(there * share), "int32") + (start - margin)[:, None]
    nearest = ops.cast(ops.equal(nearest[..., None], places), "float32")
    start, length = start[:, None, None], length[:, None, None]
    own = ops.cast((places >= start) & (places < start + length), "float32")
    return weights * own, nearest * own


def _triangles(start, window, whole, wanted, bound):
    """Pillow's bilinear weights: triangles, wider where it shrinks.

    Args:
        start: (N,) int32 or int, first pixel of what is resized; may lie `bound`
            outside of the axis.
        window: (N,) int32 or int, its length.
        whole: pixels of the axis.
        wanted: values after resizing.
        bound: pixels beyond the axis that count as black.

    Returns:
        `(weights, places)`: (N, wanted, whole) float32, a single matrix for ints,
        and (1, 1, whole) int32.
    """
    single = isinstance(start, int)
    start, window = (
        ops.reshape(ops.convert_to_tensor(x, "int32"), (-1, 1, 1))
        for x in (start, window)
    )
    places = ops.arange(-bound, whole + bound, dtype="int32")[None, None]
    share = ops.cast(window, "float32") / wanted
    centre = (ops.arange(wanted, dtype="float32")[None, :, None] + 0.5) * share
    offset = ops.cast(places - start, "float32") + 0.5 - centre
    weights = ops.maximum(1.0 - ops.abs(offset) / ops.maximum(share, 1.0), 0.0)
    within = (places >= start) & (places < start + window)
    weights = weights * ops.cast(within, "float32")
    weights = weights / ops.sum(weights, axis=-1, keepdims=True)
    weights = weights[..., bound : bound + whole]
    if single:
        weights = weights[0]
        return weights, None
    return weights, places[..., bound : bound + whole]
