"""Files appear whole or not at all."""

import json
import os

import pytest

from osmn_recurrent import files
from osmn_recurrent.errors import InputError


def test_a_file_appears_when_it_is_done(tmp_path):
    path = tmp_path / "deep" / "result.txt"
    with files.replace_when_done(path) as temporary:
        temporary.write_text("new")
        assert temporary.suffix == ".txt"
        assert temporary.parent == path.parent
        assert not path.exists()
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["result.txt"]
    assert path.stat().st_mode & 0o444 == 0o444


def test_what_exists_stays_when_writing_fails(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.replace_when_done(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.txt"]


def test_json_and_refusal(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"x": [1, None]})
    assert json.loads(path.read_text()) == {"x": [1, None]}
    files.refuse_to_overwrite(path, overwrite=True)
    files.refuse_to_overwrite(tmp_path / "other", overwrite=False)
    with pytest.raises(InputError, match="a.json exists already; give --overwrite"):
        files.refuse_to_overwrite(path, overwrite=False)
