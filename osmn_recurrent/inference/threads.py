"""Prefetching and asynchronous writing, each in a thread, in bounded queues."""

import queue
import threading

DEPTH = 4
"""Items that wait between threads at most; four full HD frames are 25 MB."""

_END = object()


def prefetch(iterable, depth=DEPTH):
    """Goes through an iterable in a thread, a few items ahead of its user.

    Args:
        iterable: what is gone through; only the thread touches it.
        depth: items that wait at most.

    Yields:
        Its items in order. What it raises comes out here, after the items
        before it. When the generator is closed or garbage, the thread ends
        with the item at hand.
    """
    waiting, stopped = queue.Queue(depth), threading.Event()

    def offer(item):
        """Waits for room, unless nobody listens any more."""
        while not stopped.is_set():
            try:
                return waiting.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work():
        try:
            for item in iterable:
                offer((item, None))
                if stopped.is_set():
                    break
            offer((_END, None))
        except BaseException as error:
            offer((_END, error))
        finally:
            close = getattr(iterable, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item, error = waiting.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stopped.set()
        thread.join()


class AsyncWriter:
    """Does work in a thread, in order, while its user continues.

    A context manager. When the block ends, also by Ctrl-C, what was handed
    over is finished first. After a call that fails, later ones are dropped,
    and the error is raised by the next `put` or at the end of the block; an
    error of the block's own wins over it.

    Args:
        depth: calls that wait at most; `put` waits while there are more.
    """

    def __init__(self, depth=DEPTH):
        self._waiting = queue.Queue(depth)
        self._error = None

    def __enter__(self):
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()
        return self

    def put(self, function, *arguments):
        """Has `function(*arguments)` called, after all that was put before."""
        if self._error is not None:
            raise self._error
        self._waiting.put((function, arguments))

    def __exit__(self, kind, *rest):
        self._waiting.put(None)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def _work(self):
        while (call := self._waiting.get()) is not None:
            if self._error is None:
                function, arguments = call
                try:
                    function(*arguments)
                except BaseException as error:
                    self._error = error
