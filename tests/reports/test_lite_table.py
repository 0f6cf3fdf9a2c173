"""Means of seeds and differences over them, against figures worked out by hand."""

import pytest

from experiments import lite_table, recorded_blocks
from osmn_recurrent.models import presets

NAMES = (
    lite_table.OSMN,
    lite_table.RECONVNET,
    lite_table.BEFORE,
    lite_table.WITHOUT,
)


def swap(name, own, other, right):
    """A row of lite_swap_test.json; `own` and `other` are J of the clips a and b."""
    kinds = {kind: {"pairs": 4, "right_pairs": right} for kind in ("both", "none")}
    return {
        "network": name,
        "spread": 0.05 + (right - 0.5) / 100,
        "images": {"set": kinds},
        "clips": {
            "other": sum(other) / 2,
            "per_clip": {
                "own": dict(zip("ab", own, strict=True)),
                "other": dict(zip("ab", other, strict=True)),
            },
        },
    }


SWAPS = [
    swap(f"{name} seed {seed}", (0.5 + d, 0.7 + d), (0.3, 0.5), 0.5 + seed / 2)
    for name, d in zip(NAMES, (0.1, 0.2, 0.05, 0.0), strict=True)
    for seed in (0, 1)
]


def test_a_row_is_the_mean_of_its_seeds():
    scores = [
        {"method": f"{name} seed {seed}", "J&F": 60.0, "J": 61.0 + seed, "F": 59.0}
        for name in NAMES
        for seed in (0, 1)
    ]
    areas = [{**row, "J": row["J"] + 2} for row in scores if "OSMN" in row["method"]]
    text = lite_table.table(scores, SWAPS, areas)
    assert (
        "| OSMN-lite0 | 60.0 | 59.0 | 0.053 | 61.5 (61.0, 62.0) | 63.5 (63.0, 64.0) "
        "| 40.0 | 75% | 75% |" in text
    )
    assert len(text.splitlines()) == 2 + len(NAMES)


def test_differences_over_clips_and_seeds():
    columns = [
        f"{name} seed {seed} {figure}"
        for name in NAMES[:2]
        for seed in (0, 1)
        for figure in "JF"
    ]
    lines = [
        ",".join(["sequence", "object", *columns]),
        "a,1,50,60,52,62,54,64,56,66",
        "b,1,40,40,40,40,39,39,39,39",
    ]
    areas = "\n".join([*lines[:2], lines[2].replace("39", "40")])
    text = lite_table.in_words(SWAPS, "\n".join(lines), areas, SWAPS)
    assert "4 pairs, 2 clips, 2 seeds" in text
    # All clips and seeds differ alike, so both ends are the difference.
    assert "30.0 (30.0 to 30.0) more J than with another" in text
    assert "5.0 (5.0 to 5.0) more than without" in text
    # a: 4 above, b: 1 below.
    assert "1.5 (-1.0 to 4.0) more J&F than OSMN-lite0" in text
    assert "better on 1 of 2 clips" in text


def test_values_of_sequences():
    text = (
        "sequence,object,X seed 3 J,X seed 3 F,Y seed 3 J,Y seed 3 F\ns,1,10,20,0,0\n"
    )
    assert lite_table.sequence_values(text, "X") == {"s": {"3/1": pytest.approx(15.0)}}


def test_presets_have_the_recorded_scores():
    rows = {
        row["method"]: row["J"] for row in recorded_blocks.read_table("lite_area.csv")
    }
    for name, row in (
        ("osmn-lite0", lite_table.OSMN),
        ("reconvnet-lite0", lite_table.RECONVNET),
    ):
        (score,) = presets.PRESETS[name].scores.values()
        assert score == pytest.approx(rows[f"{row} seed 0"], abs=0.05)


def test_the_choice_in_words(tmp_path):
    for part in ("osmn", "reconvnet"):
        for seed, value in enumerate((0.8, 0.7)):
            path = tmp_path / part / f"seed{seed}" / "validation.csv"
            path.parent.mkdir(parents=True)
            path.write_text(f"step,J&F\n1,0.9\n2,{value}\n")
    objects = [
        {"method": f"{name} seed {seed}", "J&F": 60.0}
        for name in (*NAMES[:2], f"{lite_table.OSMN}, tuned")
        for seed in (0, 1)
    ]
    stop = [{"J&F": 70.0}, {"J&F": 80.0}]
    text = lite_table.choice_in_words(tmp_path, objects, stop)
    assert "70.0, 65.0 (OSMN-lite0) and 70.0, 65.0 (ReConvNet-lite0)" in text
    assert "70.0 without, 80.0 with 60 steps" in text
    objects[1]["J&F"] = 90.0
    with pytest.raises(ValueError, match="has not the highest mean"):
        lite_table.choice_in_words(tmp_path, objects, stop)
