"""Says what is in a file of weights, and which network it fits.

    osmn inspect models/vgg_16.ckpt
    osmn inspect --diff A.weights.h5 B.keras

Reads TensorFlow checkpoints, Keras' .h5, .weights.h5 and .keras, .npz,
.safetensors and, with --allow_pickle, .npy. With --diff it compares two files,
of whatever formats: names (ours are translated to the release's), shapes,
types and values.

Of a network with a visual modulator in a .keras file it also says how far the scales
of different objects lie apart, on objects that are drawn for it, and which share of
the units of the modulator's own trunk is dead. A spread under 0.01 means that the
network does not see which object it is asked for.
"""

import json
import pathlib

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
    if other is None and _is_network(path):
        for line in modulator_report(path):
            print(printable(line))


def _is_network(path):
    """Whether a file holds one of this package's networks, with its settings."""
    from osmn_recurrent.archives import open_archive
    from osmn_recurrent.models import CLASSES

    if pathlib.Path(path).suffix != ".keras":
        return False
    with open_archive(path) as archive:
        saved = json.loads(archive.read("config.json")).get("class_name")
    return saved in CLASSES.values()


def modulator_report(path):
    """How far a network's visual modulator tells drawn objects from each other.

    Args:
        path: a .keras file of one of this package's networks.

    Yields:
        Lines of text; none for a network without visual modulator.
    """
    from osmn_recurrent.inference import modulation_health
    from osmn_recurrent.models import building

    model = building.load_model(path)
    if not model.use_visual_modulator:
        return
    guides = modulation_health.drawn_guides()
    found = modulation_health.modulation_spread(model, guides)
    lowest = modulation_health.LOWEST_SPREAD
    verdict = "alive: at least" if found.overall >= lowest else "dead: below"
    yield ""
    yield (
        f"visual modulator: spread of the scales over {len(guides)} drawn objects "
        f"{found.overall:.2g} ({verdict} {lowest})"
    )
    for name, value in found.layers.items():
        yield f"{value:>14.2g} in {name}"
    if found.dead:
        yield "dead units of its own trunk"
    for name, value in found.dead.items():
        yield f"{value:>14.0%} in {name}"


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
