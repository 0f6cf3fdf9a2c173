"""Adam with the papers' groups of learning rates."""

import math
import re

import keras
from keras import ops

RECURRENT = r"convlstm"
"""Paths of ReConvNet's new variables: the ConvLSTMs and their gammas."""

TRUNK = r"/seg/(?!decoder/)"
"""Paths of the segmentation network's trunk."""


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class GroupedAdam(keras.optimizers.Adam):
    """Adam whose learning rate differs between groups of variables.

    ReConvNet section 3 trains "with a lower learning rate for the
    non-recurrent than for the recurrent component". A factor on the gradient
    would do nothing under Adam, so the rate itself is multiplied.

    Under `tf.distribute` Keras clips each replica's gradient and then sums over the
    replicas. So that clipping sees the whole gradient, each of n replicas gives
    `apply` the n-th part of the whole one, and the norm is an n-th, too.

    Args:
        learning_rate: rate of a group with factor 1, or a schedule.
        groups: list of `(name, pattern, factor)`; a variable belongs to the
            group whose regular expression `pattern` is found in its path.
            Every trainable variable must belong to exactly one group.
        **kwargs: of `keras.optimizers.Adam`.
    """

    def __init__(self, learning_rate=1e-5, groups=(("all", "", 1.0),), **kwargs):
        # 1e-8 as in TensorFlow 1, which the release was trained with; Keras has 1e-7.
        super().__init__(learning_rate=learning_rate, **{"epsilon": 1e-8, **kwargs})
        self.groups = [tuple(group) for group in groups]

    def build(self, variables):
        """Makes the moments, and checks that the groups cover everything."""
        # By identity: inside a distributed update there are the replicas' own
        # variables, which have no path.
        self._factors = {}
        for variable in variables:
            factor = self.groups[self._group_of(variable.path)][2]
            for each in (variable, *_parts_of(variable)):
                self._factors[id(each)] = factor
        super().build(variables)

    def _group_of(self, path):
        found = [
            index
            for index, (_, pattern, _) in enumerate(self.groups)
            if re.search(pattern, path)
        ]
        if len(found) != 1:
            names = [self.groups[index][0] for index in found]
            raise ValueError(
                "every variable must belong to exactly one group of learning "
                f"rates. Received: {path} in {names or 'none'}"
            )
        return found[0]

    def group_table(self, variables):
        """`{group name: (variables, parameters, factor)}` of `variables`."""
        table = {name: (0, 0, factor) for name, _, factor in self.groups}
        for variable in variables:
            name = self.groups[self._group_of(variable.path)][0]
            count, parameters, factor = table[name]
            size = 1
            for side in variable.shape:
                size *= side
            table[name] = (count + 1, parameters + size, factor)
        return table

    def update_step(self, gradient, variable, learning_rate):
        """One variable's step, at its group's rate."""
        factor = self._factors[id(variable)]
        super().update_step(gradient, variable, learning_rate * factor)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "groups": self.groups}


def _parts_of(variable):
    """The backend's variable behind a Keras variable, and its replicas'."""
    if keras.backend.backend() != "tensorflow":
        return ()
    import tensorflow as tf

    whole = variable.value
    return whole, *tf.distribute.get_strategy().experimental_local_results(whole)


def recurrent_groups(factor, trunk=1.0):
    """Groups of rates.

    Args:
        factor: the recurrent rate's multiple.
        trunk: the multiple of the segmentation trunk's rate.

    Returns:
        List of `(name, pattern, factor)`, as of `GroupedAdam`.
    """
    groups = [("recurrent", RECURRENT, factor)]
    if trunk == 1.0:
        return [*groups, ("other", f"^(?!.*{RECURRENT})", 1.0)]
    return [
        *groups,
        ("trunk", f"^(?!.*{RECURRENT}).*{TRUNK}", trunk),
        ("other", f"^(?!.*({RECURRENT}|{TRUNK}))", 1.0),
    ]


def learning_groups(settings):
    """The groups of `TrainSettings`."""
    rate = settings.learning_rate
    trunk = settings.trunk_learning_rate
    return recurrent_groups(
        settings.recurrent_learning_rate / rate, 1.0 if trunk is None else trunk / rate
    )


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class TrainingRate(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, drops at given steps, and a cosine to the end.

    Args:
        rate: the rate without any of them.
        steps: number of steps in all.
        warmup_steps: steps of the linear rise from rate / warmup_steps.
        drops: `((step, factor), ...)`, factors multiply from that step on.
        final: share of the rate that the cosine ends with; 1: no cosine.
    """

    def __init__(self, rate, steps, warmup_steps=0, drops=(), final=1.0):
        self.rate, self.steps, self.warmup_steps = rate, steps, warmup_steps
        self.drops = tuple(tuple(drop) for drop in drops)
        self.final = final

    def __call__(self, step):
        """The rate of `step`, counted from 0."""
        step = ops.cast(step, "float32")
        rate = ops.cast(self.rate, "float32")
        for first, factor in self.drops:
            rate = rate * ops.where(step >= first, factor, 1.0)
        if self.final != 1.0:
            length = max(1, self.steps - self.warmup_steps)
            done = ops.clip((step - self.warmup_steps) / length, 0.0, 1.0)
            cosine = 0.5 * (1.0 + ops.cos(math.pi * done))
            rate = rate * (self.final + (1.0 - self.final) * cosine)
        if self.warmup_steps:
            rate = rate * ops.minimum(1.0, (step + 1.0) / self.warmup_steps)
        return rate

    def get_config(self):
        """Constructor arguments."""
        return {
            "rate": self.rate,
            "steps": self.steps,
            "warmup_steps": self.warmup_steps,
            "drops": self.drops,
            "final": self.final,
        }


def make_optimizer(settings, dtype_policy="float32", replicas=1):
    """The optimiser of `TrainSettings`.

    Args:
        settings: `TrainSettings`.
        dtype_policy: name of the network's policy; "mixed_float16" gets
            dynamic loss scaling.
        replicas: devices, each of which gives its part of the gradient.

    Returns:
        `GroupedAdam`, within a `keras.optimizers.LossScaleOptimizer` for
        float16.
    """
    adam = GroupedAdam(
        TrainingRate(
            settings.learning_rate,
            settings.steps,
            settings.warmup_steps,
            settings.rate_drops,
            settings.final_rate,
        ),
        learning_groups(settings),
        global_clipnorm=settings.clip_norm and settings.clip_norm / replicas,
    )
    if dtype_policy == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(adam)
    return adam


def adam_of(optimizer):
    """The `GroupedAdam` of `make_optimizer`'s result."""
    return getattr(optimizer, "inner_optimizer", optimizer)
