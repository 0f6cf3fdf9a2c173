"""What training samples are like: the settings of `samples`."""

import dataclasses

from osmn_recurrent.training import GUIDE_FRAMES, TARGETS
from osmn_recurrent.training.augmentation import GuideAugmentation
from osmn_recurrent.training.distractors import Distractors
from osmn_recurrent.training.guide_shares import GuideShares
from osmn_recurrent.training.placing import Window


@dataclasses.dataclass(frozen=True)
class SampleSettings:
    """What a training sample is like.

    Attributes:
        size: `(height, width)` of the network image at scale 1.
        scales: factors of `size`; each batch draws one. Release, stage 2:
            854x480 times (0.5, 0.8, 1).
        clip_length: frames per sample; None gives images (no time axis).
        stride: steps between the frames of a sample.
        guide_augmentation: disturbances of both guides: `GuideAugmentation`
            (OSMN) or `AffineAugmentation` (ReConvNet).
        min_cover: smallest share of the picture that an object covers in a
            frame used as visual guide (release: 0.3%).
        min_fill: smallest share of its own box that it covers there (20%).
        flip: probability of mirroring the network image, its masks and the
            spatial guide. Release: 0.5 in stage 1, 0 in stage 2.
        crop: the network image is a random part of the picture; each side
            keeps the share U(crop, 1) of the picture's. 1, as released,
            takes all of it. OSMN's table 3 has a random crop, but no range.
        crop_sides: instead, each side of the picture moves by U(-r, r) of its length,
            black outside (release --random_crop_ratio, of COCO alone; 0 by default,
            r of the paper's table 3 was not published).
        targets: "visible": clips are made of the frames that show the object, so
            that no target is empty and the mask before may be some frames back
            (release `osmn_train_eval.py`). "any": the first frame shows it, the
            others follow it, so that a network learns what it looks like to lose it.
        guide_frame: "kept": one frame for each start, drawn once (release with
            --randomize_guide, as in its figures); "first": the first that shows the
            object (without); "drawn": drawn anew each time, for more variety.
        colour_jitter: strength of `augmentation.recolouring`, one for all
            pictures of a sample, visual guide included. 0 as in the papers,
            which start from ImageNet weights; without these, few videos are
            soon known by heart.
        window: `placing.Window`: random views of the pictures at one size instead
            of a stretched part (`crop`); None as released.
        distractors: `distractors.Distractors`: objects of other pictures pasted
            in, now and then asked for; None as in the papers.
        guide_shares: `guide_shares.GuideShares`: how often the spatial guide says
            something else than where the object was; the default is never.
        light: strength of `augmentation.relighting`, one for what all frames of a
            sample show, but not for its visual guide.
        most_stride: the stride of each sample is drawn from `stride` to this, as
            far as the clip goes; None: always `stride`.
        backwards: share of the samples whose clip runs backwards.
        guide_distance: frames between a clip's visual guide and the frames of the
            sample, where the clip has such; 0 as released.
        sparse_masks: clips may lack masks for some of their frames
            (YouTube-VOS: every fifth has one); the frames that have one are
            then the clip, and `stride` counts these.
    """

    size: tuple = (480, 854)
    scales: tuple = (0.5, 0.8, 1.0)
    clip_length: int | None = None
    stride: int = 1
    guide_augmentation: object = dataclasses.field(default_factory=GuideAugmentation)
    min_cover: float = 0.003
    min_fill: float = 0.2
    flip: float = 0.0
    crop: float = 1.0
    crop_sides: float = 0.0
    targets: str = TARGETS[0]
    guide_frame: str = GUIDE_FRAMES[0]
    colour_jitter: float = 0.0
    window: Window | None = None
    distractors: Distractors | None = None
    guide_shares: GuideShares = dataclasses.field(default_factory=GuideShares)
    light: float = 0.0
    most_stride: int | None = None
    backwards: float = 0.0
    guide_distance: int = 0
    sparse_masks: bool = False

    def undisturbed(self):
        """The same clips as they are, for validation: nothing is random."""
        return dataclasses.replace(
            self,
            scales=(1.0,),
            guide_augmentation=self.guide_augmentation.undisturbed(),
            flip=0.0,
            crop=1.0,
            crop_sides=0.0,
            colour_jitter=0.0,
            window=None,
            distractors=None,
            guide_shares=GuideShares(),
            light=0.0,
            most_stride=None,
            backwards=0.0,
        )


STAGE_1 = SampleSettings(size=(400, 400), scales=(0.8, 1.0, 1.2), flip=0.5)
"""OSMN's stage 1: squares of 320, 400 and 480, mirrored at random."""
