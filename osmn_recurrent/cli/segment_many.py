"""The part of osmn segment that knows several videos: flags, loop, Beam."""

import functools
import json
import pathlib

from absl import flags

from osmn_recurrent import programs
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import many_videos

LOCAL_FLAGS = {"video", "mask", "list", "shard", "runner", "runner_option"}
"""Flags that a worker of Beam has no use for: its jobs say what they say."""


def define(flag_values):
    """Defines the flags of many videos."""
    own = {"flag_values": flag_values}
    flags.DEFINE_string(
        "list",
        None,
        "Videos and their masks: CSV with the header video,mask, paths relative to "
        "its folder; in place of --video and --mask.",
        **own,
    )
    flags.DEFINE_string(
        "shard",
        None,
        "i/n, such as 0/4: of several videos every n-th from the i-th on; start n "
        "commands, one for each i from 0 to n - 1, with the same --out.",
        **own,
    )
    flags.DEFINE_string(
        "runner",
        None,
        "Apache Beam's runner (extra beam) for several videos, such as DirectRunner, "
        "FlinkRunner or DataflowRunner. Default: no Beam, one after the other.",
        **own,
    )
    flags.DEFINE_multi_string(
        "runner_option",
        [],
        "KEY=VALUE of Beam's pipeline options, such as direct_num_workers=2; repeat "
        "it for several.",
        **own,
    )


def check(flag_values):
    """Refuses flags of which one is missing.

    Raises:
        InputError: neither --list nor --video and --mask, or both.
    """
    given = [n for n in ("video", "mask") if flag_values[n].value]
    if flag_values.list and given:
        raise InputError(
            f"--list says which videos and masks there are; leave --{given[0]} out."
        )
    missing = [n for n in ("video", "mask") if n not in given]
    if missing == ["mask"] and all(map(_is_project, flag_values.video)):
        missing = []  # the studio's: painted masks are in it
    if missing and not flag_values.list:
        raise InputError(
            f"{' and '.join(f'--{n}' for n in missing)} must be given; --help lists "
            "the flags."
        )


def _is_project(video):
    from osmn_recurrent.datasets import projects

    return projects.is_project(video)


def wanted(flag_values):
    """Whether there may be more than one video."""
    alone = flag_values.list is None and (
        many_videos.expand(flag_values.video) == flag_values.video
        and len(flag_values.video) == 1
    )
    return not alone or bool(flag_values.shard or flag_values.runner)


def run(flag_values, worker):
    """Segments all videos, or this shard's.

    Args:
        flag_values: of osmn segment.
        worker: function of None, or of flags as texts in another process; gives
            the function of a job.

    Returns:
        `programs.Done`.

    Raises:
        InputError: unusable input before anything starts, or videos that failed;
            the others are done by then.
    """
    if flag_values.list:
        jobs = many_videos.read_list(flag_values.list)
    else:
        videos = many_videos.expand(flag_values.video)
        if len(videos) == 1:
            jobs = many_videos.checked(
                [
                    many_videos.Job(
                        many_videos.name_of(videos[0]),
                        videos[0],
                        tuple(flag_values.mask),
                    )
                ]
            )
        else:
            jobs = many_videos.pair(videos, flag_values.mask)
    if flag_values.shard:
        jobs = many_videos.shard(jobs, flag_values.shard)
    out = pathlib.Path(flag_values.out)
    if flag_values.runner:
        outcomes = _on_beam(flag_values, jobs, worker, out)
    else:
        outcomes = many_videos.run(jobs, worker(None), out)
    many_videos.refuse_failures(outcomes, out)
    print(f"{len(outcomes)} videos are done.")
    return programs.Done((out,))


def _on_beam(flag_values, jobs, worker, out):
    options = [f"--runner={flag_values.runner}"]
    for text in flag_values.runner_option:
        if "=" not in text:
            raise InputError(
                f"--runner_option={text} has no '=', expected KEY=VALUE such as "
                "direct_num_workers=2."
            )
        options.append(f"--{text}")
    try:
        from osmn_recurrent.inference import beam_videos
    except ImportError:
        raise InputError(
            "--runner needs Apache Beam; install it with pip install "
            "'osmn_recurrent[beam]', or leave --runner out."
        ) from None
    for job in jobs:
        many_videos.status_file(out, job).unlink(missing_ok=True)
    arguments = [
        text
        for name in flag_values
        if name not in LOCAL_FLAGS and flag_values[name].present
        for text in flag_values[name].serialize().split("\n")
    ]
    beam_videos.run(jobs, functools.partial(worker, arguments), out, options)
    return [
        json.loads(many_videos.status_file(out, job).read_text(encoding="utf-8"))
        for job in jobs
    ]
