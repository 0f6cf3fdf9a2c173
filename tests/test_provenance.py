"""The commit of the project itself, not of whatever repository is around it."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

import osmn_recurrent

PACKAGE = pathlib.Path(osmn_recurrent.__file__).parent
CODE = "from osmn_recurrent import provenance; print(provenance.git_commit())"


def git(folder, *arguments):
    """Runs git in a folder; gives its output."""
    names = ("-c", "user.name=a", "-c", "user.email=a@b")
    result = subprocess.run(
        ["git", *names, *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return result.stdout.strip()


@pytest.fixture
def place(tmp_path):
    """A folder with the package's light part in it."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    for name in ("__init__.py", "provenance.py"):
        target = tmp_path / "a" / "b" / "osmn_recurrent" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE / name, target)
    return tmp_path


def commit_of(root, cwd=None, **more):
    """What the package in `root` names as its commit."""
    result = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "PYTHONPATH": str(root), **more},
        cwd=cwd or root,
        check=True,
        capture_output=True,
        text=True,
    )
    return result.stdout.strip()


def test_a_surrounding_repository_is_not_it(place):
    root = place / "a" / "b"
    git(place, "init", "-q")
    (place / "mine.txt").write_text("mine")
    git(place, "add", "mine.txt")
    git(place, "commit", "-qm", "mine")
    assert commit_of(root, place) == "None"
    assert commit_of(root, GIT_DIR=str(place / ".git")) == "None"
    # Not even one in the same place, where it does not hold the package.
    shutil.move(place / ".git", root / ".git")
    assert commit_of(root) == "None"


def test_its_own_repository_is(place):
    root = place / "a" / "b"
    git(root, "init", "-q")
    git(root, "add", "osmn_recurrent/__init__.py", "osmn_recurrent/provenance.py")
    git(root, "commit", "-qm", "first")
    commit = git(root, "rev-parse", "HEAD")
    assert commit_of(root, place) == commit
    other = place / "other"
    other.mkdir()
    git(other, "init", "-q")
    assert commit_of(root, other) == commit
    assert commit_of(root, other, GIT_DIR=str(other / ".git")) == commit
    with open(root / "osmn_recurrent" / "provenance.py", "a") as file:
        file.write("\n")
    assert commit_of(root, place) == f"{commit}-dirty"
