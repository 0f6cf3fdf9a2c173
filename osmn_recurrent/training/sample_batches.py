"""Samples as a `keras.utils.PyDataset`, for `fit` on any backend of Keras."""

from typing import Any

import keras
import numpy as np

from osmn_recurrent.errors import InputError


class SampleBatches(keras.utils.PyDataset):
    """Batches of samples, epoch after epoch, for `model.fit`.

    Batch `k` of epoch `e` is always the same one. Give `fit` shuffle=False: samples
    come in an order of their own, another one in each epoch.

    Args:
        samples: object with `sample(number)` and `settings`, as `ClipSamples`, of one
            size (`SampleSettings.scales` of one value): a step is compiled for the
            batches that it sees first. `pipeline.make_dataset` serves all scales,
            on TensorFlow alone.
        batch_size: samples per batch.
        steps_per_epoch: batches per epoch; default: enough to visit every start
            about once.
        **kwargs: `workers`, `use_multiprocessing`, `max_queue_size` of
            `keras.utils.PyDataset`.

    Raises:
        InputError: samples of several sizes.
    """

    def __init__(
        self,
        samples: Any,
        batch_size: int,
        steps_per_epoch: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        scales = samples.settings.scales
        if len(set(scales)) > 1:
            raise InputError(
                f"the samples have sizes of their own per batch (scales={scales}), "
                "expected one for fit; set SampleSettings(scales=(1.0,)), or train "
                "with osmn_recurrent.train."
            )
        self.samples, self.batch_size = samples, batch_size
        self.steps_per_epoch = steps_per_epoch or max(1, len(samples) // batch_size)
        self.epoch = 0

    def __len__(self) -> int:
        """Batches per epoch."""
        return self.steps_per_epoch

    def __getitem__(self, index: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Batch `index` of this epoch.

        Returns:
            `(inputs, labels)`: inputs a dict of "image", "visual_guide" and
            "spatial_guide" as networks take them, float32; labels float32 of 0 and
            1, the logits' shape.
        """
        first = (self.epoch * self.steps_per_epoch + index) * self.batch_size
        made = [self.samples.sample(first + k) for k in range(self.batch_size)]
        image, visual, spatial, labels = (np.stack(each) for each in zip(*made))
        inputs = {"image": image, "visual_guide": visual, "spatial_guide": spatial}
        return inputs, labels.astype(np.float32)

    def on_epoch_end(self) -> None:
        """Moves to the next epoch's samples."""
        self.epoch += 1
