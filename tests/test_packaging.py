"""What the package says about itself, and the wheel in a fresh environment."""

import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile

import pytest
import setuptools

import osmn_recurrent

ROOT = pathlib.Path(__file__).parents[1]
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_version_stands_in_one_place():
    version = osmn_recurrent.__version__
    assert importlib.metadata.version("osmn_recurrent") == version
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert "version" not in PROJECT["project"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\d\S+)", changes, re.MULTILINE)[0] == version


def test_only_the_library_is_packaged():
    found = setuptools.find_packages(
        ROOT, **PROJECT["tool"]["setuptools"]["packages"]["find"]
    )
    assert {name.split(".")[0] for name in found} == {
        "osmn_recurrent",
        "checkpoints_tools",
    }


def test_both_papers_are_cited():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert "1802.01218" in text
    assert "1806.05510" in text


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """A wheel of the checkout, built from a copy of what belongs into it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        source.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, source)
    for name in ("osmn_recurrent", "checkpoints_tools", "experiments"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    subprocess.run(
        [*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", folder, source],
        check=True,
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """Python of a fresh environment with the wheel, and nothing of the checkout.

    The packages that it depends on are those of this environment. Their own
    .pth files, and so a package installed in place, are not followed.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    subprocess.run(
        [*PIP, f"--python={python}", "install", "--no-deps", wheel],
        check=True,
    )
    return python


@pytest.mark.slow
def test_the_wheel_holds_the_library_and_its_data(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {
        "osmn_recurrent",
        "checkpoints_tools",
    }
    held = subprocess.run(
        ["git", "ls-files", "osmn_recurrent", "checkpoints_tools"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    assert [name for name in held if name and name not in names] == []


@pytest.mark.slow
def test_the_command_works_from_the_wheel(installed, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(*arguments):
        return subprocess.run(
            arguments,
            cwd=tmp_path,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    osmn = installed.parent / "osmn"
    assert run(osmn, "--version").split()[-1] == osmn_recurrent.__version__
    assert "--video" in run(osmn, "segment", "--help")
    place = "import osmn_recurrent; print(osmn_recurrent.__file__)"
    assert run(installed, "-c", place).startswith(str(installed.parents[1]))
    missing = "import importlib.util; print(importlib.util.find_spec('experiments'))"
    assert run(installed, "-c", missing) == "None\n"
