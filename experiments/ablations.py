"""Trains and scores the grids of OSMN's Table 3 and of ReConvNet's choices.

    python -m experiments.ablations --data_dir=DAVIS --resolution=480p \\
        --train_split=train --val_split=val --out=runs/ablations

Every cell is a folder OUT/CELL with model.keras and run.json of its training,
masks/SEQUENCE/FRAME.png and scores.json. Cells that are finished are kept, a
interrupted one resumes when the same command is started again. Writes the
table, with differences to the grid's base, to OUT/ablations.md and .json.

The defaults train compact networks from scratch in hours; the papers'
values are in brackets.
"""

import dataclasses
import pathlib
import shutil

from absl import flags

from experiments import ablation_grid
from osmn_recurrent import files, programs, run_folder, text_files
from osmn_recurrent.cli import shared, tuning
from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError

FLAGS = flags.FlagValues()

DECIMALS = {"spread": 4}


def _float(name, default, text):
    flags.DEFINE_float(name, default, text, lower_bound=0.0, flag_values=FLAGS)


shared.define(FLAGS, "dataset", "davis2017")
shared.define(FLAGS, "data_dir", required=True)
shared.define(FLAGS, "resolution", "480p")
shared.define(FLAGS, "train_split", "train")
shared.define(FLAGS, "val_split", "val", note="They are scored.")
shared.define(FLAGS, "out", required=True)
flags.DEFINE_list(
    "cells",
    [],
    "Only these cells, and what they need. Default: all.",
    flag_values=FLAGS,
)
shared.define(FLAGS, "backbone", "vgg16_compact")
shared.define(
    FLAGS,
    "init_from",
    note="A .keras file of an OSMN, from which all cells of OSMN start.",
)
shared.define(FLAGS, "height", 120, note="In training (papers: 480).")
shared.define(FLAGS, "width", 214, note="In training (papers: 854).")
shared.define(FLAGS, "osmn_steps", 800, note="Each cell's (paper: 50000).")
shared.define(FLAGS, "reconvnet_steps", 300, note="Each cell's.")
shared.define(FLAGS, "batch_size", 4, note="Paper: 4.")
shared.define(FLAGS, "clip_length", 6, note="Of ReConvNet (paper: not given).")
shared.define(FLAGS, "crop", 0.8, note="Paper: not given.")
shared.define(FLAGS, "learning_rate", 0.001, note="Of OSMN's cells (paper: 1e-6).")
_float("reconvnet_learning_rate", 3e-4, "Of the non-recurrent parts (1e-6).")
shared.define(FLAGS, "recurrent_learning_rate", 0.001)
shared.define(FLAGS, "reduction", "image_mean", note="Paper: sum.")
shared.define(FLAGS, "clip_norm", 1.0)
_float("warmup", 0.05, "Share of the steps in which the rates rise (0).")
shared.define(FLAGS, "final_rate", 0.1, note="Papers: 1.")
shared.define(FLAGS, "freeze_batch_norm", False)
shared.define(FLAGS, "finetune_steps", 100)
_float("finetune_learning_rate", 1e-4, "Its rate (1e-5).")
shared.define(FLAGS, "seed", 0)
shared.define(FLAGS, "overwrite", False)


def all_cells():
    """Both grids, bases before what is compared with them."""
    recurrent = ablation_grid.reconvnet_cells(FLAGS.reconvnet_steps)
    return ablation_grid.osmn_cells() + recurrent


def main():
    """Trains and scores; see the module's text."""
    out = pathlib.Path(FLAGS.out)
    cells = chosen_cells()
    if any(cell.add_on == "crf" for cell in cells):
        from osmn_recurrent.inference.refinement import DenseCRF

        DenseCRF()  # says so now if the package is missing
    train_clips, val_clips = (
        registry.clips(FLAGS.dataset, FLAGS.data_dir, split, FLAGS.resolution, False)
        for split in (FLAGS.train_split, FLAGS.val_split)
    )
    for clip in val_clips:
        clip.check()
    folders = [out / cell.name for cell in cells]
    inputs = [
        path for clip in (*train_clips, *val_clips) for path in clip.input_files()
    ]
    given = [FLAGS.init_from] if FLAGS.init_from else []
    files.refuse_inputs([], [FLAGS.data_dir, *inputs, *given], folders)
    with run_folder.hold(out):
        claim(out, train_clips + val_clips)
        for cell in cells:
            if FLAGS.overwrite and (out / cell.name).exists():
                shutil.rmtree(out / cell.name)
        run(cells, train_clips, val_clips, out)
    return programs.Done((out / "ablations.md", out / "ablations.json"))


