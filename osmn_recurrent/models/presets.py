"""Presets: weights that have a name, where they come from and what they reach."""

import dataclasses
import hashlib
import os
import pathlib

from osmn_recurrent.errors import InputError

FOLDER_VARIABLE = "OSMN_WEIGHTS"
"""Environment variable that names the folder of converted weights."""

PACKAGED = pathlib.Path(__file__).parent / "weights"
"""Folder of the weights that come with the package."""


DEFAULT = "osmn-lite0"
"""The preset that programs use where no weights are named."""


@dataclasses.dataclass(frozen=True)
class Preset:
    """Weights with a name.

    Attributes:
        model: the network's name, as of `build_model`.
        what: what the weights are, in a few words.
        source: where its authors publish it.
        licence: of the weights.
        file: name in the folder of weights (see `folder`), or in `PACKAGED`.
        packaged: whether the file comes with the package.
        sha256: of `file`; only of packaged ones, because a converted file
            depends on the versions that wrote it.
        source_hash: "algorithm:hexadecimal digits" of what the authors
            publish, or None where they give none.
        convert: command that makes `file`, with {file} for its path; empty
            for a packaged one.
        backbone: of `build_model`; None: the network's own default.
        settings: further options of `build_model`.
        scores: `{metric: value}` as published.
        working_size: size of its training, at which a `VideoSegmenter` should
            see frames: shorter side or `(height, width)`; None: their own.
        search_area: part of a frame that it should see without fine-tuning, as measured
            on stop clips; see `VideoSegmenter`. After fine-tuning, which shows it the
            first frame whole, it did not help there and with several objects.
    """

    model: str
    what: str
    source: str
    licence: str
    file: str
    packaged: bool = False
    sha256: str | None = None
    source_hash: str | None = None
    convert: str = ""
    backbone: str | None = None
    settings: dict = dataclasses.field(default_factory=dict)
    scores: dict = dataclasses.field(default_factory=dict)
    working_size: int | tuple | None = None
    search_area: float | None = None


_OSMN = "github.com/linjieyangsc/video_seg (README, Evaluation, item 3)"
_KERAS = "storage.googleapis.com/tensorflow/keras-applications/vgg16"


def _of_the_study(model, title, sha256, region_similarity):
    """A `Preset` of the package, trained by experiments.study."""
    return Preset(
        model=model,
        backbone="vgg16_compact",
        what=f"compact {title} of the small-scale study, see weights/CARD.md",
        source="this package (experiments.study)",
        licence="Apache-2.0; trained on DAVIS (CC BY-NC 4.0) and COCO's pictures "
        "(their own Creative Commons licences)",
        file=f"{model}_compact.weights.h5",
        packaged=True,
        sha256=sha256,
        scores={"DAVIS-2016 val_study J": region_similarity},
        working_size=160,
    )


def _lite(model, title, sha256, region_similarity, **settings):
    """A `Preset` of the package on EfficientNet-Lite0."""
    return Preset(
        model=model,
        backbone="efficientnet_lite0",
        what=f"{title} on EfficientNet-Lite0, see weights/CARD.md",
        source="this package (experiments/flags/lite_*.flags)",
        licence="research only, as its training pictures; the ImageNet trunk is "
        "Apache-2.0 (EfficientNet-Lite)",
        file=f"{model}_lite0.weights.h5",
        packaged=True,
        sha256=sha256,
        settings=settings,
        scores={"DAVIS-2016 val_study J": region_similarity},
        working_size=256,
        search_area=3.0,
    )


