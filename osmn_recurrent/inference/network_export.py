"""A network's functions as SavedModel, ONNX and LiteRT files.

Three functions make the loop elsewhere: `adapt` (a visual guide to its
modulation), `heat_map` (the last mask to the spatial guide) and `step` (frame,
guide, modulation and state to logits and state). `guides` says how images and
visual guides are made; logits thresholded at 0 give the mask of one object.
"""

import functools
import pathlib

import numpy as np
import tensorflow as tf

from osmn_recurrent import files
from osmn_recurrent.backbones.backbone import GUIDE_SIZE
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import whole_frames

FORMATS = ("saved_model", "onnx", "litert", "litert_int8")
"""Formats by name; the files are `saved_model/`, `NAME.onnx`, `NAME.tflite` and
`NAME_int8.tflite`, whose weights are of eight bits."""

NAMES = ("adapt", "heat_map", "step")
"""The functions; a network may lack the first ones."""

WHOLE = ("begin", "follow")
"""Those of `whole_frames`."""

_SUFFIXES = {"onnx": ".onnx", "litert": ".tflite", "litert_int8": "_int8.tflite"}

TOLERANCE, ROUNDED = 1e-3, 0.5
"""Largest difference allowed, in units of the largest output or of one; and with
weights of eight bits."""

DIFFERENT = 0.02
"""Largest share of pixels with another id; `ROUNDED` with weights of eight bits."""


def functions(model, objects=None, height=None, width=None):
    """The functions of a network as TensorFlow functions with flat arguments.

    Args:
        model: a built float32 `SegmentationModel`.
        objects: number of objects N, or None to leave it open.
        height: rows H of the frames, or None.
        width: columns W of the frames, or None.

    Returns:
        `{name: tf.function}`, results in dicts:

        - "adapt": visual_guide (N, 224, 224, 3) to modulation (N, P); missing
          without a visual modulator;
        - "heat_map": mask (N, H, W) uint8, non-zero is the object, to guide
          (N, H, W, 1); missing where no guide is used;
        - "step": image (1, H, W, 3), and where the network uses them guide,
          modulation and state_0, state_1 ..., to logits (N, H, W, 1) and
          new_state_0, new_state_1 ... States begin at zero.
    """
    whole_frames.refuse_memory(model)
    side = GUIDE_SIZE
    visual_guides = tf.TensorSpec((objects, side, side, 3), tf.float32, "visual_guide")
    masks = tf.TensorSpec((objects, height, width), tf.uint8, "mask")
    found = {}
    if model.use_visual_modulator:
        found["adapt"] = tf.function(
            lambda visual_guide: {"modulation": model.adapt(visual_guide)},
            input_signature=[visual_guides],
        )
    if model.guide.is_used:
        found["heat_map"] = tf.function(
            lambda mask: {"guide": model.guide.of_masks(mask)}, input_signature=[masks]
        )
    found["step"] = _step_function(model, objects, height, width)
    return found


def _step_function(model, objects, height, width):
    image = tf.TensorSpec((1, height, width, 3), tf.float32, "image")
    signature = {"image": image}
    if model.guide.is_used:
        signature["guide"] = tf.TensorSpec(
            (objects, height, width, 1), tf.float32, "guide"
        )
    if model.use_visual_modulator:
        gammas = model.gamma_layout()[-1][2]
        signature["modulation"] = tf.TensorSpec(
            (objects, gammas), tf.float32, "modulation"
        )
    example = model.initial_state(1, 16, 16)
    states = [f"state_{k}" for k in range(len(tf.nest.flatten(example)))]
    shapes = [(None, None, None, t.shape[-1]) for t in tf.nest.flatten(example)]
    if None not in (objects, height, width):
        fixed = model.initial_state(objects, height, width)
        shapes = [tuple(t.shape) for t in tf.nest.flatten(fixed)]
    for name, shape in zip(states, shapes, strict=True):
        signature[name] = tf.TensorSpec(shape, tf.float32, name)

    def step(*values):
        given = dict(zip(signature, values, strict=True))
        state = tf.nest.pack_sequence_as(example, [given[name] for name in states])
        logits, state = model.step(
            model.encode(given["image"]),
            given.get("guide", ()),
            given.get("modulation", ()),
            state,
        )
        return {
            "logits": logits,
            **{
                f"new_{n}": v
                for n, v in zip(states, tf.nest.flatten(state), strict=True)
            },
        }

    return tf.function(step, input_signature=list(signature.values()))


