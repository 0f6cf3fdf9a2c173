"""Files appear whole or not at all, and nothing that is read is replaced."""

import errno
import json
import os
import signal
import subprocess
import sys

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


@pytest.mark.parametrize("kind", [RuntimeError, KeyError, OSError])
def test_other_packages_words_for_a_full_disk(tmp_path, kind):
    message = "result.h5 cannot be written .No space left on device.; make room"
    with pytest.raises(InputError, match=message):
        with files.replace_when_done(tmp_path / "result.h5"):
            raise kind("write failed: errno = 28, No space left on device [Op:SaveV2]")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_sentence(tmp_path, number):
    path = tmp_path / "result.txt"
    message = "result.txt cannot be written .*make room or name another place"
    with pytest.raises(InputError, match=message):
        with files.replace_when_done(path):
            raise OSError(number, os.strerror(number))
    with pytest.raises(InputError, match=message):
        with files.folder_when_done(tmp_path / "result.txt"):
            raise OSError(number, os.strerror(number))
    assert os.listdir(tmp_path) == []


def test_other_errors_of_the_block_stay(tmp_path):
    with pytest.raises(FileNotFoundError), files.replace_when_done(tmp_path / "a"):
        open(tmp_path / "gone")


def test_long_names_and_many_dots(tmp_path):
    for name in ("x" * 251 + ".png", "a.b.c.d.weights.h5", "00000.5.png"):
        files.write_text(tmp_path / name, "x")
        assert (tmp_path / name).read_text() == "x"


def test_a_folder_appears_when_it_is_done(tmp_path):
    path = tmp_path / "deep" / "result"
    for text in ("one", "two"):
        with files.folder_when_done(path) as temporary:
            (temporary / f"{text}.txt").write_text(text)
        assert os.listdir(path) == [f"{text}.txt"]
    with pytest.raises(RuntimeError), files.folder_when_done(path):
        raise RuntimeError
    assert os.listdir(path.parent) == ["result"]
    assert os.listdir(path) == ["two.txt"]


def test_json_and_refusal(tmp_path):
    path = tmp_path / "a.json"
    files.write_json(path, {"x": [1, None]})
    assert json.loads(path.read_text()) == {"x": [1, None]}
    files.refuse_to_overwrite(path, overwrite=True)
    files.refuse_to_overwrite(tmp_path / "other", overwrite=False)
    with pytest.raises(InputError, match="a.json exists already; give --overwrite"):
        files.refuse_to_overwrite(path, overwrite=False)
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(InputError, match="exists already"):
        files.refuse_to_overwrite(tmp_path / "link", overwrite=False)


def places(folder):
    """`(path, whether a folder is wanted)` of places that cannot be written."""
    (folder / "file").write_text("a file")
    (folder / "folder").mkdir()
    (folder / "circle").symlink_to("circle")
    for folder_wanted in (False, True):
        yield folder / "file" / "deep" / "er", folder_wanted
        yield folder / ("x" * 300), folder_wanted
        yield folder / "new" / ("x" * 300) / "y", folder_wanted
        yield folder / "a\0b", folder_wanted
        yield folder / "circle" / "a", folder_wanted
        yield "/proc/nothing/a", folder_wanted
    yield folder / "file", True
    yield folder / "folder", False
    yield "/dev/null", False


def test_places_that_cannot_be_written(tmp_path):
    count = 0
    for path, folder in places(tmp_path):
        with pytest.raises(InputError, match="cannot be written|is a|no regular"):
            files.check_output(path, folder)
        if not folder:
            with pytest.raises(InputError):
                files.write_text(path, "x")
        count += 1
    assert count == 15
    assert {"circle", "file", "folder"} <= set(os.listdir(tmp_path))
    assert set(os.listdir(tmp_path)) <= {"circle", "file", "folder", "new"}
    assert (tmp_path / "file").read_text() == "a file"


def test_a_check_leaves_nothing_behind(tmp_path):
    files.check_output(tmp_path / "a" / "b", folder=True)
    files.check_output(tmp_path / "a" / "b" / "c.html")
    files.check_output(tmp_path, folder=True)
    assert os.listdir(tmp_path) == []


WRITER = """
import sys, time
from osmn_recurrent import files
with files.replace_when_done(sys.argv[1] + "/a.webm") as one:
    with files.folder_when_done(sys.argv[1] + "/b") as two:
        one.write_text("half")
        (two / "c").write_text("half")
        print("begun", flush=True)
        time.sleep(60)
"""


def test_leftovers_are_swept_when_their_owner_is_dead(tmp_path):
    foreign = [".osmn-unfinished-mine", ".a-abcdefgh.webm", "osmn-unfinished-abcdefgh"]
    for name in foreign:
        (tmp_path / name).write_text("the user's own")
    (tmp_path / ".osmn-unfinished-abcdefgh").symlink_to(tmp_path / foreign[0])
    before = sorted(os.listdir(tmp_path))
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert writer.stdout.readline() == "begun\n"
        begun = sorted(os.listdir(tmp_path))
        assert len(begun) == len(before) + 2
        files.sweep(tmp_path)
        assert sorted(os.listdir(tmp_path)) == begun  # it still writes
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    assert sorted(os.listdir(tmp_path)) == begun
    files.check_output(tmp_path / "a.webm")
    assert sorted(os.listdir(tmp_path)) == before
    files.sweep(tmp_path / "missing")


def test_sub_folders_are_swept_where_asked_for(tmp_path):
    for place in (tmp_path, tmp_path / "a", tmp_path / "a" / "b"):
        place.mkdir(exist_ok=True)
        (place / ".osmn-unfinished-abcdefgh.png").write_text("half")
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    (tmp_path / "out" / "kept").write_text("x")
    files.sweep(tmp_path, levels=1)
    left = [str(p.relative_to(tmp_path)) for p in tmp_path.rglob(".osmn*")]
    assert left == ["a/b/.osmn-unfinished-abcdefgh.png"]
    assert (tmp_path / "link" / "kept").exists()


def test_inputs_are_no_outputs(tmp_path):
    folder = tmp_path / "frames" / "clip"
    folder.mkdir(parents=True)
    frame = folder / "00000.jpg"
    frame.write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "frames")
    os.link(frame, tmp_path / "hard.jpg")
    (tmp_path / "other").mkdir()
    inputs = [frame, tmp_path / "gone"]
    files.refuse_inputs(
        [tmp_path / "other", tmp_path / "new", folder / "00000.png"], inputs
    )
    files.refuse_inputs([frame], [])
    for output in (
        frame,
        folder,
        tmp_path / "link" / "clip",
        tmp_path / "other" / ".." / "frames" / "clip" / "00000.jpg",
        tmp_path / "hard.jpg",
    ):
        with pytest.raises(InputError, match="name another place for the results"):
            files.refuse_inputs([tmp_path / "other", output], inputs)
        with pytest.raises(InputError, match="name another place for the results"):
            files.refuse_inputs([], inputs, [tmp_path / "other", output])
    # What is to be removed must not hold one at any depth.
    for output in (tmp_path / "frames", tmp_path / "link", tmp_path):
        files.refuse_inputs([output], inputs)
        with pytest.raises(InputError, match="is where .*00000.jpg lies"):
            files.refuse_inputs([], inputs, [output])
