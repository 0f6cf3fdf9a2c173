"""Moving shapes: a seeded generator of clips, written in DAVIS-2017 layout.

Textured objects move, turn, change their size and cross in front of each
other. Distractors, most of them look-alikes of an object, move among them and
are not in the masks. The background is textured and strewn with shapes, paler
than the objects, and seen by a moving camera; light, noise, blur and JPEG
quality differ from clip to clip.

The data needs no download: compact networks learn from it in minutes, and
copying the first mask fails on it. A clip depends on its seed alone.
"""

import dataclasses
import pathlib
import shutil

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from osmn_recurrent.datasets import sprites as drawing
from osmn_recurrent.errors import InputError
from osmn_recurrent.files import scratch_folder, write_json, write_text
from osmn_recurrent.media.mask_files import write_mask
from osmn_recurrent.run_folder import hold
from osmn_recurrent.text_files import read_json

RESOLUTION = "480p"
"""Folder under JPEGImages and Annotations, whatever the size of the frames:
the default of `davis_clips`, so that it finds them."""

SETTINGS_FILE = "moving_shapes.json"
"""Written last into the data set's folder: marks it as complete."""

_FOLDERS = ("JPEGImages", "Annotations", "ImageSets")
_GENERATOR = 2  # raise it with every change of the pictures that a seed gives
_TRIES = 30


def render_clip(seed, frames=20, size=(120, 214), objects=2):
    """Draws one clip.

    Args:
        seed: int or sequence of ints, fixes everything.
        frames: number of frames, T.
        size: `(height, width)` in pixels.
        objects: number of objects, 1 to 3, all in view in frame 0 with 4 to 20 % of
            the picture each (up to 12 % where there are three).

    Returns:
        `(pictures, ids)`: (T, H, W, 3) uint8 RGB and (T, H, W) uint8 object
        ids, 0 for the background and distractors.
    """
    rng = np.random.default_rng(seed)
    sprites = draw_scene(rng, frames, size, objects)
    pictures = _background(rng, frames, size)
    ids = np.zeros(pictures.shape[:3], np.uint8)
    for sprite in sprites:
        canvas = drawing.upright(sprite)
        for picture, labels, pose in zip(pictures, ids, sprite.poses):
            covered = drawing.paint(picture, canvas, sprite.reach, pose)
            labels[covered] = sprite.object_id
    return _film(rng, pictures), ids


def draw_scene(rng, frames, size, objects):
    """Chooses the objects and distractors of a clip and their ways.

    Ways are drawn anew until every object is well in view in frame 0, is
    never hidden by more than three quarters, keeps off distractors with its
    own texture, and leaves its first place; the best of 30 draws is taken
    where none fulfils all (short clips).

    Args:
        rng: `numpy.random.Generator`.
        frames: number of frames.
        size: `(height, width)` in pixels.
        objects: number of objects.

    Returns:
        list of `sprites.Sprite`, the hindmost first.
    """
    pixels = size[0] * size[1]
    largest = 0.20 / np.sqrt(objects)
    sprites = []
    for index in range(objects):
        area = pixels * np.exp(rng.uniform(np.log(0.045), np.log(largest)))
        sprites.append(drawing.draw_sprite(rng, index + 1, area))
    for _ in range(rng.integers(1, 3)):
        sprites.append(_look_alike(rng, sprites[rng.integers(objects)]))
    if rng.random() < 0.35:
        area = pixels * rng.uniform(0.02, 0.08)
        sprites.append(drawing.draw_sprite(rng, 0, area))
    sprites = [sprites[i] for i in rng.permutation(len(sprites))]

    best, fewest = None, np.inf
    for _ in range(_TRIES):
        moving = [
            dataclasses.replace(s, poses=_poses(rng, frames, size, s.area))
            for s in sprites
        ]
        faults = _faults(moving, size)
        if faults < fewest:
            best, fewest = moving, faults
        if faults == 0:
            break
    return best


def _look_alike(rng, original):
    """A distractor: twin of an object, or the same in shape or texture."""
    other = drawing.draw_sprite(rng, 0, original.area * rng.uniform(0.5, 1.0))
    kind = rng.random()
    return dataclasses.replace(
        other,
        contour=original.contour if kind < 0.75 else other.contour,
        texture=original.texture if kind < 0.5 or kind > 0.75 else other.texture,
    )


