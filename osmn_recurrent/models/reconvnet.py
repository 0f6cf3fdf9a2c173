"""ReConvNet: OSMN with modulated ConvLSTMs after the last levels of its trunk."""

from typing import Any

import keras
from keras import ops

from osmn_recurrent import backbones
from osmn_recurrent.models.osmn import OSMN
from osmn_recurrent.models.recurrent import ModulatedConvLSTM2D

COUPLINGS = ("sequential", "residual")


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
        **kwargs: Any,
    ) -> None:
        trunk = backbones.find(backbone)
        recurrent_levels = tuple(recurrent_levels or trunk.recurrent)
        if coupling not in COUPLINGS:
            raise ValueError(
                f"coupling must be one of {COUPLINGS}. Received: {coupling!r}"
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
        self.cells, self.projections = [], []
        for number in self.recurrent_levels:
            self.cells.append(
                ModulatedConvLSTM2D(
                    self._recurrent_channels(number),
                    kernel_size,
                    "output" if modulate == "none" else modulate,
                    trunk.new_kernel(),
                    dtype=self.dtype_policy,
                    name=f"convlstm{number}",
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
        for projection in self.projections:
            projection.build((None, None, None, self.hidden_channels))

    def initial_state(self, objects: int, height: int, width: int) -> Any:
        """Zero `(h, c)` of each ConvLSTM, in the order of the levels."""
        return tuple(
            cell.initial_state(
                objects, *self.backbone.level_size(number, height, width)
            )
            for number, cell in zip(self.recurrent_levels, self.cells, strict=True)
        )

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
        _, height, width, channels = ops.shape(x)
        clip = ops.reshape(x, (-1, length, height, width, channels))
        y, carried = cell(clip, gamma, state[index])
        y = ops.reshape(y, (-1, height, width, cell.filters))
        if self.projections:
            y = self.projections[index](y)
        return (x + y if self.coupling == "residual" else y), [carried]

    def get_config(self) -> dict:
        """Constructor arguments."""
        return {
            **super().get_config(),
            "recurrent_levels": self.recurrent_levels,
            "coupling": self.coupling,
            "kernel_size": self.kernel_size,
            "hidden_channels": self.hidden_channels,
            "modulate": self.modulate,
        }
