"""Follows objects through a clip with NumPy and onnxruntime alone.

    osmn export --whole --formats=onnx --weights=reconvnet-compact --out=exported \
        --height=270 --width=480 --objects=1
    python examples/onnx_clip.py exported frames.npy first_ids.npy ids.npy

frames.npy: (T, H, W, 3) uint8 RGB of the exported size; first_ids.npy: (H, W) uint8, 0
for the background, 1 to N for the exported number of objects. Writes (T, H, W) uint8.
"""

import pathlib
import sys

import numpy as np
import onnxruntime


def load(path):
    """A function from arrays by name to arrays by name."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = {x.name.partition(":")[0]: x.name for x in session.get_inputs()}
    outputs = [x.name for x in session.get_outputs()]

    def run(**given):
        values = session.run(outputs, {n: given[short] for short, n in inputs.items()})
        return {n.partition(":")[0]: v for n, v in zip(outputs, values, strict=True)}

    return run


def follow(folder, frames, ids):
    """Yields the ids of each frame, the given ones first."""
    begin = pathlib.Path(folder) / "begin.onnx"
    carried = load(begin)(frame=frames[0], ids=ids) if begin.exists() else {}
    step = load(pathlib.Path(folder) / "follow.onnx")
    yield ids
    for frame in frames[1:]:
        found = step(frame=frame, ids=ids, **carried)
        ids = found.pop("new_ids")
        carried |= {name.removeprefix("new_"): value for name, value in found.items()}
        yield ids


if __name__ == "__main__":
    folder, frames, first, out = sys.argv[1:]
    np.save(out, np.stack(list(follow(folder, np.load(frames), np.load(first)))))
