"""Looking into a trained network: its scales, shifts and gates.

What OSMN shows in section 4.2 (Figs. 5 to 7), and the same for ReConvNet's
ConvLSTMs. Everything runs eagerly and once.
"""

import dataclasses
import functools
import itertools

import numpy as np
from keras import ops
from tqdm import tqdm

from osmn_recurrent import guides, masks
from osmn_recurrent.colours import MEAN_BGR
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference.merging import argmax_merge
from osmn_recurrent.inference.modulation_health import gammas_of


@dataclasses.dataclass(frozen=True)
class VisualGuides:
    """Visual guides of N objects.

    Attributes:
        guides: (N, 224, 224, 3) float32, see `guides.visual_guide`.
        labels: N texts, what the object is: clip and id, or a category.
    """

    guides: np.ndarray
    labels: tuple

    def pictures(self):
        """The guides as (N, 224, 224, 3) uint8 RGB, background black."""
        shown = self.guides[..., ::-1] + np.float32(MEAN_BGR[::-1])
        background = (self.guides == 0).all(-1, keepdims=True)
        return np.where(background, 0, shown).round().clip(0, 255).astype(np.uint8)


def guides_of_clips(clips, per_object=4):
    """Visual guides of the objects of clips, in evenly spaced frames.

    Args:
        clips: list of `Clip` with masks for some frames.
        per_object: visual guides per object, from the frames in which it is seen.

    Returns:
        `VisualGuides`, labelled by the clip's name, and by the object's id where
        there are several.

    Raises:
        InputError: no clip has an object.
    """
    found, labels = [], []
    for clip in tqdm(clips, desc="objects", unit="clip"):
        ids = {t: clip.mask(t) for t in clip.mask_paths}
        present = {t: masks.object_ids(mask) for t, mask in ids.items()}
        objects = sorted({i for each in present.values() for i in each})
        for i in objects:
            seen = [t for t, each in present.items() if i in each]
            chosen = np.linspace(0, len(seen) - 1, per_object).round().astype(int)
            for t in sorted({seen[k] for k in chosen}):
                found.append(guides.visual_guide(clip.frame(t), ids[t] == i))
                labels.append(f"{clip.name} {i}" if len(objects) > 1 else clip.name)
    if not found:
        raise InputError("no clip shows an object; name a set that has masks.")
    return VisualGuides(np.stack(found), tuple(labels))


def guides_of_objects(objects):
    """The visual guide of the object in each of some images.

    Args:
        objects: iterable of `(picture, mask, label)`: (H, W, 3) uint8 RGB,
            (H, W), the object non-zero, and a text.

    Returns:
        `VisualGuides`.
    """
    bar = tqdm(objects, desc="objects", unit="object")
    rows = [(guides.visual_guide(frame, mask), label) for frame, mask, label in bar]
    return VisualGuides(
        np.stack([row[0] for row in rows]), tuple(row[1] for row in rows)
    )


def modulation_of(model, visual_guides):
    """The visual modulator's scales.

    Args:
        model: a network with a visual modulator.
        visual_guides: `VisualGuides` of N objects.

    Returns:
        (N, P) float32 gammas, laid out as `model.gamma_layout` says.

    Raises:
        InputError: the network has none.
    """
    bar = functools.partial(tqdm, desc="modulation", unit="batch")
    return gammas_of(model, visual_guides.guides, bar)


def by_layer(model, modulation):
    """`{layer: (N, C) gammas}` of (N, P) gammas."""
    return {name: modulation[:, a:b] for name, a, b in model.gamma_layout()}


