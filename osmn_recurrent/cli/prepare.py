"""Writes a data set in the form of tensorflow-datasets: sharded, checked, once.

Examples:

    osmn prepare --dataset=coco --data_dir=COCO --out=PREPARED
    osmn prepare --dataset=davis2017 --data_dir=DAVIS \\
        --resolution=480p --out=PREPARED

Every picture and mask is read once, so that nothing training could not read
gets in. `tfds build --imports=osmn_recurrent.datasets.tfds_builders.prepared_coco
prepared_coco --manual_dir=COCO --data_dir=PREPARED` does the same, and takes
`--beam_pipeline_options` to do it on many machines.
"""

import pathlib
import shutil

from absl import flags

from osmn_recurrent import files, programs, run_folder
from osmn_recurrent.cli import shared
from osmn_recurrent.errors import InputError

DATASETS = ("coco", "davis2016", "davis2017")
FLAGS = flags.FlagValues()

shared.define(FLAGS, "dataset", note="Here: coco, davis2016, davis2017.", required=True)
shared.define(FLAGS, "data_dir", required=True)
shared.define(FLAGS, "out", required=True)
shared.define(FLAGS, "resolution", "480p")
shared.define(FLAGS, "overwrite", False)


def _builder(folder):
    if FLAGS.dataset == "coco":
        from osmn_recurrent.datasets.tfds_builders.prepared_coco import PreparedCoco

        return PreparedCoco(data_dir=folder)
    from osmn_recurrent.datasets.tfds_builders import prepared_davis

    year = FLAGS.dataset.removeprefix("davis")
    config = prepared_davis.davis_folder_config(year, FLAGS.resolution)
    return prepared_davis.PreparedDavis(config=config, data_dir=folder)


def main():
    """Prepares; see the module's text."""
    if FLAGS.dataset not in DATASETS:
        raise InputError(
            f"--dataset={FLAGS.dataset} cannot be prepared, expected one of "
            f"{', '.join(DATASETS)}."
        )
    there = _builder(FLAGS.out)
    place = there.data_path
    if there.is_prepared() and not FLAGS.overwrite:
        raise InputError(
            f"{place} exists already; give --overwrite to replace it or name another "
            "place."
        )
    if "://" in FLAGS.out:  # where TensorFlow writes, and nobody locks or moves
        if there.is_prepared():
            place.rmtree()
        builder = prepare(_builder(FLAGS.out))
    else:
        out = pathlib.Path(FLAGS.out)
        files.refuse_inputs([], [FLAGS.data_dir], [place])
        with run_folder.hold(out), files.scratch_folder(out) as scratch:
            builder = prepare(_builder(scratch))
            move(scratch, out, pathlib.Path(place))
    for name, split in builder.info.splits.items():
        print(f"{name}: {split.num_examples} examples, {split.num_bytes / 1e6:.1f} MB")
    return programs.Done(
        (place,),
        programs.osmn_command(
            "train", prepared=True, dataset=FLAGS.dataset, data_dir=FLAGS.out
        )
        + " --flagfile=... --workdir=...",
    )


def prepare(builder):
    """Writes the files of a builder; gives the builder.

    Raises:
        InputError: data that cannot be read.
    """
    import tensorflow_datasets as tfds

    try:
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                manual_dir=FLAGS.data_dir, try_download_gcs=False
            )
        )
    except AssertionError as error:  # how tfds says that the folder is missing
        raise InputError(
            f"{FLAGS.data_dir} cannot be read: {' '.join(str(error).split())}"
        ) from None
    return builder


def move(scratch, out, place):
    """Moves a prepared set from the scratch folder to its place.

    Args:
        scratch: where it was prepared.
        out: folder of prepared sets.
        place: of this one, below `out`; what is there is replaced.
    """
    made = scratch / place.relative_to(out)
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        shutil.rmtree(place)
    made.rename(place)
    # What tfds keeps for all versions of a set.
    name = place.relative_to(out).parts[0]
    shutil.copytree(scratch / name, out / name, dirs_exist_ok=True)


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
