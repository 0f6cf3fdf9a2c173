"""Putting a file's tensors into a network: everything or nothing, and a report."""

import dataclasses
import functools
import re

import numpy as np
from tqdm import tqdm

from checkpoints_tools.weight_files import all_finite, array_of
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.saved import path_in_model

MOST_NAMED = 12
"""Faults that an error names one by one; it counts the rest."""


@dataclasses.dataclass(frozen=True)
class Offer:
    """A tensor that a file offers to a network.

    Attributes:
        name: its name in the file.
        shape: its shape as the network would get it.
        dtype: its `numpy.dtype` in the file.
        read: function without arguments that gives its values in that shape.
    """

    name: str
    shape: tuple
    dtype: np.dtype
    read: object


def offers_of(source, left_out=(), name_of=str):
    """Offers of a file whose tensors have the network's layout.

    Args:
        source: `WeightFile`.
        left_out: names that are not offered.
        name_of: function from the file's name to the network's.

    Returns:
        `{the network's name: Offer}`.
    """
    left_out = set(left_out)
    return {
        name_of(name): Offer(
            name, info.shape, info.dtype, functools.partial(source.read, name)
        )
        for name, info in source.tensors.items()
        if name not in left_out
    }


@dataclasses.dataclass(frozen=True)
class Portion:
    """Which variables of a network a source may fill, of several sources.

    Attributes:
        pattern: regular expression: only variables with a match in their path
            (without the network's own name) are filled; "": all that fit.
        filled: `{path: source}` of what earlier sources filled; grows.
    """

    pattern: str = ""
    filled: dict = dataclasses.field(default_factory=dict)

    def narrow(self, offers, targets):
        """Offers and targets without what the pattern leaves out.

        Returns:
            `(offers, targets, left out)`, the last a list of names.
        """
        if not self.pattern:
            return offers, targets, []
        paths = {name: path_in_model(variable) for name, variable in targets.items()}
        left_out = [
            name
            for name in {**offers, **targets}
            if not re.search(self.pattern, paths.get(name, _without_scope(name)))
        ]
        kept = [
            {name: each[name] for name in each if name not in set(left_out)}
            for each in (offers, targets)
        ]
        return (*kept, [offers[name].name for name in left_out if name in offers])

    def leaves_open(self, path):
        """Whether a variable is the source's to fill and no earlier one filled it."""
        return bool(re.search(self.pattern, path)) and path not in self.filled

    def take(self, source, variables):
        """Notes what a source fills.

        Raises:
            InputError: an earlier one filled some of it.
        """
        paths = [path_in_model(variable) for variable in variables]
        twice = [path for path in paths if path in self.filled]
        if twice:
            raise InputError(
                f"{self.filled[twice[0]]} and {source} both fill {twice[0]}"
                f"{f' and {len(twice) - 1} more' if len(twice) > 1 else ''}; say which "
                "variables each one gives by a pattern behind it, such as "
                f"{source}:^modulator/."
            )
        self.filled.update(dict.fromkeys(paths, source))


def _without_scope(name):
    return name.removeprefix("osmn/")


@dataclasses.dataclass(frozen=True)
class ImportReport:
    """What a file and a network have in common.

    Attributes:
        path: the file.
        matched: `{name: shape}` of what was loaded.
        missing: `{name: shape}` of the network's that the file lacks.
        unused: `{name: shape}` of the file's that the network lacks.
        misshaped: `{name: (file's shape, network's)}`; also what is no
            floating-point number, with its type in place of the shape.
        not_finite: `{name: number of NaN and infinite values}`.
        left_out: names recognised as no weights (optimiser, fixed kernels).
        fresh: the network's paths that such files never have (ReConvNet's
            recurrent parts, for VGG16 all that is not VGG16); they keep
            their values.
        allowed: names with a fault that `allow_missing` allows; ours keep
            their values, the file's were left out.
        names: `{name: its name in the file}` where the two differ.
    """

    path: str
    matched: dict
    missing: dict
    unused: dict
    misshaped: dict
    not_finite: dict
    left_out: tuple
    fresh: tuple
    allowed: tuple = ()
    names: dict = dataclasses.field(default_factory=dict)

    def _in_file(self, name):
        other = self.names.get(name)
        return f"in the file (as {other})" if other else "in the file"

    def faults(self, allowed=False):
        """One line per variable that does not fit and is not allowed.

        Args:
            allowed: True gives the lines of those that are allowed.
        """
        lines = [
            (n, f"missing: {n} is not in the file, {s} in the network")
            for n, s in self.missing.items()
        ]
        lines += [
            (n, f"left over: {n} is {s} {self._in_file(n)}, not in the network")
            for n, s in self.unused.items()
        ]
        lines += [
            (n, f"shape differs: {n} is {a} {self._in_file(n)}, {b} in the network")
            for n, (a, b) in self.misshaped.items()
        ]
        lines += [
            (
                n,
                f"not finite: {n} is {self.matched[n]} {self._in_file(n)} and in the "
                f"network, with {count} NaN or infinite values",
            )
            for n, count in self.not_finite.items()
        ]
        return [line for name, line in lines if (name in self.allowed) == allowed]

    def __str__(self):
        lines = [
            f"{self.path}: {len(self.loaded)} variables loaded, "
            f"{len(self.left_out)} left out (optimiser, step, fixed kernels, parts "
            "not asked for)"
        ]
        if self.fresh:
            lines.append(
                f"{len(self.fresh)} variables that such files do not have keep their "
                "new values: " + ", ".join(self.fresh)
            )
        passed = self.faults(allowed=True)
        if passed:
            lines.append(f"{len(passed)} allowed, not loaded:")
        return "\n".join([*lines, *passed, *self.faults()])

    @property
    def loaded(self):
        """Names of what was loaded, in order."""
        return tuple(n for n in self.matched if n not in self.not_finite)


