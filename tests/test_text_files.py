"""Texts in the encodings that people's programs write."""

import codecs
import json

import pytest

from osmn_recurrent import text_files
from osmn_recurrent.errors import InputError

TEXT = "caf\u00e9\r\nseq\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("cp1252"),
        TEXT.encode("latin-1"),
    ],
)
def test_encodings(tmp_path, content):
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    assert text_files.read_text(path) == TEXT


def test_short_and_odd_contents(tmp_path):
    path = tmp_path / "list.txt"
    for content, text in ((b"", ""), (b"a", "a"), (b"\x81\xe9", "\x81\u00e9")):
        path.write_bytes(content)
        assert text_files.read_text(path) == text
    path.write_bytes(b"ab\0\0\0c")
    with pytest.raises(InputError, match="list.txt is no text .*; save it as UTF-8"):
        text_files.read_text(path)
    with pytest.raises(InputError, match="gone: no such file"):
        text_files.read_text(tmp_path / "gone")
    with pytest.raises(InputError, match="cannot be read"):
        text_files.read_text(tmp_path)


def test_json(tmp_path):
    path = tmp_path / "meta.json"
    value = {"a": [1, "caf\u00e9"]}
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        path.write_bytes(json.dumps(value, ensure_ascii=False).encode(encoding))
        assert text_files.read_json(path, "a meta.json") == value
    for bad in ("{", "[" * 100_000):
        path.write_text(bad)
        with pytest.raises(InputError, match="is not a meta.json: it is no JSON"):
            text_files.read_json(path, "a meta.json")
