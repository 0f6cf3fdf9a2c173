"""ReConvNet: OSMN with modulated ConvLSTMs after the last levels of its trunk."""

from typing import Any

import keras
from keras import ops

from osmn_recurrent import backbones
from osmn_recurrent.models.modulation import average_pool
from osmn_recurrent.models.osmn import OSMN
from osmn_recurrent.models.recurrent import ModulatedConvLSTM2D

COUPLINGS = ("sequential", "residual")
FIRST_STATES = ("zeros", "mask")
NOT_GIVEN, USED = -1.0, -2.0
"""What stands in the state in place of the first mask, before and after its use."""


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class ReConvNet(OSMN):
    """Recurrent extension of OSMN (ReConvNet section 2).

    A `ModulatedConvLSTM2D` after conv3_3, conv4_3 and conv5_3 of VGG16, or the
    levels of the same strides of other trunks; its output feeds the next level and
    the side output. The visual modulator makes its gammas too, 1280 more for VGG16;
    it gets no betas. The state is carried over the whole video.

    The paper leaves the following open; each is an option.

    Args:
        backbone: as of `OSMN`.
        recurrent_levels: numbers of the levels followed by a ConvLSTM. Default:
            the backbone's, (3, 4, 5) for VGG16, "the last three VGG-16 layers".
        coupling: "sequential" (default, as the paper draws it): the
            ConvLSTM's output takes the place of its input x. "residual":
            x + output, so that a ConvLSTM that puts out nothing leaves OSMN
            as it was; easier to start from OSMN's weights.
        kernel_size: of both kinds of ConvLSTM kernels. Default 3, VGG's.
        hidden_channels: channels of the ConvLSTMs. Default None: those of the
            level, whose next layer's weights then fit. A number adds a linear
            1x1 projection back to the level's channels; the channelwise modulator
            then needs `modulate="none"`, as it knows no such channels.
        modulate: "output" (default), "state" or "none": where the visual
            modulator's gammas apply; see `ModulatedConvLSTM2D`.
        normalization: "none" (default) or "layer", of `ModulatedConvLSTM2D`.
        first_state: "zeros" (default; the paper says nothing else) or "mask": h and c
            behind an object's first mask are made by a convolution of the next frame's
            features and of that mask at the level's size; its kernel starts at zero.
            Training needs `first_mask_given`. (Xu et al. 2018, arXiv:1809.00461, start
            their ConvLSTM from the first frame and mask.)
        **kwargs: as of `OSMN`.
    """

    def __init__(
        self,
        backbone: str = "vgg16",
        recurrent_levels: tuple[int, ...] | None = None,
        coupling: str = "sequential",
        kernel_size: int = 3,
        hidden_channels: int | None = None,
        modulate: str = "output",
        normalization: str = "none",
        first_state: str = "zeros",
        **kwargs: Any,
    ) -> None:
        trunk = backbones.find(backbone)
        recurrent_levels = tuple(recurrent_levels or trunk.recurrent)
        if coupling not in COUPLINGS:
            raise ValueError(
                f"coupling must be one of {COUPLINGS}. Received: {coupling!r}"
            )
        if first_state not in FIRST_STATES:
            raise ValueError(
                f"first_state must be one of {FIRST_STATES}. Received: {first_state!r}"
            )
        if not set(recurrent_levels) <= set(trunk.modulated):
            raise ValueError(
                f"recurrent_levels must be among {trunk.modulated}. "
                f"Received: {recurrent_levels}"
            )
        self._open = recurrent_levels, hidden_channels, modulate
        super().__init__(backbone, **{"name": "reconvnet", **kwargs})
        if hidden_channels and self.visual_modulator == "channelwise":
            if self.use_visual_modulator and modulate != "none":
                raise ValueError(
                    "hidden_channels with the channelwise visual modulator needs "
                    f"modulate='none'. Received: modulate={modulate!r}"
                )
        self.recurrent_levels = recurrent_levels
        self.coupling, self.kernel_size = coupling, kernel_size
        self.hidden_channels, self.modulate = hidden_channels, modulate
        self.normalization, self.first_state = normalization, first_state
        self.cells, self.projections, self.starts = [], [], []
        for number in self.recurrent_levels:
            self.cells.append(
                ModulatedConvLSTM2D(
                    self._recurrent_channels(number),
                    kernel_size,
                    "output" if modulate == "none" else modulate,
                    trunk.new_kernel(),
                    normalization,
                    dtype=self.dtype_policy,
                    name=f"convlstm{number}",
                )
            )
            if first_state == "mask":
                self.starts.append(
                    keras.layers.Conv2D(
                        2 * self._recurrent_channels(number),
                        3,
                        padding="same",
                        kernel_initializer="zeros",
                        data_format="channels_last",
                        dtype=self.dtype_policy,
                        name=f"convlstm{number}_start",
                    )
                )
            if hidden_channels:
                self.projections.append(
                    keras.layers.Conv2D(
                        trunk.level(number).channels,
                        1,
                        use_bias=False,
                        kernel_initializer=trunk.new_kernel(),
                        data_format="channels_last",
                        dtype=self.dtype_policy,
                        name=f"convlstm{number}_projection",
                    )
                )

    def _modulated_recurrent_levels(self):
        levels, _, modulate = self._open
        return () if modulate == "none" else levels

    def _recurrent_channels(self, number):
        return self._open[1] or super()._recurrent_channels(number)

    def gamma_layout(self) -> list[tuple[str, int, int]]:
        """OSMN's gammas, then those of the ConvLSTMs."""
        layout = super().gamma_layout()
        if self.modulate != "none":
            for cell in self.cells:
                start = layout[-1][2]
                layout.append((cell.name, start, start + cell.filters))
        return layout

    def build(self, input_shape: Any = None) -> None:
        """Makes all variables; no input shape is needed."""
        super().build(input_shape)
        for number, cell in zip(self.recurrent_levels, self.cells, strict=True):
            channels = self.backbone.level(number).channels
            made = (None, None, None, None, cell.filters)
            self._build_part(cell, (None, None, None, channels), made)
        for number, start in zip(self.recurrent_levels, self.starts, strict=False):
            start.build((None, None, None, self.backbone.level(number).channels + 1))
        for projection in self.projections:
            projection.build((None, None, None, self.hidden_channels))

    def initial_state(self, objects: int, height: int, width: int) -> Any:
        """Zero `(h, c)` of each ConvLSTM, in the order of the levels.

        With `first_state="mask"` a map (N, h, w, 1) of each level's size follows, into
        which `memorize` puts the first mask; the next `step` uses it, once.
        """
        sizes = [
            self.backbone.level_size(number, height, width)
            for number in self.recurrent_levels
        ]
        carried = tuple(
            cell.initial_state(objects, *size)
            for cell, size in zip(self.cells, sizes, strict=True)
        )
        if self.first_state == "mask":
            carried += tuple(ops.full((objects, *s, 1), NOT_GIVEN) for s in sizes)
        return carried

    @property
    def memorizes(self) -> bool:
        """Whether first masks go into the state."""
        return self.first_state == "mask"

    def memorize(self, frame: Any, masks: Any, state: Any) -> Any:
        """Keeps an object's first mask for its next `step`; see `first_state`."""
        if self.first_state != "mask":
            return state
        count = len(self.cells)
        kept = []
        masks = self.backbone.pad(masks)
        for number, known in zip(self.recurrent_levels, state[count:], strict=True):
            small = average_pool(masks, self.backbone.level(number).stride)
            kept.append(ops.where(known == NOT_GIVEN, small, known))
        return (*state[:count], *kept)

    def _run_merged(self, image, guide, modulation, state, length, training):
        if state is None:
            _, height, width, _ = ops.shape(image)
            clips = ops.shape(image)[0] // length
            state = self.initial_state(clips, height, width)
        frame = self.encode(image, training)
        return self._decode(frame, guide, modulation, state, length, training)

    def _recur(self, number, x, modulation, state, length):
        if number not in self.recurrent_levels:
            return x, []
        index = self.recurrent_levels.index(number)
        cell = self.cells[index]
        gamma = None
        if self.modulator is not None and self.modulate != "none":
            start, end = next(
                (a, b) for name, a, b in self.gamma_layout() if name == cell.name
            )
            # One vector per clip; the merged batch repeats it per frame.
            gamma = modulation[::length, start:end]
        carried = state[index]
        if self.starts:
            carried = self._started(index, x[::length], carried, state)
        _, height, width, channels = ops.shape(x)
        clip = ops.reshape(x, (-1, length, height, width, channels))
        y, carried = cell(clip, gamma, carried)
        y = ops.reshape(y, (-1, height, width, cell.filters))
        if self.projections:
            y = self.projections[index](y)
        return (x + y if self.coupling == "residual" else y), [carried]

    def _decode(self, frame, guide, modulation, state, length, training):
        logits, states = super()._decode(
            frame, guide, modulation, state, length, training
        )
        used = (ops.full_like(known, USED) for known in state[len(self.cells) :])
        return logits, (*states, *used)

    def _started(self, index, x, carried, state):
        """`(h, c)` of a ConvLSTM, made from the first mask where it is new."""
        known = state[len(self.cells) + index]
        is_new = ops.all(known >= 0.0, axis=(1, 2, 3), keepdims=True)
        mask = ops.cast(ops.maximum(known, 0.0), x.dtype)
        made = self.starts[index](ops.concatenate([x, mask], axis=-1))
        hidden, cell = ops.split(made, 2, axis=-1)
        h, c = carried
        hidden = ops.cast(ops.tanh(hidden), h.dtype)
        cell = ops.cast(cell, c.dtype)
        return ops.where(is_new, hidden, h), ops.where(is_new, cell, c)

    def get_config(self) -> dict:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "recurrent_levels": self.recurrent_levels,
            "coupling": self.coupling,
            "kernel_size": self.kernel_size,
            "hidden_channels": self.hidden_channels,
            "modulate": self.modulate,
            "normalization": self.normalization,
            "first_state": self.first_state,
        }