def load_offers(model, source, offers, targets, **options):
    """Loads tensors into a network, or leaves it unchanged.

    All tensors are read once and checked before the first one is assigned,
    then read again one by one: the memory never holds a second network.

    Args:
        model: the network, named in errors.
        source: `WeightFile`, named in errors.
        offers: `{name: Offer}`.
        targets: `{name: Keras variable that gets it}`.
        **options: `left_out`, `fresh` (see `ImportReport`), `strict`,
            `allow_missing` and `hint` (see `compare`, `load_osmn_checkpoint`), and
            `portion`, a `Portion`.

    Returns:
        `ImportReport`.

    Raises:
        InputError: damaged files, or (with `strict`) variables that do not
            fit, each one named.
    """
    strict, hint = options.pop("strict", True), options.pop("hint", "")
    portion = options.pop("portion", None) or Portion()
    offers, targets, more = portion.narrow(offers, targets)
    if not offers:
        raise InputError(
            f"{source.path} gives {model.name} ({model.backbone.name}) nothing: no "
            f"variable in it matches {portion.pattern!r}; paths look like "
            f"{path_in_model(model.trainable_variables[0])}."
        )
    options["left_out"] = [*options.get("left_out", ()), *more]
    report = compare(source.path, offers, targets, **options)
    spoilt = set(report.not_finite) - set(report.allowed)
    if not report.loaded or spoilt or (strict and report.faults()):
        raise InputError(_refusal(report, model, hint))
    portion.take(source.path, [targets[name] for name in report.loaded])
    for name in _progress(report.loaded, "loading"):
        targets[name].assign(offers[name].read())
    return report


def compare(path, offers, targets, left_out=(), fresh=(), allow_missing=None):
    """Compares a file's tensors with a network's, values included.

    Args:
        path: the file, for the report.
        offers: `{name: Offer}`.
        targets: `{name: variable}`.
        left_out: see `ImportReport`.
        fresh: see `ImportReport`.
        allow_missing: regular expression, searched in names: variables with
            any fault that may pass.

    Returns:
        `ImportReport`.
    """
    expected = {name: tuple(variable.shape) for name, variable in targets.items()}
    matched, misshaped = {}, {}
    for name, shape in expected.items():
        if name not in offers:
            continue
        offer = offers[name]
        if not is_floating(offer.dtype):
            misshaped[name] = (str(offer.dtype), "float32")
        elif offer.shape != shape:
            misshaped[name] = (offer.shape, shape)
        else:
            matched[name] = shape
    report = ImportReport(
        path=path,
        matched=matched,
        missing={n: s for n, s in expected.items() if n not in offers},
        unused={n: o.shape for n, o in offers.items() if n not in expected},
        misshaped=misshaped,
        not_finite=_not_finite(offers, matched),
        left_out=tuple(sorted(left_out)),
        fresh=tuple(fresh),
        names={n: offer.name for n, offer in offers.items() if offer.name != n},
    )
    faulty = [*report.missing, *report.unused, *misshaped, *report.not_finite]
    allowed = [n for n in faulty if allow_missing and re.search(allow_missing, n)]
    return dataclasses.replace(report, allowed=tuple(allowed))


def is_floating(dtype):
    """Whether a `numpy.dtype` is of floating-point numbers."""
    return dtype.kind == "f"


def _not_finite(offers, names):
    found = {}
    for name in _progress(names, "checking"):
        array = array_of(offers[name].read())
        if not all_finite(array):
            found[name] = int(array.size - np.isfinite(array).sum())
    return found


def _progress(names, what):
    """`names` with a progress bar, on a terminal only."""
    return tqdm(tuple(names), desc=what, unit=" variables", disable=None, leave=False)


def _refusal(report, model, hint):
    faults = report.faults()
    listed = "; ".join(faults[:MOST_NAMED]) or "it has no variable of the network"
    if len(faults) > MOST_NAMED:
        listed += f"; and {len(faults) - MOST_NAMED} more"
    return (
        f"{report.path} does not fit {model.name} ({model.backbone.name}): {listed}. "
        + (hint or "Choose the model, size and variant that it was saved from.")
    )
