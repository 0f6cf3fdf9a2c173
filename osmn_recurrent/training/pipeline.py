"""The input pipeline: samples to batches with `tf.data`."""

import cv2
import numpy as np
import tensorflow as tf

from osmn_recurrent.errors import InputError


def batch_spec(clip_length):
    """What a batch is, whatever its scale: `tf.TensorSpec`s of inputs and label.

    Sides and batch are left open, so that what is compiled for it does not
    depend on the size that comes first.

    Args:
        clip_length: frames per sample; None: images.

    Returns:
        `(inputs, label)` as of `make_dataset`.
    """
    time = () if clip_length is None else (clip_length,)

    def maps(channels):
        return tf.TensorSpec((None, *time, None, None, channels), tf.float32)

    inputs = {
        "image": maps(3),
        "visual_guide": tf.TensorSpec((None, 224, 224, 3), tf.float32),
        "spatial_guide": maps(1),
    }
    return inputs, maps(1)


def make_dataset(samples, batch_size, first_batch=0, workers=None, shard=(0, 1)):
    """An endless data set of batches, in a fixed order.

    Sample `number` depends on the number alone, so the data set can start at
    any batch, and workers of a distributed training can each make their own
    rows of every batch. Samples are made in parallel, so OpenCV's own threads
    are switched off in this process.

    Args:
        samples: object with `sample(number)` and `settings`, as `ClipSamples`.
        batch_size: samples per batch, of all workers together.
        first_batch: number of the first batch, to go on with a training.
        workers: samples made at once; default: chosen by `tf.data`.
        shard: `(index, count)`: the data set of worker `index` of `count`
            has the rows `index * b` to `(index + 1) * b` of every batch,
            where b = batch_size / count.

    Returns:
        `tf.data.Dataset` of `(inputs, label)`: inputs is a dict of "image",
        "visual_guide" and "spatial_guide" as networks take them, float32;
        label float32 of 0 and 1, the logits' shape.

    Raises:
        InputError: a batch that cannot be shared evenly.
    """
    index, count = shard
    share = batch_size // count
    if share * count != batch_size:
        raise InputError(
            f"a batch of {batch_size} samples cannot be shared evenly by {count} "
            f"workers; take a multiple of {count}."
        )
    cv2.setNumThreads(1)
    specs, label_spec = batch_spec(samples.settings.clip_length)
    order = ("image", "visual_guide", "spatial_guide")
    shapes = [spec.shape[1:] for spec in (*map(specs.get, order), label_spec)]

    def load(row):
        number = row // share * batch_size + index * share + row % share
        parts = tf.numpy_function(
            lambda n: samples.sample(int(n)),
            [number],
            [tf.float32, tf.float32, tf.float32, tf.uint8],
            stateful=False,
        )
        for part, shape in zip(parts, shapes, strict=True):
            part.set_shape(shape)
        return dict(zip(order, parts)), parts[-1]

    # Rows are counted over this worker's share of all batches.
    rows = tf.data.Dataset.range(first_batch * share, np.iinfo(np.int64).max)
    return (
        rows.map(
            load, num_parallel_calls=workers or tf.data.AUTOTUNE, deterministic=True
        )
        .batch(share, drop_remainder=True)
        .map(lambda inputs, label: (inputs, tf.cast(label, tf.float32)))
        .prefetch(2)
    )
