"""A video of one's own: frames or a video file, and the first mask."""

import dataclasses
import pathlib
import warnings

import cv2
from tqdm import tqdm

from osmn_recurrent.datasets.clips import (
    FRAME_SUFFIXES,
    Clip,
    file_digest,
    masks_by_frame,
    picture_paths,
)
from osmn_recurrent.errors import InputError

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
"""Folder of the clip that comes with the package."""


def open_clip(video, masks):
    """Makes a clip of a video and the masks of its objects.

    Objects that first appear later have their mask in the frame in which
    they appear; no other mask is needed.

    Args:
        video: a folder of pictures, taken in natural order of their names,
            or a video file that OpenCV can decode (mp4, avi, mov, webm ...),
            whose frames are named 00000, 00001, ... A video file is decoded
            once here, to count its frames, and again each time it is read;
            one frame at a time is in memory. If it ends before the number
            of frames that its header states, a `UserWarning` says so and
            the frames that decode are the clip.
        masks: one mask PNG, which belongs to the first frame; or a list or a
            folder of PNGs, each named like its frame. A list of one is taken
            as one mask.

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
    found = _masks_of(masks, clip.frame_names, video)
    return dataclasses.replace(clip, mask_paths=found)


def example_clip():
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
        video_path: the file.
        frame_count: number of frames that decode.
        frame_size: (height, width) after the rotation the file asks for.
    """

    video_path: pathlib.Path = None
    frame_count: int = 0
    frame_size: tuple = (0, 0)

    def __len__(self):
        return self.frame_count

    @property
    def frame_names(self):
        """ "00000", "00001", ... as DAVIS names its frames."""
        return tuple(f"{index:05d}" for index in range(self.frame_count))

    @property
    def size(self):
        """(height, width) of the frames."""
        return self.frame_size

    def input_files(self):
        """The video file."""
        return (self.video_path,)

    def frame_digests(self):
        """That of the file for every frame, see `Clip.frame_digests`."""
        return (file_digest(self.video_path),) * len(self)

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
        capture = _capture(self.video_path)
        try:
            for index in range(len(self)):
                if not capture.grab():
                    raise InputError(
                        f"{self.video_path} now ends after {index} of "
                        f"{len(self)} frames; it must not change while it is "
                        "read."
                    )
                if index >= start:
                    yield cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)
        finally:
            capture.release()


def _open_video_file(path):
    if not path.exists():
        raise InputError(f"{path}: no such video file or folder of frames.")
    if path.suffix.lower() in FRAME_SUFFIXES:
        raise InputError(
            f"{path} is a single picture; give the folder that holds the "
            "frames, or a video file."
        )
    capture = _capture(path)
    stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    # Containers may state no length, or a nonsensical one.
    total = stated if stated > 0 else None
    count, size = 0, None
    with tqdm(
        total=total, desc=f"counting frames of {path.name}", unit="frame", leave=False
    ) as progress:
        while capture.grab():
            if size is None:
                size = capture.retrieve()[1].shape[:2]
            count += 1
            progress.update()
    capture.release()
    if count == 0:
        raise InputError(
            f"{path}: no frame can be decoded; re-encode it, or give a folder "
            "of frames."
        )
    if count < stated:
        warnings.warn(
            f"{path} states {stated} frames but only {count} can be decoded "
            "(is it cut off or damaged?); the clip is made of those.",
            stacklevel=3,
        )
    return VideoFileClip(
        path.stem, (), {}, video_path=path, frame_count=count, frame_size=size
    )


def _capture(path):
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise InputError(
            f"{path} cannot be opened as a video; expected a format that "
            "OpenCV decodes (mp4, avi, mov, webm ...), re-encode it or give a "
            "folder of frames."
        )
    return capture


def _masks_of(masks, frame_names, video):
    """`{frame index: mask path}` for `open_clip`'s argument `masks`."""
    if isinstance(masks, (str, pathlib.Path)):
        masks = pathlib.Path(masks)
        if masks.is_dir():
            paths = picture_paths(masks, (".png",))
            if not paths:
                raise InputError(
                    f"{masks} holds no PNG; expected masks named like their "
                    f"frames, such as {frame_names[0]}.png."
                )
            return masks_by_frame(paths, frame_names, video)
        masks = [masks]
    paths = [pathlib.Path(path) for path in masks]
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path}: no such mask file.")
    if len(paths) != 1:
        return masks_by_frame(paths, frame_names, video)
    if paths[0].stem in frame_names[1:]:
        raise InputError(
            f"{paths[0]} is named like frame {paths[0].stem} of {video}, but a "
            f"single mask belongs to the first frame, {frame_names[0]}; rename "
            "it, or give the folder that holds it to use it for its own frame."
        )
    return {0: paths[0]}


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
