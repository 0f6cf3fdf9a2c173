"""Weights with which every variable matters, and inputs."""

import numpy as np

from osmn_recurrent.models.building import weights_of


def randomise(model, seed=0):
    """Gives every weight a random value of a sensible size; returns model.

    New networks have gammas of exactly one and plain batch norm, which would
    hide faults.
    """
    rng = np.random.default_rng(seed)
    for variable in weights_of(model):
        shape, leaf = tuple(variable.shape), variable.path.rpartition("/")[2]
        values = rng.normal(size=shape)
        if leaf == "moving_variance":
            values = 0.5 + rng.uniform(size=shape)
        elif leaf == "gamma":
            values = 1 + 0.2 * values
        elif leaf in ("kernel", "recurrent_kernel"):
            spread = 0.3 if "/fc8/" in variable.path else 1.4
            values = spread * values / np.sqrt(np.prod(shape[:-1]))
        elif "fc8" in variable.path:
            values = 1 + 0.1 * values
        else:
            values = 0.1 * values
        variable.assign(values.astype(np.float32))
    return model


def random_inputs(batch, size, length=None, seed=1):
    """A batch of images, or of clips if `length` is given."""
    rng = np.random.default_rng(seed)
    time = () if length is None else (length,)
    guide = rng.uniform(-110, 140, (batch, 224, 224, 3))
    guide[:, :60] = 0
    return {
        "image": rng.uniform(-110, 140, (batch, *time, *size, 3)).astype(np.float32),
        "visual_guide": guide.astype(np.float32),
        "spatial_guide": rng.uniform(0, 1, (batch, *time, *size, 1)).astype(np.float32),
    }
