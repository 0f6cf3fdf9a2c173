"""Reads what `tfds_builders` prepared, and TFDS' own `davis`, frame by frame.

A record of the TFRecord files is found by its offset, so that training draws
samples in its own order without a shuffle buffer, as it does from folders.
Pictures and masks are decoded from the stored bytes with Pillow, as
everywhere in the library; a prepared set gives the samples of its folder.
"""

import dataclasses
import functools
import hashlib
import pathlib
import struct

import numpy as np

from osmn_recurrent import names
from osmn_recurrent.datasets.clips import Clip
from osmn_recurrent.datasets.index_files import stored_arrays
from osmn_recurrent.errors import InputError
from osmn_recurrent.image_files import open_image
from osmn_recurrent.masks import davis_palette
from osmn_recurrent.media.pictures import read_frame

_HEADER, _FOOTER = 12, 4  # bytes of a TFRecord around its content


class Records:
    """The examples of one split of a prepared data set.

    Args:
        folder: the prepared data set's folder with `dataset_info.json`, or
            the folder it was prepared into, if there is one set inside. May
            lie on any file system that TensorFlow reads (`gs://...`).
        split: name of a split.

    Attributes:
        paths: the split's files.

    Raises:
        InputError: no prepared data set, no such split, another file format,
            or a damaged file (on reading).
    """

    def __init__(self, folder, split):
        import tensorflow_datasets as tfds

        info = tfds.builder_from_directory(_prepared_folder(folder)).info
        if split not in info.splits:
            raise InputError(
                f"{folder} has no split {split!r}, only {', '.join(info.splits)}; "
                "name one of these."
            )
        if info.file_format.value != "tfrecord":
            raise InputError(
                f"{folder} holds {info.file_format.value} files; prepare it as "
                "tfrecord, the default."
            )
        self.paths = info.splits[split].filepaths
        self.name = f"{info.full_name}:{split}"

    def offsets(self):
        """`(file, offset, length)` of every record's content, (N, 3) int64.

        Reads the files once and checks their check sums.
        """
        return np.array([place for place, _ in self.scan()], np.int64).reshape(-1, 3)

    def scan(self):
        """Iterates over `((file, offset, length), features)` of all records."""
        import tensorflow as tf

        for number, path in enumerate(self.paths):
            offset = 0
            try:
                for content in tf.data.TFRecordDataset(str(path)):
                    content = content.numpy()
                    place = (number, offset + _HEADER, len(content))
                    yield place, _features(content)
                    offset += _HEADER + len(content) + _FOOTER
            except tf.errors.DataLossError as error:
                raise InputError(
                    f"{path} is damaged after byte {offset} ({error.message}); "
                    "prepare the data set again."
                ) from None

    def read(self, place):
        """Features of the record at `(file, offset, length)`, see `scan`."""
        number, offset, length = (int(value) for value in place)
        path = self.paths[number]
        with path.open("rb") as file:
            file.seek(offset - _HEADER)
            header = file.read(_HEADER)
            content = file.read(length)
        if len(content) < length or struct.unpack("<Q", header[:8])[0] != length:
            raise InputError(
                f"{path} changed while it was read; prepare the data set again."
            )
        return _features(content)


def _features(content):
    """`{name: values}` of a serialised tf.train.Example."""
    import tensorflow as tf

    return tf.train.Example.FromString(content).features.feature


def _prepared_folder(folder):
    import tensorflow_datasets as tfds

    folder = tfds.core.Path(folder)
    if (folder / "dataset_info.json").exists():
        return folder
    # <name>/<configuration>/<version>, and what is below the first of these.
    depths = ["*/" * depth + "dataset_info.json" for depth in (1, 2, 3)]
    found = [path.parent for depth in depths for path in sorted(folder.glob(depth))]
    if len(found) != 1:
        listed = ", ".join(str(path) for path in found[:5]) or "none"
        raise InputError(
            f"{folder} must hold one prepared data set (a dataset_info.json), found "
            f"{len(found)}: {listed}; prepare one or name its folder."
        )
    return found[0]


def _label_map(content, name):
    """(H, W) uint8 ids of a stored PNG."""
    with open_image(name, content, "mask", "prepare the data set again") as image:
        return np.array(image)


@dataclasses.dataclass(frozen=True)
class PreparedClip(Clip):
    """A clip whose pictures lie in one record; used as any `Clip`.

    `frame_paths` and `mask_paths` are names only, for messages.

    Attributes:
        record: function without arguments that gives the record's features.
        mask_order: `{frame index: place among the stored masks}`.
    """

    record: object = None
    mask_order: dict = dataclasses.field(default_factory=dict)

    @property
    def size(self):
        """(height, width) of the first frame."""
        return self.frame(0).shape[:2]

    def input_files(self):
        """None: records lie in files of their own."""
        return ()

    def frame_digests(self):
        """Of the stored pictures, see `Clip.frame_digests`."""
        frames = self.record()["video/frames"].bytes_list.value
        return tuple(hashlib.sha256(each).hexdigest()[:16] for each in frames)

    def frame(self, index):
        """Frame `index` as (H, W, 3) uint8 RGB."""
        content = self.record()["video/frames"].bytes_list.value[index]
        return read_frame(self.frame_paths[index], content)

    def mask(self, index):
        """Mask of frame `index`, (H, W) uint8 object ids, or None."""
        if index not in self.mask_order:
            return None
        stored = self.record()["video/segmentations"].bytes_list.value
        ids = _label_map(stored[self.mask_order[index]], self.mask_paths[index])
        return (ids > 0).astype(np.uint8) if self.binary else ids

    def palette(self):
        """The DAVIS palette (768 ints); prepared masks are label maps."""
        return davis_palette()

    def _picture_size(self, path):
        return self.frame(self.frame_paths.index(path)).shape[:2]


