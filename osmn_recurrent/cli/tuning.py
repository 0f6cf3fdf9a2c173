"""Networks tuned to the first frame, kept beside the results, for all programs."""

import dataclasses
import hashlib
import json
import time

import numpy as np

from osmn_recurrent import files, masks, run_folder, text_files
from osmn_recurrent.cli.shared import AUTO
from osmn_recurrent.errors import InputError

AUTO_FRAMES = 20
"""A shorter clip is not worth the time of fine-tuning unless that is asked for."""


def make_segmenter(model, clip, out, options, steps=0):
    """A clip's segmenter, with one tuned network per object where asked for.

    Args:
        model: the network; it stays as it is.
        clip: the clip.
        out: folder in which `tuned/` keeps tuned networks, so that a
            interrupted run resumes with the same ones.
        options: dict of `flags.LOOP`, working_size, search_area, and
            tuned_search_area in its place after fine-tuning; see
            `shared_flags.loop_options`.
        steps: of online fine-tuning with the network's own
            settings; 0: none.

    Returns:
        `VideoSegmenter`, or `ObjectwiseSegmenter`.

    Raises:
        InputError: fine-tuning together with refinement, or a refinement
            whose package is missing.
    """
    from osmn_recurrent.inference.objectwise import ObjectwiseSegmenter
    from osmn_recurrent.inference.refinement import REFINEMENTS, RefiningSegmenter
    from osmn_recurrent.inference.segmenter import VideoSegmenter
    from osmn_recurrent.models.precision import PRECISIONS

    options = dict(options)
    refine, tuned_area = options.pop("refine"), options.pop("tuned_search_area", None)
    if refine != "none" and steps:
        raise InputError(
            f"--refine={refine} does not go with --finetune_steps; refine the masks "
            "afterwards with osmn refine."
        )
    if refine != "none":
        return RefiningSegmenter(model, REFINEMENTS[refine](), **options)
    if not steps:
        return VideoSegmenter(model, **options)
    from osmn_recurrent.models import building
    from osmn_recurrent.training import online

    options["search_area"] = tuned_area
    settings = online.FinetuneSettings.for_network(model)
    settings = dataclasses.replace(settings, iterations=steps)
    settings = online.at_size(settings, clip, options["working_size"])
    settings = seeing(settings, options.get("visual_guide") or {})
    models, _ = tuned_networks(model, clip, settings, out)
    policy = PRECISIONS[options["precision"]]
    models = {
        i: each
        if each.dtype_policy.name == policy
        else building.with_dtype(each, policy)
        for i, each in models.items()
    }
    del options["precision"]
    return ObjectwiseSegmenter(models, **options)


def steps_for(value, model, clip):
    """How many steps of fine-tuning a clip gets.

    Args:
        value: a number of steps, or "auto": those of the network's own settings
            (`Backbone.finetuning`) where they were measured to help, for clips of
            `AUTO_FRAMES` or more with one mask, but for a project of the studio,
            which gets the masks that it has there.
        model: the network.
        clip: the clip.
    """
    if value != AUTO:
        return value
    if clip.corrected or not model.backbone.finetune_by_default:
        return 0
    if len(clip) < AUTO_FRAMES or len(clip.mask_paths) > 1:
        return 0
    from osmn_recurrent.training import online

    return online.FinetuneSettings.for_network(model).iterations


def seeing(settings, visual_guide):
    """`FinetuneSettings` whose visual guides are of the loop's kind."""
    if not visual_guide:
        return settings
    transforms = settings.transforms
    own = dataclasses.replace(transforms.guides, **visual_guide)
    transforms = dataclasses.replace(transforms, guides=own)
    return dataclasses.replace(settings, transforms=transforms)


def check_first_mask_alone(clip):
    """Raises `InputError` if a clip brings objects later."""
    if len(clip.mask_paths) > 1:
        raise InputError(
            f"{clip.name} has {len(clip.mask_paths)} masks; fine-tuning takes the "
            "first frame's alone: give one mask, or leave --finetune_steps out."
        )


def tuned_networks(model, clip, settings, out):
    """A tuned network per object, from files of an interrupted run if there.

    Args:
        model: the network to start from.
        clip: the clip; its first mask and that frame are learned.
        settings: `FinetuneSettings`.
        out: folder; the networks lie in `OUT/tuned`.

    Returns:
        `({object id: network}, seconds)`, the seconds of all tuning.
    """
    from osmn_recurrent.models import building
    from osmn_recurrent.training.online import finetune_online

    made_from = {
        "weights_sha256": building.weights_digest(model),
        "finetuning": dataclasses.asdict(settings),
        "first_frame": digest_of(clip, clip.first + 1),
    }
    made_from = json.loads(json.dumps(made_from))
    frame, mask = clip.frame(clip.first), clip.mask(clip.first)
    objects = masks.object_ids(mask)
    models, seconds = {}, 0.0
    for i, path in zip(objects, tuned_files(clip, out, objects)):
        record = path.with_suffix(".json")
        stored = {}
        if path.exists() and record.exists():
            stored = text_files.read_json(record, "the record of a tuned network")
        if not run_folder.differences(stored, made_from):
            models[i] = building.load_model(path)
        else:
            print(f"{clip.name}, object {i}:")
            start = time.perf_counter()
            models[i] = finetune_online(model, frame, mask == i, settings)
            stored = {**made_from, "seconds": time.perf_counter() - start}
            with files.replace_when_done(path) as temporary:
                models[i].save(temporary)
            files.write_json(record, stored)
        seconds += stored["seconds"]
    return models, seconds


def digest_of(clip, frames=None):
    """SHA-256 of a clip's frames and masks.

    Args:
        clip: the clip.
        frames: how many frames from the first on. Default: all.

    Returns:
        Hexadecimal digits.
    """
    digest = hashlib.sha256(" ".join(clip.frame_digests()[:frames]).encode())
    for index in sorted(clip.mask_paths):
        if frames is None or index < frames:
            digest.update(np.ascontiguousarray(clip.mask(index)))
    return digest.hexdigest()


def tuned_files(clip, out, objects):
    """Where the tuned networks of a clip's objects lie."""
    return [out / "tuned" / f"{clip.name}_{i}.keras" for i in objects]