def run(cells, train_clips, val_clips, out):
    """Trains and scores the cells that are not done, and writes the table."""
    found = {}
    for cell in cells:
        folder = out / cell.name
        path = folder / "scores.json"
        if not path.exists():
            print(f"{cell.name}:")
            if cell.add_on is None:
                train_cell(cell, train_clips, out)
            segment_cell(cell, val_clips, out)
            own = score(folder / "masks")
            files.write_json(path, own | steering(cell, val_clips, out))
        found[cell.name] = text_files.read_json(path, "scores of a cell")
        print(write_table(cells, found, out))


def chosen_cells():
    """Cells of `--cells` with those that they need, in the grid's order.

    Raises:
        InputError: a name that is no cell's.
    """
    cells = {cell.name: cell for cell in all_cells()}
    wanted = list(FLAGS.cells or cells)
    unknown = [name for name in wanted if name not in cells]
    if unknown:
        raise InputError(
            f"--cells: no cell is called {', '.join(unknown)}; there are "
            f"{', '.join(cells)}."
        )
    for name in wanted:  # grows while it is gone through
        wanted += [other for other in (cells[name].base, cells[name].start) if other]
    return [cell for cell in cells.values() if cell.name in wanted]


def claim(out, clips):
    """Refuses cells of other settings or other data in the same folder."""
    from osmn_recurrent.datasets.clips import sizes_digest

    other = {"out", "cells", "overwrite"}
    settings = {name: FLAGS[name].value for name in FLAGS if name not in other}
    settings = {k: v for k, v in settings.items() if not k.startswith("help")}
    folder = run_folder.RunFolder(out, "ablations", "settings.json")
    parts = {"settings": settings, "data_files": sizes_digest(clips)}
    results = () if FLAGS.overwrite else sorted(out.glob("*/run.json"))
    folder.claim(parts, results, FLAGS.overwrite)
    folder.write()


def train_settings(cell):
    """The `TrainSettings` of a cell."""
    from osmn_recurrent.training.sample_settings import SampleSettings
    from osmn_recurrent.training.trainer import TrainSettings

    recurrent = cell.network == "reconvnet"
    steps = FLAGS.reconvnet_steps if recurrent else FLAGS.osmn_steps
    samples = SampleSettings(
        size=(FLAGS.height, FLAGS.width),
        scales=(1.0,),
        clip_length=FLAGS.clip_length if recurrent else None,
        crop=FLAGS.crop,
    )
    settings = TrainSettings(
        samples=dataclasses.replace(samples, **cell.samples),
        loss="lovasz_hinge" if recurrent else "balanced_cross_entropy",
        reduction=FLAGS.reduction,
        steps=steps,
        batch_size=1 if recurrent else FLAGS.batch_size,
        learning_rate=(
            FLAGS.reconvnet_learning_rate if recurrent else FLAGS.learning_rate
        ),
        recurrent_learning_rate=FLAGS.recurrent_learning_rate,
        warmup_steps=int(FLAGS.warmup * steps),
        final_rate=FLAGS.final_rate,
        freeze_batch_norm=FLAGS.freeze_batch_norm,
        clip_norm=FLAGS.clip_norm or None,
        seed=FLAGS.seed,
    )
    return dataclasses.replace(settings, **cell.training)


def train_cell(cell, clips, out):
    """Trains a cell's network, unless it is trained; it is in model.keras."""
    import keras

    from osmn_recurrent.models import building
    from osmn_recurrent.training import trainer

    folder = out / cell.name
    if (folder / "model.keras").exists():
        return
    keras.utils.set_random_seed(FLAGS.seed)
    model = building.build_model(cell.network, FLAGS.backbone, **cell.options)
    if cell.start:
        building.transfer_weights(
            model, building.load_model(out / cell.start / "model.keras")
        )
    elif FLAGS.init_from:
        share_weights(model, building.load_model(FLAGS.init_from))
    trainer.train(model, clips, train_settings(cell), folder, cell.name)


def share_weights(model, source):
    """Copies what both networks have; an ablated one lacks a part."""
    from osmn_recurrent.models import building

    given = building.named_weights(source)
    for path, variable in building.named_weights(model).items():
        if path not in given or given[path].shape != variable.shape:
            raise InputError(
                f"{FLAGS.init_from} has no fitting {path}; give the weights of an "
                f"OSMN of --backbone={FLAGS.backbone}."
            )
        variable.assign(given[path])