def places(folder, kind):
    """The files and folders that `export` may write in `folder`.

    Args:
        folder: `pathlib.Path`.
        kind: of `FORMATS`.
    """
    if kind == "saved_model":
        return [folder / "saved_model"]
    return [folder / f"{name}{_SUFFIXES[kind]}" for name in (*NAMES, *WHOLE)]


def all_functions(model, objects, height, width, whole=False):
    """`functions`, or with `whole` those of `whole_frames`.

    Args:
        model: as of both, like the others.
        objects: number of objects.
        height: rows.
        width: columns.
        whole: True, or the `(h, w)` at which the network sees the frames.
    """
    if not whole:
        return functions(model, objects, height, width)
    size = None if whole is True else whole
    return whole_frames.functions(model, objects, height, width, size)


def export(model, folder, kind, objects, height, width, whole=False):
    """Writes the functions of a network in one format.

    Args:
        model: a built float32 `SegmentationModel`.
        folder: where the files go, made if missing.
        kind: of `FORMATS`.
        objects: number of objects, fixed in ONNX and LiteRT; open in a
            SavedModel, as are the sizes.
        height: rows of the frames, fixed likewise.
        width: columns of the frames, fixed likewise.
        whole: see `all_functions`; then all is fixed, in a SavedModel too.

    Returns:
        `{function name: path}`; a SavedModel holds all functions.

    Raises:
        InputError: the packages for ONNX are not installed.
    """
    folder = pathlib.Path(folder)
    if kind == "saved_model":
        named = functions(model)
        if whole:
            named = all_functions(model, objects, height, width, whole)
        return _export_saved_model(model, folder / "saved_model", named)
    convert = {
        "onnx": _to_onnx,
        "litert": _to_litert,
        "litert_int8": functools.partial(_to_litert, rounded=True),
    }[kind]
    paths, named = {}, all_functions(model, objects, height, width, whole)
    for name, function in named.items():
        paths[name] = folder / f"{name}{_SUFFIXES[kind]}"
        with files.replace_when_done(paths[name]) as temporary:
            convert(model, function, temporary)
    return paths


def _export_saved_model(model, path, named):
    module = tf.Module()
    module.model_variables = [variable.value for variable in model.variables]
    module.functions = list(named.values())
    signatures = {name: f.get_concrete_function() for name, f in named.items()}
    with files.folder_when_done(path) as temporary:
        tf.saved_model.save(module, str(temporary), signatures=signatures)
    return dict.fromkeys(named, path)


def _to_onnx(model, function, path):
    del model
    tf2onnx, _ = onnx_packages()
    tf2onnx.convert.from_function(
        function, function.input_signature, opset=17, output_path=str(path)
    )


def _to_litert(model, function, path, rounded=False):
    module = tf.Module()
    module.model_variables = [variable.value for variable in model.variables]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], module
    )
    if rounded:
        # Weights alone: the guides' medians would not survive eight bits.
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    path.write_bytes(converter.convert())


def onnx_packages():
    """`(tf2onnx, onnxruntime)`.

    Raises:
        InputError: they are not installed.
    """
    try:
        import onnxruntime
        import tf2onnx
    except ImportError as error:
        raise InputError(
            f"ONNX needs the package {error.name}; install the extra: "
            'pip install "osmn_recurrent[export]".'
        ) from None
    return tf2onnx, onnxruntime


