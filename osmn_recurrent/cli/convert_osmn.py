"""Loads released OSMN checkpoints (TF1) into our networks, and our safetensors.

    osmn convert osmn \\
        --checkpoint=models/osmn.ckpt-50000 --model=osmn \\
        --out=osmn.weights.h5

Adam's slots, beta1_power, beta2_power, global_step and the fixed upsampling
kernels are recognised and left out. With --model=reconvnet the ConvLSTMs and
their gammas keep their new values, as in the paper. A .safetensors file that
export_weights wrote brings its settings along; the network's flags are needed
only where it goes into another one.
"""

from absl import flags

from checkpoints_tools import load_osmn_checkpoint, open_weights
from osmn_recurrent import programs
from osmn_recurrent.cli import conversion, shared

FLAGS = flags.FlagValues()
shared.define(
    FLAGS,
    "checkpoint",
    note="Such as models/osmn.ckpt-50000, or a .safetensors file.",
    required=True,
)
conversion.define_flags(FLAGS)


def main():
    """Converts a checkpoint; see the module's text."""
    return conversion.convert(
        FLAGS,
        lambda model: load_osmn_checkpoint(
            model, FLAGS.checkpoint, allow_missing=FLAGS.allow_missing or None
        ),
        open_weights(FLAGS.checkpoint),
    )


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
