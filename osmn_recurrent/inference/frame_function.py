"""The work of one frame, from the last masks to the next, on the device."""

import keras
import tensorflow as tf
from keras import ops

from osmn_recurrent import guides
from osmn_recurrent.backbones.cpu_convolutions import convolutions_in_pieces

GUIDES = {
    "gaussian": guides.spatial_guide_tensor,
    "mask": guides.mask_guide_tensor,
    "none": lambda object_masks: (),
}
"""How guides are made from the last masks, by a model's `guide_kind`."""


def make_frame_function(model, merge, resized):
    """Compiles guide, network, threshold and merge into one function.

    It is traced once: object count and sizes are left open.

    Args:
        model: a built `SegmentationModel`.
        merge: a function of `merging.MERGES`.
        resized: whether images may have another size than masks.

    Returns:
        `tf.function` of image (1, h, w, 3) float32 BGR minus mean, the last
        frame's ids (H, W) uint8, the objects' ids (N,) uint8 in ascending
        order, modulation and state; gives the ids (H, W) uint8 and the state.

    Raises:
        RuntimeError: Keras runs on another backend than TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise RuntimeError(
            "segmenting videos needs Keras' TensorFlow backend; set "
            f"KERAS_BACKEND=tensorflow, not {keras.backend.backend()}."
        )
    probabilities_of = make_probabilities(model, resized)

    def segment_frame(image, last_ids, objects, modulation, state):
        object_masks = ops.equal(last_ids[None], objects[:, None, None])
        probabilities, state = probabilities_of(image, object_masks, modulation, state)
        # A network that knows no objects gives one map for all of them.
        shape = ops.shape(objects)[0], *ops.shape(last_ids)
        probabilities = ops.broadcast_to(probabilities, shape)
        values = ops.concatenate([ops.zeros((1,), "uint8"), objects], axis=0)
        return ops.take(values, merge(probabilities)), state

    return tf.function(
        segment_frame,
        input_signature=(
            tf.TensorSpec((1, None, None, 3), tf.float32),
            tf.TensorSpec((None, None), tf.uint8),
            tf.TensorSpec((None,), tf.uint8),
            *carried_spec(model),
        ),
    )


def carried_spec(model):
    """`(modulation, state)` of any number of objects as `tf.TensorSpec`s."""
    modulation = ()
    if model.use_visual_modulator:
        modulation = tf.TensorSpec((None, model.gamma_layout()[-1][2]), tf.float32)
    return modulation, tf.nest.map_structure(_any_size, model.initial_state(1, 16, 16))


def make_probabilities(model, resized):
    """From the last masks to the next probabilities, to be compiled.

    Args:
        model: a built `SegmentationModel`.
        resized: whether images may have another size than masks.

    Returns:
        Function of image (1, h, w, 3) float32 BGR minus mean, the objects'
        last masks (N, H, W) bool, modulation and state; gives probabilities
        (N, H, W) float32, N = 1 of a network that knows no objects, and the
        state.
    """
    make_guide = GUIDES[model.guide_kind]
    on_cpu = model.compute_dtype == "float32" and not tf.config.list_logical_devices(
        "GPU"
    )

    def probabilities_of(image, object_masks, modulation, state):
        size, own_size = ops.shape(image)[1:3], ops.shape(object_masks)[1:]
        if resized:
            object_masks = tf.image.resize(
                ops.cast(object_masks, "uint8")[..., None], size, "nearest"
            )
        guide = make_guide(object_masks)
        with convolutions_in_pieces(on_cpu):
            logits, state = model.step(model.encode(image), guide, modulation, state)
        probabilities = ops.sigmoid(logits)
        if resized:
            probabilities = tf.image.resize(probabilities, own_size, "bilinear")
        return probabilities[..., 0], state

    return probabilities_of


def _any_size(state):
    """Specification of a state tensor, of which the channels are fixed."""
    return tf.TensorSpec((None, None, None, state.shape[-1]), state.dtype)
