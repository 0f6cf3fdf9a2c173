"""What the texts say in figures: each block is made from recorded results.

A record is what a program wrote (results of `osmn demo`, table.csv of `osmn
benchmark`, speed.json of `experiments.speed`, what `experiments.study --record`
copies), so that new results replace it by being copied over it.
"""

import csv
import json
import pathlib

from experiments import hardware, lite_table, study_table, why_gammas_die
from osmn_recurrent.cli.demo import steering_rows
from osmn_recurrent.reports.text_tables import markdown_table

FOLDER = pathlib.Path(__file__).parent
STUDY, RECORDS = FOLDER / "study_results", FOLDER / "records"

TITLES = {
    "OSVOS_published": "OSVOS, published masks (ImageNet)",
    "OSMN_published": "OSMN, published masks (ImageNet, all of COCO)",
    "copy": "copy the first mask",
    "flow": "move it by optical flow",
}
"""How a row of the study is called in a text; others keep their names."""

TUNED = "+tuning"


def read_json(*parts, folder=RECORDS):
    """The contents of a recorded JSON file."""
    return json.loads(folder.joinpath(*parts).read_text(encoding="utf-8"))


def read_table(name):
    """Rows of a recorded table.csv: numbers as numbers, empty cells as None."""
    text = (RECORDS / name).read_text(encoding="utf-8")
    return [
        {key: _value(cell) for key, cell in row.items()}
        for row in csv.DictReader(text.splitlines())
    ]


def _value(cell):
    try:
        return float(cell) if cell else None
    except ValueError:
        return cell


def demo():
    """The tables of `osmn demo`, and where they were made."""
    record = read_json("demo.json")
    steering = steering_rows(record["visual_guide"])
    return (
        f"{markdown_table(record['methods'], {'s/frame': 3})}\n\n"
        f"{markdown_table(steering, {'spread': 3})}\n\n"
        f"Measured on {record['hardware']}."
    )


def packaged():
    """Scores of the packaged networks."""
    names = ("J&F", "J", "J-Recall", "J-Decay", "F", "F-Recall", "F-Decay")
    rows = [
        {
            "preset": f"`{row['method']}`",
            **{
                name.replace("-R", " r").replace("-D", " d"): row[name]
                for name in names
            },
        }
        for row in read_table("packaged.csv")
    ]
    return markdown_table(rows)


def lite():
    """Networks on EfficientNet-Lite0: J, and what the visual guide is worth."""
    swaps = read_json("lite_swap_test.json")["rows"]
    sequences, areas = (
        (RECORDS / name).read_text(encoding="utf-8")
        for name in ("lite_sequences.csv", "lite_area_sequences.csv")
    )
    zoomed = read_table("lite_area.csv")
    area_swaps = read_json("lite_swap_area.json")["rows"]
    return (
        f"{lite_table.table(read_table('lite.csv'), swaps, zoomed)}\n\n"
        f"{lite_table.in_words(swaps, sequences, areas, area_swaps)} "
        f"{lite_table.tuned_in_words(read_table('lite_tuned.csv')[0])} "
        "Frames a second on two cores, 854x480 and 427x240: "
        f"OSMN {_rate('osmn', 480):.0f} and {_rate('osmn', 240):.0f}, "
        f"ReConvNet {_rate('reconvnet', 480):.0f} and {_rate('reconvnet', 240):.0f}."
    )


def lite_pairs():
    """The packaged networks on pairs of objects of other pictures."""
    rows = [
        {
            "pictures": given,
            "network": row["network"],
            "spatial guide": {"both": "one Gaussian", "none": "none"}[kind],
            "pairs": str(found[kind]["pairs"]),
            "J named": 100 * found[kind]["named"],
            "J other": 100 * found[kind]["other"],
            "right pairs": f"{100 * found[kind]['right_pairs']:.0f}%",
            "right singly": f"{100 * found[kind]['right_singles']:.0f}%",
        }
        for row in read_json("lite_swap_more.json")["rows"]
        for given, found in row["images"].items()
        for kind in ("both", "none")
    ]
    return markdown_table(rows)


