"""The house rules hold, and the test that says so can fail."""

import pathlib
import subprocess
import sys

import pytest
from architecture import faults_of_tree

ROOT = pathlib.Path(__file__).parents[1]


def test_the_house_rules_hold():
    assert faults_of_tree(ROOT) == []


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        (
            "osmn_recurrent/models/osmn.py",
            "import tensorflow as tf",
            "osmn_recurrent.models.osmn: 1: tensorflow in a room that is Keras only",
        ),
        (
            "osmn_recurrent/models/osmn.py",
            "from ..training import pipeline",
            "osmn_recurrent.models.osmn: 1: osmn_recurrent.models imports "
            "osmn_recurrent.training",
        ),
        (
            "osmn_recurrent/inference/segmenter.py",
            "def late():\n    '''.'''\n    import osmn_recurrent.metrics.davis_scores",
            "osmn_recurrent.inference.segmenter: 3: osmn_recurrent.inference imports "
            "osmn_recurrent.metrics",
        ),
        (
            "checkpoints_tools/names.py",
            "from experiments import train",
            "checkpoints_tools.names: 1: imports experiments",
        ),
        (
            "osmn_recurrent/guides.py",
            "from absl import flags",
            "osmn_recurrent.guides: 1: flags are read in programs only",
        ),
        (
            "osmn_recurrent/utils.py",
            "",
            "osmn_recurrent.utils: a name that says nothing",
        ),
        ("osmn_recurrent/a.py", "\n" * 501, "osmn_recurrent.a: 501 lines"),
        (
            "osmn_recurrent/a.py",
            "def _f():\n" + "    pass\n" * 80,
            "osmn_recurrent.a: 1: _f has 81 lines of code",
        ),
        (
            "osmn_recurrent/a.py",
            "def f(): pass",
            "osmn_recurrent.a: 1: f has no docstring",
        ),
        (
            "osmn_recurrent/a.py",
            "X = '" + "/home/me'",
            "osmn_recurrent.a: 1: a path of one machine",
        ),
    ],
)
def test_a_broken_rule_is_found(tmp_path, path, text, fault):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text)
    assert fault in faults_of_tree(tmp_path)


def test_a_circle_is_found(tmp_path):
    room = tmp_path / "osmn_recurrent" / "models"
    room.mkdir(parents=True)
    (room / "a.py").write_text("from osmn_recurrent.models import b")
    (room / "b.py").write_text("from osmn_recurrent.models.a import b")
    assert faults_of_tree(tmp_path) == [
        "circle: osmn_recurrent.models.a > osmn_recurrent.models.b > "
        "osmn_recurrent.models.a"
    ]


def test_an_import_of_nothing_is_found(tmp_path):
    room = tmp_path / "osmn_recurrent" / "models"
    room.mkdir(parents=True)
    (room / "a.py").write_text("if True:\n    SIZE = 1")
    (room / "b.py").write_text(
        "from osmn_recurrent.models.a import SIZE\n"
        "if SIZE:\n    from osmn_recurrent.models.a import WIDTH"
    )
    assert faults_of_tree(tmp_path) == [
        "osmn_recurrent.models.b: 3: there is no osmn_recurrent.models.a.WIDTH"
    ]


def test_a_name_of_two_modules_is_found(tmp_path):
    for path in ("osmn_recurrent/metrics", "osmn_recurrent/cli", "experiments"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "experiments/train.py").touch()
    (tmp_path / "osmn_recurrent/cli/train.py").touch()
    assert faults_of_tree(tmp_path) == []
    (tmp_path / "osmn_recurrent/metrics/train.py").touch()
    assert faults_of_tree(tmp_path) == [
        "train: the name of experiments.train and osmn_recurrent.cli.train and "
        "osmn_recurrent.metrics.train"
    ]


def test_importing_the_package_is_light():
    code = (
        "import osmn_recurrent, checkpoints_tools, sys;"
        "import osmn_recurrent.metrics.davis_scores;"
        "assert not {'tensorflow', 'keras', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_every_public_name_exists():
    import osmn_recurrent

    for name in osmn_recurrent.__all__:
        assert getattr(osmn_recurrent, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        osmn_recurrent.nothing  # noqa: B018
