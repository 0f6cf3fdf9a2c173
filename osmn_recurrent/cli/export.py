"""Writes a network as SavedModel, ONNX and LiteRT, and checks the files.

    osmn export --weights=model.keras --out=runs/exported

Of each format three functions: adapt (once per object), heat_map and step
(per frame); osmn_recurrent/inference/network_export.py says what goes in and out. With
--whole two with all of it inside, begin and follow, from uint8 RGB frames to ids
(osmn_recurrent/inference/whole_frames.py); examples/onnx_clip.py uses them.
Every file is loaded again and its outputs compared with the Keras network's.
ONNX and LiteRT files are made for one frame size and number of objects.
"""

import pathlib

from absl import flags

from osmn_recurrent import programs
from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.cli import shared
from osmn_recurrent.errors import InputError

FLAGS = flags.FlagValues()
FORMATS = ("saved_model", "onnx", "litert", "litert_int8")

shared_flags.define_model(FLAGS)
shared_flags.define_network(FLAGS)
shared.define(FLAGS, "weights", required=True)
flags.DEFINE_list(
    "formats",
    list(FORMATS[:3]),
    f"Of {', '.join(FORMATS)}; the last has weights of eight bits.",
    flag_values=FLAGS,
)
flags.DEFINE_bool(
    "whole",
    False,
    "Write begin and follow, which take uint8 RGB frames and give ids.",
    flag_values=FLAGS,
)
shared.define(
    FLAGS, "working_size", note="With --whole. Default: the preset's, or the frames'."
)
shared.define(FLAGS, "height", 480, lower_bound=16)
shared.define(FLAGS, "width", 854, lower_bound=16)
shared.define(FLAGS, "objects", 1)
shared.define(FLAGS, "out", required=True)
shared.define(FLAGS, "overwrite", False)


def main():
    """Exports and checks; see the module's text."""
    from osmn_recurrent import files

    wrong = [kind for kind in FLAGS.formats if kind not in FORMATS]
    if wrong or not FLAGS.formats:
        raise InputError(
            f"--formats={','.join(FLAGS.formats)}: expected some of "
            f"{', '.join(FORMATS)}."
        )
    out = pathlib.Path(FLAGS.out)
    files.refuse_to_overwrite(out / "export.json", FLAGS.overwrite)
    files.check_output(out, folder=True)

    from osmn_recurrent import run_folder
    from osmn_recurrent.cli.segment import load_network
    from osmn_recurrent.inference import network_export
    from osmn_recurrent.models import building
    from osmn_recurrent.reports import text_tables

    places = [p for kind in FLAGS.formats for p in network_export.places(out, kind)]
    for path in places:
        files.refuse_to_overwrite(path, FLAGS.overwrite)
    files.refuse_inputs(places, [FLAGS.weights], places)
    if "onnx" in FLAGS.formats:
        network_export.onnx_packages()  # missing ones are told of before the work
    options = shared_flags.parse_model_options(FLAGS.model_option)
    whole = whole_of_flags()
    model = load_network(FLAGS.weights, FLAGS.model, FLAGS.backbone, options)
    if model.dtype_policy.name != "float32":
        model = building.with_dtype(model, "float32")
    with run_folder.hold(out):
        rows = write(model, out, whole)
    print(text_tables.text_table(rows))
    return programs.Done((out,))


def whole_of_flags():
    """`whole` of `network_export.export`."""
    if not FLAGS.whole:
        if FLAGS.working_size is not None:
            raise InputError("--working_size needs --whole; give both or neither.")
        return False
    from osmn_recurrent import guides

    size = shared_flags.working_size(FLAGS, FLAGS.weights)
    if size is None:
        return True
    return guides.network_size(size, FLAGS.height, FLAGS.width)


def write(model, out, whole=False):
    """Writes and checks all formats and export.json; gives the table's rows."""
    from osmn_recurrent import files, provenance
    from osmn_recurrent.inference import network_export

    setting = (FLAGS.objects, FLAGS.height, FLAGS.width)
    rows = []
    for kind in FLAGS.formats:
        paths = network_export.export(model, out, kind, *setting, whole=whole)
        found = network_export.check(model, paths, kind, *setting, whole=whole)
        for name, worst in found.items():
            rows.append(
                {
                    "file": str(paths[name].relative_to(out)),
                    "function": name,
                    "largest difference": f"{worst:.1e}",
                }
            )
    files.write_json(
        out / "export.json",
        {
            "model": type(model).__name__,
            "model_config": {
                k: v for k, v in model.get_config().items() if k != "dtype"
            },
            "objects": FLAGS.objects,
            "frame": [FLAGS.height, FLAGS.width],
            "working_size": None if whole in (True, False) else list(whole),
            "files": rows,
            "versions": provenance.versions(),
            "git_commit": provenance.git_commit(),
        },
    )
    return rows


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
