"""One long task at a time, in a thread: progress, time left, stop."""

import threading
import time

from osmn_recurrent.errors import InputError


class Job:
    """Work that is under way or has ended.

    Args:
        kind: "propagate", "finetune" or "export".
        work: function of this job; calls `step`, and ends when that gives False.

    Attributes:
        kind: see there.
        error: sentence that it failed with, or None.
        text: what is being done.
    """

    def __init__(self, kind, work):
        self.kind, self.error, self.text = kind, None, ""
        self._at = self._of = self._first = self._progress = 0
        self._stop, self._began = threading.Event(), None
        self._thread = threading.Thread(
            target=self._run, args=(work,), name=kind, daemon=True
        )

    def start(self):
        """Begins; gives the job."""
        self._thread.start()
        return self

    def step(self, at, of, text=""):
        """Says how far it is; gives False if it is to stop."""
        if self._began is None or at != self._at:
            self._progress += 1
        if self._progress <= 2:  # the first step compiles, and says nothing of others
            self._began, self._first = time.monotonic(), at
        self._at, self._of, self.text = at, of, text
        return not self._stop.is_set()

    def is_running(self):
        """Whether it has not ended."""
        return self._thread.is_alive()

    def stop(self):
        """Asks it to end and waits until it has."""
        self._stop.set()
        self._thread.join()

    def ask_to_stop(self):
        """Asks it to end, without waiting."""
        self._stop.set()

    def wait(self):
        """Waits until it has ended."""
        self._thread.join()

    def state(self):
        """JSON values: kind, running, at, of, seconds_left, text and error."""
        done, left = self._at - self._first, None
        if done > 0 and self._began is not None:
            left = (time.monotonic() - self._began) / done * (self._of - self._at)
        return {
            "kind": self.kind,
            "running": self.is_running(),
            "at": self._at,
            "of": self._of,
            "seconds_left": left,
            "text": self.text,
            "error": self.error,
        }

    def _run(self, work):
        try:
            work(self)
        except InputError as error:
            self.error = str(error)
        except Exception as error:  # shown in the page; the project stays usable
            self.error = f"{self.kind} failed: {type(error).__name__}: {error}"
            raise
