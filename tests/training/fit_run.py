"""A training by `compile` and `fit`, on the backend that KERAS_BACKEND names.

Usage: fit_run.py MODEL WEIGHTS DATA RESULT; MODEL is osmn or reconvnet. Writes the
losses of 20 steps, and loss and J after them, as JSON.
"""

import json
import pathlib
import sys

import keras

from osmn_recurrent import losses
from osmn_recurrent.datasets.davis import davis_clips
from osmn_recurrent.metrics.keras_metrics import RegionSimilarity
from osmn_recurrent.models import building
from osmn_recurrent.training.sample_batches import SampleBatches
from osmn_recurrent.training.sample_settings import SampleSettings
from osmn_recurrent.training.samples import ClipSamples


class Losses(keras.callbacks.Callback):
    """Losses of all steps; `fit` gives the mean of an epoch so far."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_epoch_begin(self, epoch, logs=None):
        self.total = 0.0

    def on_train_batch_end(self, batch, logs=None):
        total = float(logs["loss"]) * (batch + 1)
        self.found.append(total - self.total)
        self.total = total


def make_model(name):
    """Compact network without dropout, whose draws differ between backends."""
    model = building.build_model(name, "vgg16_compact")
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return model


def main(name, weights, data, result):
    """Trains."""
    recurrent = name == "reconvnet"
    settings = SampleSettings(
        size=(48, 80), scales=(1.0,), clip_length=2 if recurrent else None
    )
    samples = ClipSamples(davis_clips(data, 2017, "train"), settings, batch_size=2)
    batches = SampleBatches(samples, 2, steps_per_epoch=5)
    loss = losses.BalancedCrossEntropy("sum_over_batch_size")
    model = make_model(name)
    model.load_weights(weights)
    model.compile(
        keras.optimizers.Adam(1e-4),
        losses.LovaszHinge() if recurrent else loss,
        metrics=[RegionSimilarity()],
    )
    seen = Losses()
    model.fit(batches, epochs=4, shuffle=False, verbose=0, callbacks=[seen])
    found = model.evaluate(batches, verbose=0, return_dict=True)
    found |= {"backend": keras.backend.backend(), "losses": seen.found}
    pathlib.Path(result).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
