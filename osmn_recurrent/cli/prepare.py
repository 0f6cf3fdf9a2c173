"""Writes a data set in the form of tensorflow-datasets: sharded, checked, once.

Examples:

    osmn prepare --dataset=coco --data_dir=COCO --out=PREPARED
    osmn prepare --dataset=davis --data_dir=DAVIS \\
        --year=2017 --resolution=480p --out=PREPARED

Every picture and mask is read once, so that nothing training could not read
gets in. `tfds build --imports=osmn_recurrent.datasets.tfds_builders.prepared_coco
prepared_coco --manual_dir=COCO --data_dir=PREPARED` does the same, and takes
`--beam_pipeline_options` to do it on many machines.
"""

from absl import flags

from osmn_recurrent import programs
from osmn_recurrent.errors import InputError

FLAGS = flags.FlagValues()

flags.DEFINE_enum(
    "dataset",
    None,
    ["coco", "davis"],
    "What the folder holds: COCO's annotations and pictures, or clips in DAVIS layout.",
    required=True,
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "data_dir", None, "The folder to read.", required=True, flag_values=FLAGS
)
flags.DEFINE_string(
    "out", None, "Folder to write into.", required=True, flag_values=FLAGS
)
flags.DEFINE_enum(
    "year", "2017", ["2016", "2017"], "DAVIS edition (davis).", flag_values=FLAGS
)
flags.DEFINE_string(
    "resolution", "480p", "Folder under JPEGImages (davis).", flag_values=FLAGS
)
flags.DEFINE_bool("overwrite", False, "Replace what is there.", flag_values=FLAGS)


def _builder():
    if FLAGS.dataset == "coco":
        from osmn_recurrent.datasets.tfds_builders.prepared_coco import PreparedCoco

        return PreparedCoco(data_dir=FLAGS.out)
    from osmn_recurrent.datasets.tfds_builders import prepared_davis

    config = prepared_davis.davis_folder_config(FLAGS.year, FLAGS.resolution)
    return prepared_davis.PreparedDavis(config=config, data_dir=FLAGS.out)


def main():
    """Prepares; see the module's text."""
    import tensorflow_datasets as tfds

    builder = _builder()
    if builder.is_prepared():
        if not FLAGS.overwrite:
            raise InputError(
                f"{builder.data_path} exists already; give --overwrite to replace it "
                "or name another place."
            )
        builder.data_path.rmtree()
        builder = _builder()
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
    for name, split in builder.info.splits.items():
        print(f"{name}: {split.num_examples} examples, {split.num_bytes / 1e6:.1f} MB")
    dataset = "coco" if FLAGS.dataset == "coco" else f"davis{FLAGS.year}"
    return programs.Done(
        (builder.data_path,),
        programs.osmn_command(
            "train", prepared=True, dataset=dataset, data_dir=FLAGS.out
        )
        + " --flagfile=... --workdir=...",
    )


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
