"""Probabilities of step, and the mattes made of them."""

import copy
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import mattes, output
from osmn_recurrent.inference.followers import Follower
from osmn_recurrent.inference.objectwise import ObjectwiseSegmenter
from osmn_recurrent.inference.video_exports import alpha_of
from osmn_recurrent.media.mask_files import read_mask


def merged(probabilities, objects):
    """OSMN's rule, written anew: the largest above one half."""
    best = probabilities.argmax(0)
    ids = np.array(objects, np.uint8)[best]
    return np.where(probabilities.max(0) > 0.5, ids, 0)


@pytest.mark.parametrize("name", ["osmn", "reconvnet", "osvos"])
def test_ids_are_merged_from_the_probabilities(segmenters, scene, name):
    frames, ids = scene
    plain, soft = segmenters(name), copy.copy(segmenters(name))
    mask = np.where(ids[0] == 200, 0, ids[0])
    plain.start(frames[0], mask)
    soft.start(frames[0], mask)
    for t in range(1, 4):
        found, probabilities = soft.step(frames[t], probabilities=True)
        assert (probabilities.dtype, soft.objects) == (np.float32, (1, 5))
        assert probabilities.shape == (2, *ids[0].shape)
        assert 0 <= probabilities.min() <= probabilities.max() <= 1
        assert np.array_equal(found, plain.step(frames[t]))
        assert np.array_equal(found, merged(probabilities, (1, 5)))
        assert np.unique(probabilities).size > 100


def test_probabilities_of_objects_that_appear(segmenters, scene):
    frames, ids = scene
    segmenter = segmenters("osmn")
    segmenter.start(frames[0])
    found, probabilities = segmenter.step(frames[1], probabilities=True)
    assert probabilities.shape == (0, *ids[0].shape) and not found.any()
    first = np.where(ids[2] == 5, np.uint8(5), np.uint8(0))
    _, probabilities = segmenter.step(frames[2], first, probabilities=True)
    assert np.array_equal(probabilities, [first == 5])
    later = np.where(ids[3] != 5, ids[3], 0)
    found, probabilities = segmenter.step(frames[3], later, probabilities=True)
    assert segmenter.objects == (1, 5, 200)
    for row, number in ((0, 1), (2, 200)):
        assert np.array_equal(probabilities[row], later == number)
    assert not probabilities[1][later > 0].any()
    assert np.array_equal(found, merged(probabilities, (1, 5, 200)))


def test_networks_of_their_own_give_the_same(segmenters, network, scene):
    frames, ids = scene
    shared = segmenters("osmn")
    own = ObjectwiseSegmenter({i: network("osmn") for i in (1, 5, 200)})
    for segmenter in (shared, own):
        segmenter.start(frames[0], ids[0])
    (_, expected), (_, found) = (
        each.step(frames[1], probabilities=True) for each in (shared, own)
    )
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_grey_is_above_127_exactly_where_there_is_an_object():
    half = np.float32(0.5)
    values = [0, half, np.nextafter(half, np.float32(1)), 0.25, 1]
    probabilities = np.array([values, [0, 0, 0, 0.75, 0.3]], np.float32)[:, None]
    assert mattes.alpha_from(probabilities).tolist() == [[0, 127, 128, 191, 255]]
    assert not mattes.alpha_from(np.zeros((0, 2, 2))).any()
    exact = np.arange(256, dtype=np.float32)[None, None] / 255
    assert mattes.alpha_from(exact)[0].tolist() == list(range(256))


class Kept(Follower):
    """Keeps what it is shown."""

    def __init__(self, path):
        super().__init__(path)
        self.alphas = []

    def write(self, frame, ids, alpha=None):
        self.alphas.append(alpha)


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def run(segmenter, clip, folder, **options):
    soft = mattes.Mattes(folder / "boxes_matte", clip.frame_names)
    kept = Kept(folder / "none")
    outcome = output.segment_clip(
        segmenter, clip, folder / "boxes", followers=[kept], mattes=soft, **options
    )
    return outcome, kept, contents(folder / "boxes_matte")