def _poses(rng, frames, size, area):
    """(T, 2, 3): a way through the picture with turns and changes of size."""
    radius = np.sqrt(area / np.pi)
    low = np.minimum(0.75 * radius, np.array(size[::-1]) / 2)
    high = np.array(size[::-1]) - 1 - low
    place = rng.uniform(low, np.maximum(high, low))
    heading, bend = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.06)
    speed = radius * rng.uniform(0.10, 0.24)
    angle, spin = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(-5, 5))
    swell, squash = rng.uniform(0, 0.15), rng.uniform(0, 0.15)
    period, phase = rng.uniform(15, 45, 2), rng.uniform(0, 2 * np.pi, 2)
    poses = np.zeros((frames, 2, 3))
    velocity = speed * np.array([np.cos(heading), np.sin(heading)])
    for t, pose in enumerate(poses):
        waves = np.sin(2 * np.pi * t / period + phase) - np.sin(phase)
        scale = np.sqrt(area) * np.exp(swell * waves[0])
        axes = np.exp(squash * waves[1] * np.array([1, -1]))
        turn = angle + spin * t
        pose[:, :2] = _rotation(turn) * scale * axes
        pose[:, 2] = place
        velocity = _rotation(bend + rng.normal(0, 0.05)) @ velocity
        # Bounce off the borders, which keeps most of the shape in view.
        velocity = np.where(place + velocity < low, np.abs(velocity), velocity)
        velocity = np.where(place + velocity > high, -np.abs(velocity), velocity)
        place = np.clip(place + velocity, low, np.maximum(high, low))
    return poses


def _rotation(angle):
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def _faults(sprites, size):
    """By how much the ways miss what `draw_scene` promises; 0 is good."""
    shrink = 0.5  # precise enough here, and a quarter of the work
    shape = [max(int(length * shrink), 1) for length in size]
    whole = [drawing.silhouettes(sprite, shape, shrink) for sprite in sprites]
    faults, in_front = 0.0, np.zeros_like(whole[0])
    for sprite, mask in zip(reversed(sprites), reversed(whole)):
        seen = mask & ~in_front
        in_front |= mask
        if sprite.object_id == 0:
            continue
        area = np.abs(np.linalg.det(sprite.poses[:, :, :2])) * shrink**2
        share = seen.sum((1, 2)) / area
        faults += max(0.0, 0.8 - share[0]) + max(0.0, 0.7 - share.mean())
        faults += max(0.0, 0.25 - share.min())
        union = (seen | seen[0]).sum((1, 2))
        copied = (seen & seen[0]).sum((1, 2)) / np.maximum(union, 1)
        faults += max(0.0, copied[1:].mean() - 0.35) if len(copied) > 1 else 0.0
        for other, twin in zip(sprites, whole):
            # No one can tell where one ends that lies on its own texture.
            if other is not sprite and other.texture is sprite.texture:
                touched = (mask & twin).sum((1, 2)) / area
                faults += max(0.0, touched.max() - 0.15)
    return faults


