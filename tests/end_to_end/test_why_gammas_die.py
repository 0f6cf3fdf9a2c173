"""The experiment about dying modulators: its figures, its rates, one short run."""

import json

import numpy as np
import pytest

from experiments import why_gammas_die
from osmn_recurrent import programs
from osmn_recurrent.training import optimizers

FLAGS = why_gammas_die.FLAGS


@pytest.fixture(autouse=True)
def defaults():
    """Flags as a new process has them."""
    for name in FLAGS:
        FLAGS[name].unparse()
    FLAGS(["test", "--out=unused"])


def test_mean_cosine_against_a_loop():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(5, 7)) + 0.5
    pairs = [
        a @ b / np.sqrt((a @ a) * (b @ b))
        for i, a in enumerate(vectors)
        for b in vectors[i + 1 :]
    ]
    assert why_gammas_die.mean_cosine(vectors) == pytest.approx(np.mean(pairs))
    assert why_gammas_die.mean_cosine([[1.0, 0.0], [0.0, 0.0]]) is None


@pytest.mark.parametrize("slow", ["trunk", "outputs"])
def test_one_part_of_the_modulator_is_slowed_down(slow):
    model, groups = why_gammas_die.build(why_gammas_die.Cause(slow=slow))
    adam = optimizers.GroupedAdam(1e-3, groups)
    table = adam.group_table(model.trainable_variables)
    heads = {v.path for head in model.modulator.heads() for v in head.variables}
    own = {v.path for v in model.modulator.trainable_variables}
    count = {"outputs": len(heads), "trunk": len(own - heads)}[slow]
    assert table["slow"][0] == count and table["slow"][2] == why_gammas_die.SLOW
    assert table["other"][0] == len(model.trainable_variables) - count


@pytest.mark.slow
def test_what_it_writes(tmp_path):
    argv = ["why", f"--out={tmp_path}", "--steps=2", "--cause=as published"]
    assert programs.call(why_gammas_die.main, FLAGS, argv) == 0
    (checks,) = json.loads((tmp_path / "why.json").read_text())["causes"].values()
    assert [check["step"] for check in checks] == [0, 1, 2]
    # fc8 starts with a kernel of zeros: all objects have the same gammas.
    assert checks[0]["spread"] == 0 and checks[1]["spread"] > 0
    assert (tmp_path / "why.png").stat().st_size > 10_000
    assert programs.call(why_gammas_die.main, FLAGS, argv) == 2
