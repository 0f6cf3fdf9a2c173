"""Samples in which only the visual guide can tell: distractors, guides, views."""

import dataclasses

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import osmn_recurrent as osr
from osmn_recurrent import guides, losses
from osmn_recurrent.datasets.clips import Clip
from osmn_recurrent.datasets.image_folder import ImageFolder
from osmn_recurrent.datasets.joined_images import JoinedImages
from osmn_recurrent.errors import InputError
from osmn_recurrent.training import augmentation
from osmn_recurrent.training.distractors import ASKED, OTHER, Cutout, Distractors
from osmn_recurrent.training.guide_shares import GuideShares
from osmn_recurrent.training.image_samples import ImageSamples
from osmn_recurrent.training.placing import GREY, View, Window
from osmn_recurrent.training.pseudo_clips import Motion
from osmn_recurrent.training.sample_settings import SampleSettings
from osmn_recurrent.training.samples import ClipSamples

SIZE = (64, 96)
COLOURS = ((200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30))


class Squares:
    """Pictures with one square each, in a colour of its own."""

    def __len__(self):
        return len(COLOURS)

    def name(self, number):
        """Its number."""
        return f"square {number}"

    def image(self, number):
        """A grey picture with a square of the number's colour."""
        picture = np.full((80, 120, 3), 128, np.uint8)
        mask = np.zeros((80, 120), np.uint8)
        mask[20:50, 30 + 5 * number : 60 + 5 * number] = 1
        picture[mask > 0] = COLOURS[number]
        return picture, mask


def settings(**changes):
    """Single pictures through a window, with distractors."""
    given = {
        "size": SIZE,
        "scales": (1.0,),
        "window": Window(),
        "distractors": Distractors(share=1.0),
    }
    return SampleSettings(**{**given, **changes})


def colour_of(image, mask):
    """Number of the square whose colour most of the mask's pixels have."""
    shown = image[mask > 0][:, ::-1] + guides.MEAN_BGR[::-1]
    mean = np.median(shown, axis=0)
    return int(np.argmin([np.abs(mean - c).sum() for c in COLOURS]))


