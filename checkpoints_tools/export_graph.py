"""OSMN on MobileNet as the frozen graph that the release's `export` writes."""

import json
import pathlib

import keras

from checkpoints_tools.release_names import is_of_the_release, release_variables
from osmn_recurrent import files
from osmn_recurrent.backbones.backbone import GUIDE_SIZE
from osmn_recurrent.backbones.mobilenet import INPUT_SCALE, MobileNet
from osmn_recurrent.colours import MEAN_BGR
from osmn_recurrent.errors import InputError

ENDING = ".graph.pb"


def export_graph(model, path, height, width, overwrite=False):
    """Writes `NAME.graph.pb` and `NAME.graph.pb.json`.

    The graph takes what the release's data sets make: `guide_image`
    (1, 224, 224, 3) and `input_image` (1, H, W, 3), BGR minus mean times the scale,
    and `gb_image` (1, H, W, 1), the heat map. Its outputs are `prob` (1, H, W, 1) and
    `visual_mod_params_1` to `_4` (1, 1, 1, C). Weights are constants with the
    release's names. The file beside it has the flags that the graph was made with.

    Args:
        model: a built float32 OSMN on MobileNet.
        path: ends in `ENDING`.
        height: rows H of the frames.
        width: columns W.
        overwrite: replace what is there.

    Raises:
        InputError: another network (the release exports this one alone), or a file
            that exists.
    """
    path = pathlib.Path(path)
    beside = path.with_name(f"{path.name}.json")
    named, own = release_variables(model)
    fits = isinstance(model.backbone, MobileNet) and is_of_the_release(model)
    if not fits or own or model.modulator is None or model.modulator_sp is None:
        raise InputError(
            f"the release freezes OSMN on MobileNet with both modulators alone, not "
            f"{model.name} on {model.backbone.name}; osmn export writes any network."
        )
    for each in (path, beside):
        files.refuse_to_overwrite(each, overwrite)
    graph = _frozen(model, named, height, width)
    with files.replace_when_done(path) as temporary:
        temporary.write_bytes(graph.SerializeToString())
    flags = {
        "base_model": "lite",
        "im_size": [width, height],
        "scale_value": INPUT_SCALE,
        "mean_value": list(MEAN_BGR),
        "use_visual_modulator": True,
        "use_spatial_modulator": True,
        "mod_early_conv": False,
    }
    with files.replace_when_done(beside) as temporary:
        temporary.write_text(json.dumps(flags, indent=2, sort_keys=True) + "\n")


def _frozen(model, named, height, width):
    """The GraphDef."""
    import tensorflow as tf

    names = {id(variable): name for name, variable in named.items()}
    stored = [v.numpy() for v in model.variables]
    graph = tf.Graph()
    with graph.as_default():

        def place(name, *shape):
            return tf.compat.v1.placeholder(tf.float32, (1, *shape), name)

        guide = place("guide_image", GUIDE_SIZE, GUIDE_SIZE, 3)
        heat = place("gb_image", height, width, 1)
        image = place("input_image", height, width, 3)
        values = [
            (variable, tf.constant(value, name=names.get(id(variable))))
            for variable, value in zip(model.variables, stored, strict=True)
        ]
        with keras.StatelessScope(state_mapping=values):
            gammas = model.adapt(guide / INPUT_SCALE)
            frame = model.encode(image / INPUT_SCALE)
            logits, _ = model.step(frame, heat, gammas, ())
        for number, (_, start, end) in enumerate(model.gamma_layout(), 1):
            own = gammas[:, None, None, start:end]
            tf.identity(own, f"visual_mod_params_{number}")
        tf.sigmoid(logits, "prob")
    return graph.as_graph_def()
