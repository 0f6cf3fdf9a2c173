"""Random changes of the guides, as the release draws them."""

import dataclasses

import cv2
import numpy as np

from osmn_recurrent import guides
from osmn_recurrent.masks import bounding_box


@dataclasses.dataclass(frozen=True)
class GuideAugmentation:
    """How far guides are disturbed in training (OSMN section 3.5; release
    `common_args.py`).

    Attributes:
        margin: each side of the visual guide's box moves by U(-m, m) of the
            box's width or height.
        rotation: the visual guide turns by U(-r, r) degrees.
        flip: probability of mirroring the visual guide.
        shift: the Gaussian's centre moves by U(-s, s) of its sigma.
        spread: the Gaussian's sigma is multiplied by U(1 / (1 + p), 1 + p).
    """

    margin: float = 0.1
    rotation: float = 10.0
    flip: float = 0.5
    shift: float = 0.2
    spread: float = 0.4

    def visual_guide(self, rng, frame_rgb, mask):
        """`guides.visual_guide` with a random box, angle and mirroring.

        Args:
            rng: `numpy.random.Generator`.
            frame_rgb: (H, W, 3) uint8 RGB.
            mask: (H, W), non-zero pixels are the object.

        Returns:
            (224, 224, 3) float32 BGR minus mean, background 0.
        """
        return guides.visual_guide(
            frame_rgb,
            mask,
            margins=tuple(rng.uniform(-self.margin, self.margin, 4)),
            rotation=float(rng.uniform(-self.rotation, self.rotation)),
            flip=bool(rng.uniform() < self.flip),
        )

    def spatial_guide(self, rng, mask):
        """`guides.spatial_guide` with a random centre and sigma.

        Args:
            rng: `numpy.random.Generator`.
            mask: (H, W), non-zero pixels are the object.

        Returns:
            (H, W, 1) float32 in [0, 1].
        """
        widest = 1.0 + self.spread
        return guides.spatial_guide(
            mask,
            shift=rng.uniform(-self.shift, self.shift, 2),
            scale=rng.uniform(1.0 / widest, widest, 2),
        )


NO_AUGMENTATION = GuideAugmentation(0.0, 0.0, 0.0, 0.0, 0.0)


def mask_guide(rng, mask, shift=0.1, scale=0.05):
    """MaskTrack's guide from a moved and scaled mask.

    Release `util.py: perturb_mask`: the mask is scaled by U(1 - 0.05,
    1 + 0.05) and its centre moved by U(-0.1, 0.1) of its box, then dilated.

    Args:
        rng: `numpy.random.Generator`.
        mask: (H, W), non-zero pixels are the object.
        shift: see above.
        scale: see above.

    Returns:
        (H, W, 1) float32 of 0 and 255.
    """
    mask = (np.asarray(mask) > 0).astype(np.uint8)
    left, top, right, bottom = bounding_box(mask)
    factor = rng.uniform(1 - scale, 1 + scale)
    centre = np.array([left + right, top + bottom]) / 2
    box = np.array([right - left, bottom - top])
    moved = centre + rng.uniform(-shift, shift, 2) * box
    matrix = np.array(
        [
            [factor, 0, moved[0] - factor * centre[0]],
            [0, factor, moved[1] - factor * centre[1]],
        ]
    )
    height, width = mask.shape
    return guides.mask_guide(
        cv2.warpAffine(mask, matrix, (width, height), flags=cv2.INTER_NEAREST)
    )
