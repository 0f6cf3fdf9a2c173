"""Frame by frame through a video: the loop around a network."""

import copy
import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops

from osmn_recurrent import guides, masks
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import ENLARGE, GUIDES_FROM, search_areas
from osmn_recurrent.inference.arrays import (
    check_any_object,
    check_followed,
    checked_frame,
    checked_mask,
    checked_next_frame,
    soft_masks,
    with_rows,
)
from osmn_recurrent.inference.frame_function import (
    make_frame_function,
    make_memory_function,
)
from osmn_recurrent.inference.merging import MERGES
from osmn_recurrent.models import building, saved
from osmn_recurrent.models.precision import PRECISIONS


class VideoSegmenter:
    """Segments the objects of a video, one frame at a time.

    The loop is OSMN's (section 3; release `osmn.py: test`): the visual modulator sees
    each object once, in the frame that its mask came with; frame t is steered by a
    guide made from the object's mask in frame t - 1 (at first the given mask); the
    network's probabilities are thresholded at 0.5.
    With several objects `guides_from` says which mask that is. A lost object has an
    empty mask and from then on a guide of zeros, as released; a recurrent network or a
    purely visual one may find it again.

    All objects share one `encode` per frame and go through the rest of the network as
    one batch; what a network carries is kept per object and starts at zero. Guide,
    network and merge are one `tf.function`, traced once for any number of objects and
    any size. Memory does not grow with the length of the video.

    A video from any iterable of frames:

        for ids in VideoSegmenter(model).segment(frames, first_mask): ...

    or live:

        ids = segmenter.start(frame, mask)     # (H, W) uint8; no mask: no object yet
        ids = segmenter.step(frame)            # every further frame
        ids = segmenter.step(frame, mask)      # a frame that brings objects
        ids = segmenter.add(frame, mask)       # new objects, last frame
        ids = segmenter.correct(frame, mask)   # better masks, last frame
        segmenter.drop(3)                      # object 3 is of no interest

    Args:
        model: a built `SegmentationModel`. In its own precision its variables are used
            as they are, and later changes take effect; in another they are copied now.
        precision: "float32", "bfloat16" or "float16", the type that layers compute in.
            Images, guides, cell states, logits and probabilities stay float32.
        merge: "argmax" or "soft", see `merging`.
        guides_from: "merged": the next guides are made from the masks that are
            handed out, in which no two objects overlap. "own": each object is
            followed by its own mask, and only what is handed out is merged: the
            release's procedure, of all OSMN's figures on DAVIS-2017.
        enlarge: with a `working_size`, "probabilities" brings these to the frame's
            size (bilinear) and then cuts, for smoother outlines; "labels" cuts first
            (nearest neighbour), as the release does for all its figures.
        working_size: size at which the network sees the frames: `(height, width)`, the
            length of the shorter side, or None for the frames' own (Pillow, bilinear,
            with antialiasing). The visual guide is cut from the full frame.
        search_area: None: the network sees whole frames, as in the papers. A number:
            the area around all objects' last masks; see `search_areas.around`. A state
            moves with it; not for networks that `memorize`.
        visual_guide: keep_aspect and keep_background of `guides.visual_guide`.

    Raises:
        ValueError: an unknown choice, or a bad `working_size`.

    Example:

    >>> from osmn_recurrent.datasets.video_files import example_clip
    >>> clip = example_clip()
    >>> segmenter = VideoSegmenter.from_preset("osmn-compact")
    >>> segmenter.start(clip.frame(0), clip.mask(0)).shape
    (270, 480)
    >>> segmenter.step(clip.frame(1)).dtype, segmenter.objects
    (dtype('uint8'), (1,))
    """

    def __init__(
        self,
        model: building.SegmentationModel,
        precision: str = "float32",
        merge: str = "argmax",
        working_size: int | tuple[int, int] | None = None,
        guides_from: str = GUIDES_FROM[0],
        enlarge: str = ENLARGE[0],
        search_area: float | None = None,
        visual_guide: Mapping[str, Any] | None = None,
    ) -> None:
        for name, value, known in (
            ("precision", precision, sorted(PRECISIONS)),
            ("merge", merge, sorted(MERGES)),
            ("guides_from", guides_from, GUIDES_FROM),
            ("enlarge", enlarge, ENLARGE),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {known}. Received: {value!r}")
        if working_size is not None and np.min(working_size) < 16:
            raise ValueError(
                "working_size must be at least 16 pixels, the coarsest scale "
                f"of the networks. Received: {working_size}"
            )
        search_areas.check(search_area, model)
        if model.dtype_policy.name != PRECISIONS[precision]:
            model = building.with_dtype(model, PRECISIONS[precision])
        self.model = model
        self.precision, self.merge, self.working_size = precision, merge, working_size
        self._seen: Any = functools.partial(guides.visual_guide, **(visual_guide or {}))
        self.guides_from, self.enlarge = guides_from, enlarge
        self.search_area = search_area
        resized = working_size is not None or search_area is not None
        self._frame_function = make_frame_function(
            model,
            MERGES[merge],
            resized,
            enlarge,
            guides_from == "own",
        )
        self._memory_function = make_memory_function(model, resized)
        self._ids: Any = None  # device, (H, W) uint8: the id map of the last frame
        self._probabilities = None  # device, (N, H, W) float32, of a segmented frame
        self._forget_objects()

    @classmethod
    def from_preset(cls, name: str, **options: Any) -> "VideoSegmenter":
        """A segmenter with published weights.

        Args:
            name: of a preset, such as "osmn-lite0", or a folder, file or address; see
                `SegmentationModel.from_preset`.
            **options: as of the constructor; the defaults of `working_size` and
                `search_area` are the preset's.

        Returns:
            `VideoSegmenter`.

        Raises:
            InputError: an unknown source, or one that cannot be read.
        """
        model, own = saved.from_preset(name, building.SegmentationModel)
        return cls(model, **{**own, **options})

    @property
    def objects(self) -> tuple[int, ...]:
        """Ids of the objects that are followed, ascending."""
        return tuple(int(i) for i in self._objects)

    @property
    def carries_state(self) -> bool:
        """Whether the network is recurrent."""
        return bool(tf.nest.flatten(self.model.initial_state(1, 16, 16)))

    def settings(self) -> dict[str, Any]:
        """What the masks depend on, apart from the video, as JSON values.

        Returns:
            Dict with the network's class and configuration, a digest of its
            weights (SHA-256), and this segmenter's settings.
        """
        size = self.working_size
        return {
            **building.described(self.model),
            "precision": self.precision,
            "merge": self.merge,
            "working_size": size if size is None else np.array(size).tolist(),
            "guides_from": self.guides_from,
            "enlarge": self.enlarge,
            "search_area": self.search_area,
            **({"visual_guide": seen} if (seen := self._seen.keywords) else {}),
        }

    @property
    def probabilities(self) -> dict[int, np.ndarray] | None:
        """`{object id: (H, W) float32}` of the last `step`, before threshold and merge.

        None before it, and after objects were added or dropped since.
        """
        if self._probabilities is None:
            return None
        return dict(zip(self.objects, self._probabilities.numpy(), strict=True))

    def segment(
        self,
        frames: Iterable[np.ndarray],
        first_mask: np.ndarray | None,
        later_masks: Mapping[int, np.ndarray] | None = None,
    ) -> Iterator[np.ndarray]:
        """Goes through a video.

        Runs on its own, whatever else this segmenter is doing, and holds one
        frame at a time.

        Args:
            frames: iterable of (H, W, 3) uint8 RGB.
            first_mask: (H, W) uint8 ids of the first frame, see `start`; or None
                where the first object appears later.
            later_masks: `{frame index: (H, W) uint8 ids}`, see `step`.

        Yields:
            (H, W) uint8 ids, one map per frame; the first is `first_mask`.

        Raises:
            InputError: as `start` and `step` do; also if no mask is given.
        """
        video: Any = copy.copy(self)
        given = dict(later_masks or {})
        check_any_object(first_mask, given)
        for index, frame in enumerate(frames):
            known = given.get(index)
            yield video.step(frame, known) if index else video.start(frame, first_mask)

    def start(self, frame: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Begins a video; what was followed before is forgotten.

        Args:
            frame: (H, W, 3) uint8 RGB.
            mask: (H, W) uint8 (or integers, or bool for one object): ids 1
                to 254. 255, "void" in DAVIS, counts as background, but a mask of
                0 and 255 alone is one object. None or an empty one where the
                first object appears later (`step`, `add`).

        Returns:
            (H, W) uint8 ids of this frame: `mask` without void.

        Raises:
            InputError: arrays of another kind or size.
        """
        frame = checked_frame(frame)
        if mask is None:
            mask = np.zeros(frame.shape[:2], np.uint8)
        mask = checked_mask(mask, frame)
        self._forget_objects()
        self._ids = tf.zeros(mask.shape, tf.uint8)
        self._own_masks = tf.zeros((0, *mask.shape), tf.bool)
        return self.add(frame, mask)

    def step(
        self,
        frame: np.ndarray,
        mask: np.ndarray | None = None,
        probabilities: bool = False,
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """Segments the next frame.

        Args:
            frame: (H, W, 3) uint8 RGB, of the first frame's size.
            mask: (H, W) uint8 ids, for objects that appear in this frame, or
                None. Only ids that are not followed yet are taken from it,
                and their pixels win over what was predicted there. The other
                objects stay as predicted; `correct` replaces them too.
            probabilities: whether to give the objects' probabilities too.

        Returns:
            (H, W) uint8 ids; zeros while no object is followed. With
            `probabilities` `(ids, (N, H, W) float32)` as of `arrays.soft_masks`.

        Raises:
            InputError: arrays of another kind or size.
        """
        frame = self._next_frame(frame)
        if mask is not None:
            mask = checked_mask(mask, frame)
        self._ids = self._run(frame)
        run_for = self.objects, self._probabilities  # `add` forgets them
        ids = self._ids.numpy() if mask is None else self.add(frame, mask)
        return (ids, soft_masks(ids, self.objects, *run_for)) if probabilities else ids

    def replay(
        self, frame: np.ndarray, ids: np.ndarray, mask: np.ndarray | None = None
    ) -> None:
        """Goes over a frame whose result is known, to resume behind it.

        A recurrent network is run for its state's sake, and any network where guides
        are made from each object's own mask. Afterwards everything is, bit for bit, as
        after the `step` that gave `ids`.

        Args:
            frame: as of `step`.
            ids: (H, W) uint8, what `step(frame, mask)` gave.
            mask: as of `step`.
        """
        frame = self._next_frame(frame)
        if self.carries_state or self.guides_from == "own":
            self._run(frame)
        if mask is not None:
            self.add(frame, mask)
        self._ids = tf.constant(checked_mask(ids, frame))

    def add(self, frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Follows new objects from the last frame on.

        Args:
            frame: (H, W, 3) uint8 RGB, the last frame (again).
            mask: (H, W) uint8 ids. Those that are followed already, and the
                background, are left alone.

        Returns:
            (H, W) uint8 ids of this frame with the new objects in it.

        Raises:
            InputError: arrays of another kind or size.
        """
        frame = self._next_frame(frame)
        mask = checked_mask(mask, frame)
        new = [i for i in masks.object_ids(mask) if i not in self.objects]
        return self._paint(frame, mask, new)

    def correct(self, frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Replaces masks of the last frame by better ones.

        Every object in `mask` gets exactly this mask (its old pixels become
        background), its modulation is made anew from this view of it, and its
        state is kept. Ids that are not followed yet are added; objects that
        are not in `mask` stay as they are, apart from pixels that they lose.

        Args:
            frame: (H, W, 3) uint8 RGB, the last frame (again).
            mask: (H, W) uint8 ids.

        Returns:
            (H, W) uint8 ids of this frame after the correction.

        Raises:
            InputError: arrays of another kind or size.
        """
        frame = self._next_frame(frame)
        mask = checked_mask(mask, frame)
        return self._paint(frame, mask, masks.object_ids(mask))

    def replace_visual_guide(
        self, object_id: int, frame: np.ndarray, mask: np.ndarray
    ) -> None:
        """Gives an object the visual guide of another view; mask and state stay.

        Args:
            object_id: of an object that is followed.
            frame: (H, W, 3) uint8 RGB, of any size.
            mask: (H, W) of the frame's size; non-zero pixels are the object.

        Raises:
            InputError: no such object, or an empty mask.
        """
        check_followed(object_id, self.objects)
        if not np.any(mask):
            raise InputError(
                f"the mask of the visual guide of object {object_id} is empty, "
                "expected one that shows the object."
            )
        self._show(object_id, self._seen(frame, mask)[None])

    def _show(self, object_id, seen):
        """Makes an object's modulation anew from a visual guide (1, 224, 224, 3)."""
        if not self.model.use_visual_modulator:
            return
        row = np.array([[self.objects.index(object_id)]])
        self._modulation = tf.tensor_scatter_nd_update(
            self._modulation, row, self.model.adapt(ops.convert_to_tensor(seen))
        )

    def drop(self, object_id: int) -> None:
        """Follows an object no longer; its pixels become background.

        Raises:
            InputError: no such object.
        """
        check_followed(object_id, self.objects)
        self._keep([k for k, i in enumerate(self.objects) if i != object_id])
        gone = self._ids == np.uint8(object_id)
        self._ids = tf.where(gone, np.uint8(0), self._ids)

    def _forget_objects(self):
        self._objects = np.zeros(0, np.uint8)
        self._modulation = self._state = self._probabilities = self._area = None

    def _next_frame(self, frame):
        """`frame`, checked against the frame that the video began with."""
        if self._ids is None:
            raise InputError(
                "no video has been started; call start(frame, mask) first."
            )
        return checked_next_frame(frame, tuple(self._ids.shape))

    def _network_size(self, height, width):
        return guides.network_size(self.working_size, height, width)

    def _run(self, frame):
        """The id map of `frame`, on the device; the state moves on."""
        if not self.objects:
            return tf.zeros(frame.shape[:2], tf.uint8)
        last = self._last_masks()
        area = search_areas.around(last, self.search_area)
        size = self._network_size(*frame.shape[:2])
        image = guides.network_image(area.of_frame(frame), size)[None]
        state, self._area = search_areas.moved(self._state, self._area, area), area
        given = image, area.of_masks(last), self._objects, self._modulation, state
        ids, probabilities, self._state = self._frame_function(*given)
        ids, self._probabilities = area.placed(ids), area.placed(probabilities)
        if self.guides_from == "own":
            self._own_masks = self._probabilities > 0.5
        return ids

    def _last_masks(self):
        """(N, H, W) bool, of which the next guides are made."""
        if self.guides_from == "own":
            return self._own_masks
        return tf.equal(self._ids[None], self._objects[:, None, None])

    def _paint(self, frame, mask, painted):
        """Gives the objects `painted` (ids) the pixels they have in `mask`."""
        if not painted:
            return self._ids.numpy()
        seen = np.stack([self._seen(frame, mask == i) for i in painted])
        modulation = ()
        if self.model.use_visual_modulator:
            modulation = self.model.adapt(ops.convert_to_tensor(seen))
        known = [i for i in painted if i in self.objects]
        if known:  # their rows are replaced, their states stay
            rows = np.searchsorted(self._objects, known)[:, None]
            own = np.searchsorted(painted, known)
            chosen = tf.nest.map_structure(lambda m: tf.gather(m, own), modulation)
            self._modulation = with_rows(self._modulation, rows, chosen)
        new = [k for k, i in enumerate(painted) if i not in self.objects]
        if new:
            self._append(
                np.array(painted, np.uint8)[new],
                tf.nest.map_structure(lambda m: tf.gather(m, new), modulation),
            )
        self._memorize(frame, mask, painted)
        return self._paint_ids(mask, painted, known)

    def _paint_ids(self, mask, painted, known):
        """Puts given masks into the id map, and into the objects' own masks.

        The objects `known`, of those `painted`, lose the pixels that they had.
        """
        ids = self._ids.numpy()
        ids[np.isin(ids, known)] = 0
        chosen = np.isin(mask, painted)
        ids[chosen] = mask[chosen]
        self._ids = tf.constant(ids)
        rows = np.searchsorted(self._objects, painted)[:, None]
        given = mask[None] == np.array(painted, np.uint8)[:, None, None]
        self._own_masks = with_rows(self._own_masks, rows, given)
        return ids

    def _memorize(self, frame, mask, painted):
        """Puts the given masks of the objects `painted` (ids) into their states."""
        if not self.model.memorizes:
            return
        image = guides.network_image(frame, self._network_size(*frame.shape[:2]))
        rows = np.searchsorted(self._objects, painted)
        new = self._memory_function(
            image[None],
            mask[None] == np.array(painted, mask.dtype)[:, None, None],
            tf.nest.map_structure(lambda kept: tf.gather(kept, rows), self._state),
        )
        self._state = with_rows(self._state, rows[:, None], new)

    def _append(self, objects, modulation):
        """Adds objects, their state zero, and keeps all sorted by id."""
        size = self._network_size(*self._ids.shape)
        state = self.model.initial_state(len(objects), *size)
        if self.objects:
            modulation, state = tf.nest.map_structure(
                lambda old, new: tf.concat([old, new], 0),
                (self._modulation, self._state),
                (modulation, state),
            )
        self._objects = np.concatenate([self._objects, objects])
        self._modulation, self._state = modulation, state
        blank = tf.zeros((len(objects), *self._ids.shape), tf.bool)
        self._own_masks = tf.concat([self._own_masks, blank], 0)
        self._keep(np.argsort(self._objects))

    def _keep(self, rows):
        """Keeps the objects at `rows`, in this order."""
        rows = np.array(rows, np.int32)
        self._objects, self._probabilities = self._objects[rows], None
        self._modulation, self._state, self._own_masks = tf.nest.map_structure(
            lambda kept: tf.gather(kept, rows),
            (self._modulation, self._state, self._own_masks),
        )
