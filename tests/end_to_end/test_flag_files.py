"""Every flag file against what its paper or the release gives.

"Paper" is OSMN's or ReConvNet's, "release" the scripts that OSMN was trained with.
Files that neither knows (our own networks) are only made into settings.
"""

import pathlib
import re

import pytest

from osmn_recurrent import programs
from osmn_recurrent.cli import train_flags
from osmn_recurrent.models.building import build_model, weights_of
from osmn_recurrent.training import steps
from osmn_recurrent.training.augmentation import NO_AUGMENTATION

FOLDER = pathlib.Path(__file__).parents[2] / "experiments" / "flags"
FILES = sorted(FOLDER.glob("*.flags"))
OURS = {
    "lite_osmn",
    "lite_osmn_clips",
    "lite_reconvnet",
    "study_osmn_stage1",
    "study_osmn_stage2",
    "study_osmn_stage3",
    "study_osvos",
    "study_reconvnet",
}

VGG16 = "vgg_16.ckpt"
COCO = {
    # OSMN 3.5: MSCOCO, mini-batch 8, Adam; release osmn_coco_pretrain.py: 400x400 at
    # these scales, flipped with 0.5, summed balanced cross-entropy, decay 0.0002.
    "data": ("coco", "train2017"),
    "size": (400, 400),
    "scales": (0.8, 1.0, 1.2),
    "flip": 0.5,
    "batch": 8,
    "loss": ("balanced_cross_entropy", "sum"),
    "rates": (1e-5, 1e-5),
    "drops": (),
    "steps": 200_000,
    "decay": 0.0002,
    "frozen": False,
    "moves": "all",
}
DAVIS = {
    # OSMN 3.5 and release osmn_train_eval.py: DAVIS-2017, 854x480, batch 4, 1e-6,
    # 50,000 steps, batch norm frozen (--fix_bn), frames not flipped.
    **COCO,
    "data": ("davis2017", "train"),
    "size": (480, 854),
    "scales": (0.5, 0.8, 1.0),
    "flip": 0.0,
    "batch": 4,
    "rates": (1e-6, 1e-6),
    "steps": 50_000,
    "frozen": True,
}
RANDOM_GUIDE = {
    # Release README, --randomize_guide: pairs of frames that show the object, each
    # with a frame for its visual guide that is drawn once.
    "targets": "visible",
    "guide_frame": "kept",
}
RECONVNET = {
    # ReConvNet 3: from OSMN's weights, 1e-6 and 1e-5, Lovasz hinge, shift, scale and
    # rotation of both modulators' inputs, early stopping.
    **DAVIS,
    "model": "reconvnet",
    "from": ["OSMN.keras"],
    "batch": 1,
    "loss": ("lovasz_hinge", "sum"),
    "rates": (1e-6, 1e-5),
    "decay": 0.0,
}
EXPECTED = {
    # OSMN 3.5: 1e-5, then 1e-6; release: at step 200,000, on with Adam's moments.
    "osmn_stage1": {
        **COCO,
        "model": "osmn",
        "from": [VGG16],
        "steps": 300_000,
        "drops": ((200_000, 0.1),),
    },
    "osmn_stage2": {
        **DAVIS,
        **RANDOM_GUIDE,
        "model": "osmn",
        "from": ["runs/osmn_stage1/model.keras"],
    },
    # OSMN 4.1.2: the base; release --base_model masktrack, conv1_1 new (4 channels).
    "masktrack": {
        **COCO,
        "model": "masktrack",
        "from": [VGG16],
        "first_layer": "normal",
    },
    # OSMN 4.1.2: "the weights of the segmentation model are fixed".
    "masktrack_m": {
        **COCO,
        "model": "masktrack_m",
        "from": ["runs/masktrack/model.keras", f"{VGG16}:^modulator/"],
        "moves": "/modulator/",
    },
    "osvos_m": {
        **COCO,
        "model": "osvos_m",
        "from": ["runs/osvos_parent/model.keras", f"{VGG16}:^modulator/"],
        "moves": "/modulator/",
    },
    # OSVOS' own recipe is another; ours is OSMN's stage 2 at ten times the rate.
    "osvos_parent": {
        **DAVIS,
        "model": "osvos",
        "from": [VGG16],
        "data": ("davis2016", "train"),
        "rates": (1e-5, 1e-5),
    },
    # Release --base_model deeplab and lite at the defaults of its flags; lite decays by
    # 0.00004 and wants sides that are multiples of 32.
    "osmn_deeplab": {**COCO, "model": "osmn", "backbone": "deeplab", "from": [VGG16]},
    "osmn_mobilenet": {
        **COCO,
        "model": "osmn",
        "backbone": "mobilenet",
        "from": ["mobilenet_v1_1.0_224.ckpt"],
        "size": (384, 384),
        "scales": (1.0,),
        "decay": 0.00004,
    },
    # Release osmn_train_eval_ytvos.py and its README: 448x256, one scale, 200,000 steps
    # at 1e-5, 100,000 at 1e-6, from VGG16, batch norm trained.
    "osmn_youtube_vos": {
        **COCO,
        **RANDOM_GUIDE,
        "model": "osmn",
        "from": [VGG16],
        "data": ("youtube_vos", "train"),
        "size": (256, 448),
        "scales": (1.0,),
        "flip": 0.0,
        "steps": 300_000,
        "drops": ((200_000, 0.1),),
    },
    "reconvnet_davis16": {**RECONVNET, "data": ("davis2016", "train_fit")},
    "reconvnet_davis17": {**RECONVNET, "data": ("davis2017", "train_fit")},
    # ReConvNet 3: for the challenge trained on the training and validation sets.
    "reconvnet_challenge18": {**RECONVNET, "data": ("davis2017", "trainval")},
}