def segment_cell(cell, clips, out):
    """Writes a cell's masks of all clips, and resumes where it stopped."""
    from osmn_recurrent.inference import output
    from osmn_recurrent.inference.segmenter import VideoSegmenter
    from osmn_recurrent.models import building

    masks = out / cell.name / "masks"
    if cell.add_on == "crf":
        for clip in clips:
            refine_clip(clip, out / cell.base / "masks", masks)
        return
    owner = cell.base if cell.add_on else cell.name
    model = building.load_model(out / owner / "model.keras")
    segmenter = VideoSegmenter(model)
    for clip in clips:
        folder = masks / clip.name
        paths = output.mask_files(clip, folder)
        if output.count_done(paths) == len(paths):
            continue
        if cell.add_on == "finetune":
            segmenter = tuned_segmenter(model, clip)
        output.segment_clip(
            segmenter, clip, folder, overwrite=bool(cell.add_on), later_masks=False
        )


def tuned_segmenter(model, clip):
    """A segmenter with networks that are fine-tuned on the first frame."""
    from osmn_recurrent.inference.objectwise import ObjectwiseSegmenter
    from osmn_recurrent.training import online

    settings = dataclasses.replace(
        online.FinetuneSettings.for_model(online.name_of(model)),
        iterations=tuning.steps_for(FLAGS.finetune_steps, model, clip),
        learning_rate=FLAGS.finetune_learning_rate,
        reduction=FLAGS.reduction,
        clip_norm=FLAGS.clip_norm or None,
        seed=FLAGS.seed,
    )
    return ObjectwiseSegmenter(
        online.finetune_objects(model, clip.frame(0), clip.mask(0), settings)
    )


def refine_clip(clip, given, refined):
    """Refines the masks of a clip, all but the first, with the dense CRF."""
    from tqdm import tqdm

    from osmn_recurrent.inference import output
    from osmn_recurrent.inference.refinement import DenseCRF
    from osmn_recurrent.media.mask_files import read_mask_with_palette, write_mask

    refine = DenseCRF()
    pairs = zip(
        output.mask_files(clip, given / clip.name),
        output.mask_files(clip, refined / clip.name),
        strict=True,
    )
    for index, (source, target) in enumerate(
        tqdm(pairs, total=len(clip), desc=f"CRF {clip.name}", unit="mask")
    ):
        if target.exists():
            continue
        ids, palette = read_mask_with_palette(source)
        if index:
            ids = refine(clip.frame(index), ids)
        write_mask(target, ids, palette)


def score(results):
    """`{"J": ..., "F": ...}`, means over the objects in percent."""
    from osmn_recurrent.metrics import result_folder
    from osmn_recurrent.metrics.statistics import summarise

    sequences = registry.sequences(
        FLAGS.dataset, FLAGS.data_dir, FLAGS.val_split, FLAGS.resolution
    )
    scores = result_folder.evaluate_folder(results, sequences)
    total = summarise(
        {f"{n}_{i}": each for n, found in scores.items() for i, each in found.items()}
    )
    return {"J": 100 * total["J-Mean"], "F": 100 * total["F-Mean"]}


def steering(cell, clips, out):
    """What the visual guide is worth to a cell's network.

    Returns:
        A dict: "spread" of the gammas over the clips' objects (`modulation_spread`;
        None for a single one) and "J, another's guide" in percent, of objects that
        are all shown as the next clip's first one. Empty for a network without visual
        modulator and for what is made of another cell's masks or network.
    """
    from experiments import swap_test
    from osmn_recurrent.models import building

    if cell.add_on:
        return {}
    model = building.load_model(out / cell.name / "model.keras")
    if not model.use_visual_modulator:
        return {}
    swapped = swap_test.clip_scores(model, clips, kinds=["other"])["other"]
    return {
        "spread": swap_test.spread_of(model, clips),
        "J, another's guide": 100 * swap_test.mean_over_objects(swapped),
    }


def write_table(cells, found, out):
    """Writes the table of the cells that are scored so far.

    Returns:
        The table as text.
    """
    from osmn_recurrent.reports.text_tables import markdown_table, text_table

    paper = {cell.name: cell.paper for cell in all_cells()}
    rows = []
    for cell in cells:
        if cell.name not in found:
            continue
        own, base = found[cell.name], found.get(cell.base)
        published = None
        if cell.paper is not None and cell.base:
            published = cell.paper - paper[cell.base]
        rows.append(
            {
                "variant": cell.row,
                "J": own["J"],
                "F": own["F"],
                "J difference": base and own["J"] - base["J"],
                "J, another's guide": own.get("J, another's guide"),
                "spread": own.get("spread"),
                "paper, mIU": cell.paper,
                "paper, difference": published,
            }
        )
    files.write_json(out / "ablations.json", rows)
    files.write_text(out / "ablations.md", markdown_table(rows, DECIMALS) + "\n")
    return text_table(rows, DECIMALS)


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
