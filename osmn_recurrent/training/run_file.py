"""`run.json`: what was trained, how, on what, with which versions and result."""

import dataclasses
import resource

import keras

from osmn_recurrent import run_folder
from osmn_recurrent.training import optimizers
from osmn_recurrent.training.settings import MAY_CHANGE

NAME = "run.json"


def describe(training):
    """What a continuation must have in common, as JSON values."""
    model, samples = training.model, training.samples
    config = {k: v for k, v in model.get_config().items() if k != "name"}
    return {
        "model": {"class": type(model).__name__, **config},
        "settings": dataclasses.asdict(training.settings),
        "data": sorted(samples.names()),
        "data_files": samples.digest(),
        "starts": len(samples),
    }


def claim(training):
    """Refuses to go on with another network, other data or other settings.

    Returns:
        The `RunFolder` whose record `write` writes.

    Raises:
        InputError: what differs, as it is there and as it was asked for.
    """
    folder = run_folder.RunFolder(training.workdir, "train", NAME)
    folder.claim(describe(training), [training.state.path], may_change=MAY_CHANGE)
    return folder


def _peak_memory_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def write(training, finished=False):
    """Writes `run.json`.

    Args:
        training: the trainer's state.
        finished: adds the result.
    """
    adam = optimizers.adam_of(training.optimizer)
    groups = adam.group_table(training.train_step.variables)
    content = {
        "groups": {
            name: {"variables": v, "parameters": p, "rate_factor": f}
            for name, (v, p, f) in groups.items()
        },
        "devices": training.strategy.num_replicas_in_sync,
        "backend": keras.backend.backend(),
        "finished": finished,
    }
    if finished:
        content["result"] = {
            "steps": training.done,
            "seconds": round(training.seconds, 1),
            "best_step": training.best_step or None,
            "best_J": training.best if training.best_step else None,
            "modulation": training.modulation,  # of the best step
            "stopped_early": training.done < training.settings.steps,
            "skipped_samples": dict(getattr(training.samples, "skipped", {})),
            "peak_memory_mb": _peak_memory_mb(),
        }
    training.record.write(**content)
