"""Names out of files stay inside their folder."""

import pathlib

import pytest

from osmn_recurrent import names
from osmn_recurrent.errors import InputError


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("bear", "data/bear"),
        ("a/b.jpg", "data/a/b.jpg"),
        ("a//b/./c", "data/a/b/c"),
        ("with space", "data/with space"),
        ("..bear", "data/..bear"),
        ("bear..", "data/bear.."),
        ("caf\u00e9 \u89c6", "data/caf\u00e9 \u89c6"),
        ("=1+1", "data/=1+1"),
    ],
)
def test_good_names(name, place):
    assert names.inside("data", name, "list.txt") == pathlib.Path(place)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("..", "leads out of its folder"),
        ("../x", "leads out of its folder"),
        ("a/../../x", "leads out of its folder"),
        ("x /../../../../outside/seq", "leads out of its folder"),
        ("a\\..\\..\\x", "leads out of its folder"),
        ("/etc/passwd", "begins at the root of a disk"),
        ("\\\\server\\share", "begins at the root of a disk"),
        ("C:\\x", "begins at the root of a disk"),
        ("c:x", "begins at the root of a disk"),
        ("", "is empty"),
        ("  ", "is empty"),
        (".", "is empty"),
        ("a\0b", "has characters that cannot be printed"),
        ("a\x1b[31m", "has characters that cannot be printed"),
        ("a\nb", "has characters that cannot be printed"),
        ("a\ud800", "has characters that cannot be printed"),
        ("a" * 256, "is too long for a file"),
        ("\u00e9" * 128, "is too long for a file"),
        (None, "is no text"),
        (3, "is no text"),
        (["a"], "is no text"),
    ],
)
def test_bad_names(name, fault):
    with pytest.raises(InputError, match="^list.txt names ") as caught:
        names.inside("data", name, "list.txt")
    assert fault in str(caught.value)
    assert names.printable(str(caught.value)) == str(caught.value)
    with pytest.raises(InputError, match="^list.txt names "):
        names.single(name, "list.txt")


def test_single_parts():
    assert names.single("00000", "meta.json") == "00000"
    with pytest.raises(InputError, match="has several parts"):
        names.single("a/b", "meta.json")


def test_printable():
    assert names.printable("a\x1b]0;b\x07\x9bc\n\t\u00e9\u89c6") == (
        "a\\x1b]0;b\\x07\\x9bc\n\t\u00e9\u89c6"
    )
