"""The papers' figures, drawn from arrays. No display is needed."""

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from osmn_recurrent import files
from osmn_recurrent.reports.embedding import classical_scaling
from osmn_recurrent.reports.html import COLOURS

DPI = 150
THUMBNAIL, CROWD = 0.42, 40
"""Inches, across, of a thumbnail in Fig. 5, smaller for more than `CROWD`."""


def new_figure(rows=1, columns=1, size=(7.0, 4.0), **options):
    """A figure with a grid of axes: `(figure, (rows, columns) array)`."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def save(figure, path):
    """Writes a figure as .png, .pdf or .svg, by the path's ending."""
    with files.replace_when_done(path) as temporary:
        figure.savefig(temporary, dpi=DPI)


def draw_over_time(path, curves, published, text):
    """OSMN Fig. 4: the mean J over the fraction of the video.

    Args:
        path: the file.
        curves: `{method: (K,) J in [0, 1]}`, measured.
        published: the same, published figures; black and dashed on top of a
            measured line of the same name.
        text: what it was measured on.
    """
    figure, axes = new_figure(size=(7.0, 4.2))
    lines = published | curves
    # The best first, as the lines lie.
    for k, name in enumerate(sorted(lines, key=lambda x: -lines[x].mean())):
        values = lines[name]
        note = "" if name in curves else " (published)"
        label = f"{name}{note}, {100 * values.mean():.1f}"
        at = np.linspace(0, 1, len(values))
        axes[0, 0].plot(at, 100 * values, color=method_colour(k), lw=2, label=label)
    label = "published, same method"
    for name in published.keys() & curves.keys():
        at = np.linspace(0, 1, len(published[name]))
        axes[0, 0].plot(at, 100 * published[name], "k:", lw=1, label=label)
        label = None
    axes[0, 0].set_xlabel("fraction of the video")
    axes[0, 0].set_ylabel("mean J (%)")
    axes[0, 0].set_title(text, fontsize=10)
    axes[0, 0].set_xlim(0, 1)
    axes[0, 0].grid(alpha=0.3)
    title = "method, mean of the curve"
    figure.legend(loc="outside right upper", title=title, fontsize=8, frameon=False)
    save(figure, path)


def method_colour(number):
    """A colour of its own for each of up to twelve methods."""
    more = ("#332288", "#dd7700", "#555555", "#117733", "#999933", "#882255")
    return (*COLOURS, *more)[number % 12]


def draw_embedding(path, vectors, pictures, labels, text):
    """OSMN Fig. 5: modulation vectors of objects in the plane.

    Args:
        path: the file.
        vectors: (N, P) gammas.
        pictures: (N, H, W, 3) uint8 RGB thumbnails of any size.
        labels: N texts; each has a colour, the pictures' frames.
        text: what is shown.
    """
    points, kept = classical_scaling(vectors)
    figure, axes = new_figure(size=(8.5, 6.5))
    plane = axes[0, 0]
    names = list(dict.fromkeys(labels))
    side = THUMBNAIL * min(1, CROWD / len(points)) ** 0.5
    wheel = colormaps["tab20"].colors
    for point, picture, label in zip(points, pictures, labels, strict=True):
        colour = wheel[names.index(label) % len(wheel)]
        image = OffsetImage(picture, zoom=72 * side / picture.shape[1])
        frame = {"edgecolor": colour, "lw": 2}
        plane.add_artist(AnnotationBbox(image, point, pad=0.05, bboxprops=frame))
    for name in names[:20]:
        plane.plot([], [], "s", color=wheel[names.index(name) % len(wheel)], label=name)
    low, high = points.min(0), points.max(0)
    room = 0.08 * np.maximum(high - low, 1e-6)
    plane.set_xlim(low[0] - room[0], high[0] + room[0])
    plane.set_ylim(low[1] - room[1], high[1] + room[1])
    plane.set_xticks([])
    plane.set_yticks([])
    plane.set_title(
        f"{text}; the plane has {100 * kept:.0f} % of the variance", fontsize=10
    )
    if len(names) <= 20:
        figure.legend(loc="outside right upper", fontsize=7, frameon=False)
    save(figure, path)


def draw_histograms(path, layers, label, text, mark):
    """OSMN Figs. 6 and 7: one histogram per layer, on one scale.

    Args:
        path: the file.
        layers: `{layer: (C,) values}`, in order.
        label: what the values are.
        text: the title.
        mark: `mark(values)` gives a short text for the title of a panel.
    """
    columns = 3
    rows = -(-len(layers) // columns)
    figure, axes = new_figure(rows, columns, (8.0, 1.2 + 1.5 * rows), sharex=True)
    values = np.concatenate(list(layers.values()))
    low, high = float(values.min()), float(np.quantile(values, 0.999))
    low, high = (low, high) if high > low else (low - 0.5, low + 0.5)
    bins = np.linspace(low, high, 41)
    for panel, (name, found) in zip(axes.flat, layers.items(), strict=False):
        # Values beyond the last bin (one in a thousand) are counted in it.
        panel.hist(np.clip(found, low, high), bins, color=COLOURS[0])
        panel.set_title(f"{name}: {mark(found)}", fontsize=9)
        panel.tick_params(labelsize=8)
    for panel in axes.flat[len(layers) :]:
        panel.axis("off")
    figure.supxlabel(label, fontsize=9)
    figure.supylabel("channels", fontsize=9)
    figure.suptitle(text, fontsize=10)
    save(figure, path)


def draw_gates(path, layers, text):
    """ConvLSTM gates over the frames of a clip, one panel per layer.

    Args:
        path: the file.
        layers: `{layer: GateStatistics}`.
        text: the title.
    """
    shown = {
        "input": "input gate",
        "forget": "forget gate",
        "output": "output gate",
        "candidate": "|candidate|",
        "open": "share of forget gates > 0.9",
    }
    figure, axes = new_figure(1, len(layers), (3.2 * len(layers), 3.4), sharey=True)
    for panel, (name, found) in zip(axes.flat, layers.items(), strict=True):
        for k, (field, label) in enumerate(shown.items()):
            values = getattr(found, field)
            frames = np.arange(1, len(values) + 1)
            panel.plot(frames, values, color=COLOURS[k], label=label, lw=1.6)
        panel.set_title(name, fontsize=9)
        panel.set_ylim(0, 1)
        panel.grid(alpha=0.3)
        panel.set_xlabel("frame", fontsize=9)
    figure.suptitle(text, fontsize=10)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    place = {"loc": "outside lower center", "ncols": 5, "fontsize": 8}
    figure.legend(handles, labels, frameon=False, **place)
    save(figure, path)
