"""YouTube-Objects: 126 videos of 10 categories with one object each.

Masks by Jain and Grauman (2014), about every tenth frame. Two layouts:

As published (masks are JPEGs named by the frame's number)

    <category>/data/<video>/shots/<shot>/labels/00001.jpg
    <category>/data/<video>/shots/<shot>/images/frame0001.jpg

One folder per video, as in the OSMN release's scripts, under `Images` and
`Labels` or under `JPEGImages` and `Annotations`; masks bear the frames' names

    Labels/<video>/frame0001.png
    Images/<video>/frame0001.jpg
    <list>.txt                      names of videos, one per line; optional

There the name of a video begins with its category: aeroplane_0001 or
aeroplane/0001. In the published layout a video is called the same way,
aeroplane_0001 (and aeroplane_0001_002 if it has several shots).
"""

import dataclasses
import pathlib
import re

import numpy as np
from PIL import Image

from osmn_recurrent import masks, names
from osmn_recurrent.datasets.clips import Clip
from osmn_recurrent.datasets.ground_truth import Sequence
from osmn_recurrent.errors import InputError
from osmn_recurrent.image_files import open_image
from osmn_recurrent.media.mask_files import read_mask
from osmn_recurrent.media.pictures import picture_paths
from osmn_recurrent.text_files import read_text

_FOLDERS = (("Labels", "Images"), ("Annotations", "JPEGImages"))
_LABEL_SUFFIXES = (".png", ".jpg", ".jpeg")
_JPEG_THRESHOLD = 127


@dataclasses.dataclass(frozen=True)
class Video:
    """A video and its masks.

    Attributes:
        name: of the folder that results are in.
        category: such as "aeroplane".
        labels: `{frame name: mask file}`, in order.
        frame_paths: all frames, in order; empty if there are none on disk.
    """

    name: str
    category: str
    labels: dict
    frame_paths: tuple


FIRST_SHOT = "001"
"""The one shot of a video that the OSMN release takes (`preprocess_youtube.py`)."""


def list_videos(data_dir, split="all", first_shots=False):
    """The videos of a list.

    Args:
        data_dir: folder in one of the layouts above.
        split: name of a list. "all" and "val" mean all videos where there
            is no such list: the data set has no official split.
        first_shots: of the published layout `FIRST_SHOT` alone, as in the release.

    Returns:
        list of `Video`, sorted by name or in the order of the list.

    Raises:
        InputError: neither layout, no such list, or a video without masks.
    """
    data_dir = pathlib.Path(data_dir)
    names.single(split, "the flag for a list of videos")
    for labels, images in _FOLDERS:
        if (data_dir / labels).is_dir():
            videos = _arranged(data_dir / labels, data_dir / images)
            break
    else:
        videos = _published(data_dir, FIRST_SHOT if first_shots else "*")
    if not videos:
        raise InputError(
            f"{data_dir} has no masks of YouTube-Objects; expected "
            "Labels/<video>/<frame>.png, Annotations/<video>/<frame>.png or "
            "<category>/data/<video>/shots/<shot>/labels/<number>.jpg."
        )
    return _listed(data_dir / f"{split}.txt", videos)


class LabelledClip(Clip):
    """A clip of YouTube-Objects: its masks are read by `read_label`.

    Masks of another size than the frames (a detail of the published files)
    are resized to it, nearest neighbour.
    """

    def mask(self, index):
        """Mask of frame `index`, (H, W) uint8, 0 or 1, or None."""
        if index not in self.mask_paths:
            return None
        label, (height, width) = read_label(self.mask_paths[index]), self.size
        if label.shape != (height, width):
            resized = Image.fromarray(label).resize((width, height), Image.NEAREST)
            label = np.asarray(resized)
        return label

    def palette(self):
        """The DAVIS palette; labels have none (768 ints)."""
        return masks.davis_palette()


