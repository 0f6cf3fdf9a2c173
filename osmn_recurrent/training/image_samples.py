"""Training samples from images: OSMN's stage 1, and pseudo-clips."""

import hashlib

import numpy as np

from osmn_recurrent.errors import InputError
from osmn_recurrent.guides import GAUSSIAN
from osmn_recurrent.training.distractors import ASKED, OTHER, Cutout
from osmn_recurrent.training.pseudo_clips import affine_matrix
from osmn_recurrent.training.samples import Samples


class ImageSamples(Samples):
    """Samples that have their guides and their image from one picture.

    As in the release's stage 1: the picture is stretched to the network's
    size and mirrored at random; visual guide, spatial guide and image are
    disturbed independently of each other.

    With `motion`, a sample is a clip of `clip_length` frames in which the
    image moves along a smooth random path; the spatial guide of each frame
    comes from the mask one step before, the visual guide from the image.

    Args:
        images: object with `__len__`, `name(number)` and `image(number) ->
            (picture, mask)`, as `CocoObjects`.
        settings: `SampleSettings`, such as `STAGE_1`.
        guide: of the model, a `guides.Guide`.
        batch_size: samples that share one scale.
        seed: fixes order, scales and augmentation.
        motion: `pseudo_clips.Motion`, or None for images.
        pasted: share of the clips in which the object moves over another
            image, drawn at random, instead of with its own.

    Attributes:
        sources: the images.

    Raises:
        InputError: no images, or a clip length without a motion.
    """

    def __init__(
        self,
        images,
        settings,
        guide=GAUSSIAN,
        batch_size=1,
        seed=0,
        motion=None,
        pasted=0.0,
    ):
        super().__init__(settings, guide, batch_size, seed)
        self.sources, self.motion, self.pasted = images, motion, pasted
        if not len(images):
            raise InputError("there is no image to train on; name another split.")
        first = images.name(0)
        if settings.distractors and all(
            images.name(number) == first for number in range(len(images))
        ):
            raise InputError(
                f"distractors are objects of other pictures, but {first} is the only "
                "one; add pictures or leave them out."
            )
        if (motion is None) != (settings.clip_length is None):
            raise InputError(
                "clips from images need both a clip length and a motion (pseudo-"
                f"clips); found clip_length={settings.clip_length}, motion={motion}."
            )

    def __len__(self):
        return len(self.sources)

    def names(self):
        """How many images there are, and a digest of their names."""
        names = "\n".join(self.sources.name(i) for i in range(len(self)))
        return [f"{len(self)} images {hashlib.sha256(names.encode()).hexdigest()}"]

    def digest(self):
        """Empty: images of another size than annotated are refused as they come."""
        return ""

    def name_of(self, index):
        """The image's name."""
        return self.sources.name(index)

    def make(self, index, number, attempt=0):
        """The sample of image `index`; see `Samples.sample`."""
        rng, size = self._draws(number, attempt)
        colours = self._colours(rng)
        picture, mask = self.sources.image(index)
        guide_source = colours.seen(picture), mask
        picture = colours.light(guide_source[0])
        ids = mask * np.uint8(ASKED)
        if hasattr(self.sources, "others"):
            ids[(self.sources.others(index) > 0) & (ids == 0)] = OTHER
        moves = None
        if self.motion is None:
            frames, ids = [picture], [ids, ids]
        else:
            frames, ids, moves = self._clip(rng, picture, ids, colours)
        return self._assembled(
            rng,
            number,
            size,
            frames,
            ids,
            guide_source,
            colours,
            index=index,
            moves=moves,
        )

    def _clip(self, rng, picture, ids, colours):
        """T frames, T + 1 ids, and the T + 1 moves that are still to be made."""
        length = self.settings.clip_length + 1
        mask = (ids == ASKED).view(np.uint8)
        if self.pasted and rng.uniform() < self.pasted:
            behind, _ = self.sources.image(int(rng.integers(len(self))))
            behind = colours.shown(behind)
            frames, ids = self.motion.paste(rng, picture, mask, behind, length)
        elif self.settings.window is not None:
            # Moved and viewed at once: interpolated once, grey outside.
            moves = [affine_matrix(p, mask) for p in self.motion.path(rng, length)]
            return [picture] * (length - 1), [ids] * length, moves
        else:
            frames, ids = self.motion.move(rng, picture, ids, length)
        return frames[1:], ids, None

    def cutout(self, rng, colours, index):
        """Any object of another picture."""
        own, number = self.sources.name(index), index
        while self.sources.name(number) == own:
            number = int(rng.integers(len(self)))
        picture, mask = self.sources.image(number)
        guide_source = colours.seen(picture), mask
        return Cutout.of(colours.light(guide_source[0]), mask, guide_source)

    def _own_motion(self):
        return self.motion
