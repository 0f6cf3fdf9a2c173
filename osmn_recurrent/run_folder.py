"""Folders of results: one run at a time, and results of one kind of run.

A run holds its folder while it works in it (`hold`), so that a second one in the
same place is refused. The system lets go of the lock when the process ends, also
when it is killed. A `RunFolder` remembers beside the results what made them and
says whether another run may resume with them (`RunFolder.claim`).
"""

import contextlib
import fcntl
import json
import os
import pathlib
import socket
import threading

from osmn_recurrent import files, provenance, text_files
from osmn_recurrent.errors import InputError

LOCK = ".osmn-lock"
"""Name of the lock in a folder; gone when the run has ended by itself."""

_HELD = {}
"""`{real path: (thread that holds it, descriptor of the lock)}`."""


def _forget_in_child():
    """A forked worker must not keep the lock of a run that was killed."""
    for _, descriptor in _HELD.values():
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _HELD.clear()


os.register_at_fork(after_in_child=_forget_in_child)


@contextlib.contextmanager
def hold(folder):
    """Keeps other runs out of a folder of results while the block runs.

    Makes the folder and sweeps up what killed runs left in it and two levels
    below (`files.sweep`).
    A run that wrote nothing leaves no folder behind. May be nested: the same
    thread enters a folder that it holds.

    Args:
        folder: for the results.

    Raises:
        InputError: another run works there, or it cannot be written.
    """
    folder = pathlib.Path(folder)
    key, own = os.path.realpath(folder), threading.get_ident()
    if key in _HELD:
        if _HELD[key][0] != own:
            raise InputError(_in_use(folder, ""))
        yield
        return
    files.check_output(folder, folder=True)
    made = []
    files.make_folders(folder, made)
    lock = folder / LOCK
    descriptor = _acquire(lock)
    _HELD[key] = (own, descriptor)
    try:
        files.sweep(folder, levels=2)
        yield
    finally:
        del _HELD[key]
        with contextlib.suppress(OSError):
            lock.unlink()
        os.close(descriptor)
        files.remove_empty(made)


def _acquire(lock):
    """Locks the file, which is made if need be; gives its descriptor."""
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = os.read(descriptor, 200).decode("utf-8", "replace")
            os.close(descriptor)
            raise InputError(_in_use(lock.parent, other)) from None
        except OSError:  # a file system without locks
            return descriptor
        try:
            same = os.path.samestat(os.fstat(descriptor), os.stat(lock))
        except FileNotFoundError:
            same = False
        if same:
            text = f"process {os.getpid()} on {socket.gethostname()}"
            os.truncate(descriptor, 0)
            os.write(descriptor, text.encode())
            return descriptor
        os.close(descriptor)  # the run before had just ended and removed it


def _in_use(folder, other):
    who = f" ({other})" if other else ""
    return (
        f"another run works in {folder}{who}; wait until it has ended or name another "
        "place."
    )


