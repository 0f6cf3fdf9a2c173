"""The swap test: networks that obey, ignore or mark everything."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import swapping
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.metrics import swap_test
from osmn_recurrent.models import presets

COLOURS = ((200.0, 30.0, 30.0), (30.0, 30.0, 200.0))


def scene():
    """A picture with a red and a blue square, and their masks."""
    picture = np.full((64, 96, 3), 117, np.uint8)
    masks = [np.zeros((64, 96), bool) for _ in COLOURS]
    for i, colour in enumerate(COLOURS):
        masks[i][16:48, 8 + 48 * i : 40 + 48 * i] = True
        picture[masks[i]] = colour
    return picture, masks


class Stub:
    """Marks what has the colour of the visual guide ("obeys"), or does not."""

    use_visual_modulator = True

    def __init__(self, kind):
        self.kind = kind

    def adapt(self, visual_guide):
        """The guide's mean colour (N, 3)."""
        inside = np.any(visual_guide != 0, axis=-1, keepdims=True)
        return visual_guide.sum((1, 2)) / inside.sum((1, 2))

    def initial_state(self, objects, height, width):
        """None."""
        return ()

    def encode(self, image):
        """The image."""
        return image

    def step(self, frame, guide, modulation, state):
        """Logits (N, H, W, 1)."""
        if self.kind == "all":
            return tf.ones_like(guide), ()
        if self.kind == "ignores":
            shown = (
                guide - 0.05 + 0.0 * tf.cast(modulation[:, None, None, :1], "float32")
            )
            return shown, ()
        far = frame - tf.cast(modulation, "float32")[:, None, None]
        return 60.0 - tf.reduce_sum(tf.abs(far), -1, keepdims=True), ()


@pytest.mark.parametrize(
    ("kind", "right", "singles"),
    [("obeys", 1.0, 1.0), ("ignores", 0.5, 0.5), ("all", 0.5, 0.5)],
)
def test_shares_of_networks_of_known_behaviour(kind, right, singles):
    picture, masks = scene()
    pairs = swap_test.pairs_of(masks)
    assert pairs == [(0, 1)]
    found = swapping.Swapper(Stub(kind), 64).overlaps(picture, masks, pairs)
    assert set(found) == set(swapping.SPATIAL_GUIDES)
    for spatial in ("both", "none"):
        scores = swap_test.swap_scores(found[spatial])
        assert scores.right_pairs == right
        assert scores.right_singles == pytest.approx(singles)
    if kind == "obeys":
        assert scores.named > 0.9 and scores.other < 0.1


def test_scores_against_a_slow_twin():
    rng = np.random.default_rng(0)
    overlaps = rng.uniform(size=(50, 2, 2)).round(1)
    scores = swap_test.swap_scores(overlaps)
    right = singles = 0.0
    for (a, b), (c, d) in overlaps:
        named, other = a + d, b + c
        right += 1.0 if named > other else 0.5 if named == other else 0.0
        for own, wrong in ((a, b), (d, c)):
            singles += 1.0 if own > wrong else 0.5 if own == wrong else 0.0
    assert scores.right_pairs == pytest.approx(right / 50)
    assert scores.right_singles == pytest.approx(singles / 100)
    assert scores.named == pytest.approx(overlaps[:, [0, 1], [0, 1]].mean())
    with pytest.raises(ValueError, match=r"shape \(pairs, 2, 2\)"):
        swap_test.swap_scores(np.zeros((0, 2, 2)))


def test_which_pairs_count():
    masks = [np.zeros((10, 10), bool) for _ in range(6)]
    for i in range(5):
        masks[i][:, 2 * i : 2 * i + 2] = True
    masks[5][0, 0] = True  # 1% of the picture
    assert swap_test.pairs_of(masks) == list(itertools.combinations(range(4), 2))
    masks[1][:, 0] = True  # half of object 0
    assert (0, 1) not in swap_test.pairs_of(masks)


def test_another_visual_guide_of_a_followed_object():
    model = presets.build_model("osmn", "vgg16_compact")
    kernel = model.modulator.fc8.kernel
    kernel.assign(np.random.default_rng(0).normal(0, 0.01, kernel.shape))
    picture, masks = scene()
    ids = (masks[0] + 2 * masks[1]).astype(np.uint8)
    segmenter = VideoSegmenter(model)
    segmenter.start(picture, ids)
    before = np.array(segmenter._modulation)
    segmenter.look_at(2, picture, masks[0])
    after = np.array(segmenter._modulation)
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_allclose(after[1], before[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="object 3 is not followed"):
        segmenter.look_at(3, picture, masks[0])
    with pytest.raises(InputError, match="visual guide of object 2 is empty"):
        segmenter.look_at(2, picture, np.zeros_like(masks[0]))