def prepared_clips(folder, split, binary=False):
    """The clips of a prepared set of clips, in the order of their list.

    Args:
        folder: see `Records`; made by `prepared_davis` or TFDS' own `davis`.
        split: such as "train"; TFDS' `davis` has "train" and "validation".
        binary: every non-zero pixel is object 1.

    Returns:
        list of `PreparedClip`.

    Raises:
        InputError: no such data set, or one without clips.
    """
    records = Records(folder, split)
    read = functools.lru_cache(maxsize=8)(records.read)
    found = []
    for place, features in records.scan():
        if "video/frames" not in features:
            raise InputError(
                f"{records.name} holds no clips (no feature video/frames); name a "
                "set made by prepared_davis, or TFDS' davis."
            )
        found.append(_clip(features, records, functools.partial(read, place), binary))
    if not found:
        raise InputError(f"{records.name} is empty; prepare another split.")
    # TFDS shuffles what it writes; its own davis does not tell the order.
    found.sort(key=lambda each: (each[0], each[1].name))
    return [clip for _, clip in found]


def _clip(features, records, record, binary):
    """`(number in the list, PreparedClip)` of a record."""
    name = features["metadata/video_name"].bytes_list.value[0].decode()
    name = names.inside("", name, records.name).as_posix()
    count = features["metadata/num_frames"].int64_list.value[0]
    frames = [v.decode() for v in features["metadata/frame_names"].bytes_list.value]
    frames = [names.single(frame, records.name) for frame in frames]
    frames = frames or [f"{t:05d}" for t in range(count)]
    number = features["metadata/number"].int64_list.value
    times = range(count)
    if "metadata/mask_frames" in features:
        times = features["metadata/mask_frames"].int64_list.value
    clip = PreparedClip(
        name=name,
        frame_paths=tuple(f"{records.name}/{name}/{frame}.jpg" for frame in frames),
        mask_paths={t: f"{records.name}/{name}/{frames[t]}.png" for t in times},
        binary=binary,
        record=record,
        mask_order={t: place for place, t in enumerate(times)},
    )
    return (number[0] if number else 0), clip


class PreparedImages:
    """Objects of a set made by `prepared_coco`, numbered as `CocoObjects`.

    Args:
        folder: see `Records`.
        split: such as "train2017".
        cache_dir: folder (on a local disk) of the index, a small file made
            by reading the set once; default: beside the prepared files.

    Raises:
        InputError: no such data set, or one without objects.
    """

    def __init__(self, folder, split, cache_dir=None):
        self._records = Records(folder, split)
        paths = self._records.paths
        key = [[path.name, path.stat().length] for path in paths]
        if cache_dir is None and "://" in str(paths[0]):
            raise InputError(
                f"{paths[0].parent} is not on a local disk; name a folder on one for "
                "the index of the objects."
            )
        cache = pathlib.Path(cache_dir or paths[0].parent)
        index = stored_arrays(cache / f"{split}.index.npz", key, self._make_index)
        self._places, self._picture_of = index["places"], index["picture_of"]
        self._object_of, self._names = index["object_of"], index["names"]
        self.sources = tuple(f"{self._records.name}/{name}" for name in self._names)

    def _make_index(self):
        found = []
        for place, features in self._records.scan():
            if "objects/mask" not in features:
                raise InputError(
                    f"{self._records.name} holds no images (no feature objects/mask); "
                    "name a set made by prepared_coco."
                )
            number = features["number"].int64_list.value[0]
            name = features["file_name"].bytes_list.value[0].decode()
            name = names.inside("", name, self._records.name).as_posix()
            count = len(features["objects/mask"].bytes_list.value)
            found.append((number, place, name, count))
        if not found:
            raise InputError(f"{self._records.name} is empty; prepare another split.")
        found.sort()
        counts = [each[3] for each in found]
        return {
            "places": np.array([each[1] for each in found], np.int64),
            "names": np.array([each[2] for each in found], np.str_),
            "picture_of": np.repeat(np.arange(len(found)), counts),
            "object_of": np.concatenate([np.arange(count) for count in counts]),
        }

    def __len__(self):
        return len(self._picture_of)

    def name(self, number):
        """Data set and picture of object `number`."""
        return self.sources[self._picture_of[number]]

    def image(self, number):
        """Object `number`: (H, W, 3) uint8 RGB and (H, W) uint8 of 0 and 1.

        Raises:
            InputError: a record that cannot be read or decoded.
        """
        features = self._records.read(self._places[self._picture_of[number]])
        name = self.name(number)
        picture = read_frame(name, features["image"].bytes_list.value[0])
        stored = features["objects/mask"].bytes_list.value
        return picture, _label_map(stored[self._object_of[number]], name)
