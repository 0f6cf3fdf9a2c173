"""A page of results: one self-contained HTML file."""

import base64
import dataclasses
import html
import pathlib

from osmn_recurrent import files
from osmn_recurrent.reports.tables import cells

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
"""Line colours that colour-blind readers can tell apart (Paul Tol)."""

DASHES = ("none", "8 4", "2 3")
"""Strokes of a method's first, second and third object."""

_MIME = {".png": "image/png", ".webm": "video/webm", ".mp4": "video/mp4"}

_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem;
  padding: 0 1rem; color: #222; background: #fff; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
th, td {{ padding: .3rem .9rem; border-bottom: 1px solid #ccc; text-align: right; }}
th:first-child, td:first-child {{ text-align: left; }}
.clips {{ display: flex; flex-wrap: wrap; gap: 1rem; }}
figure {{ margin: 0; }} figcaption {{ color: #555; }}
video, img, svg {{ max-width: 100%; }} video {{ width: 21rem; }}
@media (prefers-color-scheme: dark) {{
  body {{ color: #ddd; background: #181818; }} figcaption {{ color: #aaa; }}
  th, td {{ border-color: #444; }} }}
</style></head><body><h1>{title}</h1>
{body}
</body></html>
"""


@dataclasses.dataclass(frozen=True)
class ClipSection:
    """What the page shows of a clip.

    Attributes:
        name: heading.
        videos: `{caption: video file}`.
        curves: `{method: {label: (T,) values in [0, 1]}}`, see `curves_svg`.
    """

    name: str
    videos: dict
    curves: dict


def write_page(path, title, text, rows, pictures, clips, decimals=None):
    """Writes the page; pictures and videos are stored inside it.

    Args:
        path: the HTML file.
        title: heading and window title.
        text: a paragraph under it.
        rows: the results table, list of dicts (as for `tables.text_table`).
        pictures: `{caption: PNG file}`.
        clips: list of `ClipSection`.
        decimals: see `tables.text_table`.
    """
    body = [f"<p>{html.escape(text)}</p>", _table(rows, decimals or {})]
    for clip in clips:
        body.append(f"<h2>{html.escape(clip.name)}</h2><div class='clips'>")
        for caption, file in clip.videos.items():
            source = _embedded(file)
            video = f"<video src='{source}' controls loop muted autoplay></video>"
            body.append(_figure(video, caption))
        body.append("</div>")
        if clip.curves:
            caption = "J of each object over the scored frames"
            body.append(_figure(curves_svg(clip.curves), caption))
    for caption, file in pictures.items():
        image = f"<img src='{_embedded(file)}' alt='{html.escape(caption)}'>"
        body.append(f"<h2>{html.escape(caption)}</h2>{image}")
    files.write_text(path, _PAGE.format(title=html.escape(title), body="\n".join(body)))


def curves_svg(curves, width=640, height=180):
    """Lines over the frames of a clip as an SVG element.

    Args:
        curves: `{method: {label: (T,) values in [0, 1]}}`; a method has a
            colour, its first, second ... lines are whole, dashed ...
        width: of the plot in pixels.
        height: of the plot in pixels.

    Returns:
        str.
    """
    left, low, high = 30, height - 20, 10
    parts = []
    for value in (0.0, 0.5, 1.0):
        y = low - value * (low - high)
        parts.append(
            f"<line x1='{left}' x2='{width}' y1='{y:.1f}' y2='{y:.1f}' "
            "stroke='currentColor' opacity='.2'/>"
            f"<text x='0' y='{y + 4:.1f}'>{value:g}</text>"
        )
    lines = [
        (label, values, COLOURS[k % len(COLOURS)], DASHES[i % len(DASHES)])
        for k, group in enumerate(curves.values())
        for i, (label, values) in enumerate(group.items())
    ]
    for row, (label, values, colour, dashes) in enumerate(lines):
        step = (width - left) / max(len(values) - 1, 1)
        points = " ".join(
            f"{left + t * step:.1f},{low - value * (low - high):.1f}"
            for t, value in enumerate(values)
        )
        parts.append(
            f"<polyline points='{points}' fill='none' stroke='{colour}' "
            f"stroke-width='2' stroke-dasharray='{dashes}'/>"
            f"<text x='{width + 10}' y='{20 + 18 * row}' style='fill:{colour}'>"
            f"{html.escape(label)}</text>"
        )
    tall = max(height, 30 + 18 * len(lines))
    return (
        f"<svg width='{width + 220}' height='{tall}' font-size='13' "
        f"style='fill:currentColor'>{''.join(parts)}</svg>"
    )


def _table(rows, decimals):
    header, lines = cells(rows, decimals)
    head = "".join(f"<th>{html.escape(text)}</th>" for text in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in line) + "</tr>"
        for line in lines
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _figure(content, caption):
    return f"<figure>{content}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _embedded(file):
    """The file as a data URI."""
    file = pathlib.Path(file)
    data = base64.b64encode(file.read_bytes()).decode("ascii")
    return f"data:{_MIME[file.suffix]};base64,{data}"
