"""Adam with the papers' groups of learning rates."""

import re

import keras

RECURRENT = r"convlstm"
"""Paths of ReConvNet's new variables: the ConvLSTMs and their gammas."""


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class GroupedAdam(keras.optimizers.Adam):
    """Adam whose learning rate differs between groups of variables.

    ReConvNet section 3 trains "with a lower learning rate for the
    non-recurrent than for the recurrent component". A factor on the gradient
    would do nothing under Adam, so the rate itself is multiplied.

    Args:
        learning_rate: rate of a group with factor 1, or a schedule.
        groups: list of `(name, pattern, factor)`; a variable belongs to the
            group whose regular expression `pattern` is found in its path.
            Every trainable variable must belong to exactly one group.
        **kwargs: of `keras.optimizers.Adam`.
    """

    def __init__(self, learning_rate=1e-5, groups=(("all", "", 1.0),), **kwargs):
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.groups = [tuple(group) for group in groups]

    def build(self, variables):
        """Makes the moments, and checks that the groups cover everything."""
        # By index: inside a distributed update variables have no path.
        self._factors = [
            self.groups[self._group_of(variable.path)][2] for variable in variables
        ]
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
        factor = self._factors[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * factor)

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "groups": self.groups}


def recurrent_groups(factor):
    """ReConvNet's two groups; `factor` is the recurrent rate's multiple."""
    return [
        ("recurrent", RECURRENT, factor),
        ("other", f"^(?!.*{RECURRENT})", 1.0),
    ]