def load(path, kind, name):
    """Loads an exported function again.

    Args:
        path: of `export`.
        kind: of `FORMATS`.
        name: the function's name.

    Returns:
        Function from `{argument: array}` to `{result: array}`.
    """
    path = str(path)
    if kind == "saved_model":
        signature = tf.saved_model.load(path).signatures[name]
        return lambda given: {
            key: value.numpy()
            for key, value in signature(
                **{k: tf.constant(v) for k, v in given.items()}
            ).items()
        }
    if kind.startswith("litert"):
        return tf.lite.Interpreter(path).get_signature_runner()
    session = onnx_packages()[1].InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    inputs = {each.name.split(":")[0]: each.name for each in session.get_inputs()}

    def run(given):
        values = session.run(names, {inputs[k]: v for k, v in given.items()})
        return {n.split(":")[0]: v for n, v in zip(names, values, strict=True)}

    return run


def check(model, paths, kind, objects, height, width, seed=0, whole=False):
    """Loads what `export` wrote and compares it with the network.

    Args:
        model: the network.
        paths: of `export`.
        kind: of `FORMATS`.
        objects: as of `export`, like the sizes.
        height: rows.
        width: columns.
        seed: of the random inputs.
        whole: as of `export`.

    Returns:
        `{function name: largest difference}`, in units of the largest
        absolute output, or of one if that is larger; of ids the share of pixels
        that differ.

    Raises:
        RuntimeError: a difference above what is allowed for its format.
    """
    rng = np.random.default_rng(seed)
    differences = {}
    rounded = kind == "litert_int8"
    named = all_functions(model, objects, height, width, whole)
    for name, function in named.items():
        given = {spec.name: _random(rng, spec) for spec in function.input_signature}
        expected = function(*given.values())
        loaded = load(paths[name], kind, name)
        found = loaded(**given) if kind.startswith("litert") else loaded(given)
        worst, allowed = 0.0, ROUNDED if rounded else TOLERANCE
        for key, value in expected.items():
            value = value.numpy()
            if key == "new_ids":
                share = float(np.mean(found[key] != value))
                if not share <= (ROUNDED if rounded else DIFFERENT):
                    raise RuntimeError(
                        f"{paths[name]}: {name} gives {share:.1%} of the pixels "
                        "another id than the Keras model"
                    )
                continue
            scale = max(1.0, float(np.abs(value).max()))
            worst = max(worst, float(np.abs(found[key] - value).max()) / scale)
        if not worst <= allowed:
            raise RuntimeError(
                f"{paths[name]}: {name} differs from the Keras model by {worst:.2g}, "
                f"allowed are {allowed:g}"
            )
        differences[name] = worst
    return differences


def _random(rng, spec):
    """Values in the range that the argument has in use."""
    shape = tuple(spec.shape)
    if spec.name == "frame":
        coarse = rng.integers(0, 256, (shape[0] // 8 + 1, shape[1] // 8 + 1, 3))
        coarse = coarse.repeat(8, axis=0).repeat(8, axis=1)
        return coarse[: shape[0], : shape[1]].astype(np.uint8)
    if spec.name == "ids":
        ids = np.zeros(shape, np.uint8)
        ids[shape[0] // 4 : shape[0] // 2, shape[1] // 3 : shape[1] // 2] = 1
        return ids
    if spec.name == "mask":
        mask = np.zeros(shape, np.uint8)
        mask[:, shape[1] // 4 : shape[1] // 2, shape[2] // 3 : shape[2] // 2] = 1
        return mask
    if spec.name in ("image", "visual_guide"):
        return rng.uniform(-110, 140, shape).astype(np.float32)
    if spec.name == "guide":
        return rng.uniform(0, 1, shape).astype(np.float32)
    return rng.normal(1 if spec.name == "modulation" else 0, 0.1, shape).astype(
        np.float32
    )