def lite_sizes():
    """Whole frames at two sizes, and the search area."""
    return lite_table.sizes(
        {
            "whole frames, 256 rows": read_table("lite.csv"),
            "the search area, 256 rows (default)": read_table("lite_area.csv"),
            "whole frames, 480 rows": read_table("lite_480.csv"),
        }
    )


def lite_lost():
    """How often an object was lost, and where its mask then was."""
    rows = read_table("lite_lost.csv")
    return markdown_table(rows, {name: 0 for name in rows[0]})


def lite_recurrence():
    """Trainings that were to make the recurrence worth something."""
    return markdown_table(read_table("lite_recurrence.csv"), {"spread": 3})


def lite_memory():
    """What the memory of the packaged kind of ReConvNet is worth."""
    return markdown_table(read_table("lite_memory.csv"))


def bench():
    """The ratios that `make bench` compares with."""
    record = read_json("bench.json")
    rows = [
        {name: row[name] for name in ("what", "against", "seconds", "ratio")}
        for row in record["rows"]
    ]
    return (
        f"{markdown_table(rows, {'seconds': 3, 'ratio': 2})}\n\n"
        f"{record['rounds']} rounds; {_machine(record)}."
    )


def lite_variants():
    """The channelwise modulator's variants after a short training."""
    return markdown_table(read_table("lite_variants.csv"), {"spread": 3})


def lite_choice():
    """How the packaged networks on EfficientNet-Lite0 were chosen."""
    return lite_table.choice_in_words(
        FOLDER / "lite_results",
        read_table("lite_objects.csv"),
        read_table("lite_stop.csv"),
    )


def why_compact():
    """Why gammas die: compact OSMN from nothing."""
    return _why("why_compact.json")


def why_lite0():
    """Why gammas die: OSMN on EfficientNet-Lite0 from ImageNet weights."""
    return _why("why_lite0.json")


def _why(name):
    record = read_json(name)
    rows = why_gammas_die.rows_of(record["causes"])
    return (
        f"{markdown_table(rows, why_gammas_die.decimals(rows))}\n\n"
        f"{record['objects']} objects, one seed; {_machine(record)}."
    )


def guides_from():
    """Several objects followed by the merged map, or each by its own mask."""
    return markdown_table(read_table("guides_from.csv"))


def published():
    """Scores of masks that the authors published, against OSMN's."""
    rows = [
        {
            "masks of": row["method"],
            **{name: row[name] for name in ("J&F", "J", "F", "J&F over OSMN")},
            "95 % interval": row["interval"],
            "better in": row["better in"],
        }
        for row in read_table("published_masks.csv")
    ]
    return markdown_table(rows)


def visual_guide():
    """What the visual guide is worth in the packaged networks."""
    record = read_json("visual_guide.json")
    networks, objects = record["networks"], record["objects"]
    figures = "; ".join(
        f"`{name}` {each['J_own']:.1f} and {each['J_other']:.1f}"
        for name, each in networks.items()
    )
    compared = (
        f"J on {objects} sequences, each with its own and with another object's visual "
        f"guide: {figures}."
    )
    if any(each["largest_difference"] for each in networks.values()):
        return compared
    return (
        "**In the compact networks the visual guide changes nothing**: their visual "
        f"modulators died in training and give all {objects} objects the same scales, "
        "bit for bit. "
        f"{compared} What they follow is the last mask."
    )


def study():
    """The study's table, short."""
    rows = [
        {
            "method": _title(row["method"]),
            "seeds": int(row["seeds"]),
            "J&F": _spread(row, "J&F"),
            "J": _spread(row, "J"),
            "F": row["F"],
            "J&F over OSMN": row["J&F over OSMN"],
            "90 % interval": row["J&F interval"],
            "s/frame": row["s/frame"],
        }
        for row in read_json("study.json", folder=STUDY)
    ]
    return markdown_table(rows, {"s/frame": 3})


