"""The papers' figures, from any weights, data and scores.

    python -m experiments.figures --benchmark=runs/davis2016/results.json \\
        --published=official_per_frame/osmn.json --weights=reconvnet.keras \\
        --dataset=davis2016 --data_dir=DAVIS --split=val --out=runs/figures

Draws what the flags allow; `FIGURES` says what there is, from what:

{figures}

The figures from 5 on need --weights; 5, 6 and ReConvNet's also a data set: the
paper's 100 objects with --dataset=coco --split=val2017, or the objects of clips,
seen in several frames. Gates need clips.
"""

import dataclasses
import functools
import pathlib
import textwrap
from collections.abc import Callable

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
    files.refuse_inputs([out / figure.file for figure in FIGURES], given)
    sources = Sources()
    for figure in FIGURES:
        if figure.possible(sources):
            figure.draw(out / figure.file, sources)
            print(out / figure.file)
    return programs.Done()  # each was named when it was drawn


class Sources:
    """What figures are drawn from, each part made when it is first asked for."""

    @property
    def scores(self):
        """Whether scores are given (bool)."""
        return bool(FLAGS.benchmark or FLAGS.published)

    @functools.cached_property
    def curves(self):
        """`(measured, published, text)`, see `drawings.draw_over_time`.

        Raises:
            InputError: the files have no sequence in common.
        """
        from osmn_recurrent.metrics.statistics import over_time

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
        return *curves, f"{place}{len(names)} sequences, mean over objects"

    @functools.cached_property
    def objects(self):
        """`(clips, the clip of the gates, objects of COCO)`; none where not given.

        Raises:
            InputError: --clip is not in the set.
        """
        from osmn_recurrent.datasets.coco_categories import category_objects

        place = FLAGS.dataset, FLAGS.data_dir, FLAGS.split, FLAGS.resolution
        if FLAGS.dataset == "coco":
            return [], None, list(category_objects(FLAGS.data_dir, FLAGS.split))
        if not FLAGS.dataset:
            return [], None, []
        clips = registry.clips(*place, first_mask_only=False)
        clip = next((x for x in clips if FLAGS.clip in (None, x.name)), None)
        if clip is None:
            raise InputError(
                f"--clip={FLAGS.clip} is not in the set; it has "
                f"{', '.join(each.name for each in clips[:8])}."
            )
        return clips, clip, []

    @functools.cached_property
    def model(self):
        """The network; what its data lack is said before it is loaded."""
        if not FLAGS.weights:
            return None
        _ = self.objects
        options = shared_flags.parse_model_options(FLAGS.model_option)
        return segment.load_network(FLAGS.weights, FLAGS.model, FLAGS.backbone, options)

    @property
    def name(self):
        """The network's class (str)."""
        return type(self.model).__name__

    @functools.cached_property
    def shown(self):
        """Visual guides of the data's objects; None where nothing uses them."""
        from osmn_recurrent.inference import inspection

        clips, _, objects = self.objects
        if self.model is None or not (
            FLAGS.dataset and self.model.use_visual_modulator
        ):
            return None
        if FLAGS.dataset == "coco":
            return inspection.guides_of_objects(objects)
        return inspection.guides_of_clips(clips, FLAGS.guides_per_object)

    @functools.cached_property
    def gammas(self):
        """(N, P) modulation of `shown`."""
        from osmn_recurrent.inference import inspection

        return inspection.modulation_of(self.model, self.shown)

    @property
    def layers(self):
        """`{layer: (N, C) gammas}`, see `inspection.by_layer`."""
        from osmn_recurrent.inference import inspection

        return inspection.by_layer(self.model, self.gammas)

    @property
    def what(self):
        """What was shown to the network, in words (str)."""
        kind = "categories" if FLAGS.dataset == "coco" else "objects"
        labels = self.shown.labels
        return f"{len(labels)} visual guides of {len(set(labels))} {kind}"


def draw_over_time(path, sources):
    """Draws the mean J over the fraction of the video."""
    from osmn_recurrent.reports import drawings

    drawings.draw_over_time(path, *sources.curves)


