"""The guard of speed ratios: what it measures against, and what it names."""

import numpy as np
import pytest
import tensorflow as tf

from experiments import bench
from osmn_recurrent.metrics.davis_scores import evaluate_masks


def test_ratios_are_of_the_same_round():
    # A machine that becomes slower in the middle slows both sides alike.
    row = bench.ratio_row("a", [2.0, 20.0, 2.2], "b", [1.0, 10.0, 1.1])
    assert row["ratio"] == pytest.approx(2.0)
    assert row["seconds"] == 2.2


def test_more_than_a_tenth_above_the_kept_ratio_is_named():
    rows = [
        {"what": what, "against": "b", "ratio": ratio}
        for what, ratio in (("same", 1.09), ("slower", 1.11), ("new", 9.0))
    ]
    kept = [{"what": w, "against": "b", "ratio": 1.0} for w in ("same", "slower")]
    bench.compare(rows, kept)
    assert [row["slower"] for row in rows] == [False, True, False]
    assert rows[2]["kept"] is None


def test_all_convolutions_of_a_graph_are_found():
    kernels = [tf.ones((3, 3, 2, 4)), tf.ones((3, 3, 4, 1))]

    def network(image):
        x = tf.nn.conv2d(image, kernels[0], 2, "SAME")
        return tf.nn.depthwise_conv2d(x, kernels[1], [1, 1, 1, 1], "VALID")

    found = bench.convolutions_of(network, tf.zeros((1, 16, 16, 2)))
    (wide, *shapes, options), (deep, *more, rest) = found
    assert (wide, deep) == (tf.nn.conv2d, tf.nn.depthwise_conv2d)
    assert shapes == [(1, 16, 16, 2), (3, 3, 2, 4)]
    assert more == [(1, 8, 8, 4), (3, 3, 4, 1)]
    assert options == {"strides": [1, 2, 2, 1], "padding": "SAME"}
    assert rest == {"strides": [1, 1, 1, 1], "padding": "VALID"}
    assert np.isfinite(bench.bare_convolutions(found)())


def test_the_plain_way_of_scoring_gives_the_same_scores():
    rng = np.random.default_rng(3)
    shape = (48, 80)
    rows, columns = np.mgrid[: shape[0], : shape[1]]

    def frame():
        ids = np.zeros(shape, np.uint8)
        for k in (1, 2):
            y, x = rng.uniform(0.2, 0.8, 2) * shape
            ids[(rows - y) ** 2 + (columns - x) ** 2 < 150] = k
        ids[0, :2] = 1, 2  # both are there, at the frame's edge
        return ids

    true_masks, predicted = [[frame() for _ in range(4)] for _ in range(2)]
    plain = np.reshape(bench.plain_scores(true_masks, predicted), (4, 2, 2))
    for k, scores in evaluate_masks(true_masks, predicted, skip=(0, 0)).items():
        np.testing.assert_allclose(scores.j, plain[:, k - 1, 0], atol=1e-12)
        np.testing.assert_allclose(scores.f, plain[:, k - 1, 1], atol=1e-12)