def study_in_full():
    """The study's table with recall and decay, and J's difference."""
    rows = [
        {
            "method": _title(row["method"]),
            "J": _spread(row, "J"),
            "J recall": row["J-Recall"],
            "J decay": row["J-Decay"],
            "J over OSMN": row["J over OSMN"],
            "90 % interval": row["J interval"],
        }
        for row in read_json("study.json", folder=STUDY)
    ]
    return markdown_table(rows)


def _title(method):
    plain = method.removesuffix(TUNED)
    title = TITLES.get(plain, plain)
    return f"{title}, fine-tuned online" if method.endswith(TUNED) else title


def _spread(row, figure):
    spread = row[f"± {figure}"]
    return f"{row[figure]:.1f}" + ("" if spread is None else f" ± {spread:.1f}")


def leave_one_out():
    """ReConvNet's lead over OSMN without each of the sequences."""
    rows = [
        {
            "without": f"`{row['without']}`" if row["without"] else "- (all)",
            "J&F over OSMN": row["mean"],
            "better in": f"{row['better']} of {row['sequences']}",
            "the sequence's own": row["own"],
        }
        for row in _without_each()
    ]
    return markdown_table(rows)


def _without_each():
    text = (STUDY / "benchmark" / "sequences.csv").read_text(encoding="utf-8")
    return study_table.leave_one_out(text, "ReConvNet", "OSMN")


def study_in_words():
    """What the table does not say: the one sequence, and the stop clips."""
    whole, *others = _without_each()
    least = min(others, key=lambda row: row["mean"])
    stop = {
        row["network"].partition(".")[0]: row["J"]
        for row in read_json("probe", "probe.json", folder=STUDY)
        if row["way"] == "as usual"
    }
    return (
        f"Most of ReConvNet's lead is one sequence: without `{least['without']}` it is "
        f"{least['mean']:.1f} J&F instead of {whole['mean']:.1f}, and it is better on "
        f"{least['better']} of {least['sequences']} sequences. On the four clips that "
        "chose when to stop, and that are not in the table, J is "
        + " and ".join(f"{value:.1f} ({name})" for name, value in stop.items())
        + "."
    )


def probe_stop():
    """What guides and memory are worth on the clips for stopping."""
    return _probe("probe")


def probe_validation():
    """The same on the validation sequences."""
    return _probe("probe_val")


def _probe(name):
    return markdown_table(read_json(name, "probe.json", folder=STUDY))


def trainings():
    """Steps, time and best state of each training of the study."""
    rows = []
    for path in sorted(STUDY.glob("s*/*/run.json")):
        run = read_json(path, folder=STUDY)
        result = run["result"]
        rows.append(
            {
                "training": "/".join(path.parent.relative_to(STUDY).parts),
                "steps": result["steps"],
                "minutes": result["seconds"] / 60,
                "best state, step": result["best_step"],
                "J on the stop clips there": 100 * result["best_J"],
            }
        )
    return markdown_table(rows)


def failures():
    """J of every sequence, the worst first."""
    values = study_table.sequence_means(
        (STUDY / "benchmark" / "sequences.csv").read_text(encoding="utf-8")
    )
    names = [n for n in ("OSMN_published", "flow", "OSMN", "ReConvNet") if n in values]
    first = values[names[-1]]
    rows = [
        {
            "sequence": f"`{sequence}`",
            **{f"J, {_title(n)}": values[n][sequence]["J"] for n in names},
        }
        for sequence in sorted(first, key=lambda sequence: first[sequence]["J"])
    ]
    return markdown_table(rows)


def speed():
    """Seconds per frame of our loop and of the released procedure."""
    records = [read_json(f"speed_{name}.json") for name in ("osmn", "reconvnet")]
    lines = [line for record in records for line in _speed_lines(record)]
    first = records[0]
    height, width = first["frame"]
    return (
        markdown_table(lines, {"s/frame": 2, "times faster": 2, "with files": 2})
        + f"\n\nFrames of {width}x{height}, float32, random weights; "
        + _machine(first)
        + "."
    )