def draw_embedding(path, sources):
    """Draws modulation vectors in the plane."""
    from osmn_recurrent.reports import drawings

    drawings.draw_embedding(
        path,
        sources.gammas,
        sources.shown.pictures(),
        sources.shown.labels,
        f"{sources.name}: modulation of {sources.what}",
    )


def draw_gamma_spread(path, sources):
    """Draws histograms of the gammas' spread over objects."""
    from osmn_recurrent.reports import drawings

    drawings.draw_histograms(
        path,
        {layer: values.std(0) for layer, values in sources.layers.items()},
        "standard deviation of a channel's gamma",
        f"{sources.name}: spread of the visual modulator's gammas over {sources.what}",
        lambda x: f"mean {x.mean():.2g}",
    )


def draw_spatial_scales(path, sources):
    """Draws histograms of what the spatial guide adds."""
    from osmn_recurrent.inference import inspection
    from osmn_recurrent.reports import drawings

    drawings.draw_histograms(
        path,
        inspection.spatial_scales(sources.model),
        "shift where the spatial guide is 1, less the shift where it is 0",
        f"{sources.name}: scales of the spatial modulator",
        lambda x: f"{100 * (abs(x) < 1e-3).mean():.0f} % zero",
    )


def draw_convlstm_gammas(path, sources):
    """Draws histograms of the gammas of ConvLSTMs."""
    from osmn_recurrent.reports import drawings

    drawings.draw_histograms(
        path,
        {k: v.ravel() for k, v in sources.layers.items() if k.startswith("convlstm")},
        "gamma",
        f"{sources.name}: gammas of the ConvLSTMs' outputs, {sources.what}",
        lambda x: f"mean {x.mean():.3f}, std {x.std():.3f}",
    )


def draw_convlstm_gates(path, sources):
    """Draws the gates over a clip."""
    from osmn_recurrent.inference import inspection
    from osmn_recurrent.reports import drawings

    _, clip, _ = sources.objects
    drawings.draw_gates(
        path,
        inspection.gate_statistics(sources.model, clip),
        f"{sources.name} on {clip.name}: means over pixels and channels",
    )


@dataclasses.dataclass(frozen=True)
class Figure:
    """A figure of the papers, or one that their text describes.

    Attributes:
        file: its name in the output folder.
        shows: which one it is and what it shows.
        possible: function of `Sources`: whether they allow it.
        draw: function of a path and `Sources` that writes it.
    """

    file: str
    shows: str
    possible: Callable[[Sources], bool]
    draw: Callable[[pathlib.Path, Sources], None]


FIGURES = (
    Figure(
        "j_over_time.png",
        "OSMN Fig. 4: J over the fraction of the video; from --benchmark (osmn "
        "benchmark) and --published (per-frame scores as the DAVIS site has them)",
        lambda sources: sources.scores,
        draw_over_time,
    ),
    Figure(
        "embedding.png",
        "OSMN Fig. 5: modulation vectors of objects in the plane",
        lambda sources: sources.shown is not None,
        draw_embedding,
    ),
    Figure(
        "gamma_spread.png",
        "OSMN Fig. 6: how much each layer's gammas differ between objects (standard "
        "deviation)",
        lambda sources: sources.shown is not None,
        draw_gamma_spread,
    ),
    Figure(
        "spatial_scales.png",
        "OSMN Fig. 7: what the spatial guide adds per channel",
        lambda sources: getattr(sources.model, "modulator_sp", None) is not None,
        draw_spatial_scales,
    ),
    Figure(
        "convlstm_gammas.png",
        "ReConvNet: the gammas of its ConvLSTMs",
        lambda sources: (
            sources.shown is not None
            and any(layer.startswith("convlstm") for layer in sources.layers)
        ),
        draw_convlstm_gammas,
    ),
    Figure(
        "convlstm_gates.png",
        "ReConvNet: its gates over a clip",
        lambda sources: (
            sources.model is not None
            and sources.model.cells
            and sources.objects[1] is not None
        ),
        draw_convlstm_gates,
    ),
)
"""The figures, in the order in which they are drawn."""

__doc__ = __doc__.format(
    figures="\n".join(
        textwrap.fill(
            f"{figure.file:20} {figure.shows}",
            84,
            initial_indent="    ",
            subsequent_indent=" " * 25,
        )
        for figure in FIGURES
    )
)


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


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
