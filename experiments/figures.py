"""The papers' figures, from any weights, data and scores.

    python -m experiments.figures --benchmark=runs/davis2016/results.json \\
        --published=official_per_frame/osmn.json --weights=reconvnet.keras \\
        --dataset=davis2016 --data_dir=DAVIS --split=val --out=runs/figures

Draws what the flags allow:

    j_over_time.png      OSMN Fig. 4: J over the fraction of the video; from
                         --benchmark (osmn benchmark) and --published
                         (per-frame scores as the DAVIS site has them)
    embedding.png        OSMN Fig. 5: modulation vectors of objects in the plane
    gamma_spread.png     OSMN Fig. 6: how much each layer's gammas differ
                         between objects (standard deviation)
    spatial_scales.png   OSMN Fig. 7: what the spatial guide adds per channel
    convlstm_gammas.png  ReConvNet: the gammas of its ConvLSTMs
    convlstm_gates.png   ReConvNet: its gates over a clip

The figures from 5 on need --weights; 5, 6 and ReConvNet's also a data set: the
paper's 100 objects with --dataset=coco --split=val2017, or the objects of clips,
seen in several frames. Gates need clips.
"""

import pathlib

from absl import flags

from experiments import tables
from osmn_recurrent import files, programs, text_files
from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.cli import segment, shared
from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError

FLAGS = flags.FlagValues()
shared_flags.define_model(FLAGS)
shared_flags.define_network(FLAGS)
shared.define(FLAGS, "benchmark")
flags.DEFINE_multi_string(
    "published",
    [],
    "JSON file of per-frame scores, FILE or NAME:FILE; repeat it for several.",
    flag_values=FLAGS,
)
shared.define(FLAGS, "weights")
shared.define(
    FLAGS, "dataset", note="Or coco: ten objects of each category of OSMN's Fig. 5."
)
shared.define(FLAGS, "data_dir")
shared.define(FLAGS, "split", "val", note="COCO: such as val2017.")
shared.define(FLAGS, "resolution", "480p")
flags.DEFINE_integer(
    "guides_per_object",
    4,
    "Visual guides per object, of evenly spaced frames.",
    lower_bound=1,
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "clip", None, "Clip for the gates. Default: the first.", flag_values=FLAGS
)
shared.define(FLAGS, "out", "runs/figures", note="Figures there are replaced.")


FIGURES = (
    "j_over_time.png",
    "embedding.png",
    "gamma_spread.png",
    "spatial_scales.png",
    "convlstm_gammas.png",
    "convlstm_gates.png",
)
"""Files that may be written."""


def main():
    """Draws; see the module's text."""
    out = pathlib.Path(FLAGS.out)
    if not (FLAGS.benchmark or FLAGS.published or FLAGS.weights):
        raise InputError("nothing to draw; give --benchmark, --published or --weights.")
    if bool(FLAGS.dataset) != bool(FLAGS.data_dir):
        raise InputError("--dataset and --data_dir belong together; give both.")
    files.check_output(out, folder=True)
    given = [text.partition(":")[2] or text for text in FLAGS.published]
    given += [path for path in (FLAGS.benchmark, FLAGS.weights) if path]
    files.refuse_inputs([out / name for name in FIGURES], given)
    if FLAGS.benchmark or FLAGS.published:
        draw_scores(out)
    if FLAGS.weights:
        draw_network(out)
    return programs.Done()  # each was named when it was drawn


def draw_scores(out):
    """Draws Fig. 4."""
    from osmn_recurrent.metrics.statistics import over_time
    from osmn_recurrent.reports import drawings

    published = dict(map(read_published, FLAGS.published))
    measured, place = {}, ""
    if FLAGS.benchmark:
        results = tables.read_results(FLAGS.benchmark)
        place = f"{results['dataset']} {results['split']}, "
        measured = {
            name: {
                sequence: [each["J"] for each in objects.values()]
                for sequence, objects in row["sequences"].items()
            }
            for name, row in results["rows"].items()
        }
    names = set.intersection(
        *(set(x) for x in [*measured.values(), *published.values()])
    )
    if not names:
        raise InputError(
            "the files have no sequence in common, so their curves cannot be "
            "compared; give scores of one set."
        )
    curves = [
        {
            name: over_time([j for s in sorted(names) for j in found[s]])
            for name, found in group.items()
        }
        for group in (measured, published)
    ]
    text = f"{place}{len(names)} sequences, mean over objects"
    report(drawings.draw_over_time, out / "j_over_time.png", *curves, text)


