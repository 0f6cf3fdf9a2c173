"""The whole state of a training in one file, to go on after a break."""

import json
import pathlib
import zipfile

import numpy as np

from osmn_recurrent import files
from osmn_recurrent.errors import InputError
from osmn_recurrent.models import building


class TrainState:
    """Weights, optimiser, random generators and progress of a training.

    A NumPy archive, written to a temporary name and moved, so that there is
    always a whole one. After `kill -9` the run resumes from the last one, and
    since samples, guide draws and dropout depend on the step alone, it ends
    with the weights of a run that was never interrupted.

    Args:
        path: the `.npz` file.
        model: a built `SegmentationModel`.
        optimizer: a built optimiser.
    """

    def __init__(self, path, model, optimizer):
        self.path = pathlib.Path(path)
        # Keras numbers generators and optimisers per process; a continuation
        # must not depend on what else was made before.
        weights = {v.path: v for v in building.weights_of(model)}
        others = [v for v in model.variables if v.path not in weights]
        self._variables = {
            **{f"model/{path}": variable for path, variable in weights.items()},
            **{f"random/{number}": v for number, v in enumerate(others)},
            **{
                f"optimizer/{number}/{v.path.split('/', 1)[-1]}": v
                for number, v in enumerate(optimizer.variables)
            },
        }

    def save(self, progress):
        """Writes the state.

        Args:
            progress: dict of JSON values, handed back by `load`.

        Raises:
            InputError: the disk is full; the state before is kept.
        """
        text = np.frombuffer(json.dumps(progress).encode(), np.uint8)
        with files.replace_when_done(self.path) as temporary:
            with zipfile.ZipFile(temporary, "w") as archive:
                _write(archive, "progress", text)
                for name, variable in self._variables.items():
                    _write(archive, name, np.asarray(variable.value))

    def load(self):
        """Reads the state into model and optimiser.

        Returns:
            The progress, or None if there is no state yet.

        Raises:
            InputError: a damaged file, or one of another network; the model
                is unchanged.
        """
        if not self.path.exists():
            return None
        try:
            with np.load(self.path) as archive:
                self._check(archive)
                progress = json.loads(archive["progress"].tobytes())
                for name, variable in self._variables.items():
                    variable.assign(archive[name])
        except InputError:
            raise
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{self.path} is damaged ({error}); remove it to start from the "
                "beginning, or put a copy back."
            ) from None
        return progress

    def _check(self, archive):
        missing = {*self._variables, "progress"} ^ set(archive.files)
        if missing:
            raise InputError(
                f"{self.path} is the state of another network or optimiser "
                f"({len(missing)} variables differ, such as {min(missing)}); choose "
                "another work folder or --overwrite."
            )
        for info in archive.zip.infolist():
            name = info.filename.removesuffix(".npy")
            if name == "progress":
                continue
            with archive.zip.open(info) as stream:
                np.lib.format.read_magic(stream)
                shape = np.lib.format.read_array_header_1_0(stream)[0]
            expected = tuple(self._variables[name].shape)
            if shape != expected:
                raise InputError(
                    f"{self.path} holds {name} as {shape}, the network has it as "
                    f"{expected}; choose another work folder or --overwrite."
                )


def _write(archive, name, array):
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array(stream, array, version=(1, 0), allow_pickle=False)
