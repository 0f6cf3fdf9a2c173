"""Writes a network's weights for other programs.

    osmn convert export \\
        --weights=osmn.keras --out=models/osmn.ckpt-50000
    osmn convert export \\
        --weights=reconvnet.weights.h5 --model=reconvnet --out=reconvnet.safetensors

--out=NAME.safetensors writes NAME.safetensors and NAME.json with the network's
settings, --out=NAME.weights.h5 Keras weights in half precision, --out=NAME.graph.pb
OSMN on MobileNet as the release's frozen graph with its flags as JSON; any other --out
is the prefix of a TensorFlow 1 checkpoint (format V2) that the OSMN release
restores. osmn convert osmn reads all but half precision, which is build_model's.
"""

import pathlib
import shlex

from absl import flags

from osmn_recurrent import programs
from osmn_recurrent.cli import conversion, shared

FLAGS = flags.FlagValues()
shared.define(
    FLAGS,
    "weights",
    note="A .weights.h5 file needs --model, --backbone and its switches.",
    required=True,
)
conversion.define_network_flags(FLAGS)
shared.define(
    FLAGS,
    "out",
    note="Prefix of a TensorFlow 1 checkpoint, a .safetensors, .weights.h5 or "
    ".graph.pb file.",
    required=True,
)
flags.DEFINE_integer(
    "global_step", 0, "Training steps to note in a checkpoint.", flag_values=FLAGS
)
shared.define(FLAGS, "height", 256, note="Of a .graph.pb file.", lower_bound=16)
shared.define(FLAGS, "width", 448, note="Of a .graph.pb file.", lower_bound=16)
shared.define(FLAGS, "overwrite", False)


def main():
    """Exports weights; see the module's text."""
    from checkpoints_tools.export_graph import ENDING, export_graph
    from checkpoints_tools.export_tf1 import export_osmn_checkpoint
    from checkpoints_tools.half_files import export_half
    from checkpoints_tools.safetensors_files import export_safetensors
    from osmn_recurrent import files
    from osmn_recurrent.models import building

    out = pathlib.Path(FLAGS.out)
    beside = (
        out,
        out.with_suffix(".json"),
        *map(pathlib.Path, (f"{out}.index", f"{out}.json")),
    )
    for path in beside:
        files.check_output(path)
    files.refuse_inputs(beside, [FLAGS.weights])
    if pathlib.Path(FLAGS.weights).suffix == ".keras":
        model = building.load_model(FLAGS.weights)
    else:
        model = building.build_model(
            FLAGS.model,
            FLAGS.backbone,
            weights=FLAGS.weights,
            **conversion.variant_of(FLAGS),
        )
    if FLAGS.out.endswith(".safetensors"):
        export_safetensors(model, FLAGS.out, FLAGS.overwrite)
    elif FLAGS.out.endswith(ENDING):
        export_graph(model, out, FLAGS.height, FLAGS.width, FLAGS.overwrite)
        return programs.Done((FLAGS.out, f"{FLAGS.out}.json"))
    elif FLAGS.out.endswith(".weights.h5"):
        export_half(model, FLAGS.out, FLAGS.overwrite)
    else:
        export_osmn_checkpoint(model, FLAGS.out, FLAGS.global_step, FLAGS.overwrite)
    return programs.Done((FLAGS.out,), f"osmn inspect {shlex.quote(FLAGS.out)}")


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
