"""ReConvNet: OSMN with modulated ConvLSTMs after the last VGG blocks."""

import keras
from keras import ops

from osmn_recurrent.models import vgg
from osmn_recurrent.models.osmn import OSMN
from osmn_recurrent.models.recurrent import ModulatedConvLSTM2D

COUPLINGS = ("sequential", "residual")


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class ReConvNet(OSMN):
    """Recurrent extension of OSMN (ReConvNet section 2).

    A `ModulatedConvLSTM2D` after conv3_3, conv4_3 and conv5_3; its output
    feeds the next block and the side output. The visual modulator makes its
    gammas too, 1280 more at full width; it gets no betas. The state is
    carried over the whole video.

    The paper leaves the following open; each is an option.

    Args:
        size: "full" or "compact".
        recurrent_blocks: numbers of the VGG blocks followed by a ConvLSTM.
            Default (3, 4, 5), "the last three VGG-16 layers".
        coupling: "sequential" (default, as the paper draws it): the
            ConvLSTM's output takes the place of its input x. "residual":
            x + output, so that a ConvLSTM that puts out nothing leaves OSMN
            as it was; easier to start from OSMN's weights.
        kernel_size: of both kinds of ConvLSTM kernels. Default 3, VGG's.
        hidden_channels: channels of the ConvLSTMs. Default None: those of the
            block, whose next layer's weights then fit. A number adds a linear
            1x1 projection back to the block's channels.
        modulate: "output" (default), "state" or "none": where the visual
            modulator's gammas apply; see `ModulatedConvLSTM2D`.
        **kwargs: as of `OSMN`.
    """

    def __init__(
        self,
        size="full",
        recurrent_blocks=(3, 4, 5),
        coupling="sequential",
        kernel_size=3,
        hidden_channels=None,
        modulate="output",
        **kwargs,
    ):
        if coupling not in COUPLINGS:
            raise ValueError(
                f"coupling must be one of {COUPLINGS}. Received: {coupling!r}"
            )
        if not set(recurrent_blocks) <= {3, 4, 5}:
            raise ValueError(
                "recurrent_blocks must be among 3, 4 and 5. "
                f"Received: {recurrent_blocks}"
            )
        self._recurrent_gammas = (
            sum(
                hidden_channels or vgg.width_of(size).blocks[number - 1]
                for number in recurrent_blocks
            )
            if modulate != "none"
            else 0
        )
        super().__init__(size, **{"name": "reconvnet", **kwargs})
        self.recurrent_blocks = tuple(recurrent_blocks)
        self.coupling, self.kernel_size = coupling, kernel_size
        self.hidden_channels, self.modulate = hidden_channels, modulate
        self.cells, self.projections = [], []
        for number in self.recurrent_blocks:
            channels = self.width.blocks[number - 1]
            filters = hidden_channels or channels
            self.cells.append(
                ModulatedConvLSTM2D(
                    filters,
                    kernel_size,
                    "output" if modulate == "none" else modulate,
                    self.width.new_kernel(),
                    dtype=self.dtype_policy,
                    name=f"convlstm{number}",
                )
            )
            if hidden_channels:
                self.projections.append(
                    keras.layers.Conv2D(
                        channels,
                        1,
                        use_bias=False,
                        kernel_initializer=self.width.new_kernel(),
                        data_format="channels_last",
                        dtype=self.dtype_policy,
                        name=f"convlstm{number}_projection",
                    )
                )

    def gamma_layout(self):
        """OSMN's gammas, then those of the ConvLSTMs."""
        layout = super().gamma_layout()
        if self._recurrent_gammas:
            for cell in self.cells:
                start = layout[-1][2]
                layout.append((cell.name, start, start + cell.filters))
        return layout

    def build(self, input_shape=None):
        """Makes all variables; no input shape is needed."""
        super().build(input_shape)
        for number, cell in zip(self.recurrent_blocks, self.cells, strict=True):
            cell.build((None, None, None, self.width.blocks[number - 1]))
        for projection in self.projections:
            projection.build((None, None, None, self.hidden_channels))

    def initial_state(self, objects, height, width):
        """Zero `(h, c)` of each ConvLSTM, in the order of the blocks."""
        state = []
        for number, cell in zip(self.recurrent_blocks, self.cells, strict=True):
            stride = 2 ** (number - 1)
            state.append(
                cell.initial_state(objects, -(-height // stride), -(-width // stride))
            )
        return tuple(state)

    def _run_merged(self, image, guide, modulation, state, length, training):
        if state is None:
            _, height, width, _ = ops.shape(image)
            clips = ops.shape(image)[0] // length
            state = self.initial_state(clips, height, width)
        frame = self.encode(image)
        return self._decode(frame, guide, modulation, state, length, training)

    def _recur(self, number, x, modulation, state, length):
        if number not in self.recurrent_blocks:
            return x, []
        index = self.recurrent_blocks.index(number)
        cell = self.cells[index]
        gamma = None
        if self.modulator is not None and self._recurrent_gammas:
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

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "recurrent_blocks": self.recurrent_blocks,
            "coupling": self.coupling,
            "kernel_size": self.kernel_size,
            "hidden_channels": self.hidden_channels,
            "modulate": self.modulate,
        }
