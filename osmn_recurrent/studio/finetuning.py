"""Networks that are tuned to a project's objects, kept in the project."""

import numpy as np

from osmn_recurrent import files, text_files
from osmn_recurrent.datasets.projects import TUNED
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference.objectwise import ObjectwiseSegmenter
from osmn_recurrent.models import building
from osmn_recurrent.training import online


def tune(project, model, working_size, progress):
    """Tunes a network to each object, with the settings that suit it.

    An object is learned in the first frame in which it was painted.

    Args:
        project: `Project`.
        model: network to start from; stays as it is.
        working_size: of the loop.
        progress: function of steps done, of how many, and a text; False stops.

    Returns:
        `{object id: network}`, or None if it was stopped.

    Raises:
        InputError: there is nothing to learn of an object.
    """
    first = first_painted(project)
    settings = online.FinetuneSettings.for_network(model)
    settings = online.at_size(settings, project.clip, working_size)
    total, made = settings.iterations * len(first), {}
    for place, (object_id, index) in enumerate(first.items()):
        mask = project.read("painted", index) == object_id
        tuner = online.Tuner(model, project.clip.frame(index), mask, settings)
        reason = tuner.reason_not_trainable()
        if reason:
            raise InputError(f"object {object_id} {reason}, so it cannot be learned.")
        for number in range(settings.iterations):
            at = place * settings.iterations + number
            if not progress(at, total, f"object {object_id}"):
                return None
            tuner.first_frame_step(number)
        made[object_id] = tuner.model
    return made


def save(project, model, networks):
    """Keeps tuned networks in the project.

    Args:
        project: `Project`.
        model: network that they were tuned from.
        networks: of `tune`.
    """
    digest = building.weights_digest(model)
    for object_id, network in networks.items():
        path = project.folder / TUNED / f"{object_id}.keras"
        with files.replace_when_done(path) as temporary:
            network.save(temporary)
        files.write_json(path.with_suffix(".json"), {"tuned_from": digest})


def first_painted(project):
    """`{object id: first frame in which it is painted}`, ascending ids."""
    found = {}
    for index in project.painted_frames():
        painted = project.read("painted", index)
        for object_id in np.unique(painted) if painted is not None else ():
            if object_id:
                found.setdefault(int(object_id), index)
    return dict(sorted(found.items()))


def tuned_objects(project, model):
    """Ids of objects for which the project keeps a network tuned from `model`."""
    digest, found = building.weights_digest(model), []
    for path in sorted((project.folder / TUNED).glob("*.keras")):
        record = path.with_suffix(".json")
        if record.exists() and path.stem.isdigit():
            stored = text_files.read_json(record, "a record of tuning")
            if stored.get("tuned_from") == digest:
                found.append(int(path.stem))
    return sorted(found)


def tuned_segmenter(project, model, working_size):
    """An `ObjectwiseSegmenter` for all objects of a project, or None.

    Objects without a network of their own have `model`; None if all of them do.
    """
    own = tuned_objects(project, model)
    if not own:
        return None
    networks = {
        i: building.load_model(project.folder / TUNED / f"{i}.keras")
        if i in own
        else model
        for i in {*own, *project.objects()}
    }
    return ObjectwiseSegmenter(networks, working_size=working_size)