def _machine(record):
    described = record["hardware"]
    return described if isinstance(described, str) else hardware.in_words(described)


def _speed_lines(record):
    with_files = {
        (row["loop"], row["objects"]): row["times_faster"]
        for row in record["rows"]
        if row["files"]
    }
    for row in record["rows"]:
        if row["files"] or row["precision"] != "float32":
            continue
        over = row["over_floor"]
        network = "" if row["objects"] is None else f", {record['model']}"
        yield {
            "loop": row["loop"] + network,
            "objects": "-" if row["objects"] is None else str(row["objects"]),
            "s/frame": row["seconds"],
            "times faster": row["times_faster"],
            "with files": with_files.get((row["loop"], row["objects"])),
            "over VGG16 alone": None if over is None else f"{100 * over:+.0f}%",
        }


def speed_backbones():
    """Seconds per frame on VGG16 and on EfficientNet-Lite0."""
    paths = sorted((RECORDS / "speed_backbones").glob("*.json"))
    records = [read_json(path.name, folder=path.parent) for path in paths]
    ours = [
        (record, row)
        for record in records
        for row in record["rows"]
        if row["loop"] == "ours" and not row["files"]
    ]
    full = {
        (record["model"], *record["frame"], row["objects"]): row["seconds"]
        for record, row in ours
        if record["backbone"] == "vgg16"
    }
    rows = []
    for record, row in ours:
        height, width = record["frame"]
        base = full.get((record["model"], height, width, row["objects"]))
        rows.append(
            {
                "network": f"{record['model']}, {record['backbone']}",
                "frames": f"{width}x{height}",
                "objects": str(row["objects"]),
                "s/frame": row["seconds"],
                "frames/s": 1 / row["seconds"],
                "times faster than on vgg16": base and base / row["seconds"],
            }
        )
    rows.sort(key=lambda row: (row["network"], row["frames"], row["objects"]))
    return (
        markdown_table(rows, {"s/frame": 3})
        + "\n\nFloat32, random weights, frames seen at their own size; medians; "
        + _machine(records[0])
        + "."
    )


def _rate(model, rows):
    """Frames a second with so many rows and one object on EfficientNet-Lite0."""
    name = f"{model}_efficientnet_lite0{'' if rows == 480 else f'_{rows}p'}.json"
    record = read_json("speed_backbones", name)
    (found,) = (
        row["seconds"]
        for row in record["rows"]
        if row["loop"] == "ours" and row["objects"] == 1
    )
    return 1 / found


def endurance():
    """Memory and time over a long video."""
    record = read_json("speed_endurance.json")
    (height, width), run = record["frame"], record["endurance"]
    megabytes, seconds = run["megabytes"], run["seconds"]
    return (
        f"{run['frames']:,} frames of {width}x{height} with {run['objects']} objects "
        f"({record['model']} on {record['backbone']}): {megabytes[0]:,.0f} MB after a "
        f"tenth of them, {megabytes[1]:,.0f} MB at the end; {seconds[0]:.3f} s a frame "
        f"at the beginning, {seconds[1]:.3f} s at the end."
    )


BLOCKS = {
    function.__name__: function
    for function in (
        demo,
        packaged,
        lite,
        lite_pairs,
        lite_sizes,
        lite_lost,
        lite_recurrence,
        lite_memory,
        lite_variants,
        bench,
        lite_choice,
        why_compact,
        why_lite0,
        published,
        guides_from,
        visual_guide,
        study,
        study_in_full,
        study_in_words,
        leave_one_out,
        trainings,
        probe_stop,
        probe_validation,
        failures,
        speed,
        speed_backbones,
        endurance,
    )
}
"""Functions by the name that stands in a text's marker."""
