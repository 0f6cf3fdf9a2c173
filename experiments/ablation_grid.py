"""The cells of the ablation grids: OSMN's Table 3, and ReConvNet's choices."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Cell:
    """A row of the table.

    Attributes:
        name: of the folder.
        row: text in the table.
        network: "osmn" or "reconvnet".
        options: of the network's class.
        samples: fields of `SampleSettings` that differ from the grid's.
        training: fields of `TrainSettings` that differ.
        base: cell that the difference is taken to; None for the first row.
        start: cell whose network the training starts from.
        add_on: "finetune" or "crf": no training, but the base's network with
            this at test time.
        paper: mean IU in OSMN's Table 3, DAVIS 2017.
    """

    name: str
    row: str
    network: str = "osmn"
    options: dict = dataclasses.field(default_factory=dict)
    samples: dict = dataclasses.field(default_factory=dict)
    training: dict = dataclasses.field(default_factory=dict)
    base: str | None = None
    start: str | None = None
    add_on: str | None = None
    paper: float | None = None


def osmn_cells():
    """OSMN's Table 3, "ours" first.

    The rows on data add up: each leaves out what the rows above leave out
    too (the published differences are to the row above).
    """
    from osmn_recurrent.training.augmentation import NO_AUGMENTATION, GuideAugmentation

    def variant(name, row, paper, **changes):
        return Cell(name, row, base="osmn", paper=paper, **changes)

    undisturbed = GuideAugmentation(margin=0.0, rotation=0.0, flip=0.0)
    return [
        Cell("osmn", "OSMN", paper=52.5),
        variant("finetuned", "+ online fine-tuning", 60.8, add_on="finetune"),
        variant("crf", "+ CRF", 54.4, add_on="crf"),
        variant(
            "no_visual",
            "no visual modulator",
            33.0,
            options={"use_visual_modulator": False},
        ),
        variant(
            "no_spatial",
            "no spatial modulator",
            40.1,
            options={"use_spatial_modulator": False},
        ),
        variant("no_crop", "- random crop", 50.6, samples={"crop": 1.0}),
        variant(
            "no_visual_augmentation",
            "- visual guide augmentation",
            49.5,
            samples={"crop": 1.0, "guide_augmentation": undisturbed},
        ),
        variant(
            "no_spatial_augmentation",
            "- spatial guide augmentation",
            35.6,
            samples={"crop": 1.0, "guide_augmentation": NO_AUGMENTATION},
        ),
    ]


def reconvnet_cells(steps):
    """What ReConvNet's paper leaves open; its published form first.

    Args:
        steps: of the trainings; guides come from predictions more and more
            over the first half.
    """

    def variant(name, row, **changes):
        return Cell(name, row, "reconvnet", base="reconvnet", start="osmn", **changes)

    scheduled_sampling = {
        "scheduled_sampling": 1.0,
        "scheduled_sampling_steps": max(1, steps // 2),
    }
    return [
        Cell("reconvnet", "ReConvNet", "reconvnet", base="osmn", start="osmn"),
        variant("unmodulated", "ConvLSTMs not modulated", options={"modulate": "none"}),
        variant("one_convlstm", "one ConvLSTM", options={"recurrent_levels": (5,)}),
        variant("two_convlstms", "two ConvLSTMs", options={"recurrent_levels": (4, 5)}),
        variant("residual", "residual", options={"coupling": "residual"}),
        variant(
            "cross_entropy",
            "balanced cross-entropy",
            training={"loss": "balanced_cross_entropy"},
        ),
        variant(
            "scheduled_sampling", "guides from predictions", training=scheduled_sampling
        ),
    ]
