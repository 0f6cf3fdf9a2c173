"""`run.json`: what was trained, how, on what, with which versions and result."""

import dataclasses
import json
import resource

import keras

from osmn_recurrent import files, provenance
from osmn_recurrent.errors import InputError
from osmn_recurrent.training import optimizers
from osmn_recurrent.training.settings import MAY_CHANGE

NAME = "run.json"


def describe(training):
    """What a continuation must have in common, as JSON values."""
    model, samples = training.model, training.samples
    config = {k: v for k, v in model.get_config().items() if k != "name"}
    described = {
        "model": {"class": type(model).__name__, **config},
        "settings": dataclasses.asdict(training.settings),
        "data": sorted(samples.names()),
        "starts": len(samples),
    }
    return json.loads(json.dumps(described, default=str))


def check_continuation(training):
    """Refuses to go on with another network, other data or other settings.

    Raises:
        InputError: what differs, as it is there and as it was asked for.
    """
    path = training.workdir / NAME
    if not training.state.path.exists() or not path.exists():
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{path} is damaged ({error}); choose another work folder or --overwrite."
        ) from None
    now = describe(training)
    for part in now:
        for name in _differing(before.get(part), now[part]):
            if part == "settings" and name in MAY_CHANGE:
                continue
            there, here = _value(before.get(part), name), _value(now[part], name)
            raise InputError(
                f"{training.workdir} holds a training with another {part}"
                f"{f' ({name})' if name else ''}: {str(there)[:120]} there, "
                f"{str(here)[:120]} asked for; give the same, another work folder or "
                "--overwrite."
            )


def _differing(before, now):
    if not isinstance(now, dict) or not isinstance(before, dict):
        return [] if before == now else [""]
    return [k for k in {**before, **now} if before.get(k) != now.get(k)]


def _value(part, name):
    return part.get(name) if name else part


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
        **describe(training),
        "groups": {
            name: {"variables": v, "parameters": p, "rate_factor": f}
            for name, (v, p, f) in groups.items()
        },
        "devices": training.strategy.num_replicas_in_sync,
        "versions": provenance.versions(),
        "backend": keras.backend.backend(),
        "git_commit": provenance.git_commit(),
        "finished": finished,
    }
    if finished:
        content["result"] = {
            "steps": training.done,
            "seconds": round(training.seconds, 1),
            "best_step": training.best_step or None,
            "best_J": training.best if training.best_step else None,
            "stopped_early": training.done < training.settings.steps,
            "skipped_samples": dict(getattr(training.samples, "skipped", {})),
            "peak_memory_mb": _peak_memory_mb(),
        }
    files.write_json(training.workdir / NAME, content)
