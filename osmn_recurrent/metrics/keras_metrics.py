"""Metrics for `compile`, on any backend of Keras."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class RegionSimilarity(keras.metrics.Metric):
    """Mean J (intersection over union) of the images of batches, from logits.

    As `region_similarity`: 1 where object and prediction are both empty. Here every
    image counts alike; DAVIS averages over the frames of a sequence first.

    Args:
        threshold: logits above it are the object; 0 is a probability of 0.5.
        name: of the metric.
        **kwargs: of `keras.metrics.Metric`.
    """

    def __init__(self, threshold: float = 0.0, name: str = "J", **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.threshold = threshold
        self.total = self.add_variable((), "zeros", name="total")
        self.count = self.add_variable((), "zeros", name="count")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Counts a batch in.

        Args:
            y_true: (..., H, W, 1); values above 0.5 are the object.
            y_pred: logits of the same shape.
            sample_weight: of the images, (...), or of the batch's samples.
        """
        true = ops.convert_to_tensor(y_true) > 0.5
        found = ops.convert_to_tensor(y_pred) > self.threshold
        axes = (-3, -2, -1)
        both = ops.sum(ops.cast(ops.logical_and(true, found), "float32"), axes)
        union = ops.sum(ops.cast(ops.logical_or(true, found), "float32"), axes)
        values = ops.where(union > 0, both / ops.maximum(union, 1.0), 1.0)
        weight = ops.ones_like(values)
        if sample_weight is not None:
            given = ops.cast(sample_weight, "float32")
            missing = len(values.shape) - len(given.shape)
            weight = weight * ops.reshape(given, (*ops.shape(given), *[1] * missing))
        self.total.assign_add(ops.sum(values * weight))
        self.count.assign_add(ops.sum(weight))

    def result(self) -> Any:
        """The mean so far, float32; 0 before the first batch."""
        return ops.divide_no_nan(self.total, self.count)

    def get_config(self) -> dict:
        """Constructor arguments."""
        return {**super().get_config(), "threshold": self.threshold}
