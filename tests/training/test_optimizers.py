"""GroupedAdam against Adam written out in NumPy."""

import keras
import numpy as np
import pytest

from osmn_recurrent.models.building import build_model
from osmn_recurrent.training.optimizers import GroupedAdam, recurrent_groups


def numpy_adam(start, gradients, rate):
    """Adam (Kingma and Ba 2015, algorithm 1) in float64."""
    value, m, v = start.astype(np.float64), 0.0, 0.0
    for t, gradient in enumerate(gradients, 1):
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        corrected = np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        value = value - rate * corrected * m / (np.sqrt(v) + 1e-8)
    return value


def test_each_group_moves_at_its_own_rate():
    rng = np.random.default_rng(0)
    start = rng.normal(size=(2, 5)).astype(np.float32)
    gradients = rng.normal(size=(4, 2, 5)).astype(np.float32)
    variables = [
        keras.Variable(start[0], name="seg_kernel"),
        keras.Variable(start[1], name="convlstm3_kernel"),
    ]
    optimizer = GroupedAdam(1e-3, recurrent_groups(10.0))
    for step in gradients:
        optimizer.apply(list(keras.ops.convert_to_tensor(step)), variables)
    for k, rate in ((0, 1e-3), (1, 1e-2)):
        expected = numpy_adam(start[k], gradients[:, k], rate)
        np.testing.assert_allclose(variables[k].numpy(), expected, atol=1e-6)


def test_every_variable_of_reconvnet_is_in_one_group():
    model = build_model("reconvnet", "vgg16_compact")
    optimizer = GroupedAdam(1e-6, recurrent_groups(10.0))
    table = optimizer.group_table(model.trainable_variables)
    cells = [v for cell in model.cells for v in cell.trainable_variables]
    gammas = model.modulator.fc8_convlstm.trainable_variables
    assert table["recurrent"][0] == len(cells) + len(gammas) == 11
    assert sum(row[0] for row in table.values()) == len(model.trainable_variables)
    assert sum(row[1] for row in table.values()) == sum(
        int(np.prod(v.shape)) for v in model.trainable_variables
    )


@pytest.mark.parametrize(
    ("groups", "found"),
    [
        ([("a", "kernel", 1.0), ("b", "seg", 1.0)], r"\['a', 'b'\]"),
        ([("a", "bias", 1.0)], "none"),
    ],
)
def test_a_variable_in_two_groups_or_none_is_refused(groups, found):
    with pytest.raises(ValueError, match=f"exactly one group.*{found}"):
        GroupedAdam(1.0, groups).build([keras.Variable([1.0], name="seg_kernel")])
