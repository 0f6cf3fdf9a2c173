"""OSMN: a segmentation network steered by two modulators."""

from typing import Any

import keras

from osmn_recurrent import backbones
from osmn_recurrent.backbones.backbone import GUIDE_SIZE, build_levels
from osmn_recurrent.guides import GAUSSIAN, NoGuide
from osmn_recurrent.models.channelwise import ChannelwiseModulator
from osmn_recurrent.models.decoders import make_decoder
from osmn_recurrent.models.modulation import SpatialModulator
from osmn_recurrent.models.segmentation_model import SegmentationModel
from osmn_recurrent.models.visual_modulators import VISUAL_MODULATORS

MODULATOR_KINDS = ("release", "channelwise")


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class SegmentationNetwork(keras.layers.Layer):
    """The part called `seg`: the trunk's levels and the decoder.

    Networks run its layers one by one, since modulation and recurrence come in
    between; called as a whole it is OSVOS' network.

    Args:
        backbone: name of the `Backbone`.
        alignment: see `enlargement.upsample`.
        channels: of the images.
    """

    def __init__(self, backbone, alignment="release", channels=3, **kwargs):
        super().__init__(**{**kwargs, "autocast": False})
        self.backbone, self.alignment, self.channels = backbone, alignment, channels
        self.trunk = backbones.find(backbone)
        self.blocks = self.trunk.make_levels(self.dtype_policy)
        self.decoder = make_decoder(self.trunk, alignment, self.dtype_policy)

    def build(self, input_shape=None):
        """Makes the variables; no input shape is needed."""
        build_levels(self.blocks, self.channels)
        self.decoder.build()

    def call(self, image, training=False):
        """(B, H, W, channels) BGR minus mean to logits (B, H, W, 1) float32."""
        x = self.trunk.network_input(self.trunk.pad(image))
        sides = {}
        for number, block in enumerate(self.blocks, 1):
            x = block(x, training=training)
            if number in self.trunk.sides:
                sides[number] = self.decoder.side(x, number, training)
        return self.decoder.fuse(sides, image_size(image))

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "backbone": self.backbone,
            "alignment": self.alignment,
            "channels": self.channels,
        }


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class OSMN(SegmentationModel):
    """Object Segmentation by Modulation Network (OSMN section 3).

    The three parts are called as in the release (`model_func.py: osmn`):
    `modulator`, `modulator_sp` and `seg`.

    Args:
        backbone: name of the trunk, see `backbones.NAMES`: "vgg16" (default; 165 M
            parameters, the released widths), "vgg16_compact", ...
        mod_early_conv: also modulate conv1 and conv2 (VGG16). The paper (section
            3.5) found it worse; there is a released variant.
        visual_modulator: "release", a second network whose outputs are the gammas
            (the papers'), or "channelwise" (`ChannelwiseModulator`, not in the
            papers). Default: the backbone's; "release" where networks start from
            the papers' weights. Trained from elsewhere the release's form dies: its
            gammas become the same for all objects.
        modulator_options: dict of further arguments of the visual modulator, such
            as `{"logarithm": True}` or `{"batch_statistics": True}`.
        use_visual_modulator: False: all gammas are 1 (OSMN Table 3).
        use_spatial_modulator: False: all betas are 0 (OSMN Table 3).
        alignment: "release" crops the enlarged side outputs as released,
            whose weights were trained with it; "exact" removes the shift at
            sizes that are no multiple of 16 (see `enlargement.upsample`).
        **kwargs: `name` and `dtype` of `keras.Model`.
    """

    takes_visual_modulator = True

    def __init__(
        self,
        backbone: str = "vgg16",
        mod_early_conv: bool = False,
        visual_modulator: str | None = None,
        modulator_options: dict[str, Any] | None = None,
        use_visual_modulator: bool = True,
        use_spatial_modulator: bool = True,
        alignment: str = "release",
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, **{"name": "osmn", **kwargs})
        trunk = self.backbone
        visual_modulator = visual_modulator or trunk.visual_modulator
        if visual_modulator not in MODULATOR_KINDS:
            raise ValueError(
                f"visual_modulator must be one of {MODULATOR_KINDS}. "
                f"Received: {visual_modulator!r}"
            )
        self.modulated = trunk.modulated_levels(mod_early_conv)
        self.mod_early_conv = mod_early_conv
        self.visual_modulator = visual_modulator
        self.modulator_options = dict(modulator_options or {})
        self.use_visual_modulator = use_visual_modulator
        self.use_spatial_modulator = use_spatial_modulator
        self.alignment = alignment
        self.guide = GAUSSIAN if use_spatial_modulator else NoGuide()
        policy = self.dtype_policy
        if use_visual_modulator:
            self.modulator = self._make_modulator()
        if use_spatial_modulator:
            self.modulator_sp = SpatialModulator(
                trunk.name,
                self.modulated,
                trunk.spatial,
                dtype=policy,
                name="modulator_sp",
            )
        self.seg = SegmentationNetwork(trunk.name, alignment, dtype=policy, name="seg")

    def _make_modulator(self):
        own = {"dtype": self.dtype_policy, "name": "modulator"}
        own |= self.modulator_options
        levels = self._modulated_recurrent_levels()
        if self.visual_modulator == "channelwise":
            own = self.backbone.channelwise | own
            return ChannelwiseModulator(
                self.backbone.name, self.modulated, levels, **own
            )
        recurrent = sum(self._recurrent_channels(n) for n in levels)
        kind = VISUAL_MODULATORS[self.backbone.modulator]
        return kind(self.backbone.name, self._layout()[-1][3], recurrent, **own)

    def _modulated_recurrent_levels(self):
        """Hook: numbers of the levels whose ConvLSTMs have gammas."""
        return ()

    def _recurrent_channels(self, number):
        """Hook: channels of a level's ConvLSTM."""
        return self.backbone.level(number).channels

    def _layout(self):
        """`(level's number, place's name, start, end)` of each place's gammas."""
        layout, start = [], 0
        for number in self.modulated:
            for place in self.backbone.level(number).places:
                end = start + place.channels
                layout.append((number, place.name, start, end))
                start = end
        return layout

    def gamma_layout(self) -> list[tuple[str, int, int]]:
        """Where each layer's gammas lie; see `SegmentationModel`."""
        return [(name, start, end) for _, name, start, end in self._layout()]

    def build(self, input_shape: Any = None) -> None:
        """Makes all variables; no input shape is needed."""
        scales = self.gamma_layout()
        if self.modulator is not None:
            guide = (None, GUIDE_SIZE, GUIDE_SIZE, 3)
            self._build_part(self.modulator, guide, (None, scales[-1][2]))
        if self.modulator_sp is not None:
            shifts = self._layout()[-1][3]
            maps = (None, None, None, shifts)  # one after the other, of all places
            self._build_part(self.modulator_sp, (None, None, None, 1), maps)
        images, logits = (None, None, None, 3), (None, None, None, 1)
        self._build_part(self.seg, images, logits)
        if getattr(self.modulator, "frozen", None):
            self.modulator.copy_trunk(self.seg.blocks)

    def _modulation(self, visual_guide, training):
        if self.visual_modulator == "channelwise":
            means = self.modulator.object_means(visual_guide, self.seg.blocks)
            return self.modulator(means, training=training)
        return self.modulator(visual_guide, training=training)

    def encode(self, image: Any, training: bool = False) -> Any:
        """The levels before the first modulated one, and their side outputs."""
        x, sides = self.backbone.network_input(self.backbone.pad(image)), {}
        for number in range(1, self.modulated[0]):
            x = self.seg.blocks[number - 1](x, training=training)
            if number in self.backbone.sides:
                sides[str(number)] = self.seg.decoder.side(x, number, training)
        return {"image": image, "features": x, "sides": sides}

    def step(
        self,
        frame: Any,
        guide: Any,
        modulation: Any,
        state: Any,
        training: bool = False,
    ) -> tuple[Any, Any]:
        """Segments one frame; see `SegmentationModel.step`."""
        return self._decode(frame, guide, modulation, state, 1, training)

    def _decode(self, frame, guide, modulation, state, length, training):
        """The object's part of the network.

        With `length` T above 1 the batch holds clips, time merged into it
        (B*T); the state is that of B clips.
        """
        gammas, shifts = {}, {}
        if self.use_visual_modulator:
            for number, _, start, end in self._layout():
                first = gammas.get(number, (start, end))[0]
                gammas[number] = (first, end)
            gammas = {n: modulation[:, a:b] for n, (a, b) in gammas.items()}
        if self.use_spatial_modulator:
            shifts = self.modulator_sp(self.backbone.pad(guide), training=training)
        x, states = frame["features"], []
        sides = {int(number): side for number, side in frame["sides"].items()}
        for number in range(self.modulated[0], len(self.seg.blocks) + 1):
            block = self.seg.blocks[number - 1]
            gamma, beta = gammas.get(number), shifts.get(number)
            x = block(x, gamma, beta, training=training)
            x, carried = self._recur(number, x, modulation, state, length)
            states += carried
            if number in self.backbone.sides:
                sides[number] = self.seg.decoder.side(x, number, training)
        logits = self.seg.decoder.fuse(sides, image_size(frame["image"]))
        return logits, tuple(states)

    def _recur(self, number, x, modulation, state, length):
        """Hook for recurrent layers after a level: `(x, new states)`."""
        del number, modulation, state, length
        return x, []

    def get_config(self) -> dict:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "mod_early_conv": self.mod_early_conv,
            "visual_modulator": self.visual_modulator,
            "modulator_options": self.modulator_options,
            "use_visual_modulator": self.use_visual_modulator,
            "use_spatial_modulator": self.use_spatial_modulator,
            "alignment": self.alignment,
        }


def image_size(image):
    """`(H, W)` of a batch (B, H, W, C), static where it is known."""
    return keras.ops.shape(image)[1:3]
