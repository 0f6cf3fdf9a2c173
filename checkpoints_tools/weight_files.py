"""A file of named tensors, whatever program wrote it."""

import pathlib
from typing import NamedTuple

import numpy as np

from osmn_recurrent.archives import MOST_BYTES
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.presets import sha256_of


class TensorInfo(NamedTuple):
    """What a file says about a tensor before it is read.

    Attributes:
        shape: tuple of int.
        dtype: `numpy.dtype`; `object` for text.
    """

    shape: tuple
    dtype: np.dtype

    @property
    def values(self):
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def bytes(self):
        """Size in memory."""
        return self.values * self.dtype.itemsize


class WeightFile:
    """Named tensors in a file, read one at a time.

    Subclasses fill `tensors` without reading the values, and read one in
    `_read`. Nothing in a file is executed.

    Attributes:
        path: str, as the user named it (a checkpoint's prefix).
        format: the kind of file, in words.
        files: paths on the disk.
        tensors: `{name: TensorInfo}` in the file's order.
        settings: dict of the network's settings, or None where the file has
            none.
    """

    format = ""

    def __init__(self, path, files, tensors, settings=None):
        self.path = str(path)
        self.files = [pathlib.Path(file) for file in files]
        self.tensors = tensors
        self.settings = settings
        total = sum(info.bytes for info in tensors.values())
        if total > MOST_BYTES:
            raise InputError(
                f"{path} unpacks to {total / 2**30:.1f} GiB, more than any network "
                f"here needs ({MOST_BYTES / 2**30:.0f} GiB); nothing was read, use "
                "another file."
            )

    def shapes(self):
        """`{name: shape}`."""
        return {name: info.shape for name, info in self.tensors.items()}

    def read(self, name):
        """A tensor's values.

        Args:
            name: key of `tensors`.

        Returns:
            A NumPy array, or an eager TensorFlow tensor where the file is
            TensorFlow's (a variable takes it over without a copy).

        Raises:
            InputError: the file is damaged.
        """
        try:
            return self._read(name)
        except Exception as error:  # each format raises kinds of its own
            raise InputError(
                f"{self.path}: {name} cannot be read ({reason(error)}); the file is "
                "damaged or truncated, copy it again."
            ) from None

    def _read(self, name):
        raise NotImplementedError

    def hashes(self):
        """`{file name: SHA-256}` of the files on the disk."""
        return {file.name: sha256_of(file) for file in self.files}


def array_of(tensor):
    """The values of `WeightFile.read` as a NumPy array, without a copy."""
    if isinstance(tensor, np.ndarray):
        return tensor
    return np.asarray(memoryview(tensor))


def all_finite(array):
    """Whether no value is NaN or infinite.

    A sum in float64 cannot overflow for float32 values, and NaN and infinity
    do not leave it; unlike `isfinite` it needs no second array.
    """
    if array.dtype == np.float64:
        return bool(np.isfinite(array).all())
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(array.sum(dtype=np.float64)))


def reason(error):
    """The first line of an exception's text, cut to a sentence's length."""
    lines = str(error).strip().splitlines()
    return lines[0][:200].rstrip(".:") if lines else type(error).__name__
