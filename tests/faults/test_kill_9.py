"""kill -9 at random moments: the rerun ends with the bytes of an unbroken run."""

import os

import drawn_videos as make
import numpy as np
import pytest
from killed_runs import context, run_until
from PIL import Image

from osmn_recurrent.datasets.moving_shapes import write_moving_shapes
from osmn_recurrent.media.mask_files import write_mask

TRAININGS = int(os.environ.get("OSMN_KILLED_TRAININGS", "20"))
SEGMENTATIONS = int(os.environ.get("OSMN_KILLED_SEGMENTATIONS", "25"))
"""Kills, over all cases."""

SIZE = (32, 48)
TRAIN = (
    "--backbone=vgg16_compact --height=32 --width=48 --scales=0.5,1.0 --steps=24 "
    "--save_every=1 --batch_size=1 --nofreeze_batch_norm --learning_rate=1e-4"
).split()
NETWORKS = {
    "osmn": ["--model=osmn"],
    "reconvnet": ["--model=reconvnet", "--clip_length=2", "--scheduled_sampling=0.5"],
}


@pytest.fixture(scope="module")
def processes():
    return context()


def kill_again_and_again(processes, verb, command, place, kills, longest, compare):
    """Kills runs in `place` until there were `kills`; each that ends is compared.

    Args:
        processes: of `killed_runs.context`.
        verb: the program.
        command: function of a folder that gives the arguments.
        place: folder for the runs.
        kills: how many.
        longest: a run is killed after up to so many seconds of its work.
        compare: function of the folder of a run that ended.

    Returns:
        How many runs ended.
    """
    rng, done, ended = np.random.default_rng(0), 0, 0
    while done < kills or (place / str(ended)).exists():
        folder = place / str(ended)
        moment = rng.uniform(0, longest) if done < kills else None
        code = run_until(processes, verb, command(folder), moment)
        assert code in (0, -9), code
        done += code == -9
        if code == 0:
            compare(folder)
            ended += 1
    print(f"{verb}: {done} kills, {ended} runs ended as the unbroken one")
    return ended


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_trainings_with_two_scales(processes, tmp_path, network):
    data = tmp_path / "data"
    write_moving_shapes(data, train=2, val=1, frames=4, size=SIZE)

    def command(folder):
        return [*TRAIN, *NETWORKS[network], f"--data_dir={data}", f"--workdir={folder}"]

    def state(folder):
        with np.load(folder / "state.npz") as archive:
            return {k: archive[k] for k in archive.files if k != "progress"}

    whole = tmp_path / "whole"
    assert run_until(processes, "train", command(whole)) == 0
    expected, names = state(whole), sorted(path.name for path in whole.iterdir())

    def compare(folder):
        found = state(folder)
        assert found.keys() == expected.keys()
        different = [k for k in found if not np.array_equal(found[k], expected[k])]
        assert not different, f"{len(different)} of {len(found)} arrays differ"
        assert sorted(path.name for path in folder.iterdir()) == names

    kills = TRAININGS // len(NETWORKS)
    place = tmp_path / "killed"
    ended = kill_again_and_again(
        processes, "train", command, place, kills, 2.0, compare
    )
    assert ended


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_segmentations(processes, tmp_path, network, random_weights):
    frames = tmp_path / "frames"
    frames.mkdir()
    for index in range(24):
        Image.fromarray(make.scene(index)).save(frames / f"{index:05d}.png")
    ids = np.zeros((64, 96), np.uint8)
    ids[12:32, 10:34] = 1
    write_mask(tmp_path / "first.png", ids)

    def command(folder):
        return [
            f"--weights={random_weights[f'{network}.keras']}",
            f"--video={frames}",
            f"--mask={tmp_path / 'first.png'}",
            f"--out={folder}",
            "--cutouts",
            "--working_size=32",
        ]

    def contents(folder):
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != "run.json"  # has times in it
        }

    whole = tmp_path / "whole"
    assert run_until(processes, "segment", command(whole)) == 0
    expected = contents(whole)

    def compare(folder):
        assert contents(folder) == expected

    kills = SEGMENTATIONS // len(NETWORKS) + SEGMENTATIONS % len(NETWORKS)
    place = tmp_path / "killed"
    ended = kill_again_and_again(
        processes, "segment", command, place, kills, 0.3, compare
    )
    assert ended