def spatial_scales(model):
    """What the spatial guide adds to each feature map (OSMN Fig. 7).

    The paper's spatial scale multiplies the guide; the released network has
    batch normalisation and ReLU after it, so that the scale taken here is the
    shift where the guide is one less the shift where it is zero.

    Args:
        model: a network with a spatial modulator.

    Returns:
        `{layer: (C,) float32}`, such as "conv3_1".

    Raises:
        InputError: the network has none.
    """
    modulator = getattr(model, "modulator_sp", None)
    if modulator is None:
        raise InputError(
            f"{type(model).__name__} has no spatial modulator; name the weights of "
            "a network that has one."
        )
    scales = {}
    for number, conv, norm in itertools.zip_longest(
        modulator.levels, modulator.convs, modulator.norms
    ):
        gap = ops.convert_to_numpy(conv.kernel).ravel()
        if norm is not None:
            gap = _through_norm(norm, gap)
        for place in model.backbone.level(number).places:
            scales[place.name], gap = gap[: place.channels], gap[place.channels :]
    return scales


def _through_norm(norm, kernel):
    """What batch norm and ReLU leave of the difference that a kernel makes."""
    scale, centre, mean, variance = (
        ops.convert_to_numpy(value)
        for value in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    scale = scale / np.sqrt(variance + norm.epsilon)
    at_zero = centre - scale * mean
    return np.maximum(at_zero + scale * kernel, 0) - np.maximum(at_zero, 0)


@dataclasses.dataclass(frozen=True)
class GateStatistics:
    """A ConvLSTM over a clip: means over pixels, channels and objects.

    Attributes:
        input: (T,) of the input gate i.
        forget: (T,) of the forget gate f.
        output: (T,) of the output gate o.
        candidate: (T,) of |g|.
        open: (T,) share of memory cells with f above 0.9, kept as they are.
    """

    input: np.ndarray
    forget: np.ndarray
    output: np.ndarray
    candidate: np.ndarray
    open: np.ndarray


def gate_statistics(model, clip, frames=None):
    """Segments a clip and watches its network's ConvLSTMs.

    The guides come from the predicted masks, merged by arg-max, as in
    `VideoSegmenter`.

    Args:
        model: a `ReConvNet`.
        clip: `Clip` with a mask for its first frame.
        frames: how many to go through; by default all. The first is given,
            so that T is one less.

    Returns:
        `{layer: GateStatistics}`, such as "convlstm3".

    Raises:
        InputError: the network has no ConvLSTMs, or the clip is too short.
    """
    cells = getattr(model, "cells", ())
    frames = min(frames or len(clip), len(clip))
    if not cells or frames < 2:
        raise InputError(
            f"{type(model).__name__} on {frames} frames of {clip.name} has no gates to "
            "watch; name a ReConvNet's weights and a clip of two frames or more."
        )
    seen = {cell.name: [] for cell in cells}
    for cell in cells:
        rows = seen[cell.name]

        def watch(i, f, g, o, rows=rows):
            parts = (i, f, o, ops.abs(g), ops.cast(f > 0.9, f.dtype))
            rows.append([float(ops.mean(ops.cast(x, "float32"))) for x in parts])

        cell.observer = watch
    try:
        _segment(model, clip, frames)
    finally:
        for cell in cells:
            cell.observer = None
    return {
        name: GateStatistics(*np.transpose(rows).astype(np.float32))
        for name, rows in seen.items()
    }


def _segment(model, clip, frames):
    """Runs the network over the clip, eagerly; (H, W) ids per frame."""
    ids = clip.mask(0)
    objects = masks.object_ids(ids)
    modulation = ()
    if model.use_visual_modulator:
        visual_guides = [guides.visual_guide(clip.frame(0), ids == i) for i in objects]
        modulation = model.adapt(np.stack(visual_guides))
    state = model.initial_state(len(objects), *ids.shape)
    found = [ids]
    for t in tqdm(range(1, frames), desc=clip.name, unit="frame"):
        frame = model.encode(guides.network_image(clip.frame(t))[None])
        guide = ()
        if model.guide.is_used:
            guide = np.stack([model.guide.of_mask(ids == i) for i in objects])
        logits, state = model.step(frame, guide, modulation, state)
        merged = ops.convert_to_numpy(argmax_merge(ops.sigmoid(logits[..., 0])))
        ids = np.array([0, *objects], np.uint8)[merged]
        found.append(ids)
    return found
