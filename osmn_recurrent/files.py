"""Writing files: whole or not at all, never over what a run is made from.

A file is written under a temporary name beside its place and then moved. The
temporary name tells that it is ours, and a lock on the file (which the system
lets go of when its process ends, however it ends) tells whether anybody still
writes it; `sweep` removes those that a killed run left behind.
"""

import contextlib
import errno
import fcntl
import json
import os
import pathlib
import re
import shutil
import stat
import tempfile

from osmn_recurrent.errors import InputError

_MARK = ".osmn-unfinished-"
_UNFINISHED = re.compile(re.escape(_MARK) + r"[a-z0-9_]{8}(\..*)?")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
"""What file systems say that have no locks."""


@contextlib.contextmanager
def replace_when_done(path):
    """Gives a temporary path beside `path`, moved over it on success.

    Args:
        path: the final file. Missing parent folders are made.

    Yields:
        `pathlib.Path` of a file in the same folder and with the same last two
        suffixes (encoders choose their format by them). If the block raises,
        the temporary file is removed and `path` stays as it was.

    Raises:
        InputError: the place cannot be written, or the disk is full.
    """
    path = pathlib.Path(path)
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _refuse_odd(path)
        temporary, lock = _unfinished_file(path)
    try:
        with no_room_explained(path):
            yield temporary
        with _explained(path):
            # mkstemp makes private files; results are meant to be shared.
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
        os.close(lock)


@contextlib.contextmanager
def folder_when_done(path):
    """Gives a temporary folder beside `path`, moved to `path` on success.

    What is at `path` is removed then. Otherwise like `replace_when_done`.
    """
    path = pathlib.Path(path)
    with scratch_folder(path.parent, path) as temporary:
        yield temporary
        with _explained(path):
            os.chmod(temporary, 0o777 & ~_umask())
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            os.replace(temporary, path)


@contextlib.contextmanager
def scratch_folder(parent, path=None):
    """Gives a temporary folder in `parent`, which is removed at the end.

    For files that belong together and are moved to their places when all are
    done.

    Args:
        parent: folder, made if missing.
        path: what is written, for errors. Default: `parent`.

    Yields:
        `pathlib.Path`.

    Raises:
        InputError: the place cannot be written, or the disk is full.
    """
    parent = pathlib.Path(parent)
    path = path or parent
    with _explained(path):
        parent.mkdir(parents=True, exist_ok=True)
        temporary = pathlib.Path(tempfile.mkdtemp(prefix=_MARK, dir=parent))
        lock = os.open(temporary, os.O_RDONLY)
        _try_lock(lock)
    try:
        with no_room_explained(path):
            yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os.close(lock)


def _unfinished_file(path):
    """`(path, descriptor that holds its lock)` of a new file beside `path`."""
    suffix = "".join(path.suffixes[-2:])
    while True:
        lock, name = tempfile.mkstemp(prefix=_MARK, suffix=suffix, dir=path.parent)
        # HDF5 locks its files itself and would wait for ours.
        if suffix.endswith((".h5", ".hdf5")):
            return pathlib.Path(name), lock
        _try_lock(lock)
        if os.fstat(lock).st_nlink:  # not swept up before it was locked
            return pathlib.Path(name), lock
        os.close(lock)


def _try_lock(descriptor):
    """Locks an open file; False if another one holds the lock.

    On a file system without locks the answer is True.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True


def sweep(folder, levels=0):
    """Removes what killed runs left unfinished in a folder.

    Only files and folders that `replace_when_done` and `folder_when_done` made
    and that nobody writes any more; never anything else.

    Args:
        folder: may be missing.
        levels: how many levels of sub-folders are looked at too.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if levels and entry.is_dir(follow_symlinks=False):
            sweep(entry.path, levels - 1)
        if not _UNFINISHED.fullmatch(entry.name) or entry.is_symlink():
            continue
        with contextlib.suppress(OSError):
            lock = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                # Without an answer from the file system it stays.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if stat.S_ISDIR(os.fstat(lock).st_mode):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)
            finally:
                os.close(lock)


