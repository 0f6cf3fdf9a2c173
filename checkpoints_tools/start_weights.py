"""Start weights of a training, put together from one or several sources.

A source is written SOURCE or SOURCE:PATTERN. SOURCE is a network of ours (`.keras`,
`.weights.h5`, `.safetensors`), a preset, "imagenet", a checkpoint of the OSMN release
or OSVOS (its prefix), or VGG16 or MobileNet of another program; PATTERN is a regular
expression, searched in our paths of variables, such as ^modulator/.
"""

import dataclasses
import pathlib
import re

from checkpoints_tools import mobilenet_names, vgg16_names
from checkpoints_tools.formats import open_weights
from checkpoints_tools.import_backbone import load_backbone, open_backbone
from checkpoints_tools.import_osmn import load_osmn_checkpoint
from checkpoints_tools.import_vgg16 import load_vgg16
from checkpoints_tools.keras_files import H5File
from checkpoints_tools.loading import Portion, load_offers, offers_of
from checkpoints_tools.release_names import PARTS, RECURRENT, SCOPE
from checkpoints_tools.safetensors_files import SafetensorsFile
from checkpoints_tools.tf_checkpoints import is_checkpoint
from osmn_recurrent.errors import InputError
from osmn_recurrent.models import presets
from osmn_recurrent.models.building import named_weights

IMAGENET = "imagenet"


@dataclasses.dataclass(frozen=True)
class Source:
    """A source as it was named.

    Attributes:
        name: file, prefix of a checkpoint, preset or "imagenet".
        pattern: regular expression of what it gives; "": all of it.
    """

    name: str
    pattern: str = ""

    @classmethod
    def parse(cls, text):
        """Reads SOURCE or SOURCE:PATTERN.

        A colon may be in a path and in a pattern: the longest beginning that is
        a source is taken.

        Args:
            text: as the user wrote it.

        Returns:
            `Source`.

        Raises:
            InputError: no beginning is a source, or the pattern is none.
        """
        ends = [i for i, letter in enumerate(text) if letter == ":"]
        for end in [len(text), *reversed(ends)]:
            name, pattern = text[:end], text[end + 1 :]
            if is_source(name):
                return cls(name, _checked(pattern, text))
        name = text[: ends[0]] if ends else text
        raise InputError(
            f"--init_from={text}: there is no {name}; expected a .keras, .weights.h5 "
            "or .safetensors file, the prefix of a TensorFlow checkpoint, a file of "
            "VGG16 or MobileNet, imagenet, or a preset "
            f"({', '.join(presets.PRESETS)}), and where only some of its variables "
            "are wanted :PATTERN behind it."
        )

    def files(self):
        """Paths on the disk that are read; none of a preset or package."""
        if self.name == IMAGENET or self.name in presets.PRESETS:
            return []
        return open_weights(self.name).files


def is_source(name):
    """Whether a text names something that weights can come from."""
    if name == IMAGENET or name in presets.PRESETS:
        return True
    return bool(name) and (pathlib.Path(name).exists() or is_checkpoint(name))


def _checked(pattern, text):
    try:
        re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"--init_from={text}: {pattern} is no regular expression ({error}); fix it "
            "or leave it out."
        ) from None
    return pattern


def load_sources(model, sources, first_layer="normal"):
    """Fills a network from its sources, one after the other.

    Args:
        model: a built `SegmentationModel`.
        sources: list of `Source`.
        first_layer: see `load_vgg16`.

    Returns:
        List of `ImportReport`, one per source.

    Raises:
        InputError: a source that is missing, damaged, does not fit or gives
            nothing, and two that give the same variable.
    """
    filled = {}
    return [
        _fill(model, source, first_layer, Portion(source.pattern, filled))
        for source in sources
    ]


def _fill(model, source, first_layer, portion):
    if source.name == IMAGENET:
        return load_backbone(model, open_backbone(model.backbone.name), portion=portion)
    if source.name in presets.PRESETS:
        file = open_weights(presets.path_of(source.name))
        return _load_own(model, file, portion)
    file = open_weights(source.name)
    kind = kind_of(file)
    if kind == "ours":
        return _load_own(model, file, portion)
    if kind == "release":
        return load_osmn_checkpoint(model, source.name, portion=portion)
    if kind == "mobilenet":
        return load_backbone(model, file, portion=portion)
    parts = [part for part in ("seg", "modulator") if getattr(model, part, None)]
    return load_vgg16(
        model,
        source.name,
        into=[part for part in parts if _may_match(model, part, portion.pattern)],
        first_layer=first_layer,
        portion=portion,
    )


def kind_of(file):
    """Whose weights a file holds.

    Args:
        file: `WeightFile`.

    Returns:
        "ours", "release", "vgg16" or "mobilenet".

    Raises:
        InputError: none of them.
    """
    names = list(file.tensors)
    if any(name.startswith(f"{SCOPE}/") for name in names):
        return "release"
    own = [n for n in names if n.split("/", 1)[0] in PARTS or RECURRENT.search(n)]
    if own and isinstance(file, H5File | SafetensorsFile):
        return "ours"
    if vgg16_names.recognise(names):
        return "vgg16"
    if mobilenet_names.recognise(names)[0]:
        return "mobilenet"
    raise InputError(
        f"{file.path} ({file.format}) holds no network of this package, no released "
        "OSMN, VGG16 or MobileNet: none of its "
        f"{len(names)} tensors is called as theirs are; see what it holds with osmn "
        "inspect."
    )


def _may_match(model, part, pattern):
    paths = named_weights(model)
    return any(p.startswith(f"{part}/") and re.search(pattern, p) for p in paths)


def _load_own(model, file, portion):
    """A network of ours, or a part of one, into an equal or larger one."""
    own = named_weights(model)
    offers = offers_of(file)
    return load_offers(
        model,
        file,
        offers,
        {name: variable for name, variable in own.items() if name in offers},
        fresh=[name for name in own if name not in offers],
        portion=portion,
        hint="Choose the network, backbone and options that it was saved from, or "
        f"name the part that is wanted, such as {file.path}:^seg/.",
    )
