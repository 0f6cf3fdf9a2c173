"""A video of one's own: frames or a video file, and the masks of its objects."""

import dataclasses
import os
import pathlib
import warnings
from collections.abc import Sequence

import cv2

from osmn_recurrent import masks as index_masks
from osmn_recurrent.datasets.clips import Clip, masks_by_name
from osmn_recurrent.errors import InputError, InputNote
from osmn_recurrent.media.mask_folders import frames_of, masks_in, named_masks
from osmn_recurrent.media.pictures import FRAME_SUFFIXES, file_digest, picture_paths
from osmn_recurrent.media.videos import (
    VideoFile,
    address_frames,
    is_address,
    open_video,
)

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
"""Folder of the clip that comes with the package."""

CAMERA = "camera:"
"""What a camera's name begins with, before its number."""


def open_clip(
    video: str | os.PathLike, masks: str | os.PathLike | Sequence[str | os.PathLike]
) -> Clip:
    """Makes a clip of a video and the masks of its objects.

    Objects that first appear later have their mask in the frame in which
    they appear; no other mask is needed.

    Args:
        video: a folder of pictures, taken in natural order of their names,
            or a video file that FFmpeg can decode (mp4, avi, mov, webm ...),
            whose frames are named 00000, 00001, ... A video file is decoded
            once here, to count its frames and to note their times, and again
            each time it is read; one frame at a time is in memory. Frames that
            cannot be decoded are left out, and an `InputNote` says so.
        masks: one mask file (see `media.mask_files.read_mask`), which belongs to
            the first frame; or a list or a folder of them (also as CVAT exports
            them), each named like its frame, or a JSON file that names several
            frames, where objects appear later. A list of one is taken as one
            mask. The first frame need not have one: until the first mask nothing
            is followed.

    Returns:
        `Clip`, or `VideoFileClip` for a video file. `check()` compares the
        sizes and reads the masks.

    Raises:
        InputError: a video or mask that is missing or unreadable, or a mask
            whose name is that of no frame.
    """
    video = pathlib.Path(video)
    if video.is_dir():
        paths = picture_paths(video)
        if not paths:
            raise InputError(
                f"{video} holds no frames; expected pictures that end in "
                f"{', '.join(FRAME_SUFFIXES)}."
            )
        clip = Clip(video.resolve().name, tuple(paths), {})
    else:
        clip = _open_video_file(video)
    found = _masks_of(masks, clip, video)
    return dataclasses.replace(clip, mask_paths=found, layered=True)


def note_idle_masks(clip):
    """Says which masks of a clip bring no new object, by an `InputNote`.

    Of a later mask only objects are taken that are not followed yet, so that one
    with known ids alone has no effect.

    Args:
        clip: a `Clip` of `open_clip`, checked.
    """
    known, idle = set(), []
    for index in sorted(clip.mask_paths):
        ids = set(index_masks.object_ids(clip.mask(index)))
        if known and not ids - known:
            idle.append(clip.mask_paths[index])
        known |= ids
    if idle:
        which = f"mask {idle[0]} brings"
        if len(idle) > 1:
            which = f"{len(idle)} masks, the first is {idle[0]}, bring"
        warnings.warn(
            f"{which} no new object and {'are' if len(idle) > 1 else 'is'} not used: "
            "an object is followed from the first mask that shows its id.",
            InputNote,
            stacklevel=2,
        )


def example_clip() -> Clip:
    """The clip that comes with the package: a rabbit, 60 frames of 480x270.

    An excerpt of Big Buck Bunny, (c) Blender Foundation, CC BY 3.0; see
    `osmn_recurrent/examples/CREDITS.md`. Only the first frame has a mask.

    Returns:
        `VideoFileClip`.

    Example:

    >>> clip = example_clip()
    >>> len(clip), clip.frame(0).shape, int(clip.mask(0).max())
    (60, (270, 480, 3), 1)
    """
    return open_clip(EXAMPLES / "rabbit.mp4", EXAMPLES / "rabbit.png")


@dataclasses.dataclass(frozen=True)
class VideoFileClip(Clip):
    """A clip that is decoded from a video file as it is read.

    `frames` streams; `frame` decodes all frames before the one asked for,
    because seeking is not exact in many containers, so go through a video
    with `frames`. There are no `frame_paths`.

    Attributes:
        video: the file, its frames' size and their times.
    """

    video: VideoFile | None = None

    def __len__(self):
        return len(self.video)

    @property
    def frame_names(self):
        """ "00000", "00001", ... as DAVIS names its frames."""
        return tuple(f"{index:05d}" for index in range(len(self)))

    @property
    def size(self):
        """(height, width) of the frames."""
        return self.video.size

    def input_files(self):
        """The video file."""
        return (self.video.path,)

    def frame_digests(self):
        """That of the file for every frame, see `Clip.frame_digests`."""
        return (file_digest(self.video.path),) * len(self)

    def frame(self, index):
        """Frame `index` as (H, W, 3) uint8 RGB."""
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)} of {self.name}")
        return next(self.frames(index))

    def frames(self, start=0):
        """Iterates over the frames from `start` on, (H, W, 3) uint8 RGB.

        Raises:
            InputError: the file has changed since the clip was opened.
        """
        return self.video.frames(start)


def _open_video_file(path):
    if path.suffix.lower() in FRAME_SUFFIXES and path.exists():
        raise InputError(
            f"{path} is a single picture; give the folder that holds the "
            "frames, or a video file."
        )
    return VideoFileClip(path.stem, (), {}, video=open_video(path))


def _masks_of(given, clip, video):
    """`{frame index: mask path}` for `open_clip`'s argument `masks`."""
    if isinstance(given, (str, pathlib.Path)):
        given = [given]
    paths, frame_names = [], clip.frame_names
    for path in map(pathlib.Path, given):
        paths += masks_in(path, video) if path.is_dir() else [path]
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path}: no such mask file.")
    single = len(given) == 1 and not pathlib.Path(given[0]).is_dir()
    if single and len(frames_of(paths[0])) <= 1:
        name = paths[0].stem
        if name in frame_names[1:]:
            raise InputError(
                f"{paths[0]} is named like frame {name} of {video}, but a single mask "
                f"belongs to the first frame, {frame_names[0]}; rename it, or give "
                "the folder that holds it to use it for its own frame."
            )
        return {0: paths[0]}
    counted = isinstance(clip, VideoFileClip)
    return masks_by_name(named_masks(paths, frame_names, counted), frame_names, video)


def is_stream(video):
    """Whether a video is a camera or an address: what cannot be read twice."""
    return str(video).startswith(CAMERA) or is_address(video)


def stream_frames(video):
    """Name and frames of a camera or an address.

    Args:
        video: "camera:0" or another number, or an address.

    Returns:
        `(name, generator of (H, W, 3) uint8 RGB)`; nothing is opened before the first
        frame is asked for.

    Raises:
        InputError: a camera without a number.
    """
    number = video.removeprefix(CAMERA)
    if number == video:
        return "stream", address_frames(video)
    if not number.isdigit():
        raise InputError(f"{video} is no camera, expected {CAMERA}0 or another number.")
    return f"camera{number}", camera_frames(int(number))


def camera_frames(number):
    """Frames of a camera, as long as it gives any.

    Args:
        number: the camera's number in OpenCV, 0 for the first.

    Yields:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: no such camera.
    """
    capture = cv2.VideoCapture(number)
    try:
        if not capture.isOpened():
            raise InputError(
                f"camera {number} cannot be opened; plug it in, give this user the "
                "right to it, or choose another number."
            )
        while True:
            there, frame = capture.read()
            if not there:
                return
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        capture.release()