def _background(rng, frames, size):
    """(T, H, W, 3) float32: a textured, strewn plane under a moving camera."""
    height, width = size
    shape = [int(1.5 * height), int(1.5 * width)]
    plane = drawing.texture(rng, shape, height * rng.uniform(0.4, 1.0), muted=True)
    for _ in range(rng.integers(3, 9)):
        area = height * width * np.exp(rng.uniform(np.log(0.004), np.log(0.08)))
        clutter = drawing.draw_sprite(rng, 0, area, muted=True)
        pose = _poses(rng, 1, shape, area)[0]
        drawing.paint(plane, drawing.upright(clutter), clutter.reach, pose)
    sway = rng.uniform(0.02, 0.08, 2) * width
    period, phase = rng.uniform(30, 80, 4), rng.uniform(0, 2 * np.pi, 4)
    zoom, tilt = rng.uniform(0, 0.08), np.radians(rng.uniform(0, 5))
    pictures = np.empty((frames, height, width, 3), np.float32)
    for t, picture in enumerate(pictures):
        wave = np.sin(2 * np.pi * t / period + phase)
        linear = _rotation(tilt * wave[2]) * np.exp(zoom * wave[3])
        middle = np.array([width, height]) / 2 + sway * wave[:2]
        shift = middle - linear @ (np.array(shape[::-1]) / 2)
        cv2.warpAffine(
            plane,
            np.column_stack([linear, shift]),
            (width, height),
            dst=picture,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
    return pictures


def _film(rng, pictures):
    """Light, lens and sensor: (T, H, W, 3) float32 to uint8."""
    frames = len(pictures)
    period, phase = rng.uniform(15, 60), rng.uniform(0, 2 * np.pi)
    strength, tint = rng.uniform(0, 0.15), rng.uniform(-0.05, 0.05, 3)
    blur, noise = rng.uniform(0.3, 0.8), rng.uniform(1.0, 5.0)
    film = np.empty(pictures.shape, np.uint8)
    for t, picture in enumerate(pictures):
        wave = np.sin(2 * np.pi * t / period + phase)
        light = (1 + strength * wave) * (1 + tint * t / frames)
        picture = cv2.GaussianBlur(picture * light.astype(np.float32), (0, 0), blur)
        picture += noise * rng.standard_normal(picture.shape, np.float32)
        film[t] = np.clip(np.round(picture), 0, 255)
    return film


def write_moving_shapes(
    data_dir,
    train=60,
    val=8,
    frames=20,
    size=(120, 214),
    objects=(1, 3),
    seed=0,
    overwrite=False,
):
    """Writes the data set, unless it is there already.

    Clip i of a split is the same however many there are. `davis_clips` reads
    the folder with year 2017 and split "train" or "val".

    Args:
        data_dir: folder for JPEGImages, Annotations (palette PNGs),
            ImageSets/2017 and, written last, `SETTINGS_FILE`.
        train: number of training clips, `train-000`, `train-001`, ...
        val: number of held-out clips, `val-000`, ...
        frames: frames per clip.
        size: `(height, width)` in pixels.
        objects: fewest and most objects of a clip, within 1 to 3.
        seed: int, fixes everything.
        overwrite: replace moving shapes made with other settings.

    Raises:
        InputError: settings that make no clip, moving shapes with other
            settings in `data_dir`, or another data set there (which is not
            overwritten either).
    """
    settings = {
        "train": int(train),
        "val": int(val),
        "frames": int(frames),
        "size": [int(length) for length in size],
        "objects": [int(count) for count in objects],
        "seed": int(seed),
        "generator": _GENERATOR,
    }
    _check_settings(settings)
    data_dir = pathlib.Path(data_dir)
    if _is_written(data_dir, settings, overwrite):
        return
    with hold(data_dir), scratch_folder(data_dir) as folder:
        _write_clips(folder, settings)
        (data_dir / SETTINGS_FILE).unlink(missing_ok=True)
        for part in _FOLDERS:
            if (data_dir / part).exists():
                shutil.rmtree(data_dir / part)
            shutil.move(folder / part, data_dir / part)
        write_json(data_dir / SETTINGS_FILE, settings)


def _check_settings(settings):
    fewest, most = settings["objects"]
    if min(settings["train"], settings["val"]) < 0 or settings["frames"] < 1:
        raise InputError(
            f"moving shapes need train >= 0, val >= 0 and frames >= 1, not "
            f"{settings['train']}, {settings['val']} and {settings['frames']}."
        )
    if not 1 <= fewest <= most <= 3 or min(settings["size"]) < 32:
        raise InputError(
            "moving shapes need 1 to 3 objects (fewest, most) and at least 32 "
            f"pixels of height and width, not objects {settings['objects']} "
            f"and size {settings['size']}."
        )


def _is_written(data_dir, settings, overwrite):
    """Whether the data set is there; raises `InputError` if another is."""
    marker = data_dir / SETTINGS_FILE
    if marker.exists():
        try:
            found = read_json(marker, "settings of moving shapes")
        except InputError:
            found = None
        if found == settings:
            return all((data_dir / part).is_dir() for part in _FOLDERS)
        if not overwrite:
            raise InputError(
                f"{data_dir} holds moving shapes made with {found}, expected "
                f"{settings}; overwrite them or name another folder."
            )
        return False
    present = [part for part in _FOLDERS if (data_dir / part).exists()]
    if present:
        raise InputError(
            f"{data_dir} has {', '.join(present)} but no {SETTINGS_FILE}, so it "
            "is another data set or an unfinished one; name another folder, "
            "or remove them."
        )
    return False


def _write_clips(folder, settings):
    names = [
        (split, place, index, f"{split}-{index:03d}")
        for place, split in enumerate(("train", "val"))
        for index in range(settings[split])
    ]
    for _, place, index, name in tqdm(names, desc="moving shapes", unit="clip"):
        rng = np.random.default_rng([settings["seed"], place, index, 1])
        count = int(rng.integers(*settings["objects"], endpoint=True))
        quality = int(rng.integers(70, 96))
        pictures, ids = render_clip(
            [settings["seed"], place, index, 0],
            settings["frames"],
            settings["size"],
            count,
        )
        frames_dir = folder / "JPEGImages" / RESOLUTION / name
        masks_dir = folder / "Annotations" / RESOLUTION / name
        frames_dir.mkdir(parents=True)
        for t, (picture, labels) in enumerate(zip(pictures, ids)):
            image = Image.fromarray(picture)
            image.save(frames_dir / f"{t:05d}.jpg", quality=quality)
            write_mask(masks_dir / f"{t:05d}.png", labels)
    for split in ("train", "val"):
        lines = [f"{name}\n" for where, _, _, name in names if where == split]
        write_text(folder / "ImageSets" / "2017" / f"{split}.txt", "".join(lines))
