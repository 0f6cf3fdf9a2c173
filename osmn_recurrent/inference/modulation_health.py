"""Whether a visual modulator still tells objects from each other.

A modulator that gives every object the same scales does nothing, and the loss does
not show it: the spatial guide says where the object was. What shows it is how far
the scales of different objects lie apart, and which units of the modulator's trunk
still answer.
"""

import dataclasses

import numpy as np
from keras import ops

from osmn_recurrent import guides, masks
from osmn_recurrent.datasets import moving_shapes
from osmn_recurrent.errors import InputError

BATCH = 8

MOST_OBJECTS = 32
"""Objects that `first_guides` looks at: enough for a deviation, a second's work."""

LOWEST_SPREAD = 0.01
"""Below this spread a modulator counts as dead. Scales are about 1; modulators that
steer their network have 0.05 to 0.2, those that died 1e-4 and less."""

SAME = 1e-6
"""A unit whose answers all lie within this share of the largest one is dead."""


@dataclasses.dataclass(frozen=True)
class ModulationSpread:
    """How far the gammas of different objects lie apart.

    Attributes:
        overall: standard deviation over the objects, mean over all channels.
        layers: `{layer: the same over its channels}`, in the order of the gammas.
        dead: `{layer of the modulator's own trunk: share of its channels, 0 to 1,
            that answer the same at every place of every visual guide}`; empty for
            a modulator without a trunk of its own.
    """

    overall: float
    layers: dict
    dead: dict

    def summary(self):
        """As one flat dict: "spread", "spread/LAYER" and "dead/LAYER"."""
        return {
            "spread": self.overall,
            **{f"spread/{name}": value for name, value in self.layers.items()},
            **{f"dead/{name}": value for name, value in self.dead.items()},
        }


def modulation_spread(model, visual_guides):
    """Measures a network's visual modulator on some objects.

    Args:
        model: a built `SegmentationModel` with a visual modulator.
        visual_guides: (N, 224, 224, 3) float32, see `guides.visual_guide`, of N
            different objects, at least two.

    Returns:
        `ModulationSpread`.

    Raises:
        InputError: no visual modulator, or fewer than two objects.
    """
    if len(visual_guides) < 2:
        raise InputError(
            f"{len(visual_guides)} object has no spread; give visual guides of two "
            "objects or more."
        )
    deviation = gammas_of(model, visual_guides).std(axis=0, dtype=np.float64)
    layers = {
        name: float(deviation[start:end].mean())
        for name, start, end in model.gamma_layout()
    }
    dead = {}
    if hasattr(model.modulator, "activations"):
        dead = dead_units(model, visual_guides)
    return ModulationSpread(float(deviation.mean()), layers, dead)


def gammas_of(model, visual_guides, shown=iter):
    """The visual modulator's scales.

    Args:
        model: a network with a visual modulator.
        visual_guides: (N, 224, 224, 3) float32.
        shown: what the batches are iterated through, such as a `tqdm`.

    Returns:
        (N, P) float32, laid out as `model.gamma_layout` says.

    Raises:
        InputError: the network has none.
    """
    if not model.use_visual_modulator:
        raise InputError(
            f"{type(model).__name__} has no visual modulator, so no gammas; name the "
            "weights of a network that has one."
        )
    parts = [
        ops.convert_to_numpy(ops.cast(model.adapt(batch), "float32"))
        for batch in shown(_batches(visual_guides))
    ]
    return np.concatenate(parts)


def dead_units(model, visual_guides):
    """Which share of the modulator's units answers the same whatever it is shown.

    Args:
        model: a network whose modulator has a trunk of its own.
        visual_guides: (N, 224, 224, 3) float32.

    Returns:
        `{layer: share of its channels, 0 to 1}`.
    """
    least, greatest = {}, {}
    for batch in _batches(visual_guides):
        for name, x in model.modulator.activations(batch):
            x = ops.cast(x, "float32")
            low, high = (
                ops.convert_to_numpy(take(x, axis=(0, 1, 2)))
                for take in (ops.min, ops.max)
            )
            least[name] = np.minimum(least.get(name, low), low)
            greatest[name] = np.maximum(greatest.get(name, high), high)
    return {name: float(np.mean(_same(least[name], greatest[name]))) for name in least}


def _same(least, greatest):
    size = np.maximum(np.abs(least), np.abs(greatest))
    return greatest - least <= SAME * size


def _batches(visual_guides):
    starts = range(0, len(visual_guides), BATCH)
    return [visual_guides[k : k + BATCH] for k in starts]


def first_guides(clips, most=MOST_OBJECTS):
    """Visual guides of objects of clips, from the clips' first frames.

    Args:
        clips: list of `Clip`s with a mask for their first frame.
        most: how many objects, spread evenly over the clips.

    Returns:
        (N, 224, 224, 3) float32, N at most `most`; 0 where no first frame shows an
        object.
    """
    chosen = np.linspace(0, len(clips) - 1, min(len(clips), most)).round().astype(int)
    found = []
    for clip in (clips[k] for k in chosen):
        ids = clip.mask(0)
        found += [(clip, ids == i) for i in masks.object_ids(ids)]
    chosen = np.linspace(0, len(found) - 1, min(len(found), most)).round().astype(int)
    views = [guides.visual_guide(c.frame(0), m) for c, m in (found[k] for k in chosen)]
    return np.stack(views) if views else np.zeros((0, 224, 224, 3), np.float32)


def drawn_guides(scenes=6, seed=0):
    """Visual guides of drawn objects, for networks whose data is not at hand.

    Args:
        scenes: how many pictures of two objects are drawn.
        seed: fixes them.

    Returns:
        (2 * scenes, 224, 224, 3) float32.
    """
    found = []
    for number in range(scenes):
        (picture,), (ids,) = moving_shapes.render_clip([seed, number], frames=1)
        found += [guides.visual_guide(picture, ids == i) for i in (1, 2)]
    return np.stack(found)
