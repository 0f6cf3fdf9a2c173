"""Training samples out of one frame and the mask of its object."""

import dataclasses

import cv2
import numpy as np

from osmn_recurrent import guides, masks
from osmn_recurrent.training.augmentation import GuideAugmentation
from osmn_recurrent.training.pseudo_clips import Motion

NO_MOTION = Motion(0.0, 0.0, 0.0, 0.0)
ATTEMPTS = 10
"""Draws until a sample shows the object."""


@dataclasses.dataclass(frozen=True)
class FirstFrameTransforms:
    """How the first frame is changed at random.

    Attributes:
        size: `(height, width)` of the network image at scale 1; None: the
            frame's own.
        scales: factors of `size`, one is drawn per batch.
        flip: probability of mirroring frame and mask.
        motion: shift, scale, rotation and shear of frame and mask; a smooth
            path of them makes a pseudo-clip.
        clip_length: frames of a pseudo-clip; None: images.
        guides: disturbances of both guides.
        deformation: MaskTrack's guide comes from a mask that a thin-plate
            spline bends by up to this share of the object's box; 0: straight.
    """

    size: tuple | None = None
    scales: tuple = (0.5, 0.8, 1.0)
    flip: float = 0.0
    motion: Motion = NO_MOTION
    clip_length: int | None = None
    guides: GuideAugmentation = dataclasses.field(default_factory=GuideAugmentation)
    deformation: float = 0.0


class FirstFrameSamples:
    """Batches of an endless sequence, the same for the same seed.

    Images have their spatial guide from their own mask, as in the release's
    fine-tuning; each frame of a pseudo-clip has it from the mask one step
    before. The visual guide is always cut from the frame as it was given.

    Args:
        frame: (H, W, 3) uint8 RGB.
        mask: (H, W) bool, the object.
        transforms: `FirstFrameTransforms`.
        guide: of the model, a `guides.Guide`.
        batch_size: samples per batch.
        seed: fixes all draws.
    """

    def __init__(self, frame, mask, transforms, guide, batch_size=1, seed=0):
        self.frame, self.mask = frame, mask.astype(np.uint8)
        self.transforms, self.guide = transforms, guide
        self.batch_size, self.seed = batch_size, seed

    @property
    def size(self):
        """`(height, width)` of the network image at scale 1."""
        return tuple(self.transforms.size or self.mask.shape)

    def shows_object(self):
        """Whether the mask has a pixel left at the network's size."""
        return bool(masks.resize_mask(self.mask, self.size).any())

    def batch(self, number):
        """Batch `number`.

        Returns:
            `(inputs, label)`: dict of "image" (B, h, w, 3) BGR minus mean,
            "visual_guide" (B, 224, 224, 3) and "spatial_guide" (B, h, w, 1),
            and the label (B, h, w, 1), 0 and 1; all float32; with a time axis
            after B for pseudo-clips.
        """
        choice = np.random.default_rng((self.seed, 0, number))
        scale = choice.choice(self.transforms.scales)
        size = tuple(max(16, int(side * scale)) for side in self.size)
        samples = [
            self._sample(np.random.default_rng((self.seed, 1, number, k)), size)
            for k in range(self.batch_size)
        ]
        # One sample may have fallen back to scale 1; then all of them do.
        if len({label.shape for *_, label in samples}) > 1:
            samples = [
                self._sample(np.random.default_rng((self.seed, 2, k)), self.size)
                for k in range(self.batch_size)
            ]
        image, visual, spatial, label = (
            np.stack(part).astype(np.float32) for part in zip(*samples)
        )
        inputs = {"image": image, "visual_guide": visual, "spatial_guide": spatial}
        return inputs, label

    def _sample(self, rng, size):
        visual = self.transforms.guides.visual_guide(rng, self.frame, self.mask)
        for _ in range(ATTEMPTS):
            frames, moved = self._moved(rng)
            labels = [masks.resize_mask(mask, size) for mask in moved]
            if labels[-1].any():
                break
        else:  # a tiny object: take the frame as it is
            size = self.size
            frames = [self.frame] * len(frames)
            labels = [masks.resize_mask(self.mask, size)] * len(moved)
        images = np.stack([guides.network_image(frame, size) for frame in frames])
        length = len(frames)
        earlier = labels[:-1] if len(labels) > length else labels
        spatial = np.stack([self._guide(rng, mask) for mask in earlier])
        label = np.stack(labels[-length:])[..., None]
        if self.transforms.clip_length is None:
            return images[0], visual, spatial[0], label[0]
        return images, visual, spatial, label

    def _moved(self, rng):
        """T frames and their masks, for clips with the mask before them."""
        frame, mask, length = self.frame, self.mask, self.transforms.clip_length
        if rng.uniform() < self.transforms.flip:
            frame, mask = frame[:, ::-1], mask[:, ::-1]
        frames, moved = self.transforms.motion.move(
            rng,
            np.ascontiguousarray(frame),
            np.ascontiguousarray(mask),
            1 if length is None else length + 1,
        )
        return (frames if length is None else frames[1:]), moved

    def _guide(self, rng, mask):
        if self.guide.bends and self.transforms.deformation:
            mask = deformed(rng, mask, self.transforms.deformation)
        return self.guide.disturbed(rng, [mask], self.transforms.guides)[0]


def deformed(rng, mask, share, points=5):
    """A mask bent by a thin-plate spline (MaskTrack section 3.1).

    Args:
        rng: `numpy.random.Generator`.
        mask: (H, W) uint8.
        share: control points move by U(-share, share) of the box's sides.
        points: control points, drawn in the box.

    Returns:
        (H, W) uint8, nearest neighbour; an empty mask comes back as it is.
    """
    if not mask.any():
        return mask
    left, top, right, bottom = masks.bounding_box(mask)
    sides = np.array([right - left + 1, bottom - top + 1], np.float64)
    control = rng.uniform(size=(points, 2)) * sides + (left, top)
    moves = rng.uniform(-share, share, (points, 2)) * sides
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    grid = np.stack([columns, rows], -1).reshape(-1, 2).astype(np.float64)
    # A pixel of the result takes its value from where it came from.
    source = grid - thin_plate_spline(control + moves, moves, grid)
    source = source.reshape(*mask.shape, 2).astype(np.float32)
    return cv2.remap(mask, source[..., 0], source[..., 1], cv2.INTER_NEAREST)


def thin_plate_spline(points, values, where):
    """Interpolates scattered values with the least bending energy.

    Args:
        points: (P, 2).
        values: (P, V) at the points.
        where: (N, 2).

    Returns:
        (N, V) float64.
    """

    def kernel(a, b):
        squared = np.sum((a[:, None] - b[None]) ** 2, -1)
        return squared * np.log(np.maximum(squared, 1e-12))

    def affine(a):
        return np.concatenate([np.ones((len(a), 1)), a], 1)

    count = len(points)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = kernel(points, points)
    system[:count, count:] = affine(points)
    system[count:, :count] = affine(points).T
    given = np.concatenate([values, np.zeros((3, values.shape[1]))])
    # Points on one line leave the affine part open; take the smallest.
    weights = np.linalg.lstsq(system, given, rcond=None)[0]
    return kernel(where, points) @ weights[:count] + affine(where) @ weights[count:]
