"""One run at a time in a folder, and only results of the same kind of run."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from osmn_recurrent import run_folder
from osmn_recurrent.errors import InputError
from osmn_recurrent.run_folder import RunFolder, hold

HOLDER = """
import multiprocessing, sys, time
from osmn_recurrent import run_folder
def say(seconds):
    print("held", flush=True)
    time.sleep(seconds)
with run_folder.hold(sys.argv[1]):
    if len(sys.argv) > 2:  # a forked worker that outlives its parent
        fork = multiprocessing.get_context("fork")
        fork.Process(target=say, args=(30,)).start()  # says so once it runs
        time.sleep(60)
    say(60)
"""


def start(folder, *more):
    """A process that holds `folder`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), *more],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("more", [(), ("worker",)])
def test_a_second_run_is_refused_until_the_first_is_dead(tmp_path, more):
    out = tmp_path / "a" / "out"
    process = start(out, *more)
    try:
        with pytest.raises(InputError, match=f"process {process.pid} on .*; wait"):
            with hold(out):
                raise AssertionError
        process.send_signal(signal.SIGKILL)
        process.wait()
        with hold(out):
            (out / "result").write_text("x")
            assert sorted(os.listdir(out)) == [run_folder.LOCK, "result"]
        assert os.listdir(out) == ["result"]
    finally:
        process.stdout.close()
        with contextlib.suppress(ProcessLookupError):  # the worker
            os.killpg(process.pid, signal.SIGKILL)


def test_a_suspended_run_keeps_its_folder(tmp_path):
    process = start(tmp_path)
    try:
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(InputError, match="another run works in"), hold(tmp_path):
            raise AssertionError
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


def test_nesting_and_threads(tmp_path):
    out, errors = tmp_path / "out", []

    def other():
        try:
            with hold(out):
                errors.append("both work in it")
        except InputError as error:
            errors.append(str(error))

    with hold(out), hold(tmp_path / "x" / ".." / "out"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert out.is_dir()
    assert "another run works in" in errors[0]
    assert os.listdir(tmp_path) in ([], ["x"])  # nothing was written
    with hold(out):
        pass
    assert not out.exists()


def test_claims(tmp_path):
    result = tmp_path / "00000.png"
    parts = {"settings": {"size": (1, 2), "steps": 3}, "data": ["a"]}
    run = RunFolder(tmp_path, "segment")
    assert run.claim(parts, [result]) == {}
    assert not run.path.exists()
    run.write(finished=True)
    result.write_text("x")
    stored = run.claim(parts, [result])
    assert stored["finished"] is True
    assert stored["versions"]["python"]
    changed = {"settings": {"size": (1, 2), "steps": 4}, "data": ["b"]}
    with pytest.raises(InputError) as caught:
        run.claim(changed, [result])
    assert "settings steps 3 there, 4 now" in str(caught.value)
    assert 'data ["a"] there, ["b"] now' in str(caught.value)
    assert run.claim({**changed, "data": ["a"]}, [result], may_change=("steps",))
    assert result.exists()
    # Without results another run may begin; with --overwrite in any case.
    assert run.claim(changed, [tmp_path / "other"]) == {}
    assert run.claim(changed, [result], overwrite=True) == {}
    assert not result.exists()
    assert not run.path.exists()


def test_unknown_results(tmp_path):
    result = tmp_path / "00000.png"
    result.write_text("the user's own")
    run = RunFolder(tmp_path, "segment")
    with pytest.raises(InputError, match="holds 00000.png but no run.json"):
        run.claim({}, [result])
    run.path.write_text("{")
    with pytest.raises(InputError, match="run.json is damaged"):
        run.claim({}, [result])
    for content in ({"program": "train"}, {"mine": 1}, [1]):
        run.path.write_text(json.dumps(content))
        for overwrite in (False, True):
            with pytest.raises(InputError, match="is the record of"):
                run.claim({}, [result], overwrite)
    assert result.read_text() == "the user's own"
    run.path.write_text("{")
    assert run.claim({}, [result], overwrite=True) == {}
    assert not result.exists()
