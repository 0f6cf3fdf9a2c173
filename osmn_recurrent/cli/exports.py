"""What osmn segment writes beside the masks: overlay, cut-outs, tracks, sheet."""

import pathlib

from absl import flags

from osmn_recurrent.media import DEFAULT_FPS


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
        "Frames per second of the overlay, which then has no sound. Default: the time "
        f"stamps of the video file, or {DEFAULT_FPS:g} for a folder.",
        lower_bound=0.1,
        upper_bound=1000.0,
        **own,
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
    from osmn_recurrent.reports import overlays

    found, name = [], clip.name
    if flag_values.overlay:
        found.append(
            overlays.OverlayVideo(
                out / f"{name}_overlay.mp4",
                clip.size,
                flag_values.opacity,
                clip.palette(),
                **timing(clip, flag_values.fps),
            )
        )
    if flag_values.cutouts:
        found.append(writers.Cutouts(out / f"{name}_cutouts", clip.frame_names))
    if flag_values.tracks:
        names = [pathlib.Path(path).name for path in clip.frame_paths]
        names = names or [f"{frame}.png" for frame in clip.frame_names]
        found.append(writers.Tracks(out / f"{name}.json", name, names))
    if flag_values.sheet:
        found.append(overlays.ContactSheet(out / f"{name}_sheet.png", name, len(clip)))
    return found


def timing(clip, fps=None):
    """When frames are shown: arguments of `VideoWriter`.

    Args:
        clip: the clip.
        fps: frames per second, or None for the clip's own times.
    """
    video = getattr(clip, "video", None)
    aspect = {} if video is None else {"aspect": video.aspect}
    if fps is not None or video is None:
        return {"fps": DEFAULT_FPS if fps is None else fps, **aspect}
    return {"times": video.times, "end": video.end, "sound_of": video, **aspect}
