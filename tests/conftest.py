"""Shared fixtures. Data outside the project is found by OSMN_TEST_DATA."""

import collections
import importlib.util
import os
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if "PYTEST_XDIST_WORKER" in os.environ:
    # As many workers as cores: more threads would only wait for each other.
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")


sys.path.append(str(pathlib.Path(__file__).with_name("reports")))
from browser import find_browser

LEFT_OUT = pytest.StashKey()


def pytest_collection_modifyitems(config, items):
    """Leaves out what needs something that is not on this machine."""
    kept, left_out = [], collections.Counter()
    for item in items:
        missing = missing_for(item)
        if missing is None:
            kept.append(item)
        else:
            left_out[missing] += 1
    config.stash[LEFT_OUT] = left_out
    if left_out:
        config.hook.pytest_deselected(items=[i for i in items if i not in kept])
        items[:] = kept


def missing_for(item):
    """What a test needs and does not find, in words; None if all is there."""
    with_data = os.environ.get("OSMN_TEST_DATA") or os.environ.get("OSMN_NO_SKIP")
    if "test_data" in item.fixturenames and not with_data:
        return "data outside the project, in the folder that OSMN_TEST_DATA names"
    if "browser" in item.fixturenames and find_browser() is None:
        return "Chromium or Chrome"
    for marker in item.iter_markers("needs"):
        for package in marker.args:
            if importlib.util.find_spec(package) is None:
                return f"the package {package}, which make test-slow installs"
    return None


def pytest_sessionfinish(session):
    """Hands what was left out to the process that reports, with pytest-xdist."""
    if hasattr(session.config, "workeroutput"):
        left_out = session.config.stash.get(LEFT_OUT, {})
        session.config.workeroutput["left_out"] = dict(left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """Every worker leaves out the same."""
    if hasattr(node, "workeroutput"):
        node.config.stash[LEFT_OUT] = node.workeroutput.get("left_out", {})


def pytest_terminal_summary(terminalreporter, config):
    """Says what was left out, and why."""
    for missing, count in config.stash.get(LEFT_OUT, {}).items():
        tests = "test needs" if count == 1 else "tests need"
        terminalreporter.write_line(f"left out: {count} {tests} {missing}")


@pytest.fixture(scope="session")
def test_data():
    """Folder with `data/`; tests that use it are left out where it is unset."""
    folder = os.environ.get("OSMN_TEST_DATA")
    if not folder:
        pytest.fail("OSMN_NO_SKIP is set, but OSMN_TEST_DATA is not")
    return pathlib.Path(folder)


@pytest.fixture(scope="session")
def golden():
    """Folder with outputs of the released graph, see tests/golden/README.md."""
    return pathlib.Path(__file__).parent / "golden" / "released"


@pytest.fixture(scope="session")
def random_weights(tmp_path_factory):
    """`{name: file}` of compact networks with random weights."""
    import keras

    from osmn_recurrent.models import building

    folder = tmp_path_factory.mktemp("weights")
    found = {}
    for name, options in (
        ("osmn", {}),
        ("reconvnet", {"coupling": "residual"}),
    ):
        keras.utils.set_random_seed(1)
        model = building.build_model(name, "vgg16_compact", **options)
        found[f"{name}.weights.h5"] = folder / f"{name}.weights.h5"
        found[f"{name}.keras"] = folder / f"{name}.keras"
        for path in (folder / f"{name}.weights.h5", folder / f"{name}.keras"):
            (model.save if path.suffix == ".keras" else model.save_weights)(path)
    return found


@pytest.fixture
def boxes(tmp_path):
    """Folder with `JPEGImages/boxes` (6 JPEGs) and `Annotations/boxes`.

    The masks have the ids 1, 5 and 200 and a palette that is not DAVIS'.
    """
    from osmn_recurrent import masks
    from osmn_recurrent.media.mask_files import write_mask

    rng = np.random.default_rng(0)
    background = rng.integers(0, 120, (64, 96, 3), dtype=np.uint8)
    texture = rng.integers(80, 256, (18, 26, 3), dtype=np.uint8)
    palette = tuple(reversed(masks.davis_palette()))
    frames = tmp_path / "JPEGImages" / "boxes"
    frames.mkdir(parents=True)
    for t in range(6):
        frame, ids = background.copy(), np.zeros((64, 96), np.uint8)
        for i, top, left in ((1, 8, 10), (5, 34, 50), (200, 40, 8)):
            rows, columns = slice(top + t, top + t + 18), slice(left, left + 26)
            ids[rows, columns] = i
            frame[rows, columns] = texture[: ids[rows, columns].shape[0]]
        Image.fromarray(frame).save(frames / f"{t:05d}.jpg", quality=95)
        path = tmp_path / "Annotations" / "boxes" / f"{t:05d}.png"
        write_mask(path, ids, palette)
    return tmp_path


@pytest.fixture
def segment_program(boxes, capsys):
    """Runs osmn segment in this process.

    Takes flags as keywords; video, mask and out have defaults in `boxes`.
    Gives `(exit code, stdout, lines of stderr that begin with "error:")`.
    """
    from command_lines import arguments

    from osmn_recurrent import programs
    from osmn_recurrent.cli import segment as program

    def run(**given):
        given = {
            "video": boxes / "JPEGImages" / "boxes",
            "mask": boxes / "Annotations" / "boxes" / "00000.png",
            "out": boxes / "out",
            "overlay": False,
            **given,
        }
        for name in program.FLAGS:
            program.FLAGS[name].unparse()
        capsys.readouterr()
        code = programs.call(
            program.main, program.FLAGS, ["segment", *arguments(given)]
        )
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        errors = [x for x in captured.err.splitlines() if x.startswith("error:")]
        return code, captured.out, errors

    return run


@pytest.fixture(scope="session")
def packaged():
    """Function from a preset's name to its segmenter, loaded once."""
    made = {}

    def get(name):
        from osmn_recurrent.inference.segmenter import VideoSegmenter

        if name not in made:
            made[name] = VideoSegmenter.from_preset(name)
        return made[name]

    return get


@pytest.fixture
def video(boxes):
    """Folder of six frames of 96x64."""
    return boxes / "JPEGImages" / "boxes"


@pytest.fixture
def region():
    """Function that gives a rectangle: (64, 96) bool."""

    def make(top, left, height=18, width=26):
        found = np.zeros((64, 96), bool)
        found[top : top + height, left : left + width] = True
        return found

    return make


@pytest.fixture
def by_api():
    """The masks of a project by calls of the streaming interface alone."""

    def run(segmenter, project):
        from osmn_recurrent.datasets.video_files import open_clip

        found, clip = [], open_clip(project.video, [])
        for index, frame in enumerate(clip.frames()):
            painted = project.read("painted", index)
            if index == 0:
                ids = segmenter.start(frame, painted)
            else:
                ids = segmenter.step(frame)
                for object_id in project.dropped(index):
                    if object_id in segmenter.objects:
                        segmenter.drop(object_id)
                        ids = np.where(ids == object_id, 0, ids)
                if painted is not None:
                    ids = segmenter.correct(frame, painted)
            found.append(ids)
        return found

    return run
