"""From a checkpoint to a file of Keras, checked and documented.

What the import programs share: their flags, the validation against a probe,
the reloading of the converted file, and the report beside it.
"""

import hashlib
import pathlib
import shlex

import numpy as np

from osmn_recurrent import files, programs, provenance
from osmn_recurrent.cli import shared
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.presets import sha256_of
from osmn_recurrent.names import printable

ENDINGS = (".weights.h5", ".keras")
VARIANT = ("mod_early_conv", "use_visual_modulator", "use_spatial_modulator")


def define_network_flags(values):
    """Defines the flags that name a network.

    Args:
        values: the program's `absl.flags.FlagValues`.
    """
    shared.define(values, "model", "osmn")
    shared.define(values, "backbone", "vgg16")
    shared.define(values, "mod_early_conv", False)
    shared.define(values, "use_visual_modulator", True)
    shared.define(values, "use_spatial_modulator", True)


def define_flags(values):
    """Defines the flags of an import program, those of the network included.

    Args:
        values: the program's `absl.flags.FlagValues`.
    """
    define_network_flags(values)
    shared.define(values, "allow_missing", "")
    shared.define(values, "probe")
    shared.define(
        values,
        "out",
        note="The .weights.h5 or .keras file; a report is written beside it.",
        required=True,
    )
    shared.define(values, "overwrite", False)


def variant_of(values):
    """The network's options that the flags change.

    Raises:
        InputError: a switch that the network does not have.
    """
    changed = {
        n: values[n].value for n in VARIANT if values[n].value != values[n].default
    }
    if changed and values.model not in ("osmn", "reconvnet"):
        raise InputError(
            f"--{next(iter(changed))} is a switch of osmn and reconvnet, but --model "
            f"is {values.model}; leave it out."
        )
    return changed


def convert(values, load, source):
    """Makes a network, loads a checkpoint into it, checks it and writes it.

    Args:
        values: parsed flags of `define_flags`.
        load: function from the network to an `ImportReport`.
        source: the checkpoint's `WeightFile`; its settings, if it has any
            of a network of ours, count where the flags name none.

    Returns:
        `programs.Done`.

    Raises:
        InputError: whatever does not fit; nothing is written then.
    """
    from checkpoints_tools.probes import Probe

    out = pathlib.Path(values.out)
    if not out.name.endswith(ENDINGS):
        raise InputError(
            f"--out={out} must end in .weights.h5 or .keras; choose one of the two."
        )
    beside = out.with_name(f"{out.name}.import.json")
    for path in (out, beside):
        files.refuse_to_overwrite(path, values.overwrite)
        files.check_output(path)
    given = [values.probe] if values.probe else []
    files.refuse_inputs([out, beside], [*source.files, *given])
    probe = Probe(values.probe) if values.probe else None
    model = _network(values, source.settings)
    report = load(model)
    record = {
        "source": {
            "path": source.path,
            "format": source.format,
            "sha256": source.hashes(),
        },
        "network": {"class_name": type(model).__name__, "config": model.get_config()},
        "loaded": {name: report.matched[name] for name in report.loaded},
        "unchanged": report.fresh,
        "left_out": report.left_out,
        "allowed_missing": report.faults(allowed=True),
        "probe": _probed(probe, model),
    }
    before = fingerprint(model)
    with files.replace_when_done(out) as temporary:
        (model.save if out.suffix == ".keras" else model.save_weights)(temporary)
        _reload(model, temporary)
        record["converted"] = _compared(before, fingerprint(model), out)
    record["converted"]["sha256"] = sha256_of(out)
    record["versions"] = provenance.versions()
    record["git_commit"] = provenance.git_commit()
    files.write_json(beside, record)
    print(printable(str(report)))
    print("read again: the same weights and outputs")
    return programs.Done((out, beside), f"osmn inspect {shlex.quote(str(out))}")


def _probed(probe, model):
    """What the report says of a probe; refuses a network that differs."""
    if probe is None:
        return None
    return {
        "path": str(probe.path),
        "sha256": probe.sha256(),
        "preprocessing": probe.check_preprocessing(model.guide),
        "network": probe.check_network(model),
    }


def _network(values, settings):
    """The network that the flags name, or without them the file's settings."""
    from osmn_recurrent.models import building

    classes = {network.__name__: network for network in building.MODELS.values()}
    saved = classes.get(settings and settings.get("class_name"))
    if saved is None or any(values[n].present for n in ("model", "backbone", *VARIANT)):
        return building.build_model(values.model, values.backbone, **variant_of(values))
    try:
        model = saved.from_config(settings["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"the settings beside the weights do not describe a {saved.__name__} "
            f"({type(error).__name__}: {error}); give --model and --backbone."
        ) from None
    model.build()
    return model


def _reload(model, path):
    """Loads a file into a network that was emptied: no second one in memory."""
    from osmn_recurrent.models.building import weights_of

    for variable in weights_of(model):
        variable.assign(np.zeros(variable.shape, np.float32))
    model.load_weights(path)


def fingerprint(model):
    """What must not change when a network is saved and loaded.

    Returns:
        `(sha256, outputs)`: hash of all weights with their paths, and
        `probes.outputs_of` inputs without a meaning.
    """
    from checkpoints_tools.probes import made_up_inputs, outputs_of
    from osmn_recurrent.models.building import named_weights

    digest = hashlib.sha256()
    for path, variable in named_weights(model).items():
        digest.update(path.encode())
        digest.update(np.ascontiguousarray(variable.numpy()))
    return digest.hexdigest(), outputs_of(model, made_up_inputs())


def _compared(before, after, out):
    """The report's lines on the converted file; refuses one that differs."""
    worst = max(_apart(value, after[1][name]) for name, value in before[1].items())
    if before[0] != after[0] or not worst <= 1e-4:
        raise InputError(
            f"{out} read again gives other weights or outputs (by up to {worst:.3g}), "
            "so it was not kept; see whether the disk is full or damaged and run the "
            "command again."
        )
    return {
        "path": str(out),
        "weights_sha256": after[0],
        "largest_difference_of_outputs_when_read_again": worst,
    }


def _apart(a, b):
    """Largest difference of two arrays; NaN is equal to NaN."""
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        return np.inf
    return float(np.nanmax(np.abs(a - b), initial=0.0))
