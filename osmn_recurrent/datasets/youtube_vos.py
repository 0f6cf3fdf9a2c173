"""YouTube-VOS, and anything laid out like it.

    <split>/meta.json
    <split>/Annotations/<video>/00000.png     palette masks, values = ids
    <split>/JPEGImages/<video>/00000.jpg

`meta.json` names for every object of every video its category and the frames
in which it is annotated; the first of these is where it appears:

    {"videos": {"<video>": {"objects": {"<id>":
        {"category": "penguin", "frames": ["00000", "00005"]}}}}}

The official train set has all masks. Of "valid" and "test" only those of the
frames in which an object appears are public.
"""

import dataclasses
import pathlib

from osmn_recurrent import names
from osmn_recurrent.datasets.clips import Clip, masks_by_frame
from osmn_recurrent.datasets.ground_truth import Sequence
from osmn_recurrent.errors import InputError
from osmn_recurrent.media.pictures import picture_paths
from osmn_recurrent.text_files import read_json


@dataclasses.dataclass(frozen=True)
class Video:
    """A video's objects and masks.

    Attributes:
        name: the video's folder.
        objects: `{object id: frame names}`, the first where it appears.
        categories: `{object id: category}`, "" where meta.json has none.
        masks: `{frame name: mask file}`, in order.
        frame_paths: the pictures, in order; empty if there are none on disk.
    """

    name: str
    objects: dict
    categories: dict
    masks: dict
    frame_paths: tuple = ()

    @property
    def frames(self):
        """Names of the frames in which any object is annotated, in order."""
        return tuple(sorted({n for names in self.objects.values() for n in names}))

    @property
    def first_frames(self):
        """Names of the frames in which an object appears, in order."""
        return tuple(sorted({names[0] for names in self.objects.values()}))

    @property
    def hidden(self):
        """Whether there are masks of the first frames only."""
        return set(self.frames) > set(self.first_frames) >= set(self.masks)


def list_videos(data_dir, split="train"):
    """The videos of a split, sorted by name.

    Args:
        data_dir: the folder that holds the splits, or a split's own folder.
        split: "train", "valid" (or "val") or "test".

    Returns:
        list of `Video`.

    Raises:
        InputError: no such split, a meta.json that cannot be used, or a
            video without the masks in which its objects appear.
    """
    data_dir = pathlib.Path(data_dir)
    names.single(split, "the flag for a split")
    places = [data_dir / split, data_dir]
    if split == "val":
        places.insert(1, data_dir / "valid")
    folder = next((p for p in places if (p / "meta.json").is_file()), None)
    if folder is None:
        raise InputError(
            f"{places[0] / 'meta.json'}: no such file; expected the layout of "
            "YouTube-VOS, <split>/meta.json and <split>/Annotations/<video>."
        )
    videos = [
        _video(folder, name, objects)
        for name, objects in sorted(_read_meta(folder / "meta.json").items())
    ]
    if not videos:
        raise InputError(f"{folder / 'meta.json'} lists no video.")
    return videos


def youtube_vos_clips(data_dir, split="valid", first_mask_only=True, listed=False):
    """The clips of a split, each from the first frame with an object on.

    Args:
        data_dir: see `list_videos`.
        split: see `list_videos`.
        first_mask_only: leave out all masks but those of the frames in which
            an object appears.
        listed: an object is shown in the frames that `meta.json` lists for it alone,
            as in the release (`ytvos_merge_result.py`), and not to the clip's end.

    Returns:
        list of `Clip`. A mask of a later frame may show objects that appeared
        before; a segmenter takes from it what is new.

    Raises:
        InputError: see `list_videos`; also a video without frames, or masks
            without their frame.
    """
    clips = []
    for video in list_videos(data_dir, split):
        if not video.frame_paths:
            raise InputError(
                f"{video.name} has no frames; expected pictures in "
                f"{data_dir}/{split}/JPEGImages/{video.name}."
            )
        stems = [path.stem for path in video.frame_paths]
        masks = masks_by_frame(video.masks.values(), stems, video.frame_paths[0].parent)
        given = {stems.index(name) for name in video.first_frames}
        start = min(given)
        clips.append(
            Clip(
                video.name,
                video.frame_paths[start:],
                {
                    k - start: path
                    for k, path in masks.items()
                    if k in given or (k >= start and not first_mask_only)
                },
                listed=_listed(video, stems, start) if listed else None,
            )
        )
    return clips


def _listed(video, stems, start):
    """`Clip.listed` of a clip that begins with frame `start`."""
    place = {stem: t - start for t, stem in enumerate(stems)}
    return {
        i: frozenset(place[name] for name in frames if name in place)
        for i, frames in video.objects.items()
    }


def youtube_vos_sequences(data_dir, split="train"):
    """What a result folder must hold, and its ground truth.

    An object is scored in the frames that `meta.json` lists for it, but for the
    first, in which its mask is given. The server does the same with ground truth that
    is not public, and averages apart what is of a category seen in training and
    what is not; from local ground truth there is one average.

    Args:
        data_dir: see `list_videos`.
        split: "train", "valid" or "test".

    Returns:
        list of `Sequence`.

    Raises:
        InputError: see `list_videos`.
    """
    return [
        Sequence(
            name=video.name,
            frames=video.frames,
            ground_truth=video.masks,
            hidden=video.hidden,
            objects={i: frames[1:] for i, frames in video.objects.items()},
        )
        for video in list_videos(data_dir, split)
    ]


def _read_meta(path):
    """`{video: {id: (category, frame names)}}` of a meta.json."""
    try:
        videos = read_json(path, "a meta.json of YouTube-VOS")["videos"]
        return {
            names.inside("", name, path).as_posix(): {
                _object_id(i, name, path): (
                    str(each.get("category", "")),
                    tuple(sorted(names.single(f, path) for f in each["frames"])),
                )
                for i, each in video["objects"].items()
            }
            for name, video in videos.items()
        }
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not a meta.json of YouTube-VOS ({error!r}); expected "
            'videos, their objects by id, and the "frames" of each.'
        ) from None


def _object_id(text, name, path):
    """1 to 254, the ids that a mask can hold."""
    number = int(text)
    if not 1 <= number <= 254:
        raise InputError(
            f"{path} gives {name} an object {number}, expected ids from 1 to 254."
        )
    return number


def _video(folder, name, objects):
    annotations = folder / "Annotations" / name
    paths = picture_paths(annotations, (".png",)) if annotations.is_dir() else []
    pictures = folder / "JPEGImages" / name
    # An object without frames cannot be followed.
    objects = {i: each for i, each in sorted(objects.items()) if each[1]}
    video = Video(
        name=name,
        objects={i: frames for i, (_, frames) in objects.items()},
        categories={i: category for i, (category, _) in objects.items()},
        masks={path.stem: path for path in paths},
        frame_paths=tuple(picture_paths(pictures)) if pictures.is_dir() else (),
    )
    missing = [frame for frame in video.first_frames if frame not in video.masks]
    if missing or not objects:
        problem = (
            f"no mask {missing[0]}.png, in which an object of {name} appears"
            if missing
            else f"masks of {name}, but meta.json has no object there"
        )
        raise InputError(f"{annotations} has {problem}; complete the data set.")
    return video
