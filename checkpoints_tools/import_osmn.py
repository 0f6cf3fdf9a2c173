"""Loads released OSMN checkpoints (TF1 V2 format) into our networks.

    python -m checkpoints_tools.import_osmn \\
        --checkpoint=models/train_davis.ckpt-50000 --model=osmn \\
        --out=osmn.weights.h5

Adam's slots, beta1_power, beta2_power, global_step and the fixed upsampling
kernels are recognised and left out. With --model=reconvnet the ConvLSTMs and
their gammas keep their new values, as in the paper.
"""

import dataclasses
import pathlib
import re

import numpy as np
from absl import flags

from checkpoints_tools.release_names import is_left_out, release_variables
from osmn_recurrent import files, programs
from osmn_recurrent.errors import InputError
from osmn_recurrent.models import NAMES, SIZE_NAMES

FLAGS = flags.FlagValues()
flags.DEFINE_string(
    "checkpoint",
    None,
    "Checkpoint prefix, such as models/train_davis.ckpt-50000.",
    required=True,
    flag_values=FLAGS,
)
flags.DEFINE_enum(
    "model",
    "osmn",
    NAMES,
    "Network to load it into.",
    flag_values=FLAGS,
)
flags.DEFINE_enum("size", "full", SIZE_NAMES, "Channel counts.", flag_values=FLAGS)
flags.DEFINE_bool(
    "mod_early_conv", False, "The variant that modulates conv1-2.", flag_values=FLAGS
)
flags.DEFINE_bool(
    "use_visual_modulator", True, "OSMN with gammas (Table 3).", flag_values=FLAGS
)
flags.DEFINE_bool(
    "use_spatial_modulator", True, "OSMN with betas (Table 3).", flag_values=FLAGS
)
flags.DEFINE_string(
    "allow_missing",
    "",
    "Regular expression: variables of ours that the checkpoint may lack.",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "out",
    None,
    "The .weights.h5 or .keras file to write.",
    required=True,
    flag_values=FLAGS,
)
flags.DEFINE_bool("overwrite", False, "Replace --out.", flag_values=FLAGS)


@dataclasses.dataclass(frozen=True)
class ImportReport:
    """What a checkpoint and a network have in common.

    Attributes:
        path: the checkpoint.
        matched: `{release name: shape}` of what was (or could be) loaded.
        missing: `{release name: shape}` of ours that the checkpoint lacks.
        unused: `{release name: shape}` of the checkpoint that we lack.
        misshaped: `{release name: (checkpoint's shape, ours)}`.
        not_finite: release names of tensors with NaN or infinite values.
        left_out: names recognised as no weights (optimiser, fixed kernels).
        fresh: our paths that OSMN does not have; they keep their values.
    """

    path: str
    matched: dict
    missing: dict
    unused: dict
    misshaped: dict
    not_finite: tuple
    left_out: tuple
    fresh: tuple

    def faults(self):
        """One line of text per variable that does not fit."""
        lines = [f"missing in the checkpoint: {n} {s}" for n, s in self.missing.items()]
        lines += [f"not in the network: {n} {s}" for n, s in self.unused.items()]
        lines += [
            f"shape differs: {n} is {found} in the checkpoint, {expected} in the "
            "network"
            for n, (found, expected) in self.misshaped.items()
        ]
        lines += [f"not finite: {n}" for n in self.not_finite]
        return lines

    def __str__(self):
        lines = [
            f"{self.path}: {len(self.matched)} variables loaded, "
            f"{len(self.left_out)} left out (optimiser, step, fixed kernels)"
        ]
        if self.fresh:
            lines.append(
                f"{len(self.fresh)} recurrent variables keep their new values: "
                + ", ".join(self.fresh)
            )
        return "\n".join([*lines, *self.faults()])


