"""Reading text and JSON as people's programs write them.

Lists and JSON files come in UTF-8, with a byte order mark from Windows'
Notepad, in UTF-16 from PowerShell, in Windows-1252 from old editors.
"""

import codecs
import json
import pathlib

from osmn_recurrent.errors import InputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Those of four bytes first: UTF-32's little-endian mark begins as UTF-16's."""


def read_text(path):
    """The text of a file, whatever its encoding.

    A byte order mark says which it is. Without one it is UTF-8, or UTF-16
    where every other byte of the beginning is zero, or, where it is no valid
    UTF-8, Windows-1252.

    Args:
        path: the file.

    Returns:
        str, without the mark.

    Raises:
        InputError: a missing or unreadable file, or no text.
    """
    path = pathlib.Path(path)
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None
    except UnicodeError as error:
        raise InputError(
            f"{path} is no text in UTF-8, UTF-16 or Windows-1252 ({error}); save it "
            "as UTF-8."
        ) from None


def decode(content):
    """Text of bytes, see `read_text`.

    Raises:
        UnicodeError: no text.
    """
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), None)
    if encoding is None:
        start = content[:64]
        if start and not any(start[1::2]) and len(start) > 1:
            encoding = "utf-16-le"
        elif start and not any(start[::2]) and len(start) > 1:
            encoding = "utf-16-be"
    if encoding is not None:
        return content.decode(encoding)
    if b"\0" in content:
        raise UnicodeError("it holds zero bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        # Five bytes mean nothing there; ISO 8859-1 takes them all.
        try:
            return content.decode("cp1252")
        except UnicodeDecodeError:
            return content.decode("latin-1")


def read_json(path, expected):
    """The value in a JSON file.

    Args:
        path: the file; see `read_text` for encodings.
        expected: what it should be, for the error: "a results.json of osmn
            benchmark".

    Returns:
        The value.

    Raises:
        InputError: a missing file, or no JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path} is not {expected}: it is no JSON ({error})."
        ) from None
