"""The released loop, slowly: one object at a time, NumPy guides, nothing shared."""

import numpy as np

from osmn_recurrent import guides, masks

MAKE_GUIDE = {
    guides.GaussianGuide: guides.spatial_guide,
    guides.MaskGuide: guides.mask_guide,
    guides.NoGuide: lambda mask: None,
}


def reenact(model, frames, handed_out):
    """Logits of every frame after the first, from guides of given masks.

    Each frame's guides come from the masks that a loop handed out for the
    frame before, so that rounding does not add up from frame to frame.

    Args:
        model: a built `SegmentationModel`.
        frames: (T, H, W, 3) uint8.
        handed_out: (T, H, W) ids, the first of which are the given ones.

    Returns:
        `(ids, logits)`: the objects, and T - 1 arrays (N, H, W).
    """
    objects = masks.object_ids(handed_out[0])
    visual_guides = {
        i: model.adapt(guides.visual_guide(frames[0], handed_out[0] == i)[None])
        for i in objects
    }
    states = {i: model.initial_state(1, *handed_out[0].shape) for i in objects}
    results = []
    for before, frame in zip(handed_out[:-1], frames[1:], strict=True):
        image, found = guides.network_image(frame)[None], []
        for i in objects:
            guide = MAKE_GUIDE[type(model.guide)](before == i)
            guide = () if guide is None else guide[None]
            logits, states[i] = model.step(
                model.encode(image), guide, visual_guides[i], states[i]
            )
            found.append(np.asarray(logits)[0, ..., 0])
        results.append(np.stack(found))
    return objects, results


def assert_decided(found, objects, logits):
    """Every pixel of `found` has the largest logit, but for rounding.

    Args:
        found: (H, W) ids.
        objects: N ids, ascending.
        logits: (N, H, W); the background's is 0.
    """
    values = np.stack([np.zeros_like(logits[0]), *logits])
    ids = np.array([0, *objects])
    index = np.searchsorted(ids, found)
    np.testing.assert_array_equal(ids[index], found)
    chosen = np.take_along_axis(values, index[None], axis=0)[0]
    tolerance = 1e-3 * np.abs(logits).max()
    # Above 17 a sigmoid is one in float32, and ties go to the lower id.
    chosen = np.where(chosen > 17.0, values.max(axis=0), chosen)
    np.testing.assert_allclose(chosen, values.max(axis=0), rtol=0, atol=tolerance)
    # Few pixels are so near to a border of decision that any answer would do.
    assert (np.ptp(np.sort(values, axis=0)[[0, -1]], axis=0) > tolerance).mean() > 0.9
