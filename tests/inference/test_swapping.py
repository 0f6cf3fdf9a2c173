"""The swap test: networks that obey, ignore or mark everything."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from osmn_recurrent.errors import InputError
from osmn_recurrent.guides import GAUSSIAN
from osmn_recurrent.inference import swapping
from osmn_recurrent.inference.objectwise import ObjectwiseSegmenter
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.metrics import swap_scores
from osmn_recurrent.models import building
from osmn_recurrent.training.adaptation import AdaptingSegmenter

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
    guide = GAUSSIAN

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
    pairs = swap_scores.pairs_of(masks)
    assert pairs == [(0, 1)]
    found = swapping.Swapper(Stub(kind), 64).overlaps(picture, masks, pairs)
    assert set(found) == set(swapping.SPATIAL_GUIDES)
    for spatial in swapping.SPATIAL_GUIDES:
        scores = swap_scores.swap_scores(found[spatial])
        assert scores.right_pairs == right
        assert scores.right_singles == pytest.approx(singles)
        assert scores.interval is None  # of one picture
    if kind == "obeys":
        assert scores.named > 0.9 and scores.other < 0.1


def test_scores_against_a_slow_twin():
    rng = np.random.default_rng(0)
    overlaps = rng.uniform(size=(50, 2, 2)).round(1)
    scores = swap_scores.swap_scores(overlaps)
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
        swap_scores.swap_scores(np.zeros((0, 2, 2)))


def test_the_interval_draws_pictures():
    """Against a loop over the same draws; pairs of a picture go together."""
    rng = np.random.default_rng(1)
    overlaps = rng.uniform(size=(30, 2, 2))
    pictures = np.sort(rng.integers(0, 8, 30))
    right = (overlaps[:, 0, 0] + overlaps[:, 1, 1]) > (
        overlaps[:, 0, 1] + overlaps[:, 1, 0]
    )
    groups = [right[pictures == name] for name in np.unique(pictures)]
    means = []
    for _ in range(4000):
        drawn = rng.integers(0, len(groups), len(groups))
        means.append(np.concatenate([groups[k] for k in drawn]).mean())
    scores = swap_scores.swap_scores(overlaps, pictures, coverage=0.9)
    np.testing.assert_allclose(
        scores.interval, np.quantile(means, [0.05, 0.95]), atol=0.02
    )
    alone = swap_scores.swap_scores(overlaps).interval
    assert alone[0] < scores.right_pairs < alone[1]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("osmn", {"use_visual_modulator": False}),
        ("osmn", {"use_spatial_modulator": False}),
        ("osvos", {}),
        ("masktrack_m", {}),
        ("reconvnet", {}),
    ],
)
def test_networks_of_all_kinds_are_asked(name, options):
    """New ones: their visual modulators, if any, change nothing yet."""
    model = building.build_model(name, "vgg16_compact", **options)
    picture, masks = scene()
    found = swapping.Swapper(model, 64).overlaps(picture, masks, [(0, 1)])
    for kind in swapping.SPATIAL_GUIDES:
        assert found[kind].shape == (1, 2, 2)
        assert swap_scores.swap_scores(found[kind]).right_pairs == 0.5


def test_which_pairs_count():
    masks = [np.zeros((10, 10), bool) for _ in range(6)]
    for i in range(5):
        masks[i][:, 2 * i : 2 * i + 2] = True
    masks[5][0, 0] = True  # 1% of the picture
    assert swap_scores.pairs_of(masks) == list(itertools.combinations(range(4), 2))
    masks[1][:, 0] = True  # half of object 0
    assert (0, 1) not in swap_scores.pairs_of(masks)


def modulations(segmenter):
    """(N, P) of the objects, however they are kept."""
    kept = segmenter._modulation
    parts = [np.asarray(kept[i])[0] for i in kept] if isinstance(kept, dict) else kept
    return np.array(parts)


@pytest.mark.parametrize("kind", [None, ObjectwiseSegmenter, AdaptingSegmenter])
def test_another_visual_guide_of_a_followed_object(kind):
    model = building.build_model("osmn", "vgg16_compact")
    kernel = model.modulator.fc8.kernel
    kernel.assign(np.random.default_rng(0).normal(0, 0.01, kernel.shape))
    picture, masks = scene()
    ids = (masks[0] + 2 * masks[1]).astype(np.uint8)
    segmenter = VideoSegmenter(model)
    if kind is not None:
        segmenter = kind({1: model, 2: model})
    segmenter.start(picture, ids)
    before = modulations(segmenter)
    segmenter.replace_visual_guide(2, picture, masks[0])
    after = modulations(segmenter)
    if kind is AdaptingSegmenter:  # what its later steps learn from
        learners = segmenter._learners
        np.testing.assert_array_equal(
            learners[2].visual_guide, learners[1].visual_guide
        )
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_allclose(after[1], before[0], rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="object 3 is not followed"):
        segmenter.replace_visual_guide(3, picture, masks[0])
    with pytest.raises(InputError, match="visual guide of object 2 is empty"):
        segmenter.replace_visual_guide(2, picture, np.zeros_like(masks[0]))


class Scene:
    """A clip of `frames` equal frames."""

    def __init__(self, frames=3):
        self.picture, masks = scene()
        self.ids = (masks[0] + 2 * masks[1]).astype(np.uint8)
        self.length = frames

    def frames(self):
        """The frames, one at a time."""
        return iter([self.picture] * self.length)

    def frame(self, t):
        """One of them."""
        return self.picture

    def mask(self, t):
        """Its ids."""
        return self.ids


def test_a_clip_is_followed_with_another_objects_guide(monkeypatch):
    model = building.build_model("osmn", "vgg16_compact")
    segmenter, shown = VideoSegmenter(model), []
    monkeypatch.setattr(
        segmenter, "replace_visual_guide", lambda *given: shown.append(given)
    )
    clip = Scene()
    picture, mask = swapping.first_object(clip)
    np.testing.assert_array_equal(mask, clip.ids == 1)
    found = list(swapping.segment_swapped(segmenter, clip, lambda i: (picture, mask)))
    assert [i for i, *_ in shown] == [1, 2]  # once, before the second frame
    np.testing.assert_array_equal(found[0], clip.ids)
    own = list(segmenter.segment(clip.frames(), clip.ids))
    np.testing.assert_array_equal(found, own)  # nothing was shown after all
