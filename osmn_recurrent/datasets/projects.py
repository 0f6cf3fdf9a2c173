"""A project of the studio: a folder with a video's painted masks and results.

    project.json        the video, dropped objects, how far the masks are valid
    painted/FRAME.png   what a person said of a frame: every id in it has exactly
                        these pixels there; ids that are not in it are as predicted
    predicted/FRAME.png the network's own mask of such a frame
    masks/FRAME.png     the results, palette PNGs

The masks follow from the painted ones and the dropped objects alone: frame after
frame a segmenter makes a step, drops, and is corrected (`inference.edits`). Every file
is moved into place, and the order of writing is such that a process that is killed at
any moment leaves a project behind whose valid masks belong to its painted ones.
"""

import contextlib
import dataclasses
import os
import pathlib
import warnings

import numpy as np

from osmn_recurrent import files, masks, text_files
from osmn_recurrent.datasets.video_files import open_clip
from osmn_recurrent.errors import InputError, InputNote
from osmn_recurrent.media.mask_files import read_mask, write_mask

PROJECT_FILE = "project.json"
VERSION = 1

TUNED = "tuned"
"""Folder of the networks that were tuned to a project's objects."""


def is_project(folder):
    """Whether a folder is a project."""
    return pathlib.Path(folder, PROJECT_FILE).is_file()


def compose(predicted, painted, dropped=()):
    """A frame's mask after what a person said of it.

    Args:
        predicted: (H, W) uint8 ids.
        painted: (H, W) uint8 ids, or None.
        dropped: ids that are followed no longer.

    Returns:
        (H, W) uint8, as `VideoSegmenter.drop` and then `correct` give it.
    """
    ids = predicted.copy()
    said = [*dropped, *(() if painted is None else masks.object_ids(painted))]
    if said:
        ids[np.isin(ids, said)] = 0
    if painted is not None:
        ids[painted > 0] = painted[painted > 0]
    return ids


