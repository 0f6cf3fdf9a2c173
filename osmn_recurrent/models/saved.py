"""Networks in files, folders and on servers."""

import contextlib
import hashlib
import json
import pathlib
import re
import tempfile
import urllib.parse

import keras

from osmn_recurrent import files, names, plugins
from osmn_recurrent.archives import open_archive
from osmn_recurrent.errors import InputError
from osmn_recurrent.models import CLASSES, presets, stored_weights

PLUGINS = "osmn_recurrent.models"
"""Entry points of installed packages whose import registers networks."""

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
"""Files of a preset folder."""

SEEN = ("working_size", "search_area")
"""How a `VideoSegmenter` with a network of a preset is to see frames."""

HUGGING_FACE = "https://huggingface.co"


def weights_of(model):
    """Variables of a network without the dropout generators' states."""
    return [v for v in model.variables if "seed_generator" not in v.path]


def path_in_model(variable):
    """A variable's path without the network's own name (str).

    Such as "seg/conv1/conv1_1/kernel" of "osmn/seg/conv1/conv1_1/kernel".
    """
    return variable.path.partition("/")[2]


def named_weights(model):
    """`weights_of` a network: `{path_in_model: variable}`."""
    return {path_in_model(variable): variable for variable in weights_of(model)}


def load_model(path, base):
    """Loads a network from a `.keras` file.

    Args:
        path: a file that a network's `save` wrote.
        base: class that the network must be of.

    Returns:
        A built network.

    Raises:
        InputError: missing or damaged file, or another kind of model.
    """
    path = pathlib.Path(path)
    if not path.is_file() or path.suffix != ".keras":
        raise InputError(
            f"{path} is not a .keras file, which holds a network with its "
            "settings; give one, or name the model for a .weights.h5 file."
        )
    try:
        stored_weights.check_file(path)
        _class_of(_config_of(path), base, path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except InputError:
        raise
    except Exception as error:  # zipfile, json, h5py and Keras raise many kinds
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise InputError(
            f"{path} cannot be read as a saved network ({reason}); save or "
            "copy it again."
        ) from None


def _class_of(config, base, path):
    """The registered class that a saved configuration names."""
    name = config.get("registered_name") or config["class_name"]
    found = keras.saving.get_registered_object(name)
    if found is None:
        plugins.load(PLUGINS)
        found = keras.saving.get_registered_object(name)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise InputError(
            f"{path} holds a {config['class_name']}, expected one of this package's "
            f"networks ({', '.join(sorted(CLASSES))}), or of a module that was "
            f"imported, and a {base.__name__}."
        )
    return found


def load_weights(model, path):
    """Loads a `.weights.h5` or `.keras` file, all of it or nothing.

    Args:
        model: a built `SegmentationModel`.
        path: the file.

    Raises:
        InputError: missing or damaged file, another format, or weights of
            another network; `model` keeps its weights.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(
            f"{path}: no such weights file; give a .weights.h5 or .keras file "
            "(TensorFlow 1 checkpoints go through "
            "osmn convert osmn), or a preset: "
            f"{', '.join(presets.PRESETS)}."
        )
    if not path.name.endswith((".weights.h5", ".keras")):
        raise InputError(
            f"{path} is neither a .weights.h5 nor a .keras file; convert a "
            "TensorFlow 1 checkpoint with "
            "osmn convert osmn first."
        )
    kept = [variable.numpy() for variable in model.variables]
    try:
        if path.suffix == ".keras":
            _check_saved_class(model, path)
        stored_weights.refuse_left_over(model, path, weights_of(model))
        model.load_weights(path)
    except InputError:
        raise
    except Exception as error:  # h5py and Keras raise many kinds
        for variable, value in zip(model.variables, kept, strict=True):
            variable.assign(value)
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"{path} does not hold the weights of {model.name} "
            f"({model.backbone.name}): {reason} Give the file of this model, or "
            "choose the model and backbone that the file was saved from."
        ) from None


def _check_saved_class(model, path):
    saved = _config_of(path)["class_name"]
    if saved != type(model).__name__:
        raise InputError(
            f"{path} holds a {saved}, not a {type(model).__name__}; choose "
            "the model that it was saved from."
        )


def _config_of(path):
    """What a `.keras` file says of its network, dict."""
    with open_archive(path) as archive:
        return json.loads(archive.read("config.json"))


def save_to_preset(model, folder, working_size=None, search_area=None):
    """Writes a network as a folder of `config.json` and `model.weights.h5`.

    Args:
        model: a built network, registered with Keras.
        folder: made if missing; what is there of a preset is replaced.
        working_size: as of `VideoSegmenter`, for those who use the network.
        search_area: likewise.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with files.replace_when_done(folder / WEIGHTS) as temporary:
        model.save_weights(temporary)
        digest = presets.sha256_of(temporary)
    whole = keras.saving.serialize_keras_object(model)
    config = {key: whole[key] for key in ("class_name", "registered_name", "config")}
    config |= {
        "weights_sha256": digest,
        "working_size": working_size,
        "search_area": search_area,
    }
    files.write_text(folder / CONFIG, json.dumps(config, indent=1) + "\n")


def from_preset(source, base):
    """A network with its weights, and how it is to see frames.

    Args:
        source: see `SegmentationModel.from_preset`.
        base: class that the network must be of.

    Returns:
        `(model, options)`: `working_size` and `search_area` of `VideoSegmenter`, as
        far as the source says them.

    Raises:
        InputError: an unknown source, or one that cannot be read.
    """
    source = str(source)
    if source in presets.PRESETS:
        return _published(source, base)
    if source.startswith("hf://"):
        return _from_folder(_hugging_face(source), base)
    if source.startswith(("https://", "http://")):
        return load_model(_download(source), base), {}
    path = pathlib.Path(source)
    if path.is_dir():
        return _from_folder(path, base)
    if path.suffix == ".keras":
        return load_model(path, base), {}
    raise InputError(
        f"{source} is neither a preset ({', '.join(sorted(presets.PRESETS))}) nor a "
        f"folder with {CONFIG}, a .keras file, an https:// address or an hf:// one."
    )


def _published(name, base):
    preset = presets.find(name)
    found = keras.saving.get_registered_object(
        f"osmn_recurrent>{CLASSES[preset.model]}"
    )
    if not issubclass(found, base):
        raise InputError(
            f"preset {name} is a {found.__name__}, expected a {base.__name__}; call "
            f"{found.__name__}.from_preset."
        )
    path = presets.file_for(name, preset.model, preset.backbone, preset.settings)
    options = dict(preset.settings)
    if preset.backbone:
        options["backbone"] = preset.backbone
    model = found(**options)
    model.build()
    load_weights(model, path)
    return model, {name: getattr(preset, name) for name in SEEN}


def _from_folder(folder, base):
    path = pathlib.Path(folder) / CONFIG
    try:
        config = json.loads(path.read_bytes())
        found = _class_of(config, base, path)
        model = found.from_config(config["config"])
        digest = config["weights_sha256"]
        seen = {name: config[name] for name in SEEN if name in config}
    except InputError:
        raise
    except Exception as error:  # files, JSON and Keras raise many kinds
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise InputError(
            f"{path} does not describe a network ({type(error).__name__}: {reason}); "
            "give a folder that save_to_preset wrote."
        ) from None
    weights = path.with_name(WEIGHTS)
    if not weights.is_file():
        raise InputError(f"{weights} is missing; copy the whole folder again.")
    if presets.sha256_of(weights) != digest:
        raise InputError(
            f"{weights} has not the SHA-256 that {path} names ({digest}); it is "
            "damaged or another network's, copy the folder again."
        )
    model.build()
    load_weights(model, weights)
    return model, seen


def _hugging_face(source):
    """Downloads a preset folder of hf://USER/REPOSITORY[@REVISION]."""
    match = re.fullmatch(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?", source)
    if not match:
        raise InputError(
            f"{source}: expected hf://USER/REPOSITORY, or hf://USER/REPOSITORY@REVISION."
        )
    revision = urllib.parse.quote(match[2] or "main", safe="")
    address = f"{HUGGING_FACE}/{match[1]}/resolve/{revision}"
    config = _fetch(f"{address}/{CONFIG}", CONFIG, anew=match[2] is None)
    try:
        digest = json.loads(config.read_bytes())["weights_sha256"]
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"{address}/{CONFIG} does not describe a network of this package; name a "
            "repository that holds what save_to_preset writes."
        ) from None
    _fetch(f"{address}/{WEIGHTS}", WEIGHTS, digest, folder=config.parent)
    return config.parent


def _download(source):
    """Downloads https://.../NAME.keras#sha256=DIGITS."""
    address, _, fragment = source.partition("#")
    digest = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
    name = pathlib.PurePosixPath(urllib.parse.urlsplit(address).path).name
    if not digest or not name.endswith(".keras"):
        raise InputError(
            f"{source}: expected the address of a .keras file with its SHA-256, "
            "https://HOST/NAME.keras#sha256=64 hexadecimal digits."
        )
    return _fetch(address, names.single(name, source), digest[1].lower())


def _fetch(address, name, digest=None, folder=None, anew=False):
    """A file of a server, kept in the folder of weights.

    With `anew` it is asked for again, and the kept one serves where that fails.
    """
    place = hashlib.sha256(address.encode()).hexdigest()[:16]
    folder = folder or presets.folder() / "downloads" / place
    kept = folder / name
    if anew and kept.is_file():
        with contextlib.suppress(InputError):
            _get_file(address, f"{name}.new", None, folder).replace(kept)
        return kept
    return _get_file(address, name, digest, folder)


def _get_file(address, name, digest, folder):
    try:
        # Keras takes /tmp where the folder is not there or cannot be written.
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder.parent):
            pass
        path = keras.utils.get_file(
            name,
            address,
            file_hash=digest,
            hash_algorithm="sha256",
            cache_dir=folder.parent,
            cache_subdir=folder.name,
        )
    except Exception as error:  # urllib and Keras raise many kinds
        raise InputError(
            f"{address} cannot be downloaded ({' '.join(str(error).split())[:300]}); "
            "check the address, its SHA-256 and the network."
        ) from None
    return pathlib.Path(path)
