"""Trains a network: phase 1 of both papers on COCO, phase 2 on clips.

Examples; the files in experiments/flags hold the papers' settings:

    osmn train --flagfile=experiments/flags/osmn_stage1.flags \\
        --data_dir=COCO --init_from=vgg_16.ckpt --workdir=runs/osmn_stage1
    osmn train --flagfile=experiments/flags/reconvnet_davis17.flags \\
        --data_dir=DAVIS --init_from=OSMN.keras --workdir=runs/reconvnet_davis17

Writes model.keras, loss.csv, validation.csv, tensorboard/ and run.json into the work
folder. The same command resumes an interrupted run; Ctrl-C saves first.
"""

import contextlib
import pathlib
import shlex

from osmn_recurrent import files, programs, run_folder
from osmn_recurrent.cli import train_flags
from osmn_recurrent.cli.train_flags import FLAGS
from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError

STATE_FILES = ("state.npz", "run.json", "best.keras", "last.keras", "model.keras")


def start(model, sources):
    """Fills a network from `--init_from`, and says what stays new."""
    from checkpoints_tools.start_weights import load_sources
    from osmn_recurrent.models import building

    reports = load_sources(model, sources, FLAGS.first_layer)
    for source, report in zip(sources, reports, strict=True):
        part = f" ({source.pattern})" if source.pattern else ""
        print(f"started from {source.name}{part}: {len(report.loaded)} variables")
    given = sum(len(report.loaded) for report in reports)
    print(f"new: {len(building.weights_of(model)) - given} variables")


def sources_from_flags():
    """`--init_from` as a list of `checkpoints_tools.start_weights.Source`."""
    if not FLAGS.init_from:
        return []
    from checkpoints_tools.start_weights import Source

    return [Source.parse(text) for text in FLAGS.init_from]


def load_clips(dataset, data_dir, split, prepared=False):
    """List of `Clip`s of a data set."""
    if prepared:
        from osmn_recurrent.datasets.prepared import prepared_clips

        binary = registry.find(dataset).protocol.binary
        return prepared_clips(data_dir, split, binary=binary)
    return registry.clips(
        dataset, data_dir, split, FLAGS.resolution, first_mask_only=False
    )


def make_samples(settings, guide):
    """The samples that the flags describe."""
    own = settings.samples, guide, settings.batch_size, settings.seed
    if FLAGS.dataset in registry.IMAGE_SETS:
        split = FLAGS.split or registry.IMAGE_SETS[FLAGS.dataset]
        objects = open_images(FLAGS.data_dir, split)
        return make_image_samples(objects, own, FLAGS.pseudo_clips)
    from osmn_recurrent.training.mixture import Mixture
    from osmn_recurrent.training.samples import ClipSamples

    split = FLAGS.split or "train"
    clips = load_clips(FLAGS.dataset, FLAGS.data_dir, split, FLAGS.prepared)
    samples = ClipSamples(clips, *own, cache=FLAGS.cache)
    if not FLAGS.image_dir:
        return samples
    images = make_image_samples(image_sources(), own, FLAGS.clip_length > 0)
    return Mixture([samples, images], [1.0 - FLAGS.image_share, FLAGS.image_share])


def image_sources():
    """The sets that `--image_dir` names, as one."""
    from osmn_recurrent.datasets.joined_images import JoinedImages

    sources = []
    for given in FLAGS.image_dir:
        folder, _, split = given.rpartition(":")
        if not folder or not pathlib.Path(folder).is_dir():
            folder, split = given, ""
        sources.append(open_images(folder, split))
    return sources[0] if len(sources) == 1 else JoinedImages(sources)


def open_images(folder, split):
    """A set of images.

    Args:
        folder: in COCO's layout, or one of JPEGImages, Annotations and ImageSets, or
            one that `osmn prepare` wrote.
        split: of it; "": the default.
    """
    from osmn_recurrent.datasets.coco import CocoObjects
    from osmn_recurrent.datasets.image_folder import ImageFolder
    from osmn_recurrent.datasets.prepared import PreparedImages

    if (pathlib.Path(folder) / "ImageSets").is_dir():
        objects = ImageFolder(folder, split or "train")
    else:
        kind = PreparedImages if FLAGS.prepared else CocoObjects
        objects = kind(folder, split or FLAGS.image_split, FLAGS.cache_dir)
    print(getattr(objects, "describe", lambda: f"{len(objects):,} prepared images")())
    return objects


