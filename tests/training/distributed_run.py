"""Trains a small network under a strategy; a process of its own for the tests.

    python distributed_run.py STRATEGY DATA_FOLDER WORK_FOLDER STEPS

Dropout is off: its masks are drawn per device. Batch norm is trained.
"""

import sys

import tensorflow as tf


def main(name, data, workdir, steps):
    """Runs the training and prints "done"."""
    if name == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)
    import keras

    from osmn_recurrent.datasets.davis import davis_clips
    from osmn_recurrent.models import building
    from osmn_recurrent.training import distribution, trainer
    from osmn_recurrent.training.sample_settings import SampleSettings

    strategy = distribution.make_strategy(name)
    settings = trainer.TrainSettings(
        samples=SampleSettings(size=(48, 64), scales=(1.0,), clip_length=2),
        steps=steps,
        batch_size=2,
        # Ten times the papers'.
        learning_rate=1e-5,
        recurrent_learning_rate=1e-4,
        freeze_batch_norm=False,
        clip_norm=1.0,
        validate_every=0,
        save_every=5,
    )
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model = building.build_model("reconvnet", "vgg16_compact", coupling="residual")
    model.modulator.dropout6.rate = model.modulator.dropout7.rate = 0.0
    clips = davis_clips(data, 2017, "train")
    validation = davis_clips(data, 2017, "val")
    trainer.train(model, clips, settings, workdir, name, validation, strategy)
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:4], int(sys.argv[4]))
