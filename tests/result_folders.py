"""Small data sets and result folders, written to disk for tests."""

import numpy as np
from PIL import Image

from osmn_recurrent.media.mask_files import write_mask


def moving_boxes(frames, objects, seed=0, shape=(24, 32)):
    """(T, H, W) uint8 ids of boxes that move; later ones lie on top."""
    rng = np.random.default_rng(seed)
    clip = np.zeros((frames, *shape), np.uint8)
    for each in objects:
        y, x = rng.integers(0, (shape[0] - 8, shape[1] - 8))
        dy, dx = rng.integers(-2, 3, 2)
        for t in range(frames):
            top, left = np.clip((y + dy * t, x + dx * t), 0, None)
            clip[t, top : top + 8, left : left + 8] = each
    return clip


def write_clip(folder, clip, names=None):
    """Writes (T, H, W) ids as palette PNGs 00000.png, ... or with `names`."""
    for t, ids in enumerate(clip):
        write_mask(folder / f"{names[t] if names else f'{t:05d}'}.png", ids)


def write_grey(path, values):
    """Writes (H, W) uint8 as a grey PNG or JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write_davis(folder, clips, year=2017, split="val"):
    """Writes `{name: (T, H, W) ids}` in DAVIS layout, masks only."""
    for name, clip in clips.items():
        write_clip(folder / "Annotations" / "480p" / name, clip)
    lists = folder / "ImageSets" / str(year)
    lists.mkdir(parents=True, exist_ok=True)
    (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in clips))
