"""What osmn segment writes beside the masks: videos, cut-outs, tracks, sheet."""

import pathlib

from absl import flags

from osmn_recurrent.errors import InputError
from osmn_recurrent.media import DEFAULT_FPS

EXPORTS = {
    "overlay.mp4": "CLIP_overlay.mp4, as --overlay",
    "overlay.webm": "CLIP_overlay.webm (VP9)",
    "gif": "CLIP_overlay.gif",
    "matte.mp4": "CLIP_matte.mp4, the objects white on black (H.264)",
    "prores": "CLIP_prores.mov, the objects without background (ProRes 4444)",
    "webm-alpha": "CLIP_alpha.webm, the same for browsers (VP9 with alpha)",
    "png": "CLIP_cutouts/FRAME.png, as --cutouts",
}
"""What --export writes, by its names."""


def define(flag_values):
    """Defines the flags."""
    own = {"flag_values": flag_values}
    flags.DEFINE_bool(
        "overlay",
        True,
        "Write OUT/CLIP_overlay.mp4 (H.264, which plays everywhere), with the source's "
        "sound and time stamps.",
        **own,
    )
    flags.DEFINE_list(
        "export",
        [],
        "Videos to write into OUT, by commas: "
        + "; ".join(f"{name}: {what}" for name, what in EXPORTS.items())
        + ". They have the source's sound (but for gif) and time stamps.",
        **own,
    )
    flags.DEFINE_bool(
        "matte",
        False,
        "Write OUT/CLIP_matte/FRAME.png: the largest probability of an object as 8-bit "
        "grey. Cut-outs and --export then have its soft edges.",
        **own,
    )
    flags.DEFINE_bool(
        "refine_matte",
        False,
        "Fit the matte to the frame's edges by closed-form matting (pymatting; seconds "
        "a frame), into OUT/CLIP_matte_refined.",
        **own,
    )
    flags.DEFINE_bool(
        "cutouts",
        False,
        "Write OUT/CLIP_cutouts/FRAME.png: the objects without background (RGBA).",
        **own,
    )
    flags.DEFINE_bool(
        "tracks",
        False,
        "Write OUT/CLIP.json: COCO's run-length code, a track per object.",
        **own,
    )
    flags.DEFINE_bool(
        "sheet",
        False,
        "Write OUT/CLIP_sheet.png: six frames with their masks side by side.",
        **own,
    )
    flags.DEFINE_float(
        "opacity",
        0.5,
        "Opacity of the masks in the overlay.",
        lower_bound=0.0,
        upper_bound=1.0,
        **own,
    )
    flags.DEFINE_float(
        "fps",
        None,
        "Frames per second of the videos, which then have no sound. Default: the time "
        f"stamps of the video file, or {DEFAULT_FPS:g} for a folder.",
        lower_bound=0.1,
        upper_bound=1000.0,
        **own,
    )


def check(flag_values):
    """Refuses values that are none, before anything is loaded."""
    if soft(flag_values) and flag_values.refine != "none":
        raise InputError(
            f"--refine={flag_values.refine} fits masks to edges and leaves "
            "probabilities as they are, so --matte would show others; leave one of "
            "them out."
        )
    for name in flag_values.export:
        if name not in EXPORTS:
            raise InputError(
                f"--export={name}: expected some of {', '.join(EXPORTS)}, by commas."
            )


def make(flag_values, clip, out):
    """The followers that the flags ask for.

    Args:
        flag_values: where they were defined.
        clip: the clip.
        out: folder for the results.

    Returns:
        List of `inference.followers.Follower`.

    Raises:
        InputError: a value that is none.
    """
    from osmn_recurrent.inference import writers
    from osmn_recurrent.reports import exported_videos, overlays

    wanted, name = set(flag_values.export), clip.name
    if flag_values.overlay:
        wanted.add("overlay.mp4")
    timing = exported_videos.timing_of(clip, flag_values.fps)
    opacity = flag_values.opacity
    found = exported_videos.make(wanted, clip, out / name, opacity, timing)
    if flag_values.cutouts or "png" in wanted:
        found.append(writers.Cutouts(out / f"{name}_cutouts", clip.frame_names))
    if flag_values.tracks:
        names = [pathlib.Path(path).name for path in clip.frame_paths]
        names = names or [f"{frame}.png" for frame in clip.frame_names]
        found.append(writers.Tracks(out / f"{name}.json", name, names))
    if flag_values.sheet:
        found.append(overlays.ContactSheet(out / f"{name}_sheet.png", name, len(clip)))
    return found


def soft(flag_values):
    """Whether a matte is asked for."""
    return flag_values.matte or flag_values.refine_matte


def make_mattes(flag_values, clip, out):
    """`inference.mattes.Mattes` that the flags ask for, or None.

    Raises:
        InputError: pymatting is missing.
    """
    from osmn_recurrent.inference import mattes

    if not soft(flag_values):
        return None
    refine = mattes.ClosedForm() if flag_values.refine_matte else None
    ending = "matte_refined" if flag_values.refine_matte else "matte"
    return mattes.Mattes(out / f"{clip.name}_{ending}", clip.frame_names, refine)