def read_published(text):
    """Per-frame scores as the DAVIS site publishes them.

    Args:
        text: FILE or NAME:FILE; by default the file's "id" is the name.

    Returns:
        `(name, {sequence: [J of each frame]})`, J lists of one object.

    Raises:
        InputError: no such file, or something else.
    """
    name, colon, path = text.partition(":")
    path = path if colon else text
    found = text_files.read_json(path, "per-frame scores as the DAVIS site has them")
    try:
        given = found.pop("id")
        scores = {
            sequence: [[float(value) for value in each["J"]]]
            for sequence, each in found.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path} has no per-frame scores as the DAVIS site publishes them "
            f'({error!r}); expected "id" and, per sequence, lists "J".'
        ) from None
    return name if colon else given, scores


def draw_network(out):
    """Draws what a network's weights show."""
    from osmn_recurrent.datasets.coco_categories import category_objects
    from osmn_recurrent.inference import inspection
    from osmn_recurrent.reports import drawings

    coco = FLAGS.dataset == "coco"
    place = FLAGS.dataset, FLAGS.data_dir, FLAGS.split, FLAGS.resolution
    clips = []
    if FLAGS.dataset and not coco:
        clips = registry.clips(*place, first_mask_only=False)
    # Read now, so that what is missing is said before anything is drawn.
    objects = list(category_objects(FLAGS.data_dir, FLAGS.split)) if coco else []
    clip = next((x for x in clips if FLAGS.clip in (None, x.name)), None)
    if clips and clip is None:
        raise InputError(
            f"--clip={FLAGS.clip} is not in the set; it has "
            f"{', '.join(each.name for each in clips[:8])}."
        )
    options = shared_flags.parse_model_options(FLAGS.model_option)
    model = segment.load_network(FLAGS.weights, FLAGS.model, FLAGS.backbone, options)
    name = type(model).__name__
    if getattr(model, "modulator_sp", None) is not None:
        report(
            drawings.draw_histograms,
            out / "spatial_scales.png",
            inspection.spatial_scales(model),
            "shift where the spatial guide is 1, less the shift where it is 0",
            f"{name}: scales of the spatial modulator",
            lambda x: f"{100 * (abs(x) < 1e-3).mean():.0f} % zero",
        )
    if FLAGS.dataset and model.use_visual_modulator:
        if coco:
            shown = inspection.guides_of_objects(objects)
        else:
            shown = inspection.guides_of_clips(clips, FLAGS.guides_per_object)
        draw_modulation(model, name, shown, out)
    if clips and model.cells:
        report(
            drawings.draw_gates,
            out / "convlstm_gates.png",
            inspection.gate_statistics(model, clip),
            f"{name} on {clip.name}: means over pixels and channels",
        )


def draw_modulation(model, name, shown, out):
    """Draws what the visual modulator makes of objects."""
    from osmn_recurrent.inference import inspection
    from osmn_recurrent.reports import drawings

    gammas = inspection.modulation_of(model, shown)
    kind = "categories" if FLAGS.dataset == "coco" else "objects"
    what = f"{len(shown.labels)} visual guides of {len(set(shown.labels))} {kind}"
    report(
        drawings.draw_embedding,
        out / "embedding.png",
        gammas,
        shown.pictures(),
        shown.labels,
        f"{name}: modulation of {what}",
    )
    layers = inspection.by_layer(model, gammas)
    report(
        drawings.draw_histograms,
        out / "gamma_spread.png",
        {layer: values.std(0) for layer, values in layers.items()},
        "standard deviation of a channel's gamma",
        f"{name}: spread of the visual modulator's gammas over {what}",
        lambda x: f"mean {x.mean():.2g}",
    )
    recurrent = {k: v.ravel() for k, v in layers.items() if k.startswith("convlstm")}
    if recurrent:
        report(
            drawings.draw_histograms,
            out / "convlstm_gammas.png",
            recurrent,
            "gamma",
            f"{name}: gammas of the ConvLSTMs' outputs, {what}",
            lambda x: f"mean {x.mean():.3f}, std {x.std():.3f}",
        )


def report(draw, path, *arguments):
    """Draws a figure and prints where it is."""
    draw(path, *arguments)
    print(path)


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
