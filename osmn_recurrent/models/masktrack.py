"""MaskTrack and MaskTrack-M: the previous mask as a fourth input channel."""

import keras
from keras import ops

from osmn_recurrent.models import vgg
from osmn_recurrent.models.decoders import AtrousPyramidDecoder
from osmn_recurrent.models.modulation import VisualModulator
from osmn_recurrent.models.osmn import image_size
from osmn_recurrent.models.segmentation_model import SegmentationModel

MODULATED_BLOCKS = (3, 4, 5)


class MaskTrackNetwork(keras.layers.Layer):
    """The part called `seg`: dilated VGG16 blocks and the pyramid."""

    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.blocks = vgg.conv_blocks(
            vgg.width_of(size), (1, 1, 1, 1, 2), dtype=self.dtype_policy
        )
        self.decoder = AtrousPyramidDecoder(
            size, dtype=self.dtype_policy, name="decoder"
        )

    def build(self, input_shape=None):
        """Makes the variables for four input channels."""
        vgg.build_blocks(self.blocks, 4)
        self.decoder.build()


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class MaskTrack(SegmentationModel):
    """MaskTrack (Perazzi et al. 2017) as the OSMN authors rebuilt it.

    DeepLab-LargeFOV on the concatenation of mask guide and image (guide
    first); release `osmn.py: osmn_masktrack`.

    Args:
        size: "full" or "compact".
        use_visual_modulator: MaskTrack-M (OSMN section 4.1.2) scales the
            channels of blocks 3 to 5 by a visual modulator.
        aligned_size: `(height, width)` that images are padded to in their
            middle with zeros, or None (default). The release trains 854x480
            at (481, 865), whose poolings keep the maps aligned.
        **kwargs: `name` and `dtype` of `keras.Model`.
    """

    guide_kind = "mask"

    def __init__(
        self, size="full", use_visual_modulator=False, aligned_size=None, **kwargs
    ):
        super().__init__(size, **{"name": "masktrack", **kwargs})
        self.use_visual_modulator = use_visual_modulator
        self.aligned_size = tuple(aligned_size) if aligned_size else None
        policy = self.dtype_policy
        if use_visual_modulator:
            self.modulator = VisualModulator(
                size, self.gamma_layout()[-1][2], dtype=policy, name="modulator"
            )
        self.seg = MaskTrackNetwork(size, dtype=policy, name="seg")

    def gamma_layout(self):
        """Where each layer's gammas lie; see `SegmentationModel`."""
        layout, start = [], 0
        for number in MODULATED_BLOCKS:
            channels = self.width.blocks[number - 1]
            for i in range(vgg.CONVS_PER_BLOCK[number - 1]):
                layout.append((f"conv{number}_{i + 1}", start, start + channels))
                start += channels
        return layout

    def build(self, input_shape=None):
        """Makes all variables; no input shape is needed."""
        if self.modulator is not None:
            self.modulator.build()
        self.seg.build()

    def encode(self, image):
        """The image itself: the object's mask is an input."""
        return {"image": image}

    def step(self, frame, guide, modulation, state, training=False):
        """Segments one frame; see `SegmentationModel.step`."""
        image = frame["image"]
        size = image_size(image)
        # Adding zeros of the guide's shape pairs one frame with N guides.
        x = ops.concatenate([guide, image + ops.zeros_like(guide)], axis=-1)
        x = x * self.width.input_scale
        if self.aligned_size:
            x, offset = self._pad(x, size)
        gammas = {}
        if self.use_visual_modulator:
            start = 0
            for number in MODULATED_BLOCKS:
                end = start + self.width.blocks[number - 1] * 3
                gammas[number] = modulation[:, start:end]
                start = end
        for number, block in enumerate(self.seg.blocks, 1):
            x = block(x, gammas.get(number))
            x = vgg.max_pool(x, 3, 2 if number < 4 else 1)
        logits = self.seg.decoder(x, size=self.aligned_size or size, training=training)
        if self.aligned_size:
            top, left = offset
            logits = logits[:, top : top + size[0], left : left + size[1]]
        return logits, ()

    def _pad(self, x, size):
        rows, columns = (a - b for a, b in zip(self.aligned_size, size, strict=True))
        if isinstance(rows, int) and min(rows, columns) < 0:
            raise ValueError(
                "aligned_size must not be smaller than the image. Received: "
                f"aligned_size={self.aligned_size}, image {size}"
            )
        top, left = rows // 2, columns // 2
        padding = [[0, 0], [top, rows - top], [left, columns - left], [0, 0]]
        return ops.pad(x, padding), (top, left)

    def get_config(self):
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

    def __init__(self, size="full", **kwargs):
        super().__init__(
            size, use_visual_modulator=True, **{"name": "masktrack_m", **kwargs}
        )

    def get_config(self):
        """Constructor arguments."""
        config = super().get_config()
        del config["use_visual_modulator"]
        return config
