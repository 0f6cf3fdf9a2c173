"""How far masks differ between precisions and from the released procedure."""

import numpy as np
from tqdm import tqdm

from experiments import release_loop
from osmn_recurrent import masks
from osmn_recurrent.metrics.region import region_similarity


def of_clip(clip, segmenters, released):
    """Follows every object of a clip on its own, in all ways.

    Args:
        clip: `Clip`; with masks of more frames than the first, J is given.
        segmenters: `{precision: VideoSegmenter}` of one network.
        released: of `release_loop.release_graph`, or None.

    Returns:
        List of dicts, a row per object and way: "object", "loop",
        "reference" (the released procedure, or else our float32 or first
        precision), "smallest IoU" and "mean IoU" over the frames after the
        first, "pixels changed, %" of all pixels, and "J" in percent, the
        mean over the frames with a mask other than the first and last (None
        without such masks).
    """
    rows, first = [], clip.mask(0)
    for object_id in masks.object_ids(first):
        found = {}
        if released is not None:
            found["released"] = list(_released(clip, object_id, segmenters, released))
        for name, segmenter in segmenters.items():
            own = np.where(first == object_id, object_id, 0)
            results = segmenter.segment(_frames(clip, name), own)
            found[f"ours {name}"] = [ids > 0 for ids in results][1:]
        reference = next(iter(found))
        if "ours float32" in found and released is None:
            reference = "ours float32"
        for name, own in found.items():
            rows.append(
                {
                    "object": object_id,
                    "loop": name,
                    "reference": reference,
                    **_compared(found[reference], own),
                    "J": _score(clip, object_id, own),
                }
            )
    return rows


def _frames(clip, name):
    return tqdm(clip.frames(), total=len(clip), desc=name, unit="frame")


def _released(clip, object_id, segmenters, graph):
    """The released procedure's masks of the frames after the first."""
    adapt = next(iter(segmenters.values())).model.adapt
    if "float32" in segmenters:
        adapt = segmenters["float32"].model.adapt
    loop = release_loop.ReleaseLoop(graph, adapt)
    for index, frame in enumerate(_frames(clip, "released")):
        if index == 0:
            loop.start(frame, clip.mask(0) == object_id)
        else:
            yield loop.step(frame)


def _compared(expected, found):
    """IoU (1 where both are empty) and share of pixels that differ."""
    overlaps = [region_similarity(a, b) for a, b in zip(expected, found, strict=True)]
    changed = np.mean([np.mean(a != b) for a, b in zip(expected, found, strict=True)])
    return {
        "smallest IoU": float(min(overlaps)),
        "mean IoU": float(np.mean(overlaps)),
        "pixels changed, %": 100 * float(changed),
    }


def _score(clip, object_id, found):
    scored = [k for k in clip.mask_paths if 0 < k < len(clip) - 1]
    if not scored:
        return None
    values = [
        region_similarity(clip.mask(k) == object_id, found[k - 1]) for k in scored
    ]
    return 100 * float(np.mean(values))
