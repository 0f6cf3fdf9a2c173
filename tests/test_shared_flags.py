"""A flag means the same in every program that has it."""

import collections
import importlib

import pytest
from test_programs import PROGRAMS

from osmn_recurrent.cli import shared

USES = collections.defaultdict(dict)
for _name in PROGRAMS:
    _flags = importlib.import_module(_name).FLAGS
    for _flag in _flags:
        USES[_flag][_name] = _flags[_flag]

SHARED = sorted(name for name, programs in USES.items() if len(programs) > 1)


@pytest.mark.parametrize("name", SHARED)
def test_shared_flags_are_defined_once(name):
    """The help begins with the same sentence; values are of one kind, or lists."""
    assert name in shared.SHARED, sorted(USES[name])
    meaning, kinds = shared.SHARED[name], set()
    for program, flag in USES[name].items():
        text = " ".join(flag.help.split())
        text = text.partition(">: ")[2] if text.startswith("<") else text
        assert text.startswith(meaning.help), program
        kinds.add(flag.flag_type())
    assert len(kinds - {"multi string"}) <= 1


@pytest.mark.parametrize("name", sorted(shared.SHARED))
def test_what_is_called_shared_is_shared(name):
    assert len(USES[name]) > 1, f"--{name} is a flag of {list(USES[name])} alone"


@pytest.mark.parametrize(
    "name", ["set", "year", "model_options", "iterations", "size", "results_json"]
)
def test_names_that_were_given_up_stay_so(name):
    assert not USES.get(name)


def test_choices_are_the_same_everywhere():
    for name in SHARED:
        values = {
            tuple(flag.parser.enum_values)
            for flag in USES[name].values()
            if hasattr(flag.parser, "enum_values")
        }
        assert len(values) <= 1, name
