"""Public names say the types of what they take and give; mypy checks them in lint."""

import importlib
import inspect
import pathlib
import tomllib

import pytest

import checkpoints_tools
import osmn_recurrent

ROOT = pathlib.Path(__file__).parents[1]
PUBLIC = [
    (package, name)
    for package in (osmn_recurrent, checkpoints_tools)
    for name in package._MODULES
]


def functions_of(value):
    """`(name, function)` of a public name: itself, or its own public methods."""
    if not isinstance(value, type):
        return [(value.__name__, value)]
    found = []
    for name, member in vars(value).items():
        member = getattr(member, "__func__", getattr(member, "fget", member))
        own = inspect.isfunction(member) and member.__module__ == value.__module__
        if own and (name == "__init__" or not name.startswith("_")):
            found.append((f"{value.__name__}.{name}", member))
    return found


@pytest.mark.parametrize(("package", "name"), PUBLIC)
def test_public_names_have_hints(package, name):
    missing = []
    for title, function in functions_of(getattr(package, name)):
        if function.__qualname__.endswith("__create_fn__.<locals>.__init__"):
            continue  # of a dataclass, whose fields have them
        signature = inspect.signature(function)
        if signature.return_annotation is signature.empty:
            missing.append(f"{title}: what it returns")
        for parameter in signature.parameters.values():
            if parameter.name not in ("self", "cls"):
                if parameter.annotation is parameter.empty:
                    missing.append(f"{title}: {parameter.name}")
    assert not missing


def test_the_checker_is_set_up_for_both_packages():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]
    assert settings["packages"] == ["osmn_recurrent", "checkpoints_tools"]
    assert settings["disallow_incomplete_defs"]
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    assert "-m mypy" in lint
    for package in settings["packages"]:
        folder = pathlib.Path(importlib.import_module(package).__file__).parent
        assert (folder / "py.typed").is_file()