def test_label_and_visual_guide_are_of_the_same_object():
    made, asked, two = ImageSamples(Squares(), settings()), 0, 0
    for number in range(60):
        image, visual, _, label = made.sample(number)
        (own,) = {colour_of(image, label[..., 0])}
        seen = (visual != 0).any(-1)
        assert colour_of(visual, seen) == own
        first = int(made._order(number // 4)[number % 4])
        asked += own != first
        inside = image[..., ::-1] + np.float32(guides.MEAN_BGR[::-1])
        near = [np.abs(inside - c).sum(-1).min() < 60 for c in COLOURS]
        two += sum(near) >= 2
    # One half are asked for the pasted object (another colour in 3 of 4).
    assert 10 <= asked <= 35
    assert two >= 30


def test_pasting_by_hand():
    """Ids, labels and pixels of a pasted square, whichever is asked for."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        frame = np.full((64, 96, 3), 90, np.uint8)
        ids = np.zeros((64, 96), np.uint8)
        ids[10:30, 10:30], ids[40:50, 70:80] = ASKED, OTHER
        before, ids = ids.copy(), [ids] * 2
        picture, mask = Squares().image(2)
        cutout = Cutout.of(picture, mask, (picture, mask))
        asked = Distractors(most_hidden=1.0).paste(rng, [frame], ids, cutout)
        blue = np.abs(frame.astype(int) - COLOURS[2]).sum(-1) < 30
        pasted = ids[1] == (ASKED if asked else OTHER)
        # The border is blended over a pixel or two.
        assert (blue & ~pasted).sum() == 0
        assert blue.sum() > 0.6 * pasted.sum()
        kept = ids[1] == (OTHER if asked else ASKED)
        np.testing.assert_array_equal(kept, (before == ASKED) & ~pasted)


def test_shares_of_guides_by_counting():
    shares = GuideShares(missing=0.3, wide=0.2, other=0.1, missing_first=5)
    rng = np.random.default_rng(0)
    kinds = [shares.kind(rng, 5) for _ in range(4000)]
    for name, share in (("missing", 0.3), ("wide", 0.2), ("other", 0.1)):
        assert np.mean([k == name for k in kinds]) == pytest.approx(share, abs=0.03)
    assert {shares.kind(rng, 4) for _ in range(50)} == {"missing"}
    with pytest.raises(InputError, match="add up to at most 1"):
        GuideShares(missing=0.7, wide=0.4)


def test_what_the_guides_are_made_of():
    rng = np.random.default_rng(0)
    ids = np.zeros((40, 60), np.uint8)
    ids[5:15, 5:15], ids[20:30, 40:50] = ASKED, OTHER
    given, shares = [ids, ids.copy()], GuideShares()
    found = {k: shares.masks(rng, k, given)[0] for k in ("own", "other", "wide")}
    np.testing.assert_array_equal(found["own"], ids == ASKED)
    np.testing.assert_array_equal(found["other"], ids == OTHER)
    np.testing.assert_array_equal(found["wide"], ids > 0)
    assert not shares.masks(rng, "missing", given)[0].any()
    alone = [np.where(ids == ASKED, ids, 0).astype(np.uint8)] * 2
    (wide,) = shares.masks(rng, "wide", alone)
    assert 1.5 * 100 < wide.sum() < 9.5 * 100  # 1.3 to 3 times the side


def test_a_view_moves_picture_and_mask_alike():
    picture, mask = Squares().image(1)
    grey = np.abs(np.float32(GREY) - picture[0, 0]).sum()
    for seed in range(10):
        rng = np.random.default_rng(seed)
        view = Window().view(rng, mask, SIZE, flip=0.5)
        frame, moved = view.frame(picture), view.mask(mask)
        green = np.abs(frame.astype(int) - COLOURS[1]).sum(-1) < 40
        border = cv2.dilate(moved, np.ones((3, 3))) - cv2.erode(moved, np.ones((3, 3)))
        assert (green != (moved > 0))[border == 0].sum() == 0
        assert moved.sum() > 50
    assert grey > 0


def test_samples_repeat_and_never_change_what_they_are_made_of():
    class Kept(Squares):
        images = {n: Squares().image(n) for n in range(4)}  # noqa: RUF012

        def image(self, number):
            return self.images[number]

    motion = Motion(jerk=0.5, outside="grey")
    made = ImageSamples(
        Kept(),
        settings(clip_length=3, guide_shares=GuideShares(wide=0.5)),
        motion=motion,
    )
    first = [made.sample(n) for n in range(8)]
    for number in range(8):
        for part, again in zip(first[number], made.sample(number), strict=True):
            np.testing.assert_array_equal(part, again)
    for number in range(4):
        for kept, fresh in zip(
            Kept.images[number], Squares().image(number), strict=True
        ):
            np.testing.assert_array_equal(kept, fresh)


def test_one_in_two_lights_differs_in_the_frame_alone():
    plain = settings(distractors=None)
    dark = dataclasses.replace(plain, light=0.5)
    one, two = ImageSamples(Squares(), plain), ImageSamples(Squares(), dark)
    (a, b) = (made.sample(3) for made in (one, two))
    np.testing.assert_array_equal(a[1], b[1])
    np.testing.assert_array_equal(a[3], b[3])
    assert np.abs(a[0] - b[0]).mean() > 1


def write_folder(folder):
    """Two pictures, of one and of two objects."""
    for name in ("JPEGImages", "Annotations", "ImageSets"):
        (folder / name).mkdir(parents=True)
    for name, objects in (("a", 1), ("b", 2)):
        ids = np.zeros((40, 60), np.uint8)
        for i in range(objects):
            ids[5:25, 5 + 25 * i : 25 + 25 * i] = i + 1
        ids[30:, :] = 255
        Image.fromarray(np.full((40, 60, 3), 99, np.uint8)).save(
            folder / f"JPEGImages/{name}.jpg"
        )
        image = Image.fromarray(ids, "P")
        image.putpalette(list(range(256)) * 3)
        image.save(folder / f"Annotations/{name}.png")
    (folder / "ImageSets/train.txt").write_text("a\nb\n")


def test_a_folder_of_images(tmp_path):
    write_folder(tmp_path)
    found = ImageFolder(tmp_path)
    assert len(found) == 3 and found.name(2).endswith("b.jpg")
    for number, others in ((0, 0), (1, 400), (2, 400)):
        picture, mask = found.image(number)
        assert picture.shape == (40, 60, 3) and mask.sum() == 400
        assert found.others(number).sum() == others
    both = JoinedImages([Squares(), found])
    assert len(both) == 7 and both.name(4) == found.name(0)
    assert both.others(6).sum() == 400 and not both.others(0).any()
    (tmp_path / "JPEGImages/b.jpg").unlink()
    with pytest.raises(InputError, match=r"b.jpg: no such file; b is in the list"):
        ImageFolder(tmp_path)
    with pytest.raises(InputError, match="val.txt: no such file"):
        ImageFolder(tmp_path, "val")


def test_cross_entropy_with_lovasz_by_its_parts():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (2, 8, 10, 1)).astype(np.float32)
    labels = (rng.uniform(size=logits.shape) > 0.6).astype(np.float32)
    each = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    half = losses.lovasz_hinge(labels[:, :, ::2], logits[:, :, ::2])
    expected = float(tf.reduce_mean(each)) + 0.5 * float(half)
    found = float(losses.cross_entropy_lovasz(labels, logits))
    assert found == pytest.approx(expected, rel=1e-5)


def test_light_leaves_grey_what_lies_outside():
    # No network sees anything there: exactly the mean, whatever the light.
    for length, motion in ((None, None), (3, Motion(shift=0.4, jerk=0.5))):
        far = settings(
            distractors=None, light=0.9, window=Window((0.4, 0.5)), clip_length=length
        )
        made = ImageSamples(Squares(), far, motion=motion)
        for number in range(6):
            image = made.sample(number)[0].reshape(-1, *SIZE, 3)
            # A picture of half the sides or less: more than half of it is grey.
            assert ((image == 0).all(-1)).mean(axis=(1, 2)).min() > 0.5


def test_a_moved_picture_is_viewed_once_and_rightly():
    """Against a path of two steps: moved as Motion does, then viewed."""
    motion = Motion(shift=0.1, rotation=20.0, outside="grey")
    made = ImageSamples(
        Squares(), settings(distractors=None, clip_length=2), motion=motion
    )
    for number in range(5):
        index = int(made._order(number // 4)[number % 4])
        picture, mask = Squares().image(index)
        rng, size = made._draws(number, 0)
        frames, ids = motion.move(rng, picture, mask, 3)
        made.settings.guide_augmentation.visual_guide(rng, picture, mask)
        # The view is drawn about the object of the picture as it stands.
        view = made.settings.window.view(rng, mask, size)
        image, _, _, label = made.sample(number)
        for t in (0, 1):
            twice = view.mask(ids[t + 1])
            grown, shrunk = (f(twice, np.ones((5, 5))) for f in (cv2.dilate, cv2.erode))
            assert not ((label[t, ..., 0] > 0) & (grown == 0)).any()
            assert not ((label[t, ..., 0] == 0) & (shrunk > 0)).any()
            shown = image[t][..., ::-1] + guides.MEAN_BGR[::-1]
            apart = np.abs(shown - view.frame(frames[t + 1])).max(-1)
            assert np.median(apart) < 2


def test_large_pictures_are_averaged_before_they_are_viewed():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (401, 602, 3), dtype=np.uint8)
    quarter = View(np.array([[0.25, 0, -0.375], [0, 0.25, -0.375]]), (100, 150))
    small = picture[:400, :600].reshape(100, 4, 150, 4, 3).mean((1, 3))
    assert np.abs(quarter.frame(picture) - small).max() < 1


def write_clips(folder, count, frames=9):
    """Clips of one square each, in a colour of their own, as `Clip`s."""
    clips = []
    for number in range(count):
        picture, mask = Squares().image(number)
        pictures = [folder / f"{number}-{t}.png" for t in range(frames)]
        for path in pictures:
            Image.fromarray(picture).save(path)
        found = folder / f"mask-{number}.png"
        osr.write_mask(found, mask)
        clips.append(
            Clip(f"clip {number}", tuple(pictures), dict.fromkeys(range(frames), found))
        )
    return clips


def test_pasted_objects_are_of_other_clips_and_pictures(tmp_path):
    clips = ClipSamples(write_clips(tmp_path, 3), settings(guide_distance=3))
    pictures = ImageSamples(Squares(), settings())
    rng, colours = np.random.default_rng(0), augmentation.Colours.draw(None, 0.0, 0.0)
    for made, count in ((clips, len(clips)), (pictures, 4)):
        found = set()
        for index in range(count):
            cutout = made.cutout(rng, colours, index)
            own = made.index[index][0] if made is clips else index
            other = colour_of(cutout.picture[..., ::-1] - guides.MEAN_BGR, cutout.mask)
            assert other != own
            assert (
                colour_of(
                    cutout.guide_source[0][..., ::-1] - guides.MEAN_BGR,
                    cutout.guide_source[1],
                )
                == other
            )
            found.add(other)
        assert len(found) > 1
    with pytest.raises(InputError, match="only one of the 1 clips"):
        ClipSamples(clips.clips[:1], settings())

    class Alone(Squares):
        def name(self, number):
            return "one"

    with pytest.raises(InputError, match="one is the only one"):
        ImageSamples(Alone(), settings())


def test_visual_guides_keep_their_distance(tmp_path):
    made = ClipSamples(
        write_clips(tmp_path, 2, frames=9), settings(distractors=None, guide_distance=3)
    )
    rng = np.random.default_rng(0)
    for times, allowed in (([0, 1], {4, 5, 6, 7, 8}), ([2, 6], {4, 8, 0})):
        found = {made._guide_frame(rng, 0, 1, times) for _ in range(200)}
        # Where no frame is three away, the furthest ones are taken.
        assert found == allowed


def test_a_pasted_object_lies_within_the_frame():
    picture, mask = Squares().image(2)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        frame, ids = np.full((64, 96, 3), 90, np.uint8), np.zeros((64, 96), np.uint8)
        ids[20:40, 30:50] = ASKED
        ids = [ids] * 2
        whole = Distractors(size=(1.0, 1.0), most_hidden=1.0, asked=1.0)
        whole.paste(rng, [frame], ids, Cutout.of(picture, mask, (picture, mask)))
        # As large as the square that it is pasted beside.
        assert (ids[1] == ASKED).sum() == pytest.approx(400, rel=0.15)


def test_validation_sees_clips_as_they_are(tmp_path):
    plain = SampleSettings(
        size=SIZE, scales=(1.0,), guide_augmentation=augmentation.NO_AUGMENTATION
    )
    wild = settings(
        scales=(0.5, 1.0),
        flip=0.5,
        light=0.5,
        colour_jitter=0.5,
        backwards=0.5,
        most_stride=3,
        guide_shares=GuideShares(missing=0.5, missing_first=10),
    )
    clips = write_clips(tmp_path, 2)
    ours, theirs = (ClipSamples(clips, each) for each in (wild.undisturbed(), plain))
    for number in range(6):
        for one, other in zip(ours.sample(number), theirs.sample(number), strict=True):
            np.testing.assert_array_equal(one, other)
