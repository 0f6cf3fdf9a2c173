"""OSMN: a VGG16 segmentation network steered by two modulators."""

import keras

from osmn_recurrent.models import vgg
from osmn_recurrent.models.decoders import HypercolumnDecoder
from osmn_recurrent.models.modulation import SpatialModulator, VisualModulator
from osmn_recurrent.models.segmentation_model import SegmentationModel


class SegmentationNetwork(keras.layers.Layer):
    """The part called `seg`: VGG16 blocks and the hypercolumn decoder.

    A container; `OSMN` runs its layers, since modulation and recurrence come
    in between.
    """

    def __init__(self, size, alignment, **kwargs):
        super().__init__(**kwargs)
        width = vgg.width_of(size)
        self.blocks = vgg.conv_blocks(width, dtype=self.dtype_policy)
        self.decoder = HypercolumnDecoder(
            size, alignment, dtype=self.dtype_policy, name="decoder"
        )

    def build(self, input_shape=None):
        """Makes the variables for images of three channels."""
        vgg.build_blocks(self.blocks, 3)
        self.decoder.build()


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class OSMN(SegmentationModel):
    """Object Segmentation by Modulation Network (OSMN section 3).

    The three parts are called as in the release (`osmn.py: osmn`):
    `modulator`, `modulator_sp` and `seg`.

    Args:
        size: "full" (165 M parameters, the released widths) or "compact".
        mod_early_conv: also modulate conv1 and conv2. The paper (section 3.5)
            found it worse; there is a released variant.
        use_visual_modulator: False: all gammas are 1 (OSMN Table 3).
        use_spatial_modulator: False: all betas are 0 (OSMN Table 3).
        alignment: "release" crops the enlarged side outputs as released,
            whose weights were trained with it; "exact" removes the shift at
            sizes that are no multiple of 16 (see `decoders.upsample`).
        **kwargs: `name` and `dtype` of `keras.Model`.
    """

    # Gammas that a subclass needs for layers of its own.
    _recurrent_gammas = 0

    def __init__(
        self,
        size="full",
        mod_early_conv=False,
        use_visual_modulator=True,
        use_spatial_modulator=True,
        alignment="release",
        **kwargs,
    ):
        super().__init__(size, **{"name": "osmn", **kwargs})
        self.mod_early_conv = mod_early_conv
        self.use_visual_modulator = use_visual_modulator
        self.use_spatial_modulator = use_spatial_modulator
        self.alignment = alignment
        self.guide_kind = "gaussian" if use_spatial_modulator else "none"
        policy = self.dtype_policy
        if use_visual_modulator:
            self.modulator = VisualModulator(
                size,
                self._block_layout()[-1][2],
                self._recurrent_gammas,
                dtype=policy,
                name="modulator",
            )
        if use_spatial_modulator:
            self.modulator_sp = SpatialModulator(
                size, self.modulated_blocks, dtype=policy, name="modulator_sp"
            )
        self.seg = SegmentationNetwork(size, alignment, dtype=policy, name="seg")

    @property
    def modulated_blocks(self):
        """Numbers of the VGG blocks with modulation layers."""
        return (1, 2, 3, 4, 5) if self.mod_early_conv else (3, 4, 5)

    def _block_layout(self):
        """`(block number, start, end)` of each block's gammas."""
        layout, start = [], 0
        for number in self.modulated_blocks:
            channels = self.width.blocks[number - 1]
            end = start + channels * vgg.CONVS_PER_BLOCK[number - 1]
            layout.append((number, start, end))
            start = end
        return layout

    def gamma_layout(self):
        """Where each layer's gammas lie; see `SegmentationModel`."""
        layout = []
        for number, start, end in self._block_layout():
            channels = self.width.blocks[number - 1]
            layout += [
                (f"conv{number}_{i + 1}", first, first + channels)
                for i, first in enumerate(range(start, end, channels))
            ]
        return layout

    def build(self, input_shape=None):
        """Makes all variables; no input shape is needed."""
        for part in (self.modulator, getattr(self, "modulator_sp", None), self.seg):
            if part is not None:
                part.build()

    def encode(self, image):
        """conv1, conv2 and their side output, unless they are modulated."""
        image = image * self.width.input_scale
        if self.mod_early_conv:
            return {"image": image}
        conv1, conv2 = self.seg.blocks[:2]
        features = conv2(vgg.max_pool(conv1(image)))
        return {
            "features": vgg.max_pool(features),
            "logits": self.seg.decoder(features, number=2, size=image_size(image)),
        }

    def step(self, frame, guide, modulation, state, training=False):
        """Segments one frame; see `SegmentationModel.step`."""
        return self._decode(frame, guide, modulation, state, 1, training)

    def _decode(self, frame, guide, modulation, state, length, training):
        """The object's part of the network.

        With `length` T above 1 the batch holds clips, time merged into it
        (B*T); the state is that of B clips.
        """
        gammas, shifts = {}, {}
        if self.use_visual_modulator:
            gammas = {
                number: modulation[:, start:end]
                for number, start, end in self._block_layout()
            }
        if self.use_spatial_modulator:
            shifts = self.modulator_sp(guide, training=training)
        if self.mod_early_conv:
            x, logits, numbers = frame["image"], 0.0, (1, 2, 3, 4, 5)
            size = image_size(x)
        else:
            x, logits, numbers = frame["features"], frame["logits"], (3, 4, 5)
            size = image_size(logits)
        states = []
        for number in numbers:
            block = self.seg.blocks[number - 1]
            x = block(x, gammas.get(number), shifts.get(number))
            x, carried = self._recur(number, x, modulation, state, length)
            states += carried
            if number > 1:
                logits = logits + self.seg.decoder(x, number=number, size=size)
            if number < 5:
                x = vgg.max_pool(x)
        return logits, tuple(states)

    def _recur(self, number, x, modulation, state, length):
        """Hook for recurrent layers after a block: `(x, new states)`."""
        del number, modulation, state, length
        return x, []

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "mod_early_conv": self.mod_early_conv,
            "use_visual_modulator": self.use_visual_modulator,
            "use_spatial_modulator": self.use_spatial_modulator,
            "alignment": self.alignment,
        }


def image_size(image):
    """`(H, W)` of a batch (B, H, W, C), static where it is known."""
    return keras.ops.shape(image)[1:3]
