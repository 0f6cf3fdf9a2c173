"""Writing files so that a broken-off run never leaves half of one behind."""

import contextlib
import json
import os
import pathlib
import tempfile

from osmn_recurrent.errors import InputError


@contextlib.contextmanager
def replace_when_done(path):
    """Gives a temporary path beside `path`, moved over it on success.

    Args:
        path: the final file. Missing parent folders are made.

    Yields:
        `pathlib.Path` of a file in the same folder and with the same suffixes
        (encoders choose their format by them). If the block raises, the
        temporary file is removed and `path` stays as it was.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = "".join(path.suffixes)
    handle, name = tempfile.mkstemp(
        prefix=f".{path.name.removesuffix(suffix)}-", suffix=suffix, dir=path.parent
    )
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
        # mkstemp makes private files; results are meant to be shared.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
    if pathlib.Path(path).exists() and not overwrite:
        raise InputError(
            f"{path} exists already; give --overwrite to replace it or name "
            "another place."
        )
