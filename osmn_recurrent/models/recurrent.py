"""The modulated convolutional LSTM of ReConvNet."""

import keras
from keras import ops

from osmn_recurrent.backbones import cpu_convolutions

MODULATE = ("output", "state")
NORMALIZATIONS = ("none", "layer")
EPSILON = 1e-5
FIRST_SCALE = keras.initializers.Constant(0.1)
"""Of normalised gates; 1 would saturate them (Cooijmans et al., arXiv:1603.09025)."""


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class GatewiseOrthogonal(keras.initializers.Initializer):
    """Orthogonal initialisation of each gate's kernel on its own.

    `keras.initializers.Orthogonal` flattens a kernel (k, k, F, 4F) over all
    four gates, which then share one orthogonal matrix; here each (k, k, F, F)
    gate kernel has orthonormal columns, as Saxe et al. (arXiv:1312.6120) mean.

    Args:
        gates: number of kernels side by side in the last axis.
        seed: integer or None.
    """

    def __init__(self, gates=4, seed=None):
        self.gates, self.seed = gates, seed

    def __call__(self, shape, dtype=None):
        """Draws a kernel of `shape` (..., gates * F)."""
        seeds = keras.random.SeedGenerator(self.seed)
        own = (*shape[:-1], shape[-1] // self.gates)
        return ops.concatenate(
            [
                keras.initializers.Orthogonal(seed=seeds)(own, dtype=dtype)
                for _ in range(self.gates)
            ],
            axis=-1,
        )

    def get_config(self):
        """Constructor arguments."""
        return {"gates": self.gates, "seed": self.seed}


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class ModulatedConvLSTM2D(keras.layers.Layer):
    """ConvLSTM whose output is scaled per channel by the visual modulator.

    With * a convolution (SAME padding), o the element-wise product, x_t
    (B, H, W, C), h_t and c_t (B, H, W, F):

        i_t = sigmoid(W_i * x_t + U_i * h_{t-1} + b_i)
        f_t = sigmoid(W_f * x_t + U_f * h_{t-1} + b_f)
        g_t = tanh   (W_c * x_t + U_c * h_{t-1} + b_c)
        o_t = sigmoid(W_o * x_t + U_o * h_{t-1} + b_o)
        c_t = f_t o c_{t-1} + i_t o g_t
        h_t = o_t o tanh(c_t)
        y_t = gamma o h_t          (gamma: (B, F), one scale per channel)

    (Shi et al. 2015 without peepholes; ReConvNet section 2.) The four
    kernels lie side by side, in the order i, f, c, o, as in
    `keras.layers.ConvLSTM2D`: `kernel` (k, k, C, 4F), `recurrent_kernel`
    (k, k, F, 4F), `bias` (4F). Unlike that layer it takes any image size, a
    single frame or a clip, and hands the state out. c_t is kept in float32
    whatever the compute type, because small updates are added to it over the
    whole video.

    Initial values: `kernel` as the other new convolutions, `recurrent_kernel`
    orthogonal (ReConvNet section 3, "Experimental setting"), gate by gate;
    biases zero, those of f_t one.

    Args:
        filters: F. The paper gives none; a block's own channels keep the
            shapes of OSMN's next layer, whose weights are loaded.
        kernel_size: k, odd. The paper gives none; 3 is VGG's.
        modulate: where gamma applies. "output" (default) scales what leaves
            the layer and keeps the memory unscaled, since the paper says the
            coefficients are "multiplied to the feature maps"; "state" also
            feeds the scaled h back into the next step.
        kernel_initializer: initialiser of `kernel`.
        normalization: "none" (default, as the paper) or "layer": W * x, U * h and the
            c_t within tanh are normalised at each place over the channels of each
            gate, with a learned scale, at first 0.1, and a centre for c_t (Ba et al.
            2016, arXiv:1607.06450, eq. 20-22). The memory then stays in the range that
            it was trained in, however long the video.

    Attributes:
        observer: None, or a function that each step calls with its i_t, f_t,
            g_t and o_t, (B, H, W, F), to look into the layer.
        rematerialise: True computes each time step again for the gradient;
            only the carried state is kept.
    """

    observer, rematerialise = None, False

    def __init__(
        self,
        filters,
        kernel_size=3,
        modulate="output",
        kernel_initializer="glorot_uniform",
        normalization="none",
        **kwargs,
    ):
        # Autocast would round the float32 cell state to the compute type.
        super().__init__(**{**kwargs, "autocast": False})
        if modulate not in MODULATE:
            raise ValueError(
                f"modulate must be one of {MODULATE}. Received: {modulate!r}"
            )
        if normalization not in NORMALIZATIONS:
            raise ValueError(
                f"normalization must be one of {NORMALIZATIONS}. "
                f"Received: {normalization!r}"
            )
        self.filters, self.kernel_size = filters, kernel_size
        self.modulate, self.normalization = modulate, normalization
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Makes the variables; only the channels of `input_shape` matter."""
        side, gates = self.kernel_size, 4 * self.filters
        self.kernel = self.add_weight(
            shape=(side, side, input_shape[-1], gates),
            initializer=self.kernel_initializer,
            name="kernel",
        )
        self.recurrent_kernel = self.add_weight(
            shape=(side, side, self.filters, gates),
            initializer=GatewiseOrthogonal(),
            name="recurrent_kernel",
        )
        self.bias = self.add_weight(
            shape=(gates,), initializer=self._initial_bias, name="bias"
        )
        self.scales = self.cell_centre = None
        if self.normalization == "layer":
            self.scales = {
                name: self.add_weight(shape=(size,), initializer=FIRST_SCALE, name=name)
                for name, size in (
                    ("input_scale", gates),
                    ("recurrent_scale", gates),
                    ("cell_scale", self.filters),
                )
            }
            self.cell_centre = self.add_weight(
                shape=(self.filters,),
                initializer="zeros",
                autocast=False,
                name="cell_centre",
            )

    def _initial_bias(self, shape, dtype=None):
        ones = ops.ones((self.filters,), dtype)
        zeros = ops.zeros((self.filters,), dtype)
        return ops.concatenate([zeros, ones, zeros, zeros])

    def initial_state(self, batch, height, width):
        """Zero state.

        Args:
            batch: number of sequences B.
            height: rows H of the feature map.
            width: columns W of the feature map.

        Returns:
            `(h, c)`, both (B, H, W, F); c is float32.
        """
        shape = (batch, height, width, self.filters)
        return ops.zeros(shape, self.compute_dtype), ops.zeros(shape, "float32")

    def call(self, x, gamma=None, state=None):
        """Runs over a clip.

        Args:
            x: (B, T, H, W, C), T static.
            gamma: (B, F) scales, or None for ones.
            state: `(h, c)` to start from, or None for zeros.

        Returns:
            `(y, state)`: (B, T, H, W, F) and the state after the last frame.
        """
        x = ops.cast(x, self.compute_dtype)
        batch, length, height, width, channels = ops.shape(x)
        if state is None:
            state = self.initial_state(batch, height, width)
        if gamma is not None:
            gamma = ops.cast(gamma[:, None, None, :], self.compute_dtype)
        # What comes from the input needs no state: one convolution for all T.
        merged = ops.reshape(x, (-1, height, width, channels))
        inputs = self._normalized(self._conv(merged, self.kernel), "input_scale")
        inputs = inputs + ops.cast(self.bias, self.compute_dtype)
        inputs = ops.reshape(inputs, (batch, length, height, width, 4 * self.filters))
        step = keras.remat(self._step) if self.rematerialise else self._step
        outputs = []
        for t in range(length):
            given = () if gamma is None else (gamma,)
            output, *state = step(inputs[:, t], *state, *given)
            outputs.append(output)
        return ops.stack(outputs, axis=1), tuple(state)

    def _step(self, inputs, hidden, cell, gamma=None):
        carried = self._conv(hidden, self.recurrent_kernel)
        gates = inputs + self._normalized(carried, "recurrent_scale")
        i, f, g, o = ops.split(gates, 4, axis=-1)
        i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
        if self.observer is not None:
            self.observer(i, f, g, o)
        cell = ops.cast(f, "float32") * cell + ops.cast(i * g, "float32")
        seen = self._normalized(cell, "cell_scale")
        if self.cell_centre is not None:
            seen = seen + self.cell_centre
        hidden = o * ops.cast(ops.tanh(seen), self.compute_dtype)
        output = hidden if gamma is None else gamma * hidden
        return output, output if self.modulate == "state" else hidden, cell

    def _normalized(self, x, scale):
        """`x`, each gate's channels normalised and scaled, if that was asked for."""
        if self.scales is None:
            return x
        apart = ops.reshape(x, (*ops.shape(x)[:-1], -1, self.filters))
        apart = ops.cast(apart, "float32")
        mean, variance = ops.moments(apart, axes=-1, keepdims=True)
        apart = (apart - mean) * ops.rsqrt(variance + EPSILON)
        return ops.cast(ops.reshape(apart, ops.shape(x)) * self.scales[scale], x.dtype)

    def _conv(self, x, kernel):
        return cpu_convolutions.conv(x, ops.cast(kernel, self.compute_dtype))

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "modulate": self.modulate,
            "normalization": self.normalization,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