def youtube_objects_clips(data_dir, split="all", first_shots=False, labelled=False):
    """The clips of a list, each from its first to its last labelled frame.

    Args:
        data_dir: see `list_videos`.
        split: see `list_videos`.
        first_shots: see `list_videos`.
        labelled: leave out the frames between labels, as in the release, whose loop
            steps from one labelled frame to the next.

    Returns:
        list of `LabelledClip` with the first label alone.

    Raises:
        InputError: see `list_videos`; also a video without frames or without
            the frame of a label.
    """
    clips = []
    for video in list_videos(data_dir, split, first_shots):
        if not video.frame_paths:
            first = next(iter(video.labels.values()))
            raise InputError(
                f"{video.name} has no frames beside its labels ({first}); add "
                "its pictures as the layout asks."
            )
        stems = [path.stem for path in video.frame_paths]
        labels = video.labels
        missing = [name for name in labels if name not in stems]
        if missing:
            raise InputError(
                f"{labels[missing[0]]} labels the frame {missing[0]}, which is not "
                f"among those of {video.name} ({stems[0]} to {stems[-1]}); add it."
            )
        order = sorted(stems.index(name) for name in labels)
        shown = order if labelled else range(order[0], order[-1] + 1)
        clips.append(
            LabelledClip(
                video.name,
                tuple(video.frame_paths[t] for t in shown),
                {0: labels[stems[order[0]]]},
                binary=True,
            )
        )
    return clips


def youtube_objects_sequences(data_dir, split="all", first_shots=False):
    """What a result folder must hold, and its ground truth.

    Only the first annotated frame is left out of the scores. Predictions may
    have the size of the frames or of the masks.

    Args:
        data_dir: see `list_videos`.
        split: see `list_videos`.
        first_shots: see `list_videos`.

    Returns:
        list of `Sequence`, with their categories.

    Raises:
        InputError: see `list_videos`.
    """
    return [
        Sequence(
            name=video.name,
            frames=tuple(video.labels),
            ground_truth=video.labels,
            read_ground_truth=read_label,
            picture=next(iter(video.frame_paths), None),
            category=video.category,
        )
        for video in list_videos(data_dir, split, first_shots)
    ]


def read_label(path):
    """Reads a mask of either layout, (H, W) uint8, 0 or 1.

    JPEGs are grey and not quite 0 and 255: the object is above 127. In PNGs
    it is every non-zero pixel.

    Raises:
        InputError: unreadable file or colour PNG.
    """
    path = pathlib.Path(path)
    if path.suffix.lower() == ".png":
        return (read_mask(path) > 0).astype(np.uint8)
    with open_image(path, kind="mask") as image:
        grey = np.asarray(image.convert("L"))
    return (grey > _JPEG_THRESHOLD).astype(np.uint8)


def _arranged(labels, images):
    """`{name: Video}` of one folder per video."""
    videos = {}
    for folder in sorted({path.parent for path in labels.rglob("*.*")}):
        paths = picture_paths(folder, _LABEL_SUFFIXES)
        if not paths:
            continue
        name = folder.relative_to(labels).as_posix()
        frames = images / name
        videos[name] = Video(
            name=name,
            category=re.match("[A-Za-z]*", name)[0] or name,
            labels={path.stem: path for path in paths},
            frame_paths=tuple(picture_paths(frames)) if frames.is_dir() else (),
        )
    return videos


def _published(data_dir, shots):
    """`{name: Video}` of the layout of the download; `shots` is a pattern."""
    videos = {}
    for folder in sorted(data_dir.glob(f"*/data/*/shots/{shots}/labels")):
        category, video, shot = (folder.parents[n].name for n in (4, 2, 0))
        name = f"{category}_{video}"
        if len(list(folder.parents[1].glob("*/labels"))) > 1:
            name += f"_{shot}"
        pictures = folder.parent / "images"
        frames = tuple(picture_paths(pictures)) if pictures.is_dir() else ()
        stems = {_number(path): path.stem for path in frames}
        labels = {}
        for path in picture_paths(folder, _LABEL_SUFFIXES):
            number = _number(path)
            labels[stems.get(number, f"frame{number:04d}")] = path
        if labels:
            videos[name] = Video(name, category, labels, frames)
    return videos


def _number(path):
    digits = re.findall(r"\d+", path.stem)
    if not digits:
        raise InputError(
            f"{path} has no frame number in its name; expected such as 00001.jpg "
            "for a mask and frame0001.jpg for a frame."
        )
    return int(digits[-1])


def _listed(path, videos):
    """The videos that a list names, or all."""
    if not path.is_file():
        if path.stem in ("all", "val"):
            return list(videos.values())
        raise InputError(
            f'{path}: no such list of videos; write one name per line, or use "all".'
        )
    lines = [line.strip() for line in read_text(path).splitlines()]
    wanted = [names.inside("", line, path).as_posix() for line in lines if line]
    unknown = [name for name in wanted if name not in videos]
    if unknown or not wanted:
        raise InputError(
            f"{path} names {unknown[0] if unknown else 'no video'}, but there are "
            f"masks of {len(videos)} videos, {next(iter(videos))} first; correct "
            "the list."
        )
    return [videos[name] for name in wanted]