def load_osmn_checkpoint(model, path, strict=True, allow_missing=None):
    """Loads a released OSMN checkpoint into a network.

    The network must have the checkpoint's variant (`mod_early_conv`,
    modulators); ReConvNet takes OSMN's checkpoints and keeps its ConvLSTMs
    and their gammas as they are. Either everything is loaded or the network
    stays unchanged.

    Args:
        model: a built `SegmentationModel`.
        path: checkpoint prefix (as `models/train_davis.ckpt-50000`); the name
            of its `.index` file is understood too.
        strict: True refuses variables that are missing, left over or shaped
            otherwise. False loads what fits and reports the rest.
        allow_missing: regular expression of release names that may be
            missing; these variables keep their values.

    Returns:
        `ImportReport`.

    Raises:
        InputError: files that are missing or damaged; non-finite values;
            with `strict`, any variable that does not fit, each one named.
    """
    reader, path = open_checkpoint(path)
    shapes = {
        name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()
    }
    named, fresh = release_variables(model)
    expected = {name: tuple(variable.shape) for name, variable in named.items()}
    matched = [n for n in expected if shapes.get(n) == expected[n]]
    missing = {n: s for n, s in expected.items() if n not in shapes}
    report = ImportReport(
        path=path,
        matched={name: expected[name] for name in matched},
        missing={
            n: s
            for n, s in missing.items()
            if not (allow_missing and re.search(allow_missing, n))
        },
        unused={
            n: s for n, s in shapes.items() if n not in expected and not is_left_out(n)
        },
        misshaped={
            n: (shapes[n], expected[n])
            for n in expected
            if n in shapes and shapes[n] != expected[n]
        },
        not_finite=tuple(n for n in matched if not _is_finite(reader, path, n)),
        left_out=tuple(sorted(n for n in shapes if is_left_out(n))),
        fresh=tuple(fresh),
    )
    if report.not_finite or (strict and report.faults()):
        raise InputError(_refusal(report, model))
    # Everything has been read once, so reading it again does not fail half-way
    # and a second copy of all weights is never held.
    for name in matched:
        named[name].assign(reader.get_tensor(name))
    return report


def _is_finite(reader, path, name):
    try:
        return bool(np.isfinite(reader.get_tensor(name)).all())
    except Exception as error:  # TensorFlow raises many kinds
        raise InputError(
            f"{path}: {name} cannot be read ({_first_line(error)}); the data file "
            "is damaged or truncated, copy it again."
        ) from None


def _refusal(report, model):
    faults = report.faults()
    listed = "; ".join(faults[:8])
    more = f"; and {len(faults) - 8} more" if len(faults) > 8 else ""
    return (
        f"{report.path} does not fit {model.name} (size {model.size}): "
        f"{listed}{more}. Choose the model, size and variant that it was saved from."
    )


def open_checkpoint(path):
    """Opens a TF1 V2-format checkpoint.

    Args:
        path: its prefix, or its `.index` file.

    Returns:
        `(reader, prefix)`: the reader of `tf.train.load_checkpoint`.

    Raises:
        InputError: a missing file, another file type or a damaged index.
    """
    import tensorflow as tf

    prefix = re.sub(r"\.(index|meta|data-\d{5}-of-\d{5})$", "", str(path))
    index = pathlib.Path(f"{prefix}.index")
    if not index.is_file():
        if pathlib.Path(prefix).is_file():
            raise InputError(
                f"{prefix} is a single file, expected a TF1 V2 checkpoint "
                f"({index.name} and its data file); give the checkpoint's prefix."
            )
        raise InputError(
            f"{index}: no such file; give the prefix of a TF1 V2 checkpoint, such "
            "as models/train_davis.ckpt-50000, without its ending."
        )
    if not list(index.parent.glob(f"{index.stem}.data-*-of-*")):
        raise InputError(
            f"{index} is there but {index.stem}.data-00000-of-00001 is not; copy the "
            "data file beside the index."
        )
    try:
        return tf.train.load_checkpoint(prefix), prefix
    except Exception as error:  # TensorFlow raises many kinds
        raise InputError(
            f"{index} cannot be read as a checkpoint index ({_first_line(error)}); it "
            "is damaged or of another type, copy it again."
        ) from None


def _first_line(error):
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else "?"


def main():
    """Converts a checkpoint; see the module's text."""
    from osmn_recurrent.models import presets

    out = pathlib.Path(FLAGS.out)
    if not out.name.endswith((".weights.h5", ".keras")):
        raise InputError(
            f"--out={out} must end in .weights.h5 or .keras; choose one of the two."
        )
    files.refuse_to_overwrite(out, FLAGS.overwrite)
    open_checkpoint(FLAGS.checkpoint)
    model = presets.build_model(FLAGS.model, FLAGS.size, **_variant())
    report = load_osmn_checkpoint(
        model, FLAGS.checkpoint, allow_missing=FLAGS.allow_missing or None
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}")
    (model.save if out.suffix == ".keras" else model.save_weights)(temporary)
    temporary.replace(out)
    print(report)
    print(f"written: {out}")


def _variant():
    names = ("mod_early_conv", "use_visual_modulator", "use_spatial_modulator")
    changed = {n: FLAGS[n].value for n in names if FLAGS[n].value != FLAGS[n].default}
    if changed and FLAGS.model not in ("osmn", "reconvnet"):
        raise InputError(
            f"--{next(iter(changed))} is a switch of osmn and reconvnet, but --model "
            f"is {FLAGS.model}; leave it out."
        )
    return changed


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
