"""Every figure of the two papers' tables, once, with what measures it here.

Values are the papers', in percent but for seconds. A row's `key` is the name
that a row of `osmn benchmark` has to bear to be shown beside it.
"""

import dataclasses

OSMN_PAPER = "Yang et al., CVPR 2018, arXiv:1802.01218"
RECONVNET_PAPER = "Lattari et al., 2018, arXiv:1806.05510"
SPEED = "seconds_per_frame"


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of figures.

    Attributes:
        title: its heading.
        dataset: the benchmark's name of the data set.
        figure: an official figure such as "J-Mean", or `SPEED`.
    """

    title: str
    dataset: str
    figure: str


@dataclasses.dataclass(frozen=True)
class Row:
    """A method.

    Attributes:
        key: the row's name in a benchmark that measures it.
        method: its name in the paper.
        values: figures, one per column; None where the paper has none.
        marks: texts for the table's `marks` columns.
        needs: what one must have to measure it.
        masks: whether it is measured from a folder of masks rather than from
            a file of weights.
    """

    key: str
    method: str
    values: tuple
    marks: tuple
    needs: str
    masks: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of a paper.

    Attributes:
        key: "reconvnet1", "osmn1", "osmn2" or "osmn3".
        title: what it shows.
        source: paper and number.
        marks: headings of the columns of `Row.marks`.
        columns: tuple of `Column`.
        rows: tuple of `Row`.
        note: what one has to know to read it; may be empty.
    """

    key: str
    title: str
    source: str
    marks: tuple
    columns: tuple
    rows: tuple
    note: str = ""


_SEVEN = ("J&F", "J", "J-R", "J-D", "F", "F-R", "F-D")
_NAMES = (
    "J&F-Mean",
    "J-Mean",
    "J-Recall",
    "J-Decay",
    "F-Mean",
    "F-Recall",
    "F-Decay",
)


def _davis(year, first=0):
    short = f"{year % 100} " if first == 0 else ""
    return tuple(
        Column(f"{short}{title}", f"davis{year}", name)
        for title, name in list(zip(_SEVEN, _NAMES, strict=True))[first:]
    )


_STAGE_1 = "OSMN trained on COCO (osmn_stage1.flags)"
_STAGE_2 = (
    f"the authors' weights through osmn convert osmn, or {_STAGE_1}, then on DAVIS-2017"
)
_STAGE_2 += " (osmn_stage2.flags)"
_TRAINED_2017 = f"{_STAGE_1}; the paper's DAVIS-2017 figures are those of stage 1"
_ABLATED = "the same training, by experiments.ablations, "
_MASKTRACK_B = "MaskTrack trained on COCO (masktrack.flags), not tuned"
_OSVOS_B = "OSVOS' parent network (osvos_parent.flags), not tuned"
_MASKS = "the masks that its authors published"
_NOT_OURS = "masks from its authors or their program; the method is not in this library"
_RECONVNET = "ReConvNet trained from OSMN's weights (reconvnet_davis16.flags for 2016, "
_RECONVNET += "reconvnet_davis17.flags for 2017)"
_TUNED = ", tuned on each first frame (osmn finetune)"


def _pair(key, method, mark, on_2016, on_2017, needs, masks=True):
    return Row(key, method, (*on_2016, *on_2017), (mark,), needs, masks)


