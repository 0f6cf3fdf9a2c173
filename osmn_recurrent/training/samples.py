"""Training samples from clips: NumPy in, NumPy out, one seed per sample."""

import dataclasses
import functools

import numpy as np
from PIL import Image
from tqdm import tqdm

from osmn_recurrent import guides, masks
from osmn_recurrent.errors import InputError
from osmn_recurrent.training import augmentation
from osmn_recurrent.training.augmentation import GuideAugmentation


@dataclasses.dataclass(frozen=True)
class SampleSettings:
    """What a training sample looks like.

    Attributes:
        size: `(height, width)` of the network image at scale 1.
        scales: factors of `size`; each batch draws one. Release, stage 2:
            854x480 times (0.5, 0.8, 1).
        clip_length: frames per sample; None gives stills (no time axis).
        stride: steps between the frames of a sample.
        guide_augmentation: disturbances of both guides.
        min_cover: smallest share of the picture that an object covers in a
            frame used as visual guide (release: 0.3%).
        min_fill: smallest share of its own box that it covers there (20%).
    """

    size: tuple = (480, 854)
    scales: tuple = (0.5, 0.8, 1.0)
    clip_length: int | None = None
    stride: int = 1
    guide_augmentation: GuideAugmentation = dataclasses.field(
        default_factory=GuideAugmentation
    )
    min_cover: float = 0.003
    min_fill: float = 0.2


class ClipSamples:
    """Samples (guide frame, earlier masks, frames, masks) of annotated clips.

    As in the release's stage 2: the visual guide comes from a random frame in
    which the object is well visible, the spatial guide of each frame from the
    true mask one step before, and one object is drawn per sample. Only frames
    in which the object is visible start a sample.

    Args:
        clips: list of `Clip`s with a mask for every frame.
        settings: `SampleSettings`.
        guide_kind: of the model: "gaussian", "mask" or "none".
        batch_size: samples that share one scale.
        seed: fixes order, scales and augmentation.
    """

    def __init__(self, clips, settings, guide_kind="gaussian", batch_size=1, seed=0):
        self.clips, self.settings = list(clips), settings
        self.guide_kind, self.batch_size, self.seed = guide_kind, batch_size, seed
        self.index, self._guide_frames = self._scan()
        if not self.index:
            raise InputError(
                f"none of the {len(self.clips)} training clips has an object "
                "that is visible in two frames a stride apart; check the "
                "masks and the clip length."
            )

    def __len__(self):
        return len(self.index)

    def _scan(self):
        """Starts `(clip, frame, object)`, and guide frames per object."""
        index, guide_frames = [], {}
        for c, clip in enumerate(
            tqdm(self.clips, "reading masks", unit="clip", leave=False)
        ):
            visible = {}
            for t in range(len(clip)):
                ids = clip.mask(t)
                if ids is None:
                    raise InputError(
                        f"clip {clip.name} has no mask for frame "
                        f"{clip.frame_names[t]}; training needs one for every frame."
                    )
                for i in masks.object_ids(ids):
                    visible.setdefault(i, []).append(t)
                    if self._shows(ids == i):
                        guide_frames.setdefault((c, i), []).append(t)
            span = self.settings.stride * (self.settings.clip_length or 1)
            for i, frames in visible.items():
                guide_frames.setdefault((c, i), frames[:1])
                index += [(c, t, i) for t in frames if span <= t + span < len(clip)]
        return index, guide_frames

    def _shows(self, mask):
        area = np.count_nonzero(mask)
        left, top, right, bottom = masks.bounding_box(mask)
        box = (right - left + 1) * (bottom - top + 1)
        return (
            area > self.settings.min_cover * mask.size
            and area > self.settings.min_fill * box
        )

    def sample(self, number):
        """Sample `number` of an endless sequence, always the same one.

        Args:
            number: 0, 1, 2, ...; every `len(self)` numbers visit each start
                once, in an order of their own.

        Returns:
            `(image, visual_guide, spatial_guide, label)`: float32
            (T, h, w, 3) BGR minus mean, (224, 224, 3), (T, h, w, 1), and
            uint8 (T, h, w, 1) of 0 and 1; no T for stills.
        """
        epoch, place = divmod(number, len(self.index))
        c, start, i = self.index[self._order(epoch)[place]]
        batch = np.random.default_rng((self.seed, 1, number // self.batch_size))
        rng = np.random.default_rng((self.seed, 2, number))
        scale = batch.choice(self.settings.scales)
        size = tuple(int(side * scale) for side in self.settings.size)
        clip = self.clips[c]
        look = int(rng.choice(self._guide_frames[c, i]))
        visual = self.settings.guide_augmentation.visual_guide(
            rng, clip.frame(look), clip.mask(look) == i
        )
        length, stride = self.settings.clip_length or 1, self.settings.stride
        times = [start + stride * k for k in range(length + 1)]
        objects = [_resize_mask(clip.mask(t) == i, size) for t in times]
        images = [guides.network_image(clip.frame(t), size) for t in times[1:]]
        spatial = [self._guide(rng, mask) for mask in objects[:-1]]
        parts = [np.stack(images), visual, np.stack(spatial), np.stack(objects[1:])]
        parts[3] = parts[3][..., None]
        if self.settings.clip_length is None:
            parts = [parts[0][0], visual, parts[2][0], parts[3][0]]
        return tuple(parts)

    def _guide(self, rng, mask):
        if self.guide_kind == "mask":
            return augmentation.mask_guide(rng, mask)
        return self.settings.guide_augmentation.spatial_guide(rng, mask)

    @functools.lru_cache(maxsize=2)  # noqa: B019 - lives as long as training
    def _order(self, epoch):
        return np.random.default_rng((self.seed, 0, epoch)).permutation(len(self.index))


def _resize_mask(mask, size):
    image = Image.fromarray(mask.astype(np.uint8))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.NEAREST))
