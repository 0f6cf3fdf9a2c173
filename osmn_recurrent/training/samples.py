"""Training samples from clips: NumPy in, NumPy out, one seed per sample."""

import collections
import functools
import logging
import threading

import numpy as np
from pycocotools import mask as run_lengths
from tqdm import tqdm

from osmn_recurrent import guides, masks
from osmn_recurrent.datasets.clips import sizes_digest
from osmn_recurrent.errors import InputError
from osmn_recurrent.guides import GAUSSIAN
from osmn_recurrent.training import augmentation
from osmn_recurrent.training.distractors import ASKED, OTHER, Cutout
from osmn_recurrent.training.placing import BoxStretch, Stretch, moved_sides

CACHES = ("none", "frames")
"""What `ClipSamples` keeps in memory besides the masks' run lengths."""

MOST_ATTEMPTS = 100
"""Unreadable samples in a row that end a training."""


class Samples:
    """An endless, repeatable sequence of samples.

    Subclasses have `__len__` and `make(index, number, attempt)`. What cannot
    be read is skipped: the next index of the epoch's order takes its place, so
    that a sample depends on its number and the files alone.

    Args:
        settings: `SampleSettings`.
        guide: of the model, a `guides.Guide`.
        batch_size: samples that share one scale.
        seed: fixes order, scales and augmentation.

    Attributes:
        skipped: `{message: samples}`, what could not be read and how often
            another sample took its place.
    """

    def __init__(self, settings, guide=GAUSSIAN, batch_size=1, seed=0):
        self.settings, self.guide = settings, guide
        self.batch_size, self.seed = batch_size, seed
        self.skipped = collections.Counter()
        self._lock = threading.Lock()

    def sample(self, number):
        """Sample `number` of an endless sequence, always the same one.

        Args:
            number: 0, 1, 2, ...; every `len(self)` numbers visit each start
                once, in an order of their own.

        Returns:
            `(image, visual_guide, spatial_guide, label)`: float32
            (T, h, w, 3) BGR minus mean, (224, 224, 3), (T, h, w, 1), and
            uint8 (T, h, w, 1) of 0 and 1; no T for images.

        Raises:
            InputError: `MOST_ATTEMPTS` samples in a row cannot be read.
        """
        epoch, place = divmod(number, len(self))
        order = self._order(epoch)
        for attempt in range(MOST_ATTEMPTS):
            index = int(order[(place + attempt) % len(order)])
            try:
                return self.make(index, number, attempt)
            except InputError as error:
                self._skip(last := str(error))
        raise InputError(
            f"{MOST_ATTEMPTS} training samples in a row cannot be read, the last "
            f"because: {last}"
        )

    def describe(self, number):
        """In words, what sample `number` is made from."""
        epoch, place = divmod(number, len(self))
        return self.name_of(int(self._order(epoch)[place]))

    def _skip(self, message):
        with self._lock:
            first = message not in self.skipped
            self.skipped[message] += 1
        if first:
            logging.getLogger(__name__).warning("skipped in training: %s", message)

    @functools.lru_cache(maxsize=2)  # noqa: B019 - lives as long as training
    def _order(self, epoch):
        return np.random.default_rng((self.seed, 0, epoch)).permutation(len(self))

    def _draws(self, number, attempt):
        """The sample's `(rng, (height, width))`; its batch shares the size."""
        batch = np.random.default_rng((self.seed, 1, number // self.batch_size))
        scale = batch.choice(self.settings.scales)
        size = tuple(int(side * scale) for side in self.settings.size)
        seed = (self.seed, 2, number, attempt) if attempt else (self.seed, 2, number)
        return np.random.default_rng(seed), size

    def _assembled(self, rng, number, size, frames, ids, guide_source, colours, **more):
        """The sample of T frames.

        Args:
            rng: the sample's generator.
            number: of the sample.
            size: `(height, width)` of the network image.
            frames: T arrays (H, W, 3) uint8 RGB.
            ids: T + 1 arrays (H, W) uint8 of 0, `ASKED` and `OTHER`, first that
                of the step before; the same array twice for a single picture.
            guide_source: `(frame, mask)` of the visual guide.
            colours: `augmentation.Colours`, for a pasted object.
            **more: `index`, the start, and `moves`, T + 1 transforms (2, 3) of the
                pictures before they are viewed, or None.

        Returns:
            As `sample`.
        """
        settings, augment = self.settings, self.settings.guide_augmentation
        pasting = settings.distractors
        if pasting is None:
            visual = augment.visual_guide(rng, *guide_source)
        frames, ids = self._viewed(rng, size, frames, ids, more.get("moves"))
        if pasting is not None:
            if rng.uniform() < pasting.share:
                # Neither a cached frame nor a mask may change.
                frames = [frame.copy() for frame in frames]
                alone = ids[0] is ids[1]
                ids = [ids[0].copy()] * 2 if alone else [each.copy() for each in ids]
                cutout = self.cutout(rng, colours, more["index"])
                if pasting.paste(rng, frames, ids, cutout, self._own_motion()):
                    guide_source = cutout.guide_source
            visual = augment.visual_guide(rng, *guide_source)
        images = _stack([guides.network_image(frame) for frame in frames])
        shares = settings.guide_shares
        kind = shares.kind(rng, number // self.batch_size) if shares.active else "own"
        given = shares.masks(rng, kind, ids)
        spatial = self.guide.disturbed(rng, given, augment)
        labels = [(each == ASKED).view(np.uint8) for each in ids[1:]]
        return self._finished(
            images, visual, _stack(spatial), _stack(labels)[..., None]
        )

    def _viewed(self, rng, size, frames, ids, moves):
        """Frames and ids at the network's size; see `_assembled`."""
        settings = self.settings
        mask = (ids[1] == ASKED).view(np.uint8)
        if settings.window is not None:
            view = settings.window.view(rng, mask, size, settings.flip)
        else:
            kind = BoxStretch if settings.crop_sides else Stretch
            if settings.crop_sides:
                part = moved_sides(rng, mask.shape, settings.crop_sides)
            else:
                part = augmentation.random_part(rng, mask, settings.crop)
            flip = settings.flip > 0 and rng.uniform() < settings.flip
            view = kind(part, flip, size)
        if moves is None and ids[0] is ids[1]:
            return [view.frame(frames[0])], [view.mask(ids[0])] * 2
        views = [view] * len(ids)
        if moves is not None:
            views = [view.after(move) for move in moves]
        return (
            [own.frame(each) for own, each in zip(views[1:], frames, strict=True)],
            [own.mask(each) for own, each in zip(views, ids, strict=True)],
        )

    def cutout(self, rng, colours, index):
        """An object of another picture than start `index`', a `Cutout`."""
        raise NotImplementedError

    def _colours(self, rng):
        """The colour changes of a sample."""
        settings = self.settings
        return augmentation.Colours.draw(rng, settings.colour_jitter, settings.light)

    def _own_motion(self):
        """Motion of a pasted object; None: that of the distractors' settings."""
        return None

    def _finished(self, images, visual, spatial, labels):
        """The sample; without time axis where images are asked for."""
        if self.settings.clip_length is None:
            return images[0], visual, spatial[0], labels[0]
        return images, visual, spatial, labels


class ClipSamples(Samples):
    """Samples (guide frame, earlier masks, frames, masks) of annotated clips.

    As in the release's stage 2: the visual guide comes from a random frame in
    which the object is well visible, the spatial guide of each frame from the
    true mask one step before, and one object is drawn per sample. Only frames
    in which the object is visible start a sample.

    Args:
        clips: list of `Clip`s with a mask for every frame (or see
            `SampleSettings.sparse_masks`).
        settings: `SampleSettings`.
        guide: of the model, a `guides.Guide`.
        batch_size: samples that share one scale.
        seed: fixes order, scales and augmentation.
        cache: one of `CACHES`; "frames" keeps each frame once it was read,
            for DAVIS 2017's train set at 480p 5 GB.

    Raises:
        InputError: a mask that is missing or cannot be read, or clips
            without a usable object.
    """

    def __init__(
        self,
        clips,
        settings,
        guide=GAUSSIAN,
        batch_size=1,
        seed=0,
        cache="none",
    ):
        super().__init__(settings, guide, batch_size, seed)
        self.clips = list(clips)
        if cache not in CACHES:
            raise InputError(f"cache {cache!r} is none of {', '.join(CACHES)}.")
        self._keep_frames, self._frames = cache == "frames", {}
        self._codes = {}
        self._span = settings.stride * (settings.clip_length or 1)
        self.index, self._guide_frames = self._scan()
        if settings.distractors and len({c for c, _ in self._shown}) < 2:
            raise InputError(
                "distractors are objects of other clips, but only one of the "
                f"{len(self.clips)} clips has an object; add clips or leave them out."
            )
        if not self.index:
            raise InputError(
                f"none of the {len(self.clips)} training clips has an object that "
                f"is visible {self._span} frames before the clip's end; check the "
                f"masks, clip_length={settings.clip_length} and "
                f"stride={settings.stride}."
            )

    def __len__(self):
        return len(self.index)

    def names(self):
        """The clips' names."""
        return [clip.name for clip in self.clips]

    def digest(self):
        """Of names and sizes of the clips' files; whether they were replaced."""
        return sizes_digest(self.clips)

    def name_of(self, index):
        """Clip, frame and object of a start."""
        c, t, i = self.index[index]
        clip = self.clips[c]
        return f"{clip.name}, frame {clip.frame_names[self._times[c][t]]}, object {i}"

    def _scan(self):
        """Starts `(clip, frame, object)`, and guide frames per object.

        Frames count within `self._times`, the clip's frames with a mask.
        """
        index, guide_frames, self._times, self._objects = [], {}, [], []
        self._lines = {}  # frames that samples of an object are made of, in order
        for c, clip in enumerate(
            tqdm(self.clips, "reading masks", unit="clip", leave=False)
        ):
            self._times.append(self._annotated(clip))
            visible = {}
            for t in range(len(self._times[c])):
                ids = clip.mask(self._times[c][t])
                self._codes[c, t, 0] = run_lengths.encode(np.zeros_like(ids).T)
                for i in masks.object_ids(ids):
                    mask = (ids == i).view(np.uint8)
                    # Of the transpose: run lengths go down columns.
                    self._codes[c, t, i] = run_lengths.encode(mask.T)
                    visible.setdefault(i, []).append(t)
                    if self._shows(mask):
                        guide_frames.setdefault((c, i), []).append(t)
            self._objects.append(tuple(visible))
            for i, frames in visible.items():
                guide_frames.setdefault((c, i), frames[:1])
                if self.settings.guide_frame == "first":
                    guide_frames[c, i] = frames[:1]
                every = range(len(self._times[c]))
                line = frames if self.settings.targets == "visible" else every
                self._lines[c, i] = line
                starts = set(line[: -self._span])
                index += [(c, t, i) for t in frames if t in starts]
        self._shown = sorted(guide_frames)
        return index, guide_frames

    def _annotated(self, clip):
        """Numbers of the clip's frames that make up samples."""
        found = [t for t in range(len(clip)) if t in clip.mask_paths]
        if len(found) < len(clip) and not self.settings.sparse_masks:
            missing = next(t for t in range(len(clip)) if t not in clip.mask_paths)
            raise InputError(
                f"clip {clip.name} has no mask for frame "
                f"{clip.frame_names[missing]}; training needs one for every frame, or "
                "the option sparse_masks, which leaves such frames out."
            )
        return found

    def _mask(self, c, t, i):
        """Mask of object `i`, (H, W) uint8 of 0 and 1.

        From run lengths kept since the scan: a kilobyte each, and decoded in
        a tenth of the time that a PNG takes.
        """
        code = self._codes.get((c, t, i), self._codes[c, t, 0])
        return run_lengths.decode(code).T

    def _frame(self, c, t):
        if (c, t) in self._frames:
            return self._frames[c, t]
        frame = self.clips[c].frame(self._times[c][t])
        if self._keep_frames:
            self._frames[c, t] = frame
        return frame

    def _shows(self, mask):
        area = np.count_nonzero(mask)
        left, top, right, bottom = masks.bounding_box(mask)
        box = (right - left) * (bottom - top)  # as released
        return (
            area > self.settings.min_cover * mask.size
            and area > self.settings.min_fill * box
        )

    def make(self, index, number, attempt=0):
        """The sample that begins at start `index`; see `Samples.sample`."""
        c, start, i = self.index[index]
        rng, size = self._draws(number, attempt)
        times = self._times_of(rng, c, start, i)
        choice = rng
        if self.settings.guide_frame == "kept":
            choice = np.random.default_rng((self.seed, 3, index))
        seen = self._guide_frame(choice, c, i, times)
        colours = self._colours(rng)
        guide_source = colours.seen(self._frame(c, seen)), self._mask(c, seen, i)
        ids = [self._ids(c, t, i) for t in times]
        frames = [colours.shown(self._frame(c, t)) for t in times[1:]]
        return self._assembled(
            rng, number, size, frames, ids, guide_source, colours, index=index
        )

    def _times_of(self, rng, c, start, i):
        """Numbers of the T + 1 frames of a sample."""
        settings, line = self.settings, self._lines[c, i]
        place = line.index(start)
        length, stride = settings.clip_length or 1, settings.stride
        if settings.most_stride:
            furthest = (len(line) - 1 - place) // length
            most = max(stride, min(settings.most_stride, furthest))
            stride = int(rng.integers(stride, most + 1))
        times = [line[place + stride * k] for k in range(length + 1)]
        if settings.backwards and rng.uniform() < settings.backwards:
            times.reverse()
        return times

    def _ids(self, c, t, i):
        """(H, W) uint8: object `i` is `ASKED`, the clip's others are `OTHER`."""
        own = self._mask(c, t, i) * np.uint8(ASKED)
        for other in self._objects[c]:
            if other != i:
                own[(self._mask(c, t, other) > 0) & (own == 0)] = OTHER
        return own

    def _guide_frame(self, rng, c, i, times):
        """Number of a frame for the visual guide, away from the sample's."""
        shown, away = self._guide_frames[c, i], self.settings.guide_distance
        if away:
            apart = np.abs(np.subtract.outer(shown, times)).min(axis=1)
            # Where none is as far away as it should be, the furthest ones.
            shown = np.asarray(shown)[apart >= min(away, apart.max())]
        return int(rng.choice(shown))

    def cutout(self, rng, colours, index):
        """A visible object of another clip; its visual guide is of another frame."""
        own = self.index[index][0]
        others = [key for key in self._shown if key[0] != own]
        c, i = others[int(rng.integers(len(others)))]
        t = int(rng.choice(self._guide_frames[c, i]))
        seen = self._guide_frame(rng, c, i, [t])
        guide_source = colours.seen(self._frame(c, seen)), self._mask(c, seen, i)
        return Cutout.of(
            colours.shown(self._frame(c, t)), self._mask(c, t, i), guide_source
        )


def _stack(arrays):
    """`np.stack`, without a copy of a single array."""
    return arrays[0][None] if len(arrays) == 1 else np.stack(arrays)
