"""Says what is in a file of weights, and which network it fits.

    osmn inspect models/vgg_16.ckpt
    osmn inspect --diff A.weights.h5 B.keras

Reads TensorFlow checkpoints, Keras' .h5, .weights.h5 and .keras, .npz,
.safetensors and, with --allow_pickle, .npy. With --diff it compares two files,
of whatever formats: names (ours are translated to the release's), shapes,
types and values.
"""

from absl import flags

from osmn_recurrent import programs
from osmn_recurrent.cli import shared
from osmn_recurrent.errors import InputError
from osmn_recurrent.names import printable

FLAGS = flags.FlagValues()
flags.DEFINE_bool("diff", False, "Compare two files.", flag_values=FLAGS)
shared.define(FLAGS, "allow_pickle", False)


def main(path, other=None):
    """Prints what is in a file; see the module's text."""
    from checkpoints_tools import open_weights
    from checkpoints_tools.inspect_checkpoint import difference, report

    if FLAGS.diff != (other is not None):
        raise InputError(
            f"{'--diff needs two files' if FLAGS.diff else 'two files need --diff'}; "
            "write --diff A B, or one file without it."
        )
    source = open_weights(path, FLAGS.allow_pickle)
    if other is None:
        lines = report(source)
    else:
        lines = difference(source, open_weights(other, FLAGS.allow_pickle))
    for line in lines:
        print(printable(line))


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
