"""What native libraries print while they load: held back, shown if loading fails."""

import contextlib
import importlib.abc
import importlib.machinery
import os
import subprocess
import sys
import tempfile

_SHOW_UNLESS_DONE = 'read -r done || cat "$0" >&2; rm -f "$0"'


@contextlib.contextmanager
def held_back():
    """Holds back what goes to the standard error's file descriptor.

    TensorFlow and CUDA write there from C++, past `sys.stderr`. Where the block
    raises, or the process dies in it (a library that needs instructions which the
    processor lacks aborts), everything appears after all: a shell of its own waits
    for word that the block is done.
    """
    try:
        kept = os.dup(2)
    except OSError:  # no standard error at all
        yield
        return
    held, name = tempfile.mkstemp(prefix="osmn-start-")
    watch = subprocess.Popen(
        ["sh", "-c", _SHOW_UNLESS_DONE, name],
        stdin=subprocess.PIPE,
        stderr=kept,
        start_new_session=True,  # Ctrl-C is not for it
    )
    os.dup2(held, 2)
    os.close(held)
    try:
        yield
        watch.stdin.write(b"done\n")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        watch.stdin.close()
        watch.wait()


def load_tensorflow_quietly():
    """Makes the first import of TensorFlow in this process a quiet one.

    Whoever imports it, and whenever: a program that does not need it does not load
    it. Its devices are listed at once, since CUDA's messages come with that.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow as Python does, and holds messages back while it loads."""

    def find_spec(self, name, path=None, target=None):
        """The spec of TensorFlow, None for everything else."""
        if name != "tensorflow":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or not hasattr(spec.loader, "exec_module"):
            return None
        load = spec.loader.exec_module

        def load_quietly(module):
            with held_back():
                load(module)
                module.config.list_physical_devices()

        spec.loader.exec_module = load_quietly
        return spec
