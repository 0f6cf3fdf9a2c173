"""Fits the masks of a result folder to their frames' edges.

    osmn refine --results=DIR --frames=DAVIS/JPEGImages/480p \\
        --method=crf --out=DIR2

Takes RESULTS/SEQUENCE/FRAME.png and FRAMES/SEQUENCE/FRAME.jpg (or the masks
and frames of one clip directly) and writes OUT/SEQUENCE/FRAME.png with the
masks' palettes. A sequence's first mask is the given one and is copied. A run
that was interrupted resumes when it is started again.
"""

import pathlib
import shutil

import numpy as np
from absl import flags

from osmn_recurrent import files, programs, run_folder
from osmn_recurrent.cli import shared
from osmn_recurrent.errors import InputError

FLAGS = flags.FlagValues()
RUN_FILE = "refinement.json"

shared.define(FLAGS, "results", required=True)
flags.DEFINE_string(
    "frames", None, "Folder of their frames.", required=True, flag_values=FLAGS
)
flags.DEFINE_enum(
    "method",
    "crf",
    ["crf", "guided"],
    "Dense CRF with the OSMN release's parameters (extra crf), or a guided "
    "filter (nothing to compile).",
    flag_values=FLAGS,
)
shared.define(FLAGS, "out", required=True)
shared.define(FLAGS, "overwrite", False)


def main():
    """Refines; see the module's text."""
    results, out = pathlib.Path(FLAGS.results), pathlib.Path(FLAGS.out)
    pairs = list_pairs(results, pathlib.Path(FLAGS.frames))
    targets = [out / mask.relative_to(results) for mask, _, _ in pairs]
    files.refuse_inputs(
        [*targets, *{path.parent for path in targets}, out],
        [path for mask, frame, _ in pairs for path in (mask, frame)],
    )

    from osmn_recurrent.inference import refinement

    refine = refinement.REFINEMENTS[FLAGS.method]()
    run = run_folder.RunFolder(out, "refine", RUN_FILE)
    parts = {"results": str(results.resolve()), **refinement.describe(refine)}
    with run_folder.hold(out):
        stored = run.claim(parts, targets, FLAGS.overwrite)
        digests = digests_of(pairs, results)
        refuse_other_inputs(out, stored.get("inputs", {}), digests)
        run.write(inputs=digests)
        done, changed = refine_all(refine, pairs, results, out)
    print(
        f"{len(pairs)} masks ({done} new, {100 * changed:.2f}% of the new ones' "
        f"pixels changed)"
    )
    return programs.Done((out,))


def list_pairs(results, frames):
    """Masks and their frames, all checked by their headers.

    Args:
        results: folder of masks, or of folders of masks.
        frames: the same with frames.

    Returns:
        List of `(mask file, frame file, whether it is a first mask)`.

    Raises:
        InputError: a missing folder, no masks, a mask without a frame or of
            another size.
    """
    from osmn_recurrent.datasets import clips
    from osmn_recurrent.image_files import image_size
    from osmn_recurrent.media.pictures import picture_paths

    for folder in (results, frames):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder.")
    inside = sorted(p for p in results.iterdir() if p.is_dir()) or [results]
    pairs = []
    for folder in inside:
        pictures = frames / folder.relative_to(results)
        masks = picture_paths(folder, (".png",))
        if not masks:
            continue
        if not pictures.is_dir():
            raise InputError(
                f"{pictures}: no such folder, expected the frames of the masks "
                f"in {folder}."
            )
        found = picture_paths(pictures)
        if not found:
            raise InputError(f"{pictures} holds no picture, expected frames.")
        names = [path.stem for path in found]
        of_frame = clips.masks_by_frame(masks, names, pictures)
        for number, (index, mask) in enumerate(of_frame.items()):
            sizes = image_size(mask), image_size(found[index])
            if sizes[0] != sizes[1]:
                raise InputError(
                    f"{mask} is {sizes[0][1]}x{sizes[0][0]}, but its frame "
                    f"{found[index]} is {sizes[1][1]}x{sizes[1][0]}; give the "
                    "frames that the masks were made from."
                )
            pairs.append((mask, found[index], number == 0))
    if not pairs:
        raise InputError(
            f"{results} holds no masks, expected {results}/SEQUENCE/FRAME.png or "
            f"{results}/FRAME.png."
        )
    return pairs


def digests_of(pairs, results):
    """`{mask's name below the results: digests of the mask and its frame}`."""
    from osmn_recurrent.media.pictures import file_digest

    return {
        str(mask.relative_to(results)): f"{file_digest(mask)} {file_digest(frame)}"
        for mask, frame, _ in pairs
    }


def refuse_other_inputs(out, before, now):
    """Refuses refined masks whose mask or frame was replaced since.

    Args:
        out: the output folder.
        before: `digests_of` the run that this one resumes.
        now: that of this run.

    Raises:
        InputError: naming one.
    """
    for name, digest in now.items():
        if name in before and before[name] != digest and (out / name).exists():
            raise InputError(
                f"{out / name} was refined from another mask or frame than are there "
                "now; give --overwrite to begin anew or name another place."
            )


def refine_all(refine, pairs, results, out):
    """Writes the masks that are not there yet.

    Returns:
        `(count, share)` of the masks written now and of the pixels of these
        that changed.
    """
    from tqdm import tqdm

    from osmn_recurrent.media.mask_files import read_mask_with_palette, write_mask
    from osmn_recurrent.media.pictures import read_frame

    count, changed, pixels = 0, 0, 0
    for mask, frame, first in tqdm(pairs, desc=FLAGS.method, unit="mask"):
        path = out / mask.relative_to(results)
        if path.exists():
            continue
        count += 1
        if first:
            with files.replace_when_done(path) as temporary:
                shutil.copyfile(mask, temporary)
            continue
        ids, palette = read_mask_with_palette(mask)
        refined = refine(read_frame(frame), ids)
        changed += np.count_nonzero(refined != ids)
        pixels += ids.size
        write_mask(path, refined, palette)
    return count, changed / max(pixels, 1)


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
