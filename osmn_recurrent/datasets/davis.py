"""DAVIS 2016 and 2017, and anything laid out like them.

    JPEGImages/<resolution>/<sequence>/00000.jpg
    Annotations/<resolution>/<sequence>/00000.png
    ImageSets/<year>/<split>.txt

Masks of 2017 are palette PNGs whose values are object ids, those of 2016
are 0/255. A resolution is any folder under JPEGImages: "480p", "240p",
"Full-Resolution"; or two, FRAMES:MASKS, such as "Full-Resolution:480p", with the
masks enlarged to the frames (release --use_full_res, for small visual guides).
"""

import pathlib

from osmn_recurrent import names
from osmn_recurrent.datasets.clips import Clip, masks_by_frame
from osmn_recurrent.datasets.ground_truth import Sequence
from osmn_recurrent.errors import InputError
from osmn_recurrent.media.pictures import picture_paths
from osmn_recurrent.text_files import read_text

LISTS = pathlib.Path(__file__).parent / "lists"
"""Lists that come with the package, <year>/<split>.txt: those of the small-scale
study (val_study, train_fit, train_stop) and of several objects (val_objects)."""


def sequence_names(data_dir, year, split):
    """Names of the sequences of a split, in order of first appearance.

    Reads `ImageSets/<year>/<split>.txt`; for 2016 also the official place,
    `ImageSets/480p/<split>.txt` (or `1080p`); else the package's list of that
    name (`LISTS`). A line is a sequence name or, in the official lists of 2016,
    a frame and its mask:
    `/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png`.

    Args:
        data_dir: the folder that holds ImageSets.
        year: 2016 or 2017.
        split: name of the list, such as "train", "val" or "test-dev".

    Returns:
        tuple of str.

    Raises:
        InputError: no such list, one without a sequence, or one that leads
            out of the data set's folders.
    """
    names.single(split, "the flag for a list of sequences")
    lists = pathlib.Path(data_dir) / "ImageSets"
    folders = ["480p", "1080p"] if int(year) == 2016 else []
    places = [lists / f / f"{split}.txt" for f in [str(year), *folders]]
    places.append(LISTS / str(year) / f"{split}.txt")
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        found = [str(p.relative_to(lists)) for p in sorted(lists.glob("*/*.txt"))]
        raise InputError(
            f"{places[0]}: no such list of sequences; {lists} has "
            f"{_listing(found)}; name a split and a year that are there."
        )
    lines = read_text(path).splitlines()
    found = tuple(dict.fromkeys(_sequence(s, path) for s in lines if s.strip()))
    if not found:
        raise InputError(f"{path} names no sequence; write one sequence name per line.")
    return found


def _sequence(line, path):
    """Name of the sequence in a line of the list at `path`."""
    first = line.split()[0].replace("\\", "/")
    if "/" in first.rstrip("/"):
        name = pathlib.PurePosixPath(first).parent.name
    else:
        name = line.strip().rstrip("/\\")
    return names.inside("", name, path).as_posix()


def resolutions(text):
    """`(frames, masks)`, folders under JPEGImages and Annotations, of a resolution."""
    frames, _, own = str(text).partition(":")
    return frames, own or frames


def annotation_paths(data_dir, sequence, resolution="480p"):
    """The masks of a sequence, sorted by name.

    Args:
        data_dir: the folder that holds Annotations.
        sequence: a sequence name.
        resolution: a folder name under Annotations, or see above.

    Returns:
        list of `pathlib.Path`, at least one.

    Raises:
        InputError: no such resolution or sequence, or no PNG in its folder.
    """
    folder = _folder(data_dir, "Annotations", resolutions(resolution)[1], sequence)
    paths = picture_paths(folder, (".png",))
    if not paths:
        raise InputError(
            f"{folder} holds no PNG; expected the sequence's masks, at least "
            "that of its first frame."
        )
    return paths


def davis_clips(
    data_dir, year=2017, split="val", resolution="480p", first_mask_only=False
):
    """The clips of a split.

    Sets that publish only the first mask (test-dev) give clips with that
    one mask.

    Args:
        data_dir: the folder that holds JPEGImages, Annotations, ImageSets.
        year: 2016 (every non-zero pixel is the one object) or 2017.
        split: see `sequence_names`.
        resolution: a folder name under JPEGImages and Annotations, or see above.
        first_mask_only: leave out all masks but the first frame's.

    Returns:
        list of `Clip`, in the order of the split's list.

    Raises:
        InputError: a list, resolution, sequence or first mask that is
            missing, or a mask that belongs to no frame.
    """
    clips = []
    for name in sequence_names(data_dir, year, split):
        folder = _folder(data_dir, "JPEGImages", resolutions(resolution)[0], name)
        frames = picture_paths(folder)
        if not frames:
            raise InputError(f"{folder} holds no picture; expected its frames.")
        found = annotation_paths(data_dir, name, resolution)
        masks = masks_by_frame(found, [p.stem for p in frames], folder)
        if 0 not in masks:
            raise InputError(
                f"{found[0].parent} has no mask {frames[0].stem}.png for the "
                f"first frame of {name}; add it, the objects start from it."
            )
        if first_mask_only:
            masks = {0: masks[0]}
        clips.append(Clip(name, tuple(frames), masks, binary=int(year) == 2016))
    return clips


def davis_sequences(data_dir, year, split, resolution="480p"):
    """What a result folder of a DAVIS set must hold, and its ground truth.

    Sequences of which only the first mask is public (test-dev, challenge)
    have the frames of JPEGImages, the others those of Annotations.

    Args:
        data_dir: the folder that holds Annotations and ImageSets.
        year: 2016 or 2017.
        split: name of a list of sequences, such as "val".
        resolution: a folder name under Annotations, or see above; results may then
            have the frames' size too.

    Returns:
        list of `Sequence`.

    Raises:
        InputError: a list, resolution or sequence that is missing.
    """
    sequences = []
    of_frames, of_masks = resolutions(resolution)
    for name in sequence_names(data_dir, year, split):
        paths = annotation_paths(data_dir, name, resolution)
        ground_truth = {path.stem: path for path in paths}
        stems, hidden, picture = tuple(ground_truth), False, None
        if of_frames != of_masks:
            folder = _folder(data_dir, "JPEGImages", of_frames, name)
            picture = next(iter(picture_paths(folder)), None)
        pictures = pathlib.Path(data_dir) / "JPEGImages" / of_frames / name
        if len(paths) == 1 and pictures.is_dir():
            stems = tuple(path.stem for path in picture_paths(pictures)) or stems
            hidden = len(stems) > 1
        sequences.append(Sequence(name, stems, ground_truth, hidden, picture=picture))
    return sequences


def _folder(data_dir, kind, resolution, sequence):
    """data_dir/kind/resolution/sequence, or the first level that is missing."""
    folder = pathlib.Path(data_dir)
    for part in (kind, resolution, sequence):
        if not (folder / part).is_dir():
            raise InputError(
                f"{folder / part}: no such folder; {_inside(folder)}. Expected "
                f"<data_dir>/{kind}/<resolution>/<sequence>."
            )
        folder /= part
    return folder


def _inside(folder):
    if not folder.is_dir():
        return f"{folder} does not exist either"
    found = sorted(path.name for path in folder.iterdir() if path.is_dir())
    return f"{folder} has {_listing(found)}"


def _listing(names, most=8):
    names = list(names)
    if not names:
        return "nothing of the kind"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