class RunFolder:
    """A folder of results and the record of what made them.

    The record is a JSON file: the name of the program, the parts that results
    depend on (settings, digests of inputs), versions, the commit, and what the
    program adds.

    Args:
        folder: for the results.
        program: name of what writes them, such as "segment".
        record: the record's name in the folder.

    Attributes:
        path: the record's file.
    """

    def __init__(self, folder, program, record="run.json"):
        self.folder = pathlib.Path(folder)
        self.program, self.path = program, self.folder / record
        self._content = {}

    def recorded(self, key, default=None):
        """What an earlier run of the same program added to its record.

        Args:
            key: of `write`.
            default: given where there is no such record.
        """
        try:
            stored = text_files.read_json(self.path, "the record of a run")
            return stored[key] if stored["program"] == self.program else default
        except (InputError, KeyError, TypeError):
            return default

    def claim(self, parts, results=(), overwrite=False, may_change=()):
        """Sees to it that what is in the folder is of this kind of run.

        Call it while the folder is held. Nothing is written yet, see `write`.

        Args:
            parts: `{name: JSON value}` that results depend on; a value that is
                a dict is compared key by key.
            results: files of the run, or of another one under the same names.
            overwrite: remove them and the record instead of resuming.
            may_change: keys of the parts that may differ.

        Returns:
            The record of the run that this one resumes; {} for a new one.

        Raises:
            InputError: results of another program, of other settings, or of
                which nothing is known.
        """
        parts = json.loads(json.dumps(parts, default=str))
        self._content = {"program": self.program, **parts}
        stored = self._stored(overwrite)
        present = next((path for path in results if os.path.lexists(path)), None)
        if stored is None:
            if present is not None and not overwrite:
                raise InputError(
                    f"{self.folder} holds {present.name} but no {self.path.name}, so "
                    "what made it is unknown; give --overwrite to replace it or name "
                    "another place."
                )
            stored = {}
        if overwrite:
            for path in (self.path, *results):
                pathlib.Path(path).unlink(missing_ok=True)
            return {}
        changed = differences(stored, parts, may_change) if stored else []
        if changed and present is not None:
            raise InputError(
                f"{self.folder} holds results of another run (see {self.path.name}): "
                f"{'; '.join(changed[:3])}; give --overwrite to replace them or name "
                "another place."
            )
        return {} if changed else stored

    def _stored(self, overwrite):
        """The record, None if there is none; refuses one of something else."""
        if not self.path.exists():
            return None
        try:
            stored = text_files.read_json(self.path, "the record of a run")
        except InputError:
            if overwrite:
                return {}
            raise InputError(
                f"{self.path} is damaged, so what made the results beside it is "
                "unknown; give --overwrite to replace them or name another place."
            ) from None
        program = stored.get("program") if isinstance(stored, dict) else None
        if program != self.program:
            of = f"a run of osmn {program}" if program else "something else"
            raise InputError(
                f"{self.path} is the record of {of}, not of osmn {self.program}; name "
                "another place for the results."
            )
        return stored

    def write(self, **more):
        """Writes the record.

        Args:
            **more: JSON values that are stored beside the parts.
        """
        files.write_json(
            self.path,
            {
                **self._content,
                "versions": provenance.versions(),
                "git_commit": provenance.git_commit(),
                **more,
            },
        )


def refuse_foreign(main, others, keys, program):
    """Results that are made anew every time replace their own kind alone.

    Args:
        main: the JSON file of the results.
        others: files beside it that are replaced too.
        keys: what the JSON file has if it is of this program.
        program: its name, such as "evaluate".

    Raises:
        InputError: files that something else made.
    """
    if not os.path.lexists(main):
        other = next((path for path in others if os.path.lexists(path)), None)
        if other is not None:
            raise InputError(
                f"{other} would be replaced, but there is no {main.name} of osmn "
                f"{program} beside it, so it is of something else; name another --out."
            )
        return
    try:
        stored = text_files.read_json(main, f"of osmn {program}")
    except InputError:
        stored = None
    if not isinstance(stored, dict) or not set(keys) <= set(stored):
        raise InputError(
            f"{main} would be replaced, but it is not of osmn {program}; name another "
            "--out."
        )


def differences(stored, parts, may_change=()):
    """How the parts of two runs differ, one text each.

    Args:
        stored: a record.
        parts: see `RunFolder.claim`.
        may_change: see there.

    Returns:
        list of str, empty if nothing does.
    """
    found = []
    for part, now in parts.items():
        before = stored.get(part)
        if not isinstance(now, dict) or not isinstance(before, dict):
            pairs = [(part, before, now)]
        else:
            pairs = [
                (f"{part} {key}", before.get(key), now.get(key))
                for key in {**before, **now}
                if key not in may_change
            ]
        found += [
            f"{name} {_short(there)} there, {_short(here)} now"
            for name, there, here in pairs
            if there != here
        ]
    return found


def _short(value, most=60):
    text = json.dumps(value)
    return text if len(text) <= most else f"{text[: most - 3]}..."
