"""Our loop against the released procedure that experiments.speed re-enacts."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from reenactment import assert_decided, reenact

from experiments import agreement, release_loop
from osmn_recurrent import guides
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.models import building


def test_heat_map_is_the_spatial_guide():
    rng = np.random.default_rng(0)
    for share in (0.4, 0.02, 0.0):
        mask = rng.random((37, 50)) < share
        expected = guides.spatial_guide(mask)[..., 0]
        np.testing.assert_allclose(release_loop.heat_map(mask), expected, atol=1e-6)


@pytest.mark.parametrize("size", [(64, 96), (37, 50)])
def test_graph_is_the_network(network, scene, size):
    """Upsampling 16 channels and fusing them, or one channel: the same."""
    model = network("osmn")
    rng = np.random.default_rng(1)
    for norm in model.modulator_sp.norms:
        norm.moving_variance.assign(rng.uniform(0.5, 2, norm.moving_variance.shape))
    frame, mask = scene[0][0][: size[0], : size[1]], scene[1][0][: size[0], : size[1]]
    image = guides.network_image(frame)[None]
    heat = guides.spatial_guide(mask == 1)[None]
    gammas = model.adapt(guides.visual_guide(frame, mask == 1)[None])
    logits, _ = model.step(model.encode(image), heat, gammas, ())
    found = release_loop.release_graph(model)(image, heat, gammas)
    np.testing.assert_allclose(found, tf.sigmoid(logits), atol=1e-5)
    assert np.ptp(found) > 0.1


@pytest.mark.parametrize("files", [True, False])
def test_masks_of_the_loops(network, scene, clip, tmp_path, files):
    model = network("osmn")
    loop = release_loop.ReleaseLoop(
        release_loop.release_graph(model), model.adapt, tmp_path if files else None
    )
    frames, mask = scene[0], scene[1][0] == 200
    loop.start(frames[0], mask)
    released = [loop.step(frame) for frame in frames[1:]]
    ours = list(VideoSegmenter(model).segment(frames, mask))[1:]
    for masks in (ours, released):
        found = [np.asarray(m > 0, np.uint8) for m in (mask, *masks)]
        objects, logits = reenact(model, frames, found)
        for own, expected in zip(found[1:], logits, strict=True):
            assert_decided(own, objects, expected)
    assert any(0.01 < mask.mean() < 0.99 for mask in released)
    # The table of experiments.speed says the same. One frame: masks of random
    # weights are a matter of rounding, and rounding adds up from frame to frame.
    clip = dataclasses.replace(clip, frame_paths=clip.frame_paths[:2])
    segmenters = {"float32": VideoSegmenter(model)}
    rows = agreement.of_clip(clip, segmenters, loop.graph)
    assert {row["object"] for row in rows} == {1, 200}
    assert all(row["reference"] == "released" for row in rows)
    assert all(row["pixels changed, %"] < 1 for row in rows)
    assert all(row["mean IoU"] > 0.9 for row in rows)


def test_who_has_a_release(network):
    assert release_loop.fits(network("osmn"))
    others = [("osmn", {"alignment": "exact"}), ("reconvnet", {}), ("osvos", {})]
    for name, options in others:
        assert not release_loop.fits(
            building.build_model(name, "vgg16_compact", **options)
        )
