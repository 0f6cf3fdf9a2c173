"""Where a result comes from: versions and commit, for `run.json`."""

import functools
import importlib.metadata
import os
import pathlib
import platform
import subprocess

PACKAGES = ("tensorflow", "keras", "jax", "numpy", "pillow", "opencv-python", "av")


def versions():
    """`{"python": ..., package: version}`, without what is not installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def git_commit():
    """Commit of this project's checkout, or None where it is installed.

    A repository that merely surrounds the installed package (a virtual
    environment within somebody's project), or that the environment names, is
    not it. "-dirty" is added when tracked files were changed since.
    """
    root = pathlib.Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    own = pathlib.Path(__file__).resolve().relative_to(root)
    if _git(root, "ls-files", "--error-unmatch", str(own)) is None:
        return None
    return _git(root, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(root, *arguments):
    """What git answers about the repository at `root`, or None."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        result = subprocess.run(
            ["git", *arguments],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # no git on this machine
        return None
    return result.stdout.strip() or None if result.returncode == 0 else None
