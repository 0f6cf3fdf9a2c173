"""A page of results: one self-contained HTML file, for any browser.

It shows the scores in tables that sort, every clip with a slider (ground truth and
each method side by side, J and F of each object as curves), and the worst
frames. Pictures are stored inside, reduced; masks are stored apart from the
frames, as small palette PNGs with a transparent background.
"""

import base64
import concurrent.futures
import dataclasses
import html
import io
import json
import pathlib
from collections.abc import Callable

import numpy as np
from PIL import Image
from tqdm import tqdm

from osmn_recurrent import files, masks
from osmn_recurrent.reports.text_tables import cells

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
"""Line colours that colour-blind readers can tell apart (Paul Tol)."""

WIDTH = 320
"""Pixels, across, of the pictures in the page; smaller ones stay as they are."""

QUALITY = 60
"""WebP quality of the frames: 725 of DAVIS take 9 MB at `WIDTH`."""

METRICS = ("J", "F")
HERE = pathlib.Path(__file__).parent

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title><style>
{style}</style></head><body><h1>{title}</h1>
<p>{text}</p>
<div class="scroll">{methods}</div>
<h2>Clips</h2>
<section id="viewer">
<div class="bar"><select id="clip" aria-label="clip"></select>
<button id="play">play</button>
<input type="range" id="frame" min="0" value="0" aria-label="frame">
<output id="frame-name"></output>
<label>masks <input type="range" id="opacity" min="0" max="1" step=".05" value=".6">
</label></div>
<div id="panels"></div>
<div class="bar"><select id="metric" aria-label="metric"></select>
<div id="legend"></div></div>
<svg id="curves" viewBox="0 0 900 200" preserveAspectRatio="none"></svg>
</section>
<h2>Worst frames</h2>
<div class="bar"><select id="worst-of" aria-label="order"></select>
<span>Ground truth on the left; at most three frames of an object.</span></div>
<div id="worst"></div>
<h2>Objects</h2>
<div class="scroll">{objects}</div>
<script type="application/json" id="data">{data}</script>
<script>
{script}</script></body></html>
"""


@dataclasses.dataclass(frozen=True)
class PageClip:
    """What the page shows of a clip of T frames.

    Attributes:
        name: the clip's name.
        frames: names of the T frames.
        picture: `picture(t)` gives frame t, (H, W, 3) uint8 RGB.
        ground_truth: `ground_truth(t)` gives its true ids, (H, W) uint8.
        predicted: `{method: function}` like `ground_truth`; None for no mask.
        scores: `{method: {object id: ObjectScores}}`, with frames' names.
    """

    name: str
    frames: tuple
    picture: Callable
    ground_truth: Callable
    predicted: dict
    scores: dict


def write_page(path, title, text, rows, clips, decimals=None, width=WIDTH):
    """Writes the page; shows a progress bar.

    Args:
        path: the HTML file.
        title: heading and window title.
        text: a paragraph under it.
        rows: the results table, list of dicts (as for `tables.text_table`).
        clips: list of `PageClip` with the same methods; others are compared
            with the first.
        decimals: see `tables.text_table`.
        width: of the pictures in pixels.
    """
    methods = list(clips[0].scores)
    total = sum(len(clip.frames) for clip in clips)
    with tqdm(total=total, desc="page", unit="frame") as bar:
        stored = [_stored_clip(clip, width, bar) for clip in clips]
    data = {
        "metrics": METRICS,
        "methods": [
            {"name": name, "colour": COLOURS[k % len(COLOURS)]}
            for k, name in enumerate(methods)
        ],
        "clips": stored,
    }
    lines = object_rows(clips)
    page = _PAGE.format(
        title=html.escape(title),
        text=html.escape(text),
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        methods=_table("methods", rows, decimals or {}),
        objects=_table("objects", lines, {}, [line["clip"] for line in lines]),
        # "</" would end the script element that holds the data, "<!--" with
        # "<script" after it would keep it from ending.
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
    )
    files.write_text(path, page)


def is_page(path):
    """Whether a file begins as those of `write_page` do."""
    start = _PAGE.partition("<title>")[0].encode()
    with open(path, "rb") as file:
        return file.read(len(start)) == start


def object_rows(clips):
    """One dict per object: J and F of every method, and J over the first's.

    Args:
        clips: list of `PageClip`.

    Returns:
        list of dicts, figures in percent, None where no frame counts.
    """
    rows = []
    for clip in clips:
        methods = list(clip.scores)
        for i in clip.scores[methods[0]]:
            row = {"clip": clip.name, "object": str(i)}
            for method in methods:
                each = clip.scores[method][i]
                for metric, values in zip(METRICS, (each.j, each.f), strict=True):
                    mean = 100 * float(np.mean(values)) if len(each) else None
                    row[f"{method} {metric}"] = mean
            first = row[f"{methods[0]} J"]
            for method in methods[1:]:
                own = row[f"{method} J"]
                gap = None if own is None else own - first
                row[f"{method} J over {methods[0]}"] = gap
            rows.append(row)
    return rows


def _stored_clip(clip, width, bar):
    """What page.js needs of a clip, pictures as data URIs."""
    place = {name: t for t, name in enumerate(clip.frames)}

    def encode(t):
        ids = [clip.ground_truth(t), *(found(t) for found in clip.predicted.values())]
        uris = [frame_uri(clip.picture(t), width)]
        uris += [each if each is None else mask_uri(each, width) for each in ids]
        bar.update()
        return uris

    with concurrent.futures.ThreadPoolExecutor() as pool:  # Pillow lets go of the GIL
        pictures, ground_truth, *found = zip(
            *pool.map(encode, range(len(clip.frames))), strict=True
        )
    return {
        "name": clip.name,
        "frames": clip.frames,
        "pictures": pictures,
        "ground_truth": ground_truth,
        "masks": dict(zip(clip.predicted, found, strict=True)),
        "objects": list(next(iter(clip.scores.values()))),
        "scores": {
            method: {
                i: {
                    "at": [place[name] for name in each.frames],
                    "J": np.round(each.j, 4).tolist(),
                    "F": np.round(each.f, 4).tolist(),
                }
                for i, each in objects.items()
            }
            for method, objects in clip.scores.items()
        },
    }


def frame_uri(frame_rgb, width=WIDTH):
    """(H, W, 3) uint8 RGB as a WebP data URI, at most `width` across."""
    image = Image.fromarray(frame_rgb)
    image.thumbnail((width, image.height), Image.LANCZOS)
    return _uri(image, "WEBP", quality=QUALITY)


def mask_uri(ids, width=WIDTH):
    """(H, W) uint8 ids as a PNG data URI; background and void see-through."""
    ids = np.where(ids == masks.VOID, 0, ids).astype(np.uint8)
    image = Image.fromarray(ids)
    # The same size as `frame_uri` gives.
    frame = Image.new("L", image.size)
    frame.thumbnail((width, image.height))
    image = image.resize(frame.size, Image.NEAREST).convert("P")
    image.putpalette(masks.davis_palette()[: 3 * (int(ids.max()) + 1)])
    return _uri(image, "PNG", transparency=0, optimize=True)


def _uri(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{data}"


def _table(name, rows, decimals, clips=None):
    """A table element; numbers carry their full value for sorting."""
    header, lines = cells(rows, decimals)
    kinds = [
        " class='text'" if all(isinstance(row[key], str) for row in rows) else ""
        for key in header
    ]
    head = "".join(
        f"<th{kind}>{html.escape(text)}</th>"
        for text, kind in zip(header, kinds, strict=True)
    )
    body = []
    for k, (row, line) in enumerate(zip(rows, lines, strict=True)):
        parts = [
            f"<td{kind}{_value(row[key])}>{html.escape(text)}</td>"
            for key, text, kind in zip(header, line, kinds, strict=True)
        ]
        clip = f" data-clip='{html.escape(clips[k])}'" if clips else ""
        body.append(f"<tr{clip}>{''.join(parts)}</tr>")
    return (
        f"<table id='{name}'><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def _value(value):
    return f" data-value='{value}'" if isinstance(value, int | float) else ""