def read(path):
    """`(settings, header)`, with the command that the header gives."""
    for name in train_flags.FLAGS:
        train_flags.FLAGS[name].unparse()
    header = "".join(
        line[1:] for line in path.read_text().splitlines(True) if line.startswith("#")
    )
    command = header[header.index("osmn train") :].replace("\\\n", " ").split()
    assert command[2] == f"--flagfile=experiments/flags/{path.name}"
    given = [a for a in command[3:] if a.startswith("--")]
    found = []

    def main():
        found.append(train_flags.settings_from_flags())
        train_flags.model_options()

    arguments = ["train", f"--flagfile={path}", *given]
    assert programs.call(main, train_flags.FLAGS, arguments) == 0
    found[0].check()
    return found[0], header


def test_every_flag_file_is_compared_or_ours():
    assert {path.stem for path in FILES} == set(EXPECTED) | OURS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_flag_file_says_what_it_is(path):
    _, header = read(path)
    assert path.stem.startswith("study_") or "Expected" in header


@pytest.mark.parametrize("name", EXPECTED)
def test_a_flag_file_is_the_papers_recipe(name):
    settings, _ = read(FOLDER / f"{name}.flags")
    flags, samples, wanted = train_flags.FLAGS, settings.samples, EXPECTED[name]
    found = {
        "model": flags.model,
        "from": flags.init_from,
        "data": (flags.dataset, flags.split),
        "size": samples.size,
        "scales": samples.scales,
        "flip": samples.flip,
        "batch": settings.batch_size,
        "loss": (settings.loss, settings.reduction),
        "rates": (settings.learning_rate, settings.recurrent_learning_rate),
        "drops": settings.rate_drops,
        "steps": settings.steps,
        "decay": settings.decay,
        "frozen": settings.freeze_batch_norm,
        "moves": settings.trainable or "all",
        "first_layer": flags.first_layer,
        "backbone": flags.backbone,
        "targets": samples.targets,
        "guide_frame": samples.guide_frame,
    }
    unnamed = {
        "first_layer": "normal",
        "backbone": "vgg16",
        "targets": "any",
        "guide_frame": "drawn",
    }
    assert found == {**unnamed, **wanted}
    # What neither paper nor release has is off.
    assert (settings.accumulate, settings.warmup_steps, settings.final_rate) == (
        1,
        0,
        1,
    )
    assert settings.clip_norm is None and samples.crop == 1.0
    guide = samples.guide_augmentation
    assert samples.crop_sides == 0.0 and not getattr(guide, "light", False)
    assert guide.undisturbed() == NO_AUGMENTATION  # neither aspect nor background kept
    assert not (samples.window or samples.distractors or samples.colour_jitter)
    augmentation = "Affine" if flags.model == "reconvnet" else "Guide"
    assert type(samples.guide_augmentation).__name__ == f"{augmentation}Augmentation"
    if name in ("reconvnet_davis16", "reconvnet_davis17"):  # section 3: early stopping
        assert settings.patience and flags.val_split == "train_stop"


@pytest.mark.parametrize("name", ["osvos_m", "masktrack_m", "osmn_stage1"])
def test_what_a_recipe_moves(name):
    settings, _ = read(FOLDER / f"{name}.flags")
    model = build_model(train_flags.FLAGS.model, "vgg16_compact")
    steps.prepare(model, settings, 1)
    moving = {variable.path for variable in steps.trained_variables(model, settings)}
    part = "^[^/]+/modulator/" if settings.trainable else ""
    assert moving == {
        variable.path
        for variable in model.trainable_variables
        if re.search(part, variable.path)
    }
    assert settings.trainable == "" or len(moving) < len(weights_of(model)) / 1.5
