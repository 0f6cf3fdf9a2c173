"""Frozen TensorFlow 1 graphs (`.pb`): their constants, nothing is executed."""

from checkpoints_tools.weight_files import TensorInfo, WeightFile, reason
from osmn_recurrent.archives import MOST_BYTES
from osmn_recurrent.errors import InputError


class FrozenGraph(WeightFile):
    """The floating-point constants of a GraphDef that have at least one axis.

    Args:
        path: `pathlib.Path` of the file.

    Raises:
        InputError: a file of another kind, damaged or too large.
    """

    format = "frozen TensorFlow graph (.pb)"

    def __init__(self, path):
        import numpy as np
        import tensorflow as tf

        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} is larger than any network here; use another.")
        try:
            graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
            self._values = {
                node.name: node.attr["value"].tensor
                for node in graph.node
                if node.op == "Const"
            }
            tensors = {}
            for name, value in self._values.items():
                shape = tuple(axis.size for axis in value.tensor_shape.dim)
                dtype = tf.as_dtype(value.dtype)
                if dtype.is_floating and shape:
                    tensors[name] = TensorInfo(shape, np.dtype(dtype.as_numpy_dtype))
        except Exception as error:  # protobuf and TensorFlow raise many kinds
            raise InputError(
                f"{path} cannot be read as a frozen TensorFlow graph "
                f"({reason(error)}); it is damaged or of another kind, copy it again."
            ) from None
        if not tensors:
            raise InputError(f"{path} holds no constants that could be weights.")
        super().__init__(path, [path], tensors)

    def _read(self, name):
        import tensorflow as tf

        return tf.make_ndarray(self._values[name])
