"""What `torch.save` wrote before version 1.6, read without torch."""

from checkpoints_tools.weight_files import TensorInfo, WeightFile
from osmn_recurrent.backbones import pretrained

START = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
"""The first pickle, a magic number, as protocol 2 writes it."""


class TorchFile(WeightFile):
    """The float32 arrays of a state dict, in torch's layout.

    Args:
        path: `pathlib.Path` of the file.

    Raises:
        InputError: a damaged file, or one with other objects in it.
    """

    format = "torch's state dict (before version 1.6)"

    def __init__(self, path):
        self.arrays = pretrained.read_legacy(path)
        super().__init__(
            path,
            [path],
            {n: TensorInfo(a.shape, a.dtype) for n, a in self.arrays.items()},
        )

    def _read(self, name):
        return self.arrays[name]
