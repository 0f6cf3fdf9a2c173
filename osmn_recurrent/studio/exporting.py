"""Valid masks of a project as files that people take away."""

import contextlib
import pathlib
import zipfile

from osmn_recurrent import files
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import threads
from osmn_recurrent.inference.writers import Cutouts, Tracks
from osmn_recurrent.reports import exported_videos

KINDS = {
    "masks": "palette PNGs (zip)",
    "overlay.mp4": "the masks over the video, with its sound (H.264)",
    "overlay.webm": "the same (VP9)",
    "gif": "the same as a GIF",
    "matte.mp4": "the objects white on black (H.264)",
    "prores": "the objects without background (ProRes 4444)",
    "webm-alpha": "the same for browsers (VP9 with alpha)",
    "png": "the same as RGBA PNGs (zip)",
    "tracks": "COCO run-length code, a track per object (json)",
}
"""What can be exported, and what it is; names are those of `osmn segment --export`."""

DEFAULT = ("masks", "overlay.mp4")
OPACITY = 0.5
"""Of the masks in overlays."""

STOPPED = "the export was stopped; files that were complete are kept."


def check(kinds):
    """Raises `InputError` if there is no such kind, or none at all."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise InputError(
            f"there is no export {', '.join(unknown) or 'of nothing'}, expected some "
            f"of {', '.join(KINDS)}."
        )


def export(project, kinds, job):
    """Writes `export/NAME_KIND.ENDING` of all valid masks.

    Each file replaces that of an earlier export when it is complete.

    Args:
        project: `Project`.
        kinds: of `KINDS`.
        job: `Job`, told how far it is.

    Raises:
        InputError: it was stopped.
    """
    done, name, clip = project.done, project.clip.name, project.clip
    folder, names = project.folder / "export", clip.frame_names[:done]
    files.make_folders(folder, [])
    with contextlib.ExitStack() as held:
        cut = held.enter_context(files.scratch_folder(folder)) / name
        timing = exported_videos.timing_of(clip, count=done)
        followers = exported_videos.make(kinds, clip, folder / name, OPACITY, timing)
        if "png" in kinds:
            followers.append(Cutouts(cut, names))
        if "tracks" in kinds:
            file_names = [pathlib.Path(path).name for path in clip.frame_paths[:done]]
            file_names = file_names or [f"{each}.png" for each in names]
            followers.append(Tracks(folder / f"{name}_tracks.json", name, file_names))
        if followers:
            _write(project, done, followers, job)
        paths = [project.file("masks", index) for index in range(done)]
        if "masks" in kinds:
            _zip(folder / f"{name}_masks.zip", name, paths)
        if "png" in kinds:
            cutouts = [cut / f"{each}.png" for each in names]
            _zip(folder / f"{name}_cutouts.zip", name, cutouts)
    job.step(done, done)


def _write(project, done, followers, job):
    with contextlib.ExitStack() as held:
        frames = held.enter_context(
            contextlib.closing(threads.prefetch(project.clip.frames()))
        )
        for each in followers:
            held.enter_context(each)
        for index, frame in zip(range(done), frames):
            if not job.step(index, done, "frames"):
                raise InputError(STOPPED)
            ids = project.read("masks", index)
            for each in followers:
                each.write(frame, ids)


def _zip(path, name, paths):
    with (
        files.replace_when_done(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        for each in paths:
            archive.write(each, f"{name}/{each.name}")
