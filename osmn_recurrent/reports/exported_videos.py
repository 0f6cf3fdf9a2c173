"""The videos that are made of a clip's masks, by the names that --export has."""

from osmn_recurrent.inference import video_exports
from osmn_recurrent.media import DEFAULT_FPS
from osmn_recurrent.reports import overlays

ENDINGS = {
    "overlay.mp4": "overlay.mp4",
    "overlay.webm": "overlay.webm",
    "gif": "overlay.gif",
    "matte.mp4": "matte.mp4",
    "prores": "prores.mov",
    "webm-alpha": "alpha.webm",
}
"""How the files' names end, behind the clip's name and an underscore."""

KEYED = {"prores": "prores", "webm-alpha": "vp9-alpha"}
"""Kind of `VideoWriter` of those that have transparency."""


def make(wanted, clip, begin, opacity, timing):
    """Followers that write some of the videos.

    Args:
        wanted: names of `ENDINGS`; others are left to the caller.
        clip: the clip.
        begin: path that the files' names begin with.
        opacity: of the masks in overlays, 0 to 1.
        timing: of `timing_of`.

    Returns:
        List of `inference.followers.Follower`, in the order of `ENDINGS`.
    """
    found = []
    for name in (name for name in ENDINGS if name in wanted):
        path = begin.with_name(f"{begin.name}_{ENDINGS[name]}")
        if name in KEYED:
            kind = KEYED[name]
            found.append(video_exports.KeyedVideo(path, clip.size, kind, **timing))
        elif name == "matte.mp4":
            found.append(video_exports.MatteVideo(path, clip.size, **timing))
        else:
            shown = opacity, clip.palette()
            found.append(overlays.OverlayVideo(path, clip.size, *shown, **timing))
    return found


def timing_of(clip, fps=None, count=None):
    """When frames are shown: arguments of `VideoWriter`.

    Args:
        clip: the clip.
        fps: frames per second, or None for the clip's own times.
        count: of the first frames, which are all that is written; None: all. With
            fewer there is no sound.
    """
    video = getattr(clip, "video", None)
    aspect = {} if video is None else {"aspect": video.aspect}
    if fps is not None or video is None:
        return {"fps": DEFAULT_FPS if fps is None else fps, **aspect}
    if count is None or count == len(video):
        return {"times": video.times, "end": video.end, "sound_of": video, **aspect}
    return {"times": video.times[:count], "end": video.times[count], **aspect}
