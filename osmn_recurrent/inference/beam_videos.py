"""Many videos on Apache Beam: one network per worker, a video per element."""

import os
import sys
import threading

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils.shared import Shared

from osmn_recurrent.inference import many_videos


class _Worker:
    """What one process keeps: the work, done one job at a time."""

    def __init__(self, make_work):
        self.work, self.lock = make_work(), threading.Lock()


class SegmentVideo(beam.DoFn):
    """Does `many_videos.Job`s; the process loads the network once.

    Args:
        make_work: picklable function without arguments; gives the function of
            a job that `many_videos.do` calls.
        out: folder of the results, on a disk that all workers see.
    """

    def __init__(self, make_work, out):
        self._make_work, self._out, self._shared = make_work, str(out), Shared()

    def setup(self):
        """Loads the network, unless this process has it."""
        self._worker = self._shared.acquire(lambda: _Worker(self._make_work))

    def process(self, job):
        """Yields the outcome of a job, a dict; it is written by then."""
        with self._worker.lock:
            yield many_videos.do(job, self._worker.work, self._out)


def run(jobs, make_work, out, options):
    """Does jobs on Beam's workers.

    Args:
        jobs: list of `many_videos.Job`.
        make_work: see `SegmentVideo`.
        out: see `SegmentVideo`.
        options: list of Beam's own flags, `--runner=...` among them.

    Returns:
        Nothing; the outcomes are the files `many_videos.status_file`.
    """
    threading.excepthook = _end_when_a_worker_died(threading.excepthook)
    with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
        _ = (
            pipeline
            | "Videos" >> beam.Create(jobs, reshuffle=True)
            | "Segment" >> beam.ParDo(SegmentVideo(make_work, out))
        )


def _end_when_a_worker_died(before):
    """The DirectRunner waits for ever for a process that was killed."""

    def hook(arguments):
        if arguments.thread is None or arguments.thread.name != "run_worker":
            return before(arguments)
        print(
            "error: a worker process ended before its work was done (killed, or out "
            "of memory?); the same command resumes from what is finished.",
            file=sys.stderr,
            flush=True,
        )
        os._exit(2)

    return hook
