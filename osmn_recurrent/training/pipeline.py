"""The input pipeline: samples to batches with `tf.data`."""

import numpy as np
import tensorflow as tf


def make_dataset(samples, batch_size, first_batch=0, workers=None):
    """An endless data set of batches, in a fixed order.

    Args:
        samples: object with `sample(number)` and `settings`, as `ClipSamples`.
        batch_size: samples per batch.
        first_batch: number of the first batch, to go on with a training.
        workers: samples made at once; default: chosen by `tf.data`.

    Returns:
        `tf.data.Dataset` of `(inputs, label)`: inputs is a dict of "image",
        "visual_guide" and "spatial_guide" as networks take them, float32;
        label float32 of 0 and 1, the logits' shape.
    """
    clips = samples.settings.clip_length
    time = () if clips is None else (clips,)

    def load(number):
        image, visual, spatial, label = tf.numpy_function(
            lambda n: samples.sample(int(n)),
            [number],
            [tf.float32, tf.float32, tf.float32, tf.uint8],
            stateful=False,
        )
        image.set_shape((*time, None, None, 3))
        visual.set_shape((224, 224, 3))
        spatial.set_shape((*time, None, None, 1))
        label.set_shape((*time, None, None, 1))
        inputs = {
            "image": image,
            "visual_guide": visual,
            "spatial_guide": spatial,
        }
        return inputs, tf.cast(label, tf.float32)

    first = first_batch * batch_size
    numbers = tf.data.Dataset.range(first, np.iinfo(np.int64).max)
    return (
        numbers.map(
            load, num_parallel_calls=workers or tf.data.AUTOTUNE, deterministic=True
        )
        .batch(batch_size, drop_remainder=True)
        .prefetch(2)
    )