@contextlib.contextmanager
def no_room_explained(path):
    """Turns "the disk is full", whoever says so, into an error about `path`.

    TensorFlow, HDF5 and others raise kinds of their own; the system's words
    for it are in all of them.

    Raises:
        InputError: there is no room; other errors stay what they are.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        number = getattr(error, "errno", None)
        words = [os.strerror(n) for n in _FULL if os.strerror(n) in str(error)]
        if number not in _FULL and not words:
            raise
        reason = words[0] if words else os.strerror(number)
        raise InputError(
            f"{path} cannot be written ({reason}); make room or name another place, "
            "and run the command again."
        ) from None


@contextlib.contextmanager
def _explained(path):
    """Turns errors of the file system into `InputError`s about `path`."""
    try:
        yield
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise _not_written(path, error) from None


def _not_written(path, error):
    """`InputError` that says why `path` cannot be written."""
    number = getattr(error, "errno", None)
    reason = getattr(error, "strerror", None) or str(error)
    place = getattr(error, "filename", None)
    if number in (errno.ENOTDIR, errno.EEXIST) and place:
        first = next(p for p in (path, *path.parents) if p.exists())
        if not first.is_dir():
            reason = f"{first} is a file, not a folder"
    return InputError(
        f"{path} cannot be written ({reason}); make room or name another place."
    )


def _refuse_odd(path):
    """A folder or a device is not replaced by a file."""
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no regular file"
        raise InputError(f"{path} is {kind}, expected the name of a file to write.")


def check_output(path, folder=False):
    """Refuses, before work starts, a place that cannot be written.

    Tries it, which is the only sure way, and leaves nothing behind; also
    sweeps up what killed runs left there (see `sweep`).

    Args:
        path: a result's file, or the folder for results.
        folder: which of the two.

    Raises:
        InputError: why it cannot be written.
    """
    path, made = pathlib.Path(path), []
    with _explained(path):
        if folder and path.exists() and not path.is_dir():
            raise InputError(f"{path} is a file, expected a folder for the results.")
        if not folder:
            _refuse_odd(path)
        place = path if folder else path.parent
        try:
            make_folders(place, made)
            if not folder:
                with contextlib.suppress(FileNotFoundError):
                    os.stat(path)
            descriptor, name = tempfile.mkstemp(prefix=_MARK, dir=place)
            os.close(descriptor)
            os.unlink(name)
        finally:
            remove_empty(made)
    sweep(place)


def make_folders(path, made):
    """Makes a folder and those above it; those that are new are added to `made`."""
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        made.append(each)
    if missing and not missing[0].is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(missing[0]))


def remove_empty(made):
    """Removes folders again, last one first, that have stayed empty."""
    for each in reversed(made):
        with contextlib.suppress(OSError):
            each.rmdir()


def _umask():
    value = os.umask(0)
    os.umask(value)
    return value


def write_text(path, text):
    """Writes `text` (str, stored as UTF-8) to `path` in one move."""
    with replace_when_done(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, value):
    """Writes `value` as indented JSON to `path` in one move."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def refuse_to_overwrite(path, overwrite):
    """Raises `InputError` if `path` exists and `overwrite` is false."""
    if os.path.lexists(path) and not overwrite:
        raise InputError(
            f"{path} exists already; give --overwrite to replace it or name "
            "another place."
        )


def refuse_inputs(outputs, inputs, removed=()):
    """Refuses results that would replace, or lie among, what they are made from.

    Files are compared as the file system knows them: other spellings, links
    and names in other cases are the same file.

    Args:
        outputs: files that will be written, and folders that files will be
            written into. An output that is an input is refused, and an output
            folder that an input lies directly in.
        inputs: files and folders that are read.
        removed: files and folders that will be removed with all that is in
            them; no input may be.

    Raises:
        InputError: naming both.
    """
    above, beside, own = {}, {}, {}
    for each in inputs:
        real = pathlib.Path(os.path.realpath(each))
        if _identity(real) is None:
            continue
        own[_identity(real)] = each
        if not real.is_dir():
            beside[_identity(real.parent)] = each
        for place in (real, *real.parents):
            if _identity(place) in above:
                break  # and so is all that is above it
            above[_identity(place)] = each
    for group, known in ((outputs, own | beside), (removed, above)):
        for each in group:
            identity = _identity(each)
            if identity is None or identity not in known:
                continue
            what = f"is where {known[identity]} lies, which this run reads"
            if identity in own:
                what = "is what this run reads"
            raise InputError(f"{each} {what}; name another place for the results.")


def _identity(path):
    """What the file system knows an existing file by; None for another."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
