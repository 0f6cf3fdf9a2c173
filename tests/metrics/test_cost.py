"""What scoring costs: memory, and where the time goes."""

import cProfile
import pstats
import subprocess
import sys

import pytest

from osmn_recurrent.datasets import registry
from osmn_recurrent.metrics.result_folder import evaluate_folder

PROGRAM = """
import resource, sys
from osmn_recurrent.datasets import registry
from osmn_recurrent.metrics import result_folder
data, masks = sys.argv[1:]
sequences = registry.sequences("davis2016", data, "val_study")
result_folder.evaluate_folder(masks, sequences, 2)
own, worker = (
    resource.getrusage(who).ru_maxrss
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
)
print((own + 2 * worker) / 1024)
"""


@pytest.fixture
def published(test_data):
    """`(data folder, OSMN's published masks)`, 725 frames of ten sequences."""
    data = test_data / "data"
    return data / "davis2016", data / "published_masks_davis2016" / "osmn"


@pytest.mark.slow
def test_two_processes_stay_below_500_megabytes(published):
    # By way of a shell: a process keeps the peak of the one it was forked from.
    shell = ["sh", "-c", '"$@"; exit $?', "sh"]
    done = subprocess.run(
        [*shell, sys.executable, "-c", PROGRAM, *map(str, published)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert 50 < float(done.stdout) < 500  # the official evaluator: 1,800


@pytest.mark.slow
def test_reading_masks_is_the_largest_part(published):
    data, folder = published
    sequences = registry.sequences("davis2016", data, "val_study")
    profile = cProfile.Profile()
    profile.runcall(evaluate_folder, folder, sequences, 1)
    times = {
        name: cumulative
        for (_, _, name), (*_, cumulative, _) in pstats.Stats(profile).stats.items()
    }
    rest = {name: times[name] for name in ("region_similarity", "contour_accuracy")}
    assert times["read_values"] > max(rest.values()), (times["read_values"], rest)