def make_image_samples(objects, own, as_clips):
    """Samples, or pseudo-clips, of a set of images.

    Args:
        objects: of `open_images`.
        own: the first arguments of `Samples`.
        as_clips: whether to make pseudo-clips.
    """
    from osmn_recurrent.training.image_samples import ImageSamples
    from osmn_recurrent.training.pseudo_clips import Motion

    motion = None
    if as_clips:
        grey = FLAGS.window or FLAGS.distractors > 0
        motion = Motion(jerk=FLAGS.jerk, outside="grey" if grey else "mirrored")
    return ImageSamples(objects, *own, motion=motion, pasted=FLAGS.pasted)


def validation_clips():
    """The clips of `--val_split`, or none."""
    if not FLAGS.val_split:
        return []
    own = FLAGS.dataset
    if own in registry.IMAGE_SETS or registry.find(own).sparse_masks:
        own = "davis2017"
    kind = FLAGS.val_dataset or own
    prepared = FLAGS.prepared and not FLAGS.val_data_dir
    folder = FLAGS.val_data_dir or FLAGS.data_dir
    clips = load_clips(kind, folder, FLAGS.val_split, prepared)
    if not FLAGS.validate_pieces:
        return clips
    if prepared:
        raise InputError("--validate_pieces does not go with --prepared; leave it out.")
    from osmn_recurrent.datasets.clips import pieces_of

    length = FLAGS.validate_pieces
    return [piece for clip in clips for piece in pieces_of(clip, length)]


def make_model(strategy, sources=()):
    """The network that the flags describe, in the strategy's scope.

    Args:
        strategy: `tf.distribute.Strategy`.
        sources: of `sources_from_flags`.
    """
    import keras

    from osmn_recurrent.models import building
    from osmn_recurrent.models.precision import PRECISIONS

    keras.utils.set_random_seed(FLAGS.seed)
    options = train_flags.model_options()
    dtype = PRECISIONS[FLAGS.precision]
    try:
        with strategy.scope():
            model = building.build_model(
                FLAGS.model, FLAGS.backbone, dtype=dtype, **options
            )
            start(model, sources)
    except (TypeError, ValueError) as error:
        if not options or isinstance(error, InputError):
            raise
        raise InputError(
            f"--model_option={' '.join(FLAGS.model_option)} does not suit "
            f"{FLAGS.model}: {error}; python -c 'import osmn_recurrent as osr; "
            f'help(osr.build_model("{FLAGS.model}", "vgg16_compact"))\' lists them.'
        ) from None
    return model


def main():
    """Trains; see the module's text."""
    workdir = pathlib.Path(FLAGS.workdir)
    settings = train_flags.settings_from_flags()
    sources = sources_from_flags()
    files.refuse_to_overwrite(workdir / "model.keras", FLAGS.overwrite)
    state = [workdir / name for name in STATE_FILES]
    given = [file for source in sources for file in source.files()]
    files.refuse_inputs(state, given)
    files.check_output(workdir, folder=True)
    from osmn_recurrent.training import distribution, trainer

    chief = distribution.is_chief(FLAGS.strategy)
    with run_folder.hold(workdir) if chief else contextlib.nullcontext():
        if FLAGS.overwrite and chief:  # before the other workers come
            for path in state:
                path.unlink(missing_ok=True)
        strategy = distribution.make_strategy(FLAGS.strategy)
        settings.check(strategy.num_replicas_in_sync)
        validation = validation_clips()
        model = make_model(strategy, sources)
        samples = make_samples(settings, model.guide)
        path = trainer.train(
            model, samples, settings, workdir, FLAGS.model, validation, strategy
        )
    return programs.Done((path,), f"tensorboard --logdir={shlex.quote(str(workdir))}")


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
