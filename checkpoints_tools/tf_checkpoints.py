"""TensorFlow 1 checkpoints: reading both formats, writing the second."""

import pathlib
import re

import numpy as np

from checkpoints_tools.weight_files import TensorInfo, WeightFile, reason
from osmn_recurrent import files
from osmn_recurrent.errors import InputError

TABLE_MAGIC = bytes.fromhex("57fb808b247547db")
"""The last eight bytes of an index and of a checkpoint of the first format."""

ENDING = re.compile(r"\.(index|meta|data-(\d{5})-of-(\d{5}))$")


class TFCheckpoint(WeightFile):
    """A checkpoint of format V2 (`.index`, `.data-*`) or V1 (a single file).

    Args:
        path: prefix, such as models/osmn.ckpt-50000, or the name of
            one of the files.

    Raises:
        InputError: a missing or damaged file.
    """

    def __init__(self, path):
        prefix = ENDING.sub("", str(path))
        index = pathlib.Path(f"{prefix}.index")
        if index.is_file():
            self.format = "TensorFlow checkpoint (V2)"
            files = [index, *_shards(index)]
            table = index
        else:
            self.format = "TensorFlow checkpoint (V1)"
            table = pathlib.Path(prefix)
            files = [table]
        tensors = _table(table, prefix)
        super().__init__(prefix, files, tensors)
        if index.is_file():
            self._refuse_short_data()

    def _refuse_short_data(self):
        needed = sum(
            info.bytes for info in self.tensors.values() if info.dtype != object
        )
        found = sum(file.stat().st_size for file in self.files[1:])
        if found < needed:
            raise InputError(
                f"{self.files[1]} has {found} bytes, expected at least {needed} for "
                f"the {len(self.tensors)} variables of {self.files[0].name}; the "
                "data file is truncated, copy it again."
            )

    def _read(self, name):
        import tensorflow as tf

        (tensor,) = tf.raw_ops.RestoreV2(
            prefix=self.path,
            tensor_names=[name],
            shape_and_slices=[""],
            dtypes=[tf.as_dtype(self.tensors[name].dtype)],
        )
        return tensor


def is_checkpoint(path):
    """Whether `path` is a checkpoint's prefix or one of its files."""
    prefix = pathlib.Path(ENDING.sub("", str(path)))
    if pathlib.Path(f"{prefix}.index").is_file() or ENDING.search(str(path)):
        return True
    if not prefix.is_file() or prefix.stat().st_size < len(TABLE_MAGIC):
        return False
    with prefix.open("rb") as stream:
        stream.seek(-len(TABLE_MAGIC), 2)
        return stream.read() == TABLE_MAGIC


def _table(table, prefix):
    """`{name: TensorInfo}` of an index or a V1 checkpoint."""
    import tensorflow as tf

    if not table.is_file():
        raise InputError(
            f"{table}.index: no such file; give the prefix of a TensorFlow "
            "checkpoint, such as models/osmn.ckpt-50000, without its ending."
        )
    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes = reader.get_variable_to_shape_map()
        types = reader.get_variable_to_dtype_map()
    except Exception as error:  # TensorFlow raises many kinds
        raise InputError(
            f"{table} cannot be read as a checkpoint index ({reason(error)}); it is "
            "damaged, truncated or of another type, copy it again."
        ) from None
    return {
        name: TensorInfo(tuple(shapes[name]), np.dtype(types[name].as_numpy_dtype))
        for name in sorted(shapes)
    }


def _shards(index):
    """The data files that belong to an index, all of them."""
    stem = index.name.removesuffix(".index")
    found = sorted(
        file
        for file in index.parent.iterdir()
        if file.name.startswith(f"{stem}.data-") and ENDING.search(file.name)
    )
    count = int(ENDING.search(found[0].name)[3]) if found else 1
    for number in range(count):
        name = f"{stem}.data-{number:05d}-of-{count:05d}"
        if index.with_name(name) not in found:
            raise InputError(
                f"{index} is there but {name} is not; copy the data file beside the "
                "index."
            )
    return [
        index.with_name(f"{stem}.data-{i:05d}-of-{count:05d}") for i in range(count)
    ]


def write_checkpoint(path, tensors):
    """Writes a checkpoint of format V2.

    Args:
        path: checkpoint prefix.
        tensors: dict of variable name to array or TensorFlow variable (which
            is not copied).

    Raises:
        InputError: the place cannot be written, or the disk is full.
    """
    import tensorflow as tf

    path = pathlib.Path(path)
    names = sorted(tensors)
    with files.scratch_folder(path.parent, path) as folder:
        tf.raw_ops.SaveV2(
            prefix=str(folder / path.name),
            tensor_names=names,
            shape_and_slices=[""] * len(names),
            tensors=[tf.convert_to_tensor(tensors[name]) for name in names],
        )
        # The index last: without it there is no checkpoint.
        for file in sorted(folder.iterdir(), key=lambda x: x.suffix == ".index"):
            file.replace(path.with_name(file.name))
