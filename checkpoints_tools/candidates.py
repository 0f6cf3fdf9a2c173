"""Which networks there are to load a file into, without making their weights."""

import threading

import keras

from checkpoints_tools.release_names import name_of
from osmn_recurrent.backbones import NAMES
from osmn_recurrent.models.building import MODELS, named_weights

VARIANTS = (
    ("osmn", {}),
    ("osmn", {"mod_early_conv": True}),
    ("osmn", {"use_visual_modulator": False}),
    ("osmn", {"use_spatial_modulator": False}),
    ("reconvnet", {}),
    ("osvos", {}),
    ("osvos_m", {}),
    ("masktrack", {}),
    ("masktrack_m", {}),
)
"""Networks and switches that decide which variables there are."""


def expected_shapes(name, backbone, **options):
    """Shapes of a network's weights; nothing is allocated.

    Args:
        name: of `build_model`, as are the others.
        backbone: name of the trunk.
        **options: the network's switches.

    Returns:
        `{name of name_of: shape}`; empty where the backbone has no such switch.
    """
    found = {}

    def build():
        # In this scope Keras notes what it would allocate; the notes belong to
        # the thread and go with it.
        with keras.StatelessScope(initialize_variables=False):
            try:
                model = MODELS[name](backbone=backbone, **options)
            except ValueError:  # a backbone without early modulation
                return
            model.build()
        for path, variable in named_weights(model).items():
            found[name_of(path)] = tuple(variable.shape)

    thread = threading.Thread(target=build)
    thread.start()
    thread.join()
    return found


def label(name, backbone, options):
    """A network in words, such as "osmn (vgg16, mod_early_conv=True)"."""
    details = [backbone, *(f"{key}={value}" for key, value in options.items())]
    return f"{name} ({', '.join(details)})"


def differences(shapes):
    """How a file's weights differ from those of every network.

    Args:
        shapes: `{name of name_of: shape}` without what is left out.

    Returns:
        List of `(label, missing, left over, misshaped)`, the best first: dicts
        as in `ImportReport`. Of a network's backbones only the nearest one.
    """
    found = []
    for name, options in VARIANTS:
        variants = []
        for backbone in NAMES:
            expected = expected_shapes(name, backbone, **options)
            if not expected:
                continue
            missing = {n: s for n, s in expected.items() if n not in shapes}
            over = {n: s for n, s in shapes.items() if n not in expected}
            misshaped = {
                n: (shapes[n], s)
                for n, s in expected.items()
                if n in shapes and shapes[n] != s
            }
            variants.append((label(name, backbone, options), missing, over, misshaped))
        found.append(min(variants, key=_faults))
    return sorted(found, key=_faults)


def _faults(entry):
    return sum(len(part) for part in entry[1:])