class Project:
    """A project that is open; `create` and `open` make one.

    Attributes:
        folder: where it lies.
        clip: its video, a `Clip` without masks.
        record: dict, what `project.json` holds.
    """

    def __init__(self, folder, clip, record):
        self.folder, self.clip, self.record = pathlib.Path(folder), clip, record
        self._names = clip.frame_names
        found = {path.stem for path in (self.folder / "painted").glob("*.png")}
        self._painted = {k for k, name in enumerate(self._names) if name in found}
        self._ids = {}  # of painted frames, as far as they are known

    @classmethod
    def create(cls, folder, video):
        """Begins a project.

        Args:
            folder: must hold no other project.
            video: file or folder of frames.

        Raises:
            InputError: `video` cannot be used, or there is a project already.
        """
        folder, video = pathlib.Path(folder), pathlib.Path(video)
        if is_project(folder):
            raise InputError(f"{folder} is a project already; name another place.")
        clip = open_clip(video, [])
        files.refuse_inputs([folder / "masks", folder / "painted"], clip.input_files())
        for name in ("masks", "painted"):
            if (folder / name).is_dir() and any((folder / name).iterdir()):
                raise InputError(
                    f"{folder / name} holds files and is no project's; name another "
                    "place for the project."
                )
        inside = video.resolve().is_relative_to(folder.resolve())
        record = {
            "version": VERSION,
            "video": str(
                video.resolve().relative_to(folder.resolve())
                if inside
                else video.resolve()
            ),
            "clip": _identity(clip),
            "done": 0,
            "dropped": {},
        }
        project = cls(folder, clip, record)
        project.save()
        return project

    @classmethod
    def open(cls, folder):
        """Opens a project.

        Raises:
            InputError: no project, a damaged one, or a video that is gone or
                is another one.
        """
        folder = pathlib.Path(folder)
        path = folder / PROJECT_FILE
        record = text_files.read_json(path, "a project of osmn studio")
        try:
            known = record["version"] == VERSION
            video, before = folder / record["video"], record["clip"]
            record["done"], record["dropped"] = int(record["done"]), record["dropped"]
        except (KeyError, TypeError, ValueError):
            known = False
        if not known:
            raise InputError(
                f"{path} is no project of this version of osmn studio; open the video "
                "again with another --project."
            )
        clip = open_clip(video, [])
        if before != _identity(clip):
            raise InputError(
                f"{video} is not the video that {path} was made of; put that one back, "
                "or begin a project elsewhere with --project."
            )
        return cls(folder, clip, record)

    @property
    def done(self):
        """Number of frames, from the first on, whose masks are valid."""
        return self.record["done"]

    @property
    def video(self):
        """Path of the video."""
        return self.folder / self.record["video"]

    def save(self):
        """Writes `project.json`."""
        files.write_json(self.folder / PROJECT_FILE, self.record)

    def file(self, kind, index):
        """Path of frame `index` in "masks", "painted" or "predicted"."""
        return self.folder / kind / f"{self._names[index]}.png"

    def read(self, kind, index):
        """(H, W) uint8 ids of such a file, or None where there is none."""
        path = self.file(kind, index)
        return read_mask(path) if path.exists() else None

    def painted_frames(self):
        """Indices of the frames of which a person said something, ascending."""
        return sorted(self._painted | {int(index) for index in self.record["dropped"]})

    def dropped(self, index):
        """Tuple of the ids that are dropped at a frame."""
        return tuple(self.record["dropped"].get(str(index), ()))

    def objects(self):
        """Ids that are painted anywhere, ascending."""
        for index in self._painted - self._ids.keys():
            self._ids[index] = masks.object_ids(self.read("painted", index))
        return tuple(sorted({i for ids in self._ids.values() for i in ids}))

    def invalidate(self, index):
        """Says that masks from frame `index` on are not valid."""
        if index < self.done:
            self.record["done"] = index
            self.save()

    def base(self, index):
        """(H, W) uint8: the mask of a frame without what a person said of it."""
        for kind in ("predicted", "masks"):
            if kind == "masks" and index in self.painted_frames():
                break
            ids = self.read(kind, index)
            if ids is not None:
                return ids
        return np.zeros(self.clip.size, np.uint8)

    def shown(self, index):
        """(H, W) uint8: the mask of a frame as it stands."""
        return compose(
            self.base(index), self.read("painted", index), self.dropped(index)
        )

    def edit(self, index, painted, dropped=()):
        """Stores what a person says of a frame, in place of what was said before.

        Masks of later frames are not valid any more, but stay until they are made
        anew; the frame's own mask is valid if its prediction was.

        Args:
            index: of the frame.
            painted: (H, W) uint8 ids, or None.
            dropped: ids.
        """
        valid = index < self.done or index == 0
        base, said = self.base(index), painted is not None and painted.any()
        self.invalidate(index)
        self._ids.pop(index, None)
        write_mask(self.file("predicted", index), base)
        if said:
            write_mask(self.file("painted", index), painted)
            self._painted.add(index)
        else:
            self._painted.discard(index)
            self.file("painted", index).unlink(missing_ok=True)
        ids = compose(base, painted if said else None, dropped)
        write_mask(self.file("masks", index), ids)
        self.record["dropped"].pop(str(index), None)
        if dropped:
            self.record["dropped"][str(index)] = sorted(int(i) for i in dropped)
        if valid and self.done == index:
            self.record["done"] = index + 1
        self.save()

    def add_result(self, index, predicted, ids):
        """Stores the mask of the next frame, which is valid then.

        Args:
            index: of the frame, `done`.
            predicted: (H, W) uint8, the network's own mask; kept where a person
                said something.
            ids: (H, W) uint8.
        """
        path = self.file("predicted", index)
        if index in self.painted_frames():
            write_mask(path, predicted)
        else:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        write_mask(self.file("masks", index), ids)
        self.record["done"] = index + 1
        self.save()


def open_project_clip(folder):
    """The clip of a project, with which `segment_clip` makes the studio's masks.

    Args:
        folder: the project's; the clip has its name.

    Returns:
        `Clip` whose masks are the painted ones, and which is `corrected`.

    Raises:
        InputError: as `Project.open`.
    """
    project = Project.open(folder)
    if not project.objects():
        raise InputError(
            f"nothing is painted in the project {folder} yet; paint the objects with "
            "osmn studio first."
        )
    if any((project.folder / TUNED).glob("*.keras")):
        warnings.warn(
            f"the project {folder} has tuned networks, which make its masks in osmn "
            "studio alone; here the network of --weights makes them.",
            InputNote,
            stacklevel=2,
        )
    frames = project.painted_frames()
    painted = {k: project.file("painted", k) for k in frames}
    return dataclasses.replace(
        project.clip,
        name=project.folder.resolve().name,
        mask_paths={k: path for k, path in painted.items() if path.exists()},
        corrected=True,
        dropped={k: project.dropped(k) for k in frames if project.dropped(k)},
    )


def _identity(clip):
    height, width = clip.size
    return {"name": clip.name, "frames": len(clip), "size": [height, width]}
