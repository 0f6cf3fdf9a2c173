"""Names that come out of files: kept inside their folder, fit to be printed.

Lists of sequences, meta.json, COCO's annotations, archives and other files name
files and folders. A name that leads elsewhere ("../x", "/etc") must not be read
and still less be written. Every such name goes through `inside`.
"""

import os
import pathlib
import re
import unicodedata

from osmn_recurrent.errors import InputError

_DRIVE = re.compile(r"[A-Za-z]:")
_KEPT = "\n\t"


def inside(folder, name, source):
    """The place in `folder` that a name out of a file stands for.

    Args:
        folder: path that the name belongs under.
        name: what the file says; parts are set apart by "/".
        source: the file that says it, for the error.

    Returns:
        `pathlib.Path` below `folder`. Links that lie there are followed by
        whoever opens it: they are the user's own.

    Raises:
        InputError: no text, an empty or absolute name, one with ".." in it,
            with characters that are not printed, or that no file can have.
    """
    fault = _fault(name)
    if fault:
        raise InputError(
            f"{source} names {printable(repr(name))[:200]}, which {fault}; expected "
            f"the name of something in {folder or 'the data set'}."
        )
    return pathlib.Path(folder, *pathlib.PurePosixPath(name).parts)


def single(name, source):
    """A name out of a file that must be one part of a path, without "/".

    Args:
        name: what the file says.
        source: the file that says it, for the error.

    Returns:
        `name`.

    Raises:
        InputError: see `inside`; also a name of several parts.
    """
    fault = _fault(name)
    if not fault and "/" in name:
        fault = "has several parts"
    if fault:
        raise InputError(
            f"{source} names {printable(repr(name))[:200]}, which {fault}; expected a "
            'name without "/".'
        )
    return name


def _fault(name):
    """What is wrong with a name, or None."""
    if not isinstance(name, str):
        return "is no text"
    if not name.strip() or not pathlib.PurePosixPath(name).parts:
        return "is empty"
    if name.startswith(("/", "\\")) or _DRIVE.match(name):
        return "begins at the root of a disk"
    if ".." in name.replace("\\", "/").split("/"):
        return "leads out of its folder"
    if not name.isprintable() and (printable(name) != name or set(name) & set(_KEPT)):
        return "has characters that cannot be printed"
    if any(len(os.fsencode(part)) > 255 for part in name.split("/")):
        return "is too long for a file"
    return None


def printable(text):
    """Text without characters that steer a terminal: they are written out.

    Args:
        text: str.

    Returns:
        `text`, in which control characters but for line ends and tabs, and
        halves of surrogate pairs, are replaced by such as "\\x1b".
    """
    return "".join(
        each
        if each in _KEPT or unicodedata.category(each) not in ("Cc", "Cs")
        else each.encode("unicode_escape").decode("ascii")
        for each in text
    )