RECONVNET_1 = Table(
    key="reconvnet1",
    title="ReConvNet and others on the validation sets of DAVIS 2016 and 2017",
    source=f"{RECONVNET_PAPER}, Table 1",
    marks=("FT",),
    columns=_davis(2016) + _davis(2017),
    rows=(
        _pair(
            "osmn",
            "OSMN",
            "no",
            (None, 74.0, None, None, None, None, None),
            (54.8, 52.5, 60.9, 21.5, 57.1, 66.1, 24.3),
            f"{_STAGE_2}; or {_MASKS}",
            masks=False,
        ),
        _pair(
            "reconvnet",
            "ReConvNet",
            "no",
            (78.1, 79.4, 89.6, 7.7, 76.8, 86.6, 7.7),
            (65.7, 62.7, 70.5, 21.6, 68.7, 77.3, 21.6),
            _RECONVNET,
            masks=False,
        ),
        _pair(
            "osvos",
            "OSVOS",
            "yes",
            (80.2, 79.8, 93.6, 14.9, 80.6, 92.6, 15.0),
            (60.3, 56.6, 63.8, 26.1, 63.9, 73.8, 27.0),
            f"{_MASKS}, or OSVOS-B{_TUNED}",
        ),
        _pair(
            "onavos",
            "onAVOS",
            "yes",
            (85.5, 86.1, 96.1, 5.2, 84.9, 89.7, 5.8),
            (65.4, 61.6, 67.4, 27.9, 69.1, 75.4, 26.6),
            _NOT_OURS,
        ),
        _pair(
            "osvos-s",
            "OSVOS-S",
            "yes",
            (86.6, 85.6, 96.8, 5.5, 87.5, 95.9, 8.2),
            (68.0, 64.7, 74.2, 15.1, 71.3, 80.7, 18.5),
            _NOT_OURS,
        ),
        _pair(
            "reconvnet_tuned",
            "ReConvNet",
            "yes",
            (85.0, 85.4, 95.9, 8.5, 84.6, 93.9, 12.1),
            (70.2, 66.6, 75.4, 28.1, 73.7, 83.1, 29.6),
            f"{_RECONVNET}{_TUNED}, 300 iterations, rate 1e-6",
        ),
    ),
)


def _first(key, method, values, marks, needs, masks=True):
    return Row(key, method, values, tuple(marks.split()), needs, masks)


OSMN_1 = Table(
    key="osmn1",
    title="OSMN and others on DAVIS 2016 and YouTube-Objects, mean IU",
    source=f"{OSMN_PAPER}, Table 1",
    marks=("FT", "OptFlow", "CRF"),
    columns=(
        Column("DAVIS 16", "davis2016", "J-Mean"),
        Column("YoutubeObjs", "youtube_objects", "J-Mean"),
        Column("Speed (s)", "davis2016", SPEED),
    ),
    rows=(
        _first("ofl", "OFL", (68.0, 67.5, 42.2), "- yes yes", _NOT_OURS),
        _first("bvs", "BVS", (60.0, 58.4, 0.37), "- no no", _NOT_OURS),
        _first("convgru", "ConvGRU", (70.1, None, 20.0), "no yes no", _NOT_OURS),
        _first("vpn", "VPN", (70.2, None, 0.63), "no no no", _NOT_OURS),
        _first(
            "masktrack_b",
            "MaskTrack-B",
            (63.2, 66.5, 0.24),
            "no no no",
            _MASKTRACK_B,
            masks=False,
        ),
        _first("sfl_b", "SFL-B", (67.4, None, 0.30), "no yes no", _NOT_OURS),
        _first(
            "osvos_b",
            "OSVOS-B",
            (52.5, 44.7, 0.14),
            "no no no",
            _OSVOS_B,
            masks=False,
        ),
        _first(
            "osmn_stage1",
            "OSMN (stage 1)",
            (72.2, 66.4, 0.14),
            "no no no",
            _STAGE_1,
            masks=False,
        ),
        _first(
            "osmn",
            "OSMN (stages 1 and 2)",
            (74.0, 69.0, 0.14),
            "no no no",
            _STAGE_2,
            masks=False,
        ),
        _first("plm", "PLM", (70.0, None, 0.50), "yes no no", _NOT_OURS),
        _first(
            "masktrack",
            "MaskTrack",
            (69.8, 71.7, 12.0),
            "yes no no",
            f"MaskTrack-B{_TUNED}",
        ),
        _first("sfl", "SFL", (74.8, None, 7.9), "yes yes no", _NOT_OURS),
        _first(
            "osvos",
            "OSVOS",
            (79.8, 74.1, 10.0),
            "yes no no",
            f"{_MASKS}, or OSVOS-B{_TUNED}",
        ),
    ),
    note="YouTube-Objects: average over videos. The paper's seconds are of a Quadro "
    "M6000 or taken from the methods' papers; measured ones include reading frames "
    "and writing masks, on the machine of the benchmark.",
)


