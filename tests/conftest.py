"""Shared fixtures. Data outside the project is found by OSMN_TEST_DATA."""

import os
import pathlib

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@pytest.fixture(scope="session")
def test_data():
    """Folder with `data/` and `golden/`, or a skip with the reason."""
    folder = os.environ.get("OSMN_TEST_DATA")
    if not folder:
        pytest.skip("OSMN_TEST_DATA is unset: no data outside the project")
    return pathlib.Path(folder)
