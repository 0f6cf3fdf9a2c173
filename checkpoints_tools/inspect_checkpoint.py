"""Says what is in a file of weights, and which network it fits."""

import collections

import numpy as np

MOST_LISTED = 6
"""Variables that a network lacks, listed by name; the rest are counted."""


def statistics(tensor):
    """Range of a tensor's values.

    Args:
        tensor: of `WeightFile.read`, any numeric type and shape.

    Returns:
        `(least, mean, greatest, NaN count)` without the NaNs; None for text.
    """
    from checkpoints_tools.weight_files import all_finite, array_of

    array = array_of(tensor)
    if array.dtype.kind not in "fiub":
        return None
    nans = 0
    if array.dtype.kind == "f" and not all_finite(array):
        nans = int(np.isnan(array).sum())
        array = array[~np.isnan(array)]
    if not array.size:
        return np.nan, np.nan, np.nan, nans
    with np.errstate(invalid="ignore"):
        mean = float(array.mean(dtype=np.float64))
    return float(array.min()), mean, float(array.max()), nans


def parts_of(source):
    """Parameters per part of a file.

    Args:
        source: `WeightFile`.

    Returns:
        `{part: number of values}`: the first folder of the names, below the
        one that they all share; optimiser, step and fixed kernels apart.
    """
    from checkpoints_tools.release_names import is_left_out

    weights = [name for name in source.tensors if not is_left_out(name)]
    split = {name: name.replace(".", "/").split("/") for name in weights}
    shared = {parts[0] for parts in split.values() if len(parts) > 1}
    depth = 1 if len(shared) == 1 and len(split) > 2 else 0
    counts = collections.Counter()
    for name, info in source.tensors.items():
        if name in split:
            part = split[name][min(depth, len(split[name]) - 1)]
        else:
            part = "(optimiser, step, fixed kernels)"
        counts[part] += info.values
    return dict(counts)


def report(source):
    """A file's tensors, parts and networks, as lines of text.

    Args:
        source: `WeightFile`.

    Yields:
        str.
    """
    size = sum(file.stat().st_size for file in source.files)
    yield f"{source.path}: {source.format}, {len(source.tensors)} tensors, {size} bytes"
    yield ""
    yield from _table(source)
    yield ""
    for part, values in parts_of(source).items():
        yield f"{values:>14,} parameters in {part}"
    yield f"{sum(i.values for i in source.tensors.values()):>14,} in all"
    yield ""
    yield from _networks(source)


def _table(source):
    from tqdm import tqdm

    width = max(map(len, source.tensors), default=4)
    yield (
        f"{'name':{width}}  {'shape':>20}  {'type':>8}  {'min':>11}  {'mean':>11}  "
        f"{'max':>11}  {'NaN':>7}"
    )
    for name, info in tqdm(
        source.tensors.items(), "reading", unit=" tensors", disable=None, leave=False
    ):
        found = statistics(source.read(name))
        figures = (
            "text" if found is None else "  ".join(f"{x:11.4g}" for x in found[:3])
        )
        nans = "" if found is None else f"  {found[3]:>7}"
        shape = "x".join(map(str, info.shape)) or "scalar"
        yield f"{name:{width}}  {shape:>20}  {info.dtype!s:>8}  {figures}{nans}"


def _networks(source):
    """Which network the file fits, and what is missing for the others."""
    from checkpoints_tools.candidates import differences
    from checkpoints_tools.vgg16_names import recognise

    recognised = recognise(source.tensors)
    if recognised is not None:
        kind, used, left_out = recognised
        yield (
            f"fits every network of size full as start weights: {kind}, {len(used)} "
            f"tensors are used, {len(left_out)} left out (osmn convert vgg16)"
        )
        others = set(source.tensors) - {*used, *left_out}
        if others:
            yield f"not known: {', '.join(sorted(others)[:MOST_LISTED])}"
        return
    for label, *faults in differences(weight_shapes(source)):
        if not any(faults):
            yield f"fits {label}"
            continue
        texts = [
            _listed(text, names)
            for text, names in zip(("lacks", "has left over", "misshapes"), faults)
            if names
        ]
        yield f"does not fit {label}: it {'; it '.join(texts)}"


def _listed(text, names):
    first = ", ".join(
        f"{name} ({shape[0]} for {shape[1]})" if text == "misshapes" else name
        for name, shape in list(names.items())[:MOST_LISTED]
    )
    more = len(names) - MOST_LISTED
    return f"{text} {first}" + (f" and {more} more" if more > 0 else "")


def weight_shapes(source):
    """`{release name or our path: shape}` of a file's weights alone."""
    from checkpoints_tools.release_names import is_left_out, name_of

    return {
        name_of(name): info.shape
        for name, info in source.tensors.items()
        if not is_left_out(name)
    }


def difference(first, second):
    """What is not the same in two files, as lines of text.

    Args:
        first: `WeightFile`.
        second: `WeightFile`, of any format.

    Yields:
        str; a last line counts what is the same, bit for bit.
    """
    from checkpoints_tools.release_names import name_of

    names = [{name_of(n): n for n in file.tensors} for file in (first, second)]
    for own, other, file in (
        (names[0], names[1], first),
        (names[1], names[0], second),
    ):
        for name in own:
            if name not in other:
                shape = file.tensors[own[name]].shape
                yield f"only in {file.path}: {name} {shape}"
    same = 0
    for name in names[0]:
        if name in names[1]:
            line = _changed(name, first, names[0][name], second, names[1][name])
            same += line is None
            if line:
                yield line
    yield f"{same} tensors are the same"


def _changed(name, first, own, second, other):
    from checkpoints_tools.weight_files import array_of

    a, b = first.tensors[own], second.tensors[other]
    if a.shape != b.shape:
        return f"{name}: {a.shape} and {b.shape}"
    left, right = array_of(first.read(own)), array_of(second.read(other))
    types = "" if a.dtype == b.dtype else f"{a.dtype} and {b.dtype}, "
    numeric = left.dtype.kind in "fiub" and right.dtype.kind in "fiub"
    if np.array_equal(left, right, equal_nan=numeric):
        return f"{name}: {types}the same values" if types else None
    if not numeric:
        return f"{name}: {types}other contents"
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.subtract(left, right, dtype=np.float64))
    return (
        f"{name}: {types}{np.count_nonzero(apart != 0)} of {left.size} values differ, "
        f"by up to {np.nanmax(apart, initial=0.0):.4g}"
    )
