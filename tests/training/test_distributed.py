"""Many devices and many processes against one device."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from osmn_recurrent.datasets.moving_shapes import write_moving_shapes

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = pathlib.Path(__file__).with_name("distributed_run.py")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_moving_shapes(folder, train=2, val=2, frames=6, size=(48, 64))
    return folder


def start(name, data, workdir, steps, log, **environment):
    """A training in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), name, str(data), str(workdir), str(steps)],
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def start_two(data, workdir, steps, folder):
    """Two workers on this machine: `[(process, log), ...]`."""
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("localhost", 0))
            ports.append(free.getsockname()[1])
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    found = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": cluster, "task": task})
        log = folder / f"worker{index}.log"
        process = start("multiworker", data, workdir, steps, log, TF_CONFIG=config)
        found.append((process, log))
    return found


def finish(process, log, limit=600):
    """Exit code and text of a process."""
    try:
        code = process.wait(limit)
    finally:
        process.kill()
    return code, log.read_text()


def weights(folder):
    """The trained network's weights, by name."""
    with np.load(folder / "state.npz") as archive:
        return {k: archive[k] for k in archive.files if k.startswith("model/")}


def assert_same(one, other, start):
    """They went the same way from `start`, but for rounding.

    Adam takes whole steps even where a gradient is mere rounding, so single
    values may differ; a variable's whole way may not, on any processor.
    """
    assert one.keys() == other.keys() == start.keys()
    for name, before in start.items():
        way = np.linalg.norm(one[name] - before)
        assert way > 0, name
        assert np.linalg.norm(other[name] - one[name]) < 0.1 * way, name


@pytest.fixture(scope="module")
def first_step(data, tmp_path_factory):
    """Weights after one step on one device."""
    folder = tmp_path_factory.mktemp("first")
    log = folder / "log"
    code, text = finish(start("one", data, folder, 1, log), log)
    assert code == 0, text[-2000:]
    return weights(folder)


@pytest.fixture(scope="module")
def one_device(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    log = folder / "log"
    code, text = finish(start("one", data, folder, 20, log), log)
    assert code == 0, text[-2000:]
    return folder


def test_two_devices_end_as_one(data, first_step, one_device, tmp_path):
    log = tmp_path / "log"
    code, text = finish(start("mirrored", data, tmp_path, 20, log), log)
    assert code == 0, text[-2000:]
    assert_same(weights(one_device), weights(tmp_path), first_step)
    validation = [(f / "validation.csv").read_text() for f in (one_device, tmp_path)]
    rows = [np.loadtxt(v.splitlines()[1:], delimiter=",") for v in validation]
    np.testing.assert_allclose(*rows, rtol=1e-3)


def test_two_workers_end_as_one_and_a_killed_one_is_named(
    data, first_step, one_device, tmp_path
):
    workdir = tmp_path / "work"
    (first, log), (second, _) = start_two(data, workdir, 20, tmp_path)
    state = workdir / "state.npz"
    limit = time.time() + 600
    while not state.exists() and time.time() < limit:
        time.sleep(0.1)
    second.send_signal(signal.SIGKILL)
    second.wait()
    code, text = finish(first, log)
    assert code not in (0, None)
    assert "another worker is gone" in text or "/job:worker/replica:0/task:1" in text
    again = tmp_path / "again"
    again.mkdir()
    for index, (process, own_log) in enumerate(start_two(data, workdir, 20, again)):
        code, text = finish(process, own_log)
        assert code == 0, text[-2000:]
        assert index or "5/20" in text  # went on from the state
    assert_same(weights(one_device), weights(workdir), first_step)
