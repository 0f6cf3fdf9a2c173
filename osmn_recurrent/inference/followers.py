"""What is written beside a clip's masks, while they are made.

A follower sees every frame with its mask, in order, in a thread of its own: an
overlay takes no longer than the masks do.
"""

import contextlib
import pathlib

from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import threads


class Follower:
    """A context manager that writes one file, or one folder of files.

    What it writes appears when the block ends without an error; files of a folder
    appear one by one.

    Args:
        path: the file or folder.

    Attributes:
        path: see there.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)

    def is_there(self):
        """Whether what it writes is complete already."""
        return self.path.exists()

    def __enter__(self):
        return self

    def write(self, frame, ids, alpha=None):
        """Takes the next frame.

        Args:
            frame: (H, W, 3) uint8 RGB; must not be changed.
            ids: (H, W) uint8; must not be changed.
            alpha: (H, W) uint8, opacity of the objects with soft edges, or None where
                there is none but that of `ids`; must not be changed.
        """
        raise NotImplementedError

    def __exit__(self, *error):
        return None


class Crew:
    """Several followers, each in a thread; a context manager.

    One that fails does not stop the others, nor the masks: its error is raised at
    the end of the block.

    Args:
        followers: list of `Follower`.

    Raises:
        InputError: at the beginning or at the end, what a follower said.
    """

    def __init__(self, followers):
        self._followers = list(followers)

    def __enter__(self):
        self._started = []
        for follower in self._followers:
            try:
                self._started.append(_Started(follower))
            except BaseException as error:
                self.__exit__(type(error), error, None)
                raise
        return self

    def put(self, frame, ids, alpha=None):
        """Hands a frame and its mask to all; waits where one is far behind."""
        for each in self._started:
            each.put(frame, ids, alpha)

    def __exit__(self, kind, error, trace):
        for each in self._started:
            each.end(kind, error, trace)
        if kind is None:
            for each in self._started:
                if each.error is not None:
                    raise each.error
        return False


class _Started:
    """A follower at work.

    Attributes:
        error: what it failed with, or None.
    """

    def __init__(self, follower):
        self.error = None
        self._stack = contextlib.ExitStack()
        self._follower = self._stack.enter_context(follower)
        self._writer = threads.AsyncWriter()
        self._writer.__enter__()

    def put(self, *given):
        if self.error is None:
            try:
                self._writer.put(self._follower.write, *given)
            except Exception as error:  # what an earlier call failed with
                self.error = error

    def end(self, kind, error, trace):
        try:
            self._writer.__exit__(None, None, None)
        except Exception as failed:
            self.error = self.error or failed
        cause = error if kind is not None else self.error
        try:
            if cause is None:
                self._stack.__exit__(None, None, None)
            else:
                self._stack.__exit__(type(cause), cause, cause.__traceback__)
        except Exception as last:
            if not isinstance(self.error, InputError):
                self.error = last
