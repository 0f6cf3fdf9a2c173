"""MaskTrack and MaskTrack-M: the previous mask as a fourth input channel."""

from typing import Any

import keras
from keras import ops

from osmn_recurrent import backbones
from osmn_recurrent.backbones.backbone import GUIDE_SIZE
from osmn_recurrent.guides import MaskGuide
from osmn_recurrent.models.osmn import SegmentationNetwork, image_size
from osmn_recurrent.models.segmentation_model import SegmentationModel
from osmn_recurrent.models.visual_modulators import VISUAL_MODULATORS


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class MaskTrack(SegmentationModel):
    """MaskTrack (Perazzi et al. 2017) as the OSMN authors rebuilt it.

    DeepLab-LargeFOV on the concatenation of mask guide and image (guide
    first); release `model_func.py: osmn_masktrack`.

    Args:
        backbone: name of the trunk. VGG16 ("vgg16", the default, "vgg16_compact")
            takes its dilated form, as in the paper; others take the mask guide as a
            channel more, too.
        use_visual_modulator: MaskTrack-M (OSMN section 4.1.2) scales the
            channels of blocks 3 to 5 by the release's visual modulator.
        aligned_size: `(height, width)` that images are padded to in their
            middle with zeros, or None (default). A flag of the release for testing
            on DAVIS: with (481, 865) for 480x854 the poolings keep the maps
            aligned. The enlarged map is cropped once, to the image.
        **kwargs: `name` and `dtype` of `keras.Model`.
    """

    guide = MaskGuide()

    def __init__(
        self,
        backbone: str = "vgg16",
        use_visual_modulator: bool = False,
        aligned_size: tuple[int, int] | None = None,
        **kwargs: Any,
    ) -> None:
        backbone = backbones.find(backbone).masktrack_form or backbone
        super().__init__(backbone, **{"name": "masktrack", **kwargs})
        self.use_visual_modulator = use_visual_modulator
        self.aligned_size = tuple(aligned_size) if aligned_size else None
        policy = self.dtype_policy
        if use_visual_modulator:
            kind = VISUAL_MODULATORS[self.backbone.modulator]
            self.modulator = kind(
                self.backbone.name,
                self.gamma_layout()[-1][2],
                dtype=policy,
                name="modulator",
            )
        self.seg = SegmentationNetwork(
            self.backbone.name, channels=4, dtype=policy, name="seg"
        )

    def gamma_layout(self) -> list[tuple[str, int, int]]:
        """Where each layer's gammas lie; see `SegmentationModel`."""
        layout, start = [], 0
        for number in self.backbone.modulated:
            for place in self.backbone.level(number).places:
                layout.append((place.name, start, start + place.channels))
                start += place.channels
        return layout

    def build(self, input_shape: Any = None) -> None:
        """Makes all variables; no input shape is needed."""
        if self.modulator is not None:
            guide = (None, GUIDE_SIZE, GUIDE_SIZE, 3)
            scales = (None, self.gamma_layout()[-1][2])
            self._build_part(self.modulator, guide, scales)
        images, logits = (None, None, None, 4), (None, None, None, 1)
        self._build_part(self.seg, images, logits)

    def encode(self, image: Any, training: bool = False) -> Any:
        """The image itself: the object's mask is an input."""
        return {"image": image}

    def step(
        self,
        frame: Any,
        guide: Any,
        modulation: Any,
        state: Any,
        training: bool = False,
    ) -> tuple[Any, Any]:
        """Segments one frame; see `SegmentationModel.step`."""
        image, trunk = frame["image"], self.backbone
        size = image_size(image)
        # Adding zeros of the guide's shape pairs one frame with N guides.
        x = ops.concatenate([guide, image + ops.zeros_like(guide)], axis=-1)
        if self.aligned_size:
            x = self._pad(x, size)
        x, start, sides = trunk.network_input(trunk.pad(x)), 0, {}
        for number, block in enumerate(self.seg.blocks, 1):
            gamma = None
            if self.use_visual_modulator and number in trunk.modulated:
                end = start + sum(p.channels for p in trunk.level(number).places)
                gamma, start = modulation[:, start:end], end
            x = block(x, gamma, training=training)
            if number in trunk.sides:
                sides[number] = self.seg.decoder.side(x, number, training)
        return self.seg.decoder.fuse(sides, size), ()

    def _pad(self, x, size):
        rows, columns = (a - b for a, b in zip(self.aligned_size, size, strict=True))
        if isinstance(rows, int) and min(rows, columns) < 0:
            raise ValueError(
                "aligned_size must not be smaller than the image. Received: "
                f"aligned_size={self.aligned_size}, image {size}"
            )
        top, left = rows // 2, columns // 2
        padding = [[0, 0], [top, rows - top], [left, columns - left], [0, 0]]
        return ops.pad(x, padding)

    def get_config(self) -> dict:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "use_visual_modulator": self.use_visual_modulator,
            "aligned_size": self.aligned_size,
        }


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class MaskTrackM(MaskTrack):
    """MaskTrack-M: `MaskTrack` with the visual modulator.

    Args:
        **kwargs: as of `MaskTrack`, without `use_visual_modulator`.
    """

    def __init__(self, backbone="vgg16", **kwargs):
        super().__init__(
            backbone, use_visual_modulator=True, **{"name": "masktrack_m", **kwargs}
        )

    def get_config(self):
        """Constructor arguments."""
        config = super().get_config()
        del config["use_visual_modulator"]
        return config
