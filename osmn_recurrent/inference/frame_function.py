"""The work of one frame, from the last masks to the next, on the device."""

import keras
import tensorflow as tf
from keras import ops

from osmn_recurrent.backbones.cpu_convolutions import sliced_convolutions

RESIZINGS = {"probabilities": "bilinear", "labels": "nearest"}
"""How a mask comes to the frame's size, by the name that users give: the network's
probabilities are enlarged and then cut, or cut at its own size, whose labels are then
enlarged. (The nearest probability has the nearest label.)"""


def make_frame_function(model, merge, resized, enlarge="probabilities", own=False):
    """Compiles guide, network, threshold and merge into one function.

    It is traced once: object count and sizes are left open.

    Args:
        model: a built `SegmentationModel`.
        merge: a function of `merging.MERGES`.
        resized: whether images may have another size than masks.
        enlarge: key of `RESIZINGS`.
        own: whether networks with a memory remember each object's own mask, not the
            merged one.

    Returns:
        `tf.function` of image (1, h, w, 3) float32 BGR minus mean, the objects'
        last masks (N, H, W) bool, their ids (N,) uint8 in ascending order,
        modulation and state; gives the ids (H, W) uint8, the probabilities
        (N, H, W) float32 and the state.

    Raises:
        RuntimeError: Keras runs on another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "segmenting videos needs Keras' TensorFlow backend; set "
            f"KERAS_BACKEND=tensorflow, not {keras.backend.backend()}."
        )
    segment, memorize = make_parts(model, resized, enlarge)

    def segment_frame(image, object_masks, objects, modulation, state):
        probabilities, state, frame = segment(image, object_masks, modulation, state)
        # A network that knows no objects gives one map for all of them.
        probabilities = ops.broadcast_to(probabilities, ops.shape(object_masks))
        values = ops.concatenate([ops.zeros((1,), "uint8"), objects], axis=0)
        ids = ops.take(values, merge(probabilities))
        if own:
            object_masks = probabilities > 0.5
        else:
            object_masks = ops.equal(ids[None], objects[:, None, None])
        return ids, probabilities, memorize(image, frame, object_masks, state)

    return tf.function(
        segment_frame,
        input_signature=(
            tf.TensorSpec((1, None, None, 3), tf.float32),
            tf.TensorSpec((None, None, None), tf.bool),
            tf.TensorSpec((None,), tf.uint8),
            *carried_spec(model),
        ),
    )


def carried_spec(model):
    """`(modulation, state)` of any number of objects as `tf.TensorSpec`s."""
    modulation = ()
    if model.use_visual_modulator:
        modulation = tf.TensorSpec((None, model.gamma_layout()[-1][2]), tf.float32)
    return modulation, state_spec(model)


def state_spec(model):
    """State of any number of objects at any size, as `tf.TensorSpec`s."""
    # Sides that change with objects or size are open.
    small, large = model.initial_state(1, 16, 16), model.initial_state(2, 192, 320)

    def spec(one, other):
        sides = zip(one.shape, other.shape, strict=True)
        return tf.TensorSpec([a if a == b else None for a, b in sides], one.dtype)

    return tf.nest.map_structure(spec, small, large)


def make_probabilities(model, resized, enlarge="probabilities"):
    """From the last masks to the next probabilities, to be compiled.

    Args:
        model: a built `SegmentationModel`.
        resized: whether images may have another size than masks.
        enlarge: key of `RESIZINGS`.

    Returns:
        Function of image (1, h, w, 3) float32 BGR minus mean, the objects'
        last masks (N, H, W) bool, modulation and state; gives probabilities
        (N, H, W) float32, N = 1 of a network that knows no objects, and the
        state.
    """
    segment, _ = make_parts(model, resized, enlarge)
    return lambda *given: segment(*given)[:2]


def make_parts(model, resized, enlarge="probabilities"):
    """The two halves of a frame's work, between which masks are merged.

    Args:
        model: a built `SegmentationModel`.
        resized: whether images may have another size than masks.
        enlarge: key of `RESIZINGS`.

    Returns:
        `(segment, memorize)`: as of `make_probabilities`, but with the encoded frame
        as a third result; and a function of the image, this frame, the objects' new
        masks (N, H, W) bool and the state, that gives the state.
    """
    on_cpu = model.compute_dtype == "float32" and not tf.config.list_logical_devices(
        "GPU"
    )

    def at_network_size(object_masks, size):
        if not resized:
            return object_masks
        object_masks = ops.cast(object_masks, "uint8")[..., None]
        return tf.image.resize(object_masks, size, "nearest")

    def segment(image, object_masks, modulation, state):
        size, own_size = ops.shape(image)[1:3], ops.shape(object_masks)[1:]
        guide = model.guide.of_masks(at_network_size(object_masks, size))
        with sliced_convolutions(on_cpu):
            frame = model.encode(image)
            logits, state = model.step(frame, guide, modulation, state)
        probabilities = ops.sigmoid(logits)
        if resized:
            probabilities = tf.image.resize(probabilities, own_size, RESIZINGS[enlarge])
        return probabilities[..., 0], state, frame

    def memorize(image, frame, object_masks, state):
        if not model.memorizes:
            return state
        size = ops.shape(image)[1:3]
        given = ops.cast(at_network_size(object_masks, size), "float32")
        given = ops.reshape(given, (-1, *size, 1))
        with sliced_convolutions(on_cpu):
            return model.memorize(frame, given, state)

    return segment, memorize


def make_memory_function(model, resized):
    """Puts given masks of a frame into the state of their objects.

    Args:
        model: a built `SegmentationModel`.
        resized: whether images may have another size than masks.

    Returns:
        `tf.function` of image (1, h, w, 3) float32 BGR minus mean, masks (N, H, W)
        bool and the state of these N objects; gives the state.
    """
    memorize = make_parts(model, resized)[1]
    return tf.function(
        lambda image, object_masks, state: memorize(
            image, model.encode(image), object_masks, state
        ),
        input_signature=(
            tf.TensorSpec((1, None, None, 3), tf.float32),
            tf.TensorSpec((None, None, None), tf.bool),
            state_spec(model),
        ),
    )
