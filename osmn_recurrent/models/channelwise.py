"""A visual modulator that reads the very channels it scales."""

import keras
from keras import ops

from osmn_recurrent import backbones
from osmn_recurrent.backbones.backbone import build_levels
from osmn_recurrent.models.modulation import average_pool, check_guide

TRUNKS = ("own", "frozen")


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class ChannelwiseModulator(keras.layers.Layer):
    """Scales from what each modulated channel says of the object itself.

        gamma_c = b_c + a_c * z_c

    z_c is the object's mean activation of channel c, from one pass of the
    segmentation trunk, without modulation, over the visual guide; normalised per
    channel by mean and deviation over many visual guides, and bounded. A ConvLSTM's
    output channels take the z of the channels that enter it.

    Not in the papers, whose modulator is a second network (`modulation`). That one
    dies in trainings that do not start from the papers' weights: its gammas end up
    the same for all objects, and a map from foreign features to thousands of gammas
    is learned by heart. This form has two values per channel, no second network, and
    costs one small frame per object.

    Args:
        backbone: name of the `Backbone`.
        levels: numbers of the modulated levels.
        recurrent_levels: numbers of the levels with ConvLSTMs that are modulated.
        trunk: "own" uses the segmentation network's trunk, whose features move
            with the training; "frozen" keeps a copy of its first weights (of
            ImageNet, where these are loaded), which never moves.
        gradient: whether gradients of the gammas reach the own trunk.
        logarithm: z of log(epsilon + mean) instead of the mean; for trunks whose
            activations are never negative (VGG16), where it evens out a skewed
            distribution.
        bound: z is clipped to this absolute value.
        initial_scale: a at the start.
        momentum: of the running mean and deviation, as for batch norm; the first
            steps average all that was seen.
        mixing: rank of a further term, U relu(V z), U zero at the start, so that
            gammas can also depend on other channels; 0: none.
        guide_pool: the visual guide is average-pooled by this factor first.
    """

    EPSILON = 1e-3

    def __init__(
        self,
        backbone,
        levels,
        recurrent_levels=(),
        trunk="own",
        gradient=False,
        logarithm=False,
        bound=4.0,
        initial_scale=0.05,
        momentum=0.99,
        mixing=0,
        guide_pool=1,
        **kwargs,
    ):
        super().__init__(**{**kwargs, "autocast": False})
        if trunk not in TRUNKS:
            raise ValueError(f"trunk must be one of {TRUNKS}. Received: {trunk!r}")
        self.backbone, self.levels = backbone, tuple(levels)
        self.recurrent_levels = tuple(recurrent_levels)
        self.trunk, self.gradient, self.logarithm = trunk, gradient, logarithm
        self.bound, self.initial_scale = bound, initial_scale
        self.momentum, self.mixing, self.guide_pool = momentum, mixing, guide_pool
        self.description = backbones.find(backbone)
        self.frozen = []
        if trunk == "frozen":
            self.frozen = self.description.make_levels(self.dtype_policy)
            for level in self.frozen:
                level.trainable = False
        counts = [
            sum(place.channels for place in self.description.level(n).places)
            for n in self.levels
        ]
        own = [self.description.level(n).channels for n in self.recurrent_levels]
        self.outputs, self.recurrent_outputs = sum(counts), sum(own)

    def build(self, input_shape=None):
        """Makes the variables; no input shape is needed."""
        if self.frozen:
            build_levels(self.frozen, 3)
        self.scale, self.bias = [], []
        for name, count in self._groups():
            # Named apart, so that ReConvNet's new part is trained at its own rate.
            self.scale.append(
                self.add_weight(
                    shape=(count,),
                    initializer=keras.initializers.Constant(self.initial_scale),
                    dtype="float32",
                    autocast=False,
                    name=f"scale{name}",
                )
            )
            self.bias.append(
                self.add_weight(
                    shape=(count,),
                    initializer="ones",
                    dtype="float32",
                    autocast=False,
                    name=f"bias{name}",
                )
            )
        total = self.outputs

        def statistic(name, shape, initializer):
            return self.add_weight(
                shape=shape,
                initializer=initializer,
                trainable=False,
                dtype="float32",
                autocast=False,
                aggregation="mean",
                name=name,
            )

        self.moving_mean = statistic("moving_mean", (total,), "zeros")
        self.moving_square = statistic("moving_square", (total,), "ones")
        self.seen = statistic("seen", (), "zeros")
        if self.mixing:
            self.inward = self.add_weight(
                shape=(total, self.mixing),
                initializer="glorot_uniform",
                dtype="float32",
                autocast=False,
                name="mixing_in",
            )
            self.outward = self.add_weight(
                shape=(self.mixing, total + self.recurrent_outputs),
                initializer="zeros",
                dtype="float32",
                autocast=False,
                name="mixing_out",
            )

    def _groups(self):
        groups = [("", self.outputs)]
        if self.recurrent_outputs:
            groups.append(("_convlstm", self.recurrent_outputs))
        return groups

    def copy_trunk(self, levels):
        """Takes the segmentation trunk's present weights for the frozen copy."""
        for own, given in zip(self.frozen, levels, strict=True):
            for variable, value in zip(own.variables, given.variables, strict=True):
                variable.assign(value)

    def object_means(self, guide, levels):
        """Mean activations over the object.

        Args:
            guide: (N, 224, 224, 3) BGR minus mean, background exactly 0.
            levels: the segmentation trunk's level layers.

        Returns:
            (N, channels of all places) float32; 0 for an empty object.
        """
        check_guide(guide)
        levels = self.frozen or levels
        inside = ops.any(ops.not_equal(guide, 0.0), axis=-1, keepdims=True)
        weight = ops.cast(inside, "float32")
        if self.guide_pool > 1:
            guide = average_pool(guide, self.guide_pool)
            weight = average_pool(weight, self.guide_pool)
        x, stride, found = self.description.network_input(guide), 1, []
        for level, layer in zip(self.description.levels, levels, strict=True):
            if level.number > max(self.levels):
                break
            x, maps = layer(x, with_maps=True)
            ratio, stride = level.stride // stride, level.stride
            weight = average_pool(weight, ratio) if ratio > 1 else weight
            if level.number in self.levels:
                total = ops.sum(weight, axis=(1, 2)) + 1e-6
                for each in maps:
                    each = ops.cast(each, "float32")
                    found.append(ops.einsum("nhwc,nhwo->nc", each, weight) / total)
        return ops.concatenate(found, axis=-1)

    def call(self, means, training=False):
        """Computes the modulation.

        Args:
            means: (N, C) of `object_means`.
            training: whether the running statistics take part in it and move.

        Returns:
            (N, P) float32.
        """
        if not self.gradient:
            means = ops.stop_gradient(means)
        if self.logarithm:
            means = ops.log(self.EPSILON + ops.maximum(means, 0.0))
        if training:
            self._see(ops.stop_gradient(means))
        variance = ops.maximum(self.moving_square - ops.square(self.moving_mean), 0.0)
        z = (means - self.moving_mean) * ops.rsqrt(variance + 1e-6)
        z = ops.clip(z, -self.bound, self.bound)
        groups = [z]
        if self.recurrent_outputs:
            groups.append(self._recurrent_part(z))
        gammas = [
            b + a * part
            for a, b, part in zip(self.scale, self.bias, groups, strict=True)
        ]
        gammas = ops.concatenate(gammas, axis=-1)
        if self.mixing:
            hidden = ops.relu(ops.matmul(z, self.inward))
            gammas = gammas + ops.matmul(hidden, self.outward)
        return gammas

    def _recurrent_part(self, z):
        parts, start = [], 0
        for number in self.levels:
            level = self.description.level(number)
            end = start + sum(place.channels for place in level.places)
            if number in self.recurrent_levels:
                parts.append(z[:, end - level.channels : end])
            start = end
        return ops.concatenate(parts, axis=-1)

    def _see(self, means):
        """Moves the running statistics towards this batch's."""
        self.seen.assign(self.seen + 1.0)
        rate = ops.maximum(1.0 / self.seen, 1.0 - self.momentum)
        for variable, values in (
            (self.moving_mean, means),
            (self.moving_square, ops.square(means)),
        ):
            variable.assign(variable + rate * (ops.mean(values, axis=0) - variable))

    def get_config(self):
        """Constructor arguments."""
        return {
            **super().get_config(),
            "backbone": self.backbone,
            "levels": self.levels,
            "recurrent_levels": self.recurrent_levels,
            "trunk": self.trunk,
            "gradient": self.gradient,
            "logarithm": self.logarithm,
            "bound": self.bound,
            "initial_scale": self.initial_scale,
            "momentum": self.momentum,
            "mixing": self.mixing,
            "guide_pool": self.guide_pool,
        }
