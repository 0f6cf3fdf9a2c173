"""Masks without any network: what the small-scale study's networks must beat.

    python -m experiments.study_baselines --data_dir=DAVIS --split=val \\
        --out=runs/baselines

Writes OUT/copy/SEQUENCE/FRAME.png, the first mask again and again, and
OUT/flow/SEQUENCE/FRAME.png, the previous mask moved along OpenCV's DIS optical
flow (preset medium). Both are rows of a benchmark, see osmn benchmark.
"""

import pathlib

import cv2
import numpy as np
from absl import flags
from tqdm import tqdm

from osmn_recurrent import files, masks, programs, run_folder, text_files
from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.cli import shared, tuning
from osmn_recurrent.datasets import registry
from osmn_recurrent.media.mask_files import write_mask

FLAGS = flags.FlagValues()
shared_flags.define_dataset(FLAGS, "davis2016")
shared.define(FLAGS, "out", required=True)


def copied(clip):
    """The first mask for every frame.

    Args:
        clip: `Clip` with a mask for its first frame.

    Yields:
        (H, W) uint8 ids, one per frame.
    """
    for _ in range(len(clip)):
        yield clip.mask(0)


def carried_by_flow(clip):
    """The first mask, moved from frame to frame by dense optical flow.

    The flow goes from each frame back to the one before, so that every pixel
    of the new mask has one source. Masks move as floats and stay so from
    frame to frame; they are thresholded at 0.5 where they are put out. Of several
    objects the one with the largest value wins.

    Args:
        clip: `Clip` with a mask for its first frame.

    Yields:
        (H, W) uint8 ids, one per frame.
    """
    first = clip.mask(0)
    ids = masks.object_ids(first)
    moved = [(first == i).astype(np.float32) for i in ids]
    flow_of = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    rows, columns = np.mgrid[: first.shape[0], : first.shape[1]].astype(np.float32)
    before = cv2.cvtColor(clip.frame(0), cv2.COLOR_RGB2GRAY)
    yield first
    for index in range(1, len(clip)):
        now = cv2.cvtColor(clip.frame(index), cv2.COLOR_RGB2GRAY)
        flow = flow_of.calc(now, before, None)
        source = columns + flow[..., 0], rows + flow[..., 1]
        moved = [
            cv2.remap(each, *source, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
            for each in moved
        ]
        values = np.stack([np.full(first.shape, 0.5, np.float32), *moved])
        yield np.array([0, *ids], np.uint8)[values.argmax(0)]
        before = now


BASELINES = {"copy": copied, "flow": carried_by_flow}
"""Makers of masks by the name of their folder."""


def write(name, clips, folder):
    """Writes one baseline's masks, and leaves whole clips as they are.

    Args:
        name: key of `BASELINES`.
        clips: list of `Clip`s.
        folder: for SEQUENCE/FRAME.png.
    """
    for clip in tqdm(clips, name, unit="clip"):
        place = folder / clip.name
        paths = [place / f"{frame}.png" for frame in clip.frame_names]
        inputs = [*clip.input_files(), *clip.mask_paths.values()]
        files.refuse_inputs([place], inputs)
        made_from = {"baseline": name, "clip": tuning.digest_of(clip)}
        record = place / "run.json"
        if record.exists() and all(path.exists() for path in paths):
            stored = text_files.read_json(record, "the record of a baseline")
            if not run_folder.differences(stored, made_from):
                continue
        with run_folder.hold(place):
            record.unlink(missing_ok=True)
            for path, ids in zip(paths, BASELINES[name](clip), strict=True):
                write_mask(path, ids, clip.palette())
            files.write_json(record, made_from)


def main():
    """Writes both; see the module's text."""
    clips = registry.clips(*shared_flags.dataset_place(FLAGS))
    for clip in clips:
        clip.check()
    out = pathlib.Path(FLAGS.out)
    for name in BASELINES:
        write(name, clips, out / name)
    return programs.Done(tuple(out / name for name in BASELINES))


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