def _second(key, method, mark, values, needs, masks=False):
    return Row(key, method, values, (mark,), needs, masks)


OSMN_2 = Table(
    key="osmn2",
    title="OSMN, OSVOS and MaskTrack on the DAVIS 2017 validation set",
    source=f"{OSMN_PAPER}, Table 2",
    marks=("FT",),
    columns=tuple(
        column for column in _davis(2017, first=1) if column.figure != "J&F-Mean"
    ),
    rows=(
        _second(
            "osvos_b",
            "OSVOS-B",
            "no",
            (18.5, 15.9, -0.8, 30.0, 20.0, 0.1),
            _OSVOS_B,
        ),
        _second(
            "masktrack_b",
            "MaskTrack-B",
            "no",
            (35.3, 37.8, 39.3, 36.4, 36.0, 42.0),
            _MASKTRACK_B,
        ),
        _second(
            "osvos_m",
            "OSVOS-M",
            "no",
            (36.4, 34.8, 14.8, 39.5, 35.3, 9.1),
            "OSVOS-B, its visual modulator trained (osvos_m.flags)",
        ),
        _second(
            "masktrack_m",
            "MaskTrack-M",
            "no",
            (44.6, 48.7, 27.1, 47.6, 49.3, 27.9),
            "MaskTrack-B, its visual modulator trained (masktrack_m.flags)",
        ),
        _second(
            "osvos",
            "OSVOS",
            "yes",
            (55.1, 60.2, 28.2, 62.1, 71.3, 29.3),
            f"OSVOS-B{_TUNED}, 1000 iterations",
            masks=True,
        ),
        _second(
            "masktrack",
            "MaskTrack",
            "yes",
            (51.2, 59.7, 28.3, 57.3, 65.5, 29.1),
            f"MaskTrack-B{_TUNED}, 1000 iterations",
            masks=True,
        ),
        _second(
            "osmn",
            "OSMN",
            "no",
            (52.5, 60.9, 21.5, 57.1, 66.1, 24.3),
            _TRAINED_2017,
        ),
    ),
)


def _third(key, method, group, value, needs, masks=False):
    return Row(key, method, (value,), (group,), needs, masks)


OSMN_3 = Table(
    key="osmn3",
    title="Ablations of OSMN on the DAVIS 2017 validation set, mean IU",
    source=f"{OSMN_PAPER}, Table 3",
    marks=("group",),
    columns=(Column("mIU", "davis2017", "J-Mean"),),
    rows=(
        _third(
            "osmn_tuned",
            "OSMN + online fine-tuning",
            "add-on",
            60.8,
            f"{_TRAINED_2017}{_TUNED}, 100 iterations",
            masks=True,
        ),
        _third(
            "osmn_crf",
            "OSMN + CRF",
            "add-on",
            54.4,
            f"{_TRAINED_2017}; its masks after osmn refine",
            masks=True,
        ),
        _third("osmn", "OSMN", "", 52.5, _TRAINED_2017),
        _third(
            "osmn_no_visual",
            "no visual modulator",
            "model",
            33.0,
            f"{_ABLATED}without the visual modulator",
        ),
        _third(
            "osmn_no_spatial",
            "no spatial modulator",
            "model",
            40.1,
            f"{_ABLATED}without the spatial modulator",
        ),
        _third(
            "osmn_no_crop",
            "- random crop",
            "data",
            50.6,
            f"{_ABLATED}without random crops of the image",
        ),
        _third(
            "osmn_no_visual_augmentation",
            "- visual guide augmentation",
            "data",
            49.5,
            f"{_ABLATED}also without augmentation of the visual guide",
        ),
        _third(
            "osmn_no_spatial_augmentation",
            "- spatial guide augmentation",
            "data",
            35.6,
            f"{_ABLATED}also without augmentation of the spatial guide",
        ),
    ),
    note="The three rows of data augmentation are cumulative: each leaves out one "
    "more.",
)

TABLES = {table.key: table for table in (RECONVNET_1, OSMN_1, OSMN_2, OSMN_3)}
