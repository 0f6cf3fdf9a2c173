"""The input benchmark: both loaders do the same work, the table is written."""

import json

import numpy as np
import pytest

from experiments import input_speed as program
from osmn_recurrent import guides, programs
from osmn_recurrent.datasets.davis import davis_clips
from osmn_recurrent.datasets.moving_shapes import write_moving_shapes
from osmn_recurrent.training.augmentation import NO_AUGMENTATION
from osmn_recurrent.training.sample_settings import SampleSettings
from osmn_recurrent.training.samples import ClipSamples


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_moving_shapes(folder, train=2, val=1, frames=5, size=(64, 96))
    return folder


class Middle:
    """A generator that draws nothing: shifts of 0, factors of 1, no flip."""

    def uniform(self, low=0.0, high=1.0, size=None):
        value = 0.0 if low < 0 else 1.0
        return value if size is None else np.full(size, value)

    def choice(self, values):
        return values[0]


def test_the_released_way_makes_the_pipelines_samples(shapes):
    clips = davis_clips(shapes, 2017, "train")
    settings = SampleSettings(
        size=(64, 96), scales=(1.0,), guide_augmentation=NO_AUGMENTATION
    )
    samples = ClipSamples(clips, settings)
    released = program.ReleasedWay(samples)
    released.rng = Middle()
    for number in range(len(samples)):
        image, visual, spatial, label = (part[0] for part in released.batch(1))
        ours = samples.sample(number)
        np.testing.assert_array_equal(image, ours[0])
        np.testing.assert_array_equal(label, ours[3])
        np.testing.assert_allclose(spatial, ours[2], atol=1e-6)
        c, _, i = samples.index[samples._order(0)[number]]
        seen = samples._guide_frames[c, i][0]
        expected = guides.visual_guide(
            clips[c].frame(seen), clips[c].mask(seen) == i, margins=[0] * 4
        )
        np.testing.assert_array_equal(visual, expected)


def test_the_program_prints_and_writes_a_table(shapes, tmp_path, capsys):
    arguments = [
        f"--data_dir={shapes}",
        "--height=64",
        "--width=96",
        "--rounds=3",
        f"--out={tmp_path}",
    ]
    for name in program.FLAGS:
        program.FLAGS[name].unparse()
    run = ["input_speed", *arguments]
    assert programs.call(program.main, program.FLAGS, run) == 0
    rows = json.loads((tmp_path / "input_speed.json").read_text())["rows"]
    assert [row["cache"] for row in rows] == ["none", "frames"]
    for row in rows:
        ratio = row["pipeline_per_second"] / row["released_per_second"]
        assert row["ratio"] == pytest.approx(ratio)
        assert row["pipeline_cpu_ms"] > 0
    assert "released way" in capsys.readouterr().out
    assert programs.call(program.main, program.FLAGS, run) == 2
