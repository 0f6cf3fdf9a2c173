"""Valid masks of a project as files that people take away."""

import contextlib
import pathlib
import zipfile

from osmn_recurrent import files
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import threads
from osmn_recurrent.inference.writers import Cutouts, Tracks
from osmn_recurrent.media import DEFAULT_FPS
from osmn_recurrent.reports.overlays import OverlayVideo

KINDS = {
    "masks": "palette PNGs (zip)",
    "overlay": "the masks over the video, with its sound (mp4)",
    "cutouts": "the objects without background, RGBA PNGs (zip)",
    "tracks": "COCO run-length code, a track per object (json)",
}
"""What can be exported, and what it is."""

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
        followers = []
        if "overlay" in kinds:
            path = folder / f"{name}_overlay.mp4"
            followers.append(OverlayVideo(path, clip.size, **_timing(clip, done)))
        if "cutouts" in kinds:
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
        if "cutouts" in kinds:
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


def _timing(clip, count):
    """When the overlay's frames are shown, with sound if it has all frames."""
    video = getattr(clip, "video", None)
    if video is None:
        return {"fps": DEFAULT_FPS}
    times, end = video.times[:count], (*video.times, video.end)[count]
    sound = {"sound_of": video} if count == len(video) else {}
    return {"times": times, "end": end, "aspect": video.aspect, **sound}
