"""Masks from and to other programs.

Example:

    osmn convert masks annotations.json --format=palette --out=masks

MASKS is a file that osmn segment takes as --mask, or a folder of them: pictures
(palette, grey, black and white, colours, transparent background, JPG), LabelMe,
COCO, SAM, CVAT's exports (docs/masks.md has the list). Folders of folders keep
their folders.
"""

import pathlib

from absl import flags

from osmn_recurrent import files, names, programs
from osmn_recurrent.cli import shared
from osmn_recurrent.errors import InputError
from osmn_recurrent.media.mask_export import FORMATS, help_text, write_masks
from osmn_recurrent.media.mask_files import (
    DOCUMENT_SUFFIXES,
    MASK_SUFFIXES,
    MaskFiles,
)
from osmn_recurrent.media.mask_folders import frames_of, masks_in

FLAGS = flags.FlagValues()
flags.DEFINE_enum(
    "format",
    "palette",
    list(FORMATS),
    f"What is written. {help_text()}.",
    flag_values=FLAGS,
)
shared.define(FLAGS, "out", required=True, note="A folder that is new or empty.")


def main(masks):
    """Converts; see the module's text."""
    source, out = pathlib.Path(masks), pathlib.Path(FLAGS.out)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder of masks.")
    clips = list_clips(source)
    files.check_output(out, folder=True)
    files.refuse_inputs([out], [path for paths in clips.values() for path in paths])
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; name a new folder for the masks.")
    with files.folder_when_done(out) as folder:
        count = sum(convert(paths, folder / place) for place, paths in clips.items())
    print(f"{count} masks as {FLAGS.format}")
    return programs.Done((out,))


def list_clips(source):
    """`{folder below OUT: mask files}` of a file or folder.

    Raises:
        InputError: a folder without masks.
    """
    if source.is_file():
        return {".": [source]}
    kinds = {*MASK_SUFFIXES, *DOCUMENT_SUFFIXES}
    own = any(path.suffix.lower() in kinds for path in source.iterdir())
    below = sorted(path for path in source.iterdir() if path.is_dir())
    with_masks = [
        each
        for each in below
        if any(path.suffix.lower() in kinds for path in each.iterdir())
    ]
    if own or len(with_masks) < 2:
        return {".": masks_in(source)}
    if any(each.name.startswith("Segmentation") for each in with_masks):
        return {".": masks_in(source)}  # CVAT's export
    return {each.name: masks_in(each) for each in with_masks}


def convert(paths, folder):
    """Writes the masks of a clip; gives their number."""
    entries = []
    for path in paths:
        frames = frames_of(path) or (None,)
        entries += [(path, frame, frame or path.stem) for frame in frames]
    _check_names(entries)
    found = MaskFiles(
        [path for path, _, _ in entries], [frame for _, frame, _ in entries]
    )
    named = ((name, found.read(path, frame=frame)) for path, frame, name in entries)
    write_masks(folder, named, FLAGS.format, found.palette())
    return len(entries)


def _check_names(entries):
    """Refuses names that are no file names, and two masks of one frame."""
    found = {}
    for path, _, name in entries:
        names.single(name, path)
        other = found.setdefault(name, path)
        if other != path:
            raise InputError(
                f"{other} and {path} both hold a mask of frame {name}; give one of "
                "them."
            )


def console():
    """Entry of `python -m`."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
