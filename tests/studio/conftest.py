"""Networks and small videos for the studio's tests."""

import numpy as np
import pytest

from osmn_recurrent.datasets.video_files import open_clip


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