PRESETS = {
    "osmn_coco": Preset(
        model="osmn",
        what="OSMN after stage 1 (COCO)",
        source=_OSMN,
        licence="Apache-2.0 (the repository's; the weights name none)",
        file="osmn_coco.weights.h5",
        convert="osmn convert osmn --checkpoint=PREFIX --model=osmn --out={file}",
        scores={"DAVIS-2016 val J": 72.2, "DAVIS-2017 val J": 52.5},
    ),
    "osmn_davis": Preset(
        model="osmn",
        what="OSMN after stage 2 (DAVIS)",
        source=_OSMN,
        licence="Apache-2.0 (the repository's; the weights name none)",
        file="osmn_davis.weights.h5",
        convert="osmn convert osmn --checkpoint=PREFIX --model=osmn --out={file}",
        scores={"DAVIS-2016 val J": 74.0},
    ),
    "osmn_vgg16": Preset(
        model="osmn",
        what="OSMN's start: VGG16 of ImageNet in both parts, the rest new",
        source=f"{_KERAS}/vgg16_weights_tf_dim_ordering_tf_kernels.h5",
        licence="CC BY 4.0 (VGG, University of Oxford)",
        file="osmn_vgg16.weights.h5",
        source_hash="md5:64373286793e3c8b2b4e3219cbf3544b",
        convert="osmn convert vgg16 "
        "--checkpoint=vgg16_weights_tf_dim_ordering_tf_kernels.h5 "
        "--model=osmn --out={file}",
    ),
    "osmn_mobilenet": Preset(
        model="osmn",
        backbone="mobilenet",
        what="start of OSMN on MobileNet v1 (the release's lite): ImageNet in both "
        "parts, the rest new",
        source="storage.googleapis.com/tensorflow/keras-applications/mobilenet/"
        "mobilenet_1_0_224_tf.h5, or slim's mobilenet_v1_1.0_224",
        licence="Apache-2.0",
        file="osmn_mobilenet.weights.h5",
        convert="osmn convert backbone --backbone=mobilenet "
        "--checkpoint=mobilenet_1_0_224_tf.h5 --model=osmn --out={file}",
    ),
    "osmn_deeplab": Preset(
        model="osmn",
        backbone="deeplab",
        what="start of OSMN on DeepLab (the release's deeplab): VGG16 of ImageNet in "
        "both parts, the rest new",
        source=f"{_KERAS}/vgg16_weights_tf_dim_ordering_tf_kernels.h5",
        licence="CC BY 4.0 (VGG, University of Oxford)",
        file="osmn_deeplab.weights.h5",
        source_hash="md5:64373286793e3c8b2b4e3219cbf3544b",
        convert="osmn convert vgg16 "
        "--checkpoint=vgg16_weights_tf_dim_ordering_tf_kernels.h5 "
        "--model=osmn --backbone=deeplab --out={file}",
    ),
    "osvos_parent": Preset(
        model="osvos",
        what="OSVOS' parent network (TensorFlow version)",
        source="github.com/scaelles/OSVOS-TensorFlow (README, Installation, item 3)",
        licence="not stated for the weights; see the authors' repository",
        file="osvos_parent.weights.h5",
        convert="osmn convert vgg16 --checkpoint=PREFIX --model=osvos --into=seg "
        "--out={file}",
    ),
    "osmn-lite0": _lite(
        "osmn",
        "OSMN",
        "23812832a5f87b8905e197b6beb33bf918e5eb82f6bff9dee699d6eacccb41e1",
        72.0,
    ),
    "reconvnet-lite0": _lite(
        "reconvnet",
        "ReConvNet",
        "a12818aab4b819fd4344c7068f24ecbe80f480eaa990d5cf7d0336e1b0fb5b9a",
        72.2,
        coupling="residual",
    ),
    "osmn-compact": _of_the_study(
        "osmn",
        "OSMN",
        "7a8cd4eae2987be6364da37c30b066393867b946d7af6878b596b6cdb98756e3",
        47.6,
    ),
    "reconvnet-compact": _of_the_study(
        "reconvnet",
        "ReConvNet",
        "dce20dc33422542669423d4395144b6d2d8a8155aebfca53e624dc3c43283fd9",
        51.2,
    ),
}
"""All presets by name, with the scores that their authors publish."""


def presets() -> dict[str, Preset]:
    """All presets.

    Returns:
        `{name: Preset}`.

    Example:

    >>> presets()["osmn-lite0"].backbone
    'efficientnet_lite0'
    """
    return dict(PRESETS)


def find(name: str) -> Preset:
    """The `Preset` called `name`.

    Raises:
        InputError: there is none.
    """
    if name not in PRESETS:
        raise InputError(
            f"no preset is called {name}; there are {', '.join(sorted(PRESETS))}."
        )
    return PRESETS[name]


def folder():
    """Folder of converted weights: `OSMN_WEIGHTS`, or one in the home."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return pathlib.Path(given).expanduser()
    return pathlib.Path.home() / ".cache" / "osmn_recurrent"


def file_for(name, model, backbone, settings):
    """The file of a preset, for a network that it fits.

    Args:
        name: key of `PRESETS`.
        model: name of the network to be built.
        backbone: its backbone.
        settings: its further options; those that a preset does not name
            must not change which variables there are.

    Returns:
        `pathlib.Path` of a file that exists.

    Raises:
        InputError: another network, a file that is not there (with where to
            get it and where to put it), or a packaged one that was changed.
    """
    preset = PRESETS[name]
    given = {"model": model, "backbone": backbone, **settings}
    wanted = {"model": preset.model, "backbone": preset.backbone, **preset.settings}
    wrong = [key for key in wanted if given.get(key) != wanted[key]]
    if wrong:
        raise InputError(
            f"preset {name} is for "
            + ", ".join(f"{key}={value}" for key, value in wanted.items())
            + ", but the network has "
            + ", ".join(f"{key}={given.get(key)}" for key in wrong)
            + "; give the preset's settings or other weights."
        )
    return path_of(name)


def path_of(name):
    """The file of a preset.

    Args:
        name: key of `PRESETS`.

    Returns:
        `pathlib.Path` of a file that exists.

    Raises:
        InputError: as of `file_for`, but for other networks.
    """
    preset = PRESETS[name]
    path = (PACKAGED if preset.packaged else folder()) / preset.file
    if not path.is_file():
        raise InputError(_missing(name, preset, path))
    if preset.sha256 and sha256_of(path) != preset.sha256:
        raise InputError(
            f"{path} has not the SHA-256 of preset {name} ({preset.sha256}); it is "
            "damaged or was changed, install the package again."
        )
    return path


def _missing(name, preset, path):
    if preset.packaged:
        return f"{path} of preset {name} is missing; install the package again."
    checked = f", {preset.source_hash}" if preset.source_hash else ""
    return (
        f"{path}: no such file, so preset {name} ({preset.what}) is not there yet; its "
        f"authors publish it at {preset.source} (licence {preset.licence}{checked}); "
        f"download it and run: {preset.convert.format(file=path)} (another folder than "
        f"{path.parent} is named by the environment variable {FOLDER_VARIABLE})."
    )


def sha256_of(path):
    """SHA-256 of a file, hexadecimal digits."""
    with pathlib.Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