def test_mattes_beside_masks(segmenters, clip, tmp_path):
    outcome, kept, found = run(segmenters("osmn"), clip, tmp_path / "a")
    output.segment_clip(segmenters("osmn"), clip, tmp_path / "plain")
    assert contents(tmp_path / "a/boxes") == contents(tmp_path / "plain")
    assert outcome.computed == 6 and list(found) == [f"{t:05d}.png" for t in range(6)]
    for t, alpha in enumerate(kept.alphas):
        with Image.open(tmp_path / f"a/boxes_matte/{t:05d}.png") as image:
            assert image.mode == "L"
            assert np.array_equal(np.asarray(image), alpha)
        ids = read_mask(tmp_path / f"a/boxes/{t:05d}.png")
        assert np.array_equal(alpha >= 128, ids > 0)
        assert (np.unique(alpha).size > 2) == (t > 0)
    # Again: nothing is left to do, and followers get the mattes from their files.
    outcome, again, _ = run(segmenters("osmn"), clip, tmp_path / "a")
    assert outcome.computed == 0
    assert np.array_equal(again.alphas, kept.alphas)


@pytest.mark.parametrize("name", ["osmn", "reconvnet"])
@pytest.mark.parametrize("lost", ["mattes", "some mattes", "some of both"])
def test_what_is_missing_is_made_to_the_same_bytes(
    segmenters, clip, tmp_path, name, lost
):
    _, kept, found = run(segmenters(name), clip, tmp_path)
    masks = contents(tmp_path / "boxes")
    first = 0 if lost == "mattes" else 3
    for t in range(first, 6):
        (tmp_path / f"boxes_matte/{t:05d}.png").unlink()
        if lost == "some of both":
            (tmp_path / f"boxes/{t:05d}.png").unlink()
    outcome, again, remade = run(segmenters(name), clip, tmp_path)
    assert (outcome.computed, remade) == (6 - first, found)
    assert contents(tmp_path / "boxes") == masks
    assert np.array_equal(again.alphas, kept.alphas)


def test_mattes_of_a_person_stay(segmenters, clip, tmp_path):
    (tmp_path / "boxes_matte").mkdir()
    (tmp_path / "boxes_matte/mine.png").write_text("mine")
    with pytest.raises(InputError, match="no result of an earlier run"):
        run(segmenters("osmn"), clip, tmp_path)
    assert (tmp_path / "boxes_matte/mine.png").read_text() == "mine"
    assert not list(tmp_path.glob("boxes/*.png"))


# Closed-form matting.


def blurred_disc():
    """A disc over another colour, its true opacity, and a shifted guess of it."""
    rows, columns = np.mgrid[:80, :100]
    true = np.clip((25 - np.hypot(rows - 40, columns - 50)) / 4 + 0.5, 0, 1)
    rng = np.random.default_rng(0)
    front, back = np.array([220.0, 60, 40]), np.array([30.0, 90, 160])
    frame = true[..., None] * front + (1 - true[..., None]) * back
    frame = (frame + rng.normal(0, 2, frame.shape)).clip(0, 255).astype(np.uint8)
    guess = cv2.GaussianBlur(np.roll(true, 2, 1).astype(np.float32), (0, 0), 3)
    return frame, true, np.rint(255 * guess).astype(np.uint8)


@pytest.mark.slow  # pymatting compiles when it is imported first
@pytest.mark.needs("pymatting")
def test_refined_mattes_fit_the_frame():
    frame, true, guess = blurred_disc()
    found = mattes.ClosedForm()(frame, guess)
    before = np.abs(guess / 255 - true).mean()
    after = np.abs(found / 255 - true).mean()
    assert after < before / 3, (before, after)
    for alpha in (0 * guess, 0 * guess + 255, alpha_of(0 * guess)):
        np.testing.assert_array_equal(mattes.ClosedForm()(frame, alpha), alpha)


def test_without_pymatting_it_is_said_first(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymatting", None)
    with pytest.raises(InputError, match=r"pip install 'osmn_recurrent\[matting\]'"):
        mattes.ClosedForm()
