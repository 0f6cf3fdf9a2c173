"""Many videos: which belong together with which masks, and what became of each.

A `Job` is a video with its masks. Jobs are done one after the other in this process
(`run`), by several processes that were given a share each (`shard`), or by Apache
Beam's workers (`inference.beam_videos`). Whoever does a job writes its outcome to
`OUT/status/NAME.json`; an error of one video is written there and ends no other.
Resuming is each video's own affair: `output.segment_clip` resumes where it stopped.
"""

import csv
import dataclasses
import glob
import io
import pathlib
import re

from osmn_recurrent import files, text_files
from osmn_recurrent.errors import InputError
from osmn_recurrent.media.mask_files import DOCUMENT_SUFFIXES, MASK_SUFFIXES

STATUS = "status"
"""Folder of the outcomes, in the folder of results."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A video and its masks.

    Attributes:
        name: of the clip, under which its results are written.
        video: file or folder, text.
        masks: tuple of text, as `open_clip` takes them.
    """

    name: str
    video: str
    masks: tuple


def name_of(video):
    """The name of the clip that `open_clip` makes of a video."""
    path = pathlib.Path(video)
    return path.resolve().name if path.is_dir() else path.stem


def expand(videos):
    """Videos of which some are patterns, such as `clips/*.mp4`.

    Args:
        videos: list of text.

    Returns:
        List of text; the matches of a pattern in order of their names. A path that
        exists is never taken for a pattern.

    Raises:
        InputError: a pattern that nothing matches.
    """
    found = []
    for video in videos:
        if pathlib.Path(video).exists() or not re.search(r"[*?\[]", video):
            found.append(video)
            continue
        matches = sorted(glob.glob(video))
        if not matches:
            raise InputError(
                f"--video={video} matches nothing; expected a pattern of video files "
                "or folders of frames that are there."
            )
        found += matches
    return found


def pair(videos, masks):
    """Jobs of several videos.

    Args:
        videos: list of text, without patterns.
        masks: list of text: one for each video, in order; or one folder with
            `NAME.png`, or a folder `NAME` of masks, for each video's name.

    Raises:
        InputError: masks that fit in neither way, or videos of one name.
    """
    if len(masks) == len(videos):
        jobs = [Job(name_of(v), v, (m,)) for v, m in zip(videos, masks, strict=True)]
    elif len(masks) == 1 and pathlib.Path(masks[0]).is_dir():
        jobs = [Job(name_of(v), v, (_in_folder(masks[0], v),)) for v in videos]
    else:
        raise InputError(
            f"{len(videos)} videos and {len(masks)} masks were given; give a --mask "
            "for each --video, or one folder that holds NAME.png or a folder NAME of "
            "masks for each video NAME."
        )
    return checked(jobs)


def _in_folder(folder, video):
    place = pathlib.Path(folder, name_of(video))
    for suffix in ("", *MASK_SUFFIXES, *DOCUMENT_SUFFIXES):
        path = place.with_name(f"{place.name}{suffix}")
        if path.exists():
            return str(path)
    raise InputError(
        f"{folder} holds neither {place.name}.png nor a folder {place.name}, the "
        f"masks of {video}; put them there or leave the video out."
    )


def read_list(path):
    """Jobs of a list: CSV with the columns video and mask.

    Args:
        path: the file. Paths in it are relative to its folder.

    Raises:
        InputError: no such columns, an incomplete row, or as `checked`.
    """
    path = pathlib.Path(path)
    rows = list(csv.DictReader(io.StringIO(text_files.read_text(path))))
    if not rows or not {"video", "mask"} <= set(rows[0]):
        raise InputError(
            f"{path} is no list of videos; expected CSV with the header video,mask and "
            "a row for each video."
        )
    jobs = []
    for number, row in enumerate(rows, 2):
        if not row["video"] or not row["mask"]:
            raise InputError(
                f"line {number} of {path} has no {'mask' if row['video'] else 'video'}"
                "; expected both."
            )
        video, mask = (str(path.parent / row[key]) for key in ("video", "mask"))
        jobs.append(Job(name_of(video), video, (mask,)))
    return checked(jobs)


def checked(jobs):
    """`jobs`, all of whose files are there.

    Raises:
        InputError: a file that is missing, or two videos of one name, whose results
            would be written to the same place.
    """
    names = {}
    for job in jobs:
        for kind, path in (("video", job.video), *(("mask", m) for m in job.masks)):
            if not pathlib.Path(path).exists():
                raise InputError(f"{path}: no such {kind}.")
        other = names.setdefault(job.name, job)
        if other is not job:
            raise InputError(
                f"{other.video} and {job.video} are both called {job.name}, and their "
                "results would be written to the same place; rename one."
            )
    return list(jobs)


def shard(jobs, text):
    """Every n-th job from the i-th on, for `"i/n"` with i from 0 to n - 1.

    Raises:
        InputError: another text.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    index, count = map(int, match.groups()) if match else (0, 0)
    if index >= count:
        raise InputError(
            f"--shard={text} is no share, expected i/n with i from 0 to n - 1, such "
            "as 0/4, 1/4, 2/4 and 3/4."
        )
    return jobs[index::count]


def do(job, work, out):
    """Does a job and writes what became of it.

    Args:
        job: `Job`.
        work: function of a job, which gives a dict of JSON values.
        out: folder of the results.

    Returns:
        Dict, as it is in `OUT/status/NAME.json`: name, video, masks, and either
        `done`, what `work` gave, or `error`, the sentence that it ended with.
    """
    outcome = dataclasses.asdict(job) | {"masks": list(job.masks)}
    try:
        outcome["done"] = work(job)
    except InputError as error:
        outcome["error"] = str(error)
    files.write_json(status_file(out, job), outcome)
    return outcome


def status_file(out, job):
    """Where the outcome of a job is written."""
    return pathlib.Path(out) / STATUS / f"{job.name}.json"


def run(jobs, work, out):
    """Does jobs one after the other; arguments and outcomes as of `do`."""
    return [do(job, work, out) for job in jobs]


def refuse_failures(outcomes, out):
    """Ends a run of which something failed.

    Raises:
        InputError: with the number of errors, and the first one.
    """
    failed = [each for each in outcomes if "error" in each]
    if failed:
        first = failed[0]["error"].rstrip(".")
        raise InputError(
            f"{len(failed)} of {len(outcomes)} videos could not be segmented (the "
            f"first, {failed[0]['name']}: {first}); {pathlib.Path(out) / STATUS} says "
            "why for each, and the same command tries them again."
        )
