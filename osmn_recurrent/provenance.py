"""Where a result comes from: versions and commit, for `run.json`."""

import importlib.metadata
import pathlib
import platform
import subprocess

PACKAGES = ("tensorflow", "keras", "jax", "numpy", "pillow", "opencv-python")


def versions():
    """`{"python": ..., package: version}`, without what is not installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_commit():
    """Commit of the checkout this code lies in, or None outside of one.

    "-dirty" is added when tracked files were changed since.
    """
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=pathlib.Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:  # no git on this machine
        return None
    return result.stdout.strip() or None
