"""The examples in public docstrings give what they say."""

import doctest
import importlib

import pytest

import checkpoints_tools
import osmn_recurrent

PUBLIC = {
    f"{package.__name__}.{module}": sorted(
        name for name in package._MODULES if package._MODULES[name] == module
    )
    for package in (osmn_recurrent, checkpoints_tools)
    for module in sorted(set(package._MODULES.values()))
}


@pytest.mark.parametrize("module", PUBLIC)
def test_examples_run(module):
    failed, _ = doctest.testmod(importlib.import_module(module))
    assert failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    shown = {
        name
        for module, names in PUBLIC.items()
        for name in names
        if any(
            test.examples
            for test in finder.find(
                getattr(importlib.import_module(module), name), name
            )
        )
    }
    assert {
        "VideoSegmenter",
        "build_model",
        "contour_accuracy",
        "example_clip",
        "lovasz_hinge",
        "region_similarity",
        "spatial_guide",
        "visual_guide",
        "write_mask",
    } <= shown
