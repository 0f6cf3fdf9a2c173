"""Programs in processes of their own that end by SIGKILL at a moment of their work."""

import importlib
import multiprocessing
import os
import signal
import threading
import time

PRELOADED = ["osmn_recurrent.cli.train", "osmn_recurrent.cli.segment", "keras"]
"""Imported once, by the process that all others are forked from."""

WORK = {
    "train": ("osmn_recurrent.training.steps", "TrainStep", "__call__"),
    "segment": ("osmn_recurrent.inference.segmenter", "VideoSegmenter", "step"),
}
"""What a program does again and again: module, class, method."""


def context():
    """Starts processes that have the packages imported already."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(PRELOADED)
    return made


def run_until(processes, verb, arguments, moment=None):
    """Runs a program and ends it by SIGKILL.

    Args:
        processes: of `context`.
        verb: key of `WORK`.
        arguments: of the program.
        moment: seconds of processor time after the first call of what it does again
            and again, so that waiting for a busy machine does not count; None: to its
            end.

    Returns:
        Its exit code, -9 where it was killed.
    """
    process = processes.Process(target=_run, args=(verb, arguments, moment))
    process.start()
    process.join()
    return process.exitcode


def _run(verb, arguments, moment):
    from osmn_recurrent import programs

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    program = importlib.import_module(f"osmn_recurrent.cli.{verb}")
    if moment is not None:
        _arm(*WORK[verb], moment)
    raise SystemExit(programs.call(program.main, program.FLAGS, [verb, *arguments]))


def _arm(module, kind, method, moment):
    kind = getattr(importlib.import_module(module), kind)
    original, armed = getattr(kind, method), []

    def watched(*args, **given):
        result = original(*args, **given)
        if not armed:
            armed.append(threading.Thread(target=_kill_at, args=(moment,), daemon=True))
            armed[0].start()
        return result

    setattr(kind, method, watched)


def _kill_at(moment):
    end = time.process_time() + moment
    while time.process_time() < end:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)
