"""Prepared sets give what their folders give."""

import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from osmn_recurrent.datasets.coco import CocoObjects
from osmn_recurrent.datasets.davis import davis_clips
from osmn_recurrent.datasets.prepared import PreparedImages, prepared_clips
from osmn_recurrent.datasets.tfds_builders.prepared_coco import PreparedCoco
from osmn_recurrent.datasets.tfds_builders.prepared_davis import (
    PreparedDavis,
    davis_folder_config,
)
from osmn_recurrent.errors import InputError
from osmn_recurrent.media.mask_files import write_mask
from osmn_recurrent.training.image_samples import ImageSamples
from osmn_recurrent.training.sample_settings import STAGE_1, SampleSettings
from osmn_recurrent.training.samples import ClipSamples


def prepare(builder, source, **given):
    config = tfds.download.DownloadConfig(
        manual_dir=source, try_download_gcs=False, **given
    )
    builder.download_and_prepare(download_config=config)
    return builder.data_path


def write_davis(folder, year=2017, binary=False):
    """Three clips; the second has a mask for its first frame only."""
    rng = np.random.default_rng(0)
    for name, last in (("walk", 4), ("run", 1), ("adder", 4)):
        for t in range(4):
            path = folder / "JPEGImages" / "480p" / name / f"{t:05d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            frame = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
            Image.fromarray(frame).save(path)
            if t < last:
                ids = np.zeros((40, 60), np.uint8)
                ids[5:20, 5 + t : 25 + t] = 1
                ids[25:35, 30:50] = 0 if binary else 3
                ids[0, 0] = 0 if binary else 255
                path = folder / "Annotations" / "480p" / name / f"{t:05d}.png"
                write_mask(path, ids * (255 if binary else 1))
    lists = folder / "ImageSets" / str(year)
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("walk\nadder\n")
    (lists / "test-dev.txt").write_text("run\n")
    return folder


def same_clips(ours, theirs):
    assert [clip.name for clip in ours] == [clip.name for clip in theirs]
    for one, other in zip(ours, theirs):
        assert one.frame_names == other.frame_names
        assert one.size == other.size
        assert list(one.mask_paths) == list(other.mask_paths)
        for t in range(len(other)):
            np.testing.assert_array_equal(one.frame(t), other.frame(t))
            if other.mask(t) is None:
                assert one.mask(t) is None
            else:
                np.testing.assert_array_equal(one.mask(t), other.mask(t))
        one.check()


@pytest.fixture(scope="module")
def davis(tmp_path_factory):
    """`(folder, prepared folder)`."""
    folder = write_davis(tmp_path_factory.mktemp("davis"))
    out = tmp_path_factory.mktemp("prepared")
    return folder, prepare(PreparedDavis(config="2017_480p", data_dir=out), folder)


def test_clips_keep_ids_frames_and_order(davis):
    folder, prepared = davis
    for split, listed in (("train", "train"), ("test_dev", "test-dev")):
        same_clips(prepared_clips(prepared, split), davis_clips(folder, 2017, listed))
    ids = prepared_clips(prepared, "train")[0].mask(2)
    assert set(np.unique(ids)) == {0, 1, 3, 255}


def test_training_samples_are_those_of_the_folder(davis):
    folder, prepared = davis
    settings = SampleSettings(size=(40, 60), scales=(0.5, 1.0), clip_length=2)
    ours = ClipSamples(prepared_clips(prepared, "train"), settings, seed=3)
    theirs = ClipSamples(davis_clips(folder, 2017, "train"), settings, seed=3)
    assert len(ours) == len(theirs)
    for number in range(5):
        for one, other in zip(ours.sample(number), theirs.sample(number)):
            np.testing.assert_array_equal(one, other)


def test_masks_of_2016_become_the_id_1(tmp_path):
    folder = write_davis(tmp_path / "davis", 2016, binary=True)
    builder = PreparedDavis(
        config=davis_folder_config(2016, "480p"), data_dir=tmp_path / "out"
    )
    assert builder.builder_config.name == "2016_480p"
    prepared = prepare(builder, folder)
    same_clips(prepared_clips(prepared, "train"), davis_clips(folder, 2016, "train"))


def test_tfds_own_davis_is_read(davis, tmp_path):
    """The layout of TFDS' public `davis/480p` builder, from our folder."""
    from tensorflow_datasets.video.davis.davis import Davis

    folder, _ = davis
    shutil.copytree(folder, tmp_path / "zip" / "DAVIS")
    lists = tmp_path / "zip" / "DAVIS" / "ImageSets" / "2017"
    (lists / "val.txt").write_text("adder\n")

    class Offline(Davis, skip_registration=True):
        def _split_generators(self, dl_manager):
            return {
                "train": self._generate_examples(tfds.core.Path(lists / "train.txt")),
                "validation": self._generate_examples(
                    tfds.core.Path(lists / "val.txt")
                ),
            }

    prepared = prepare(Offline(config="480p", data_dir=tmp_path), folder)
    ours = prepared_clips(prepared, "train")
    # The public layout does not tell the order of the list.
    theirs = sorted(davis_clips(folder, 2017, "train"), key=lambda clip: clip.name)
    same_clips(ours, theirs)


def test_objects_of_coco_are_those_of_the_folder(test_data, tmp_path):
    folder = test_data / "data" / "coco_mini"
    source = tmp_path / "coco"
    (source / "annotations").mkdir(parents=True)
    name = "instances_val2017.json"
    shutil.copy(folder / "annotations" / name, source / "annotations" / name)
    shutil.copytree(folder / "val2017", source / "val2017")
    prepared = prepare(PreparedCoco(data_dir=tmp_path / "out"), source)
    ours = PreparedImages(tmp_path / "out", "val2017")
    theirs = CocoObjects(source, "val2017")
    assert len(ours) == len(theirs) == 147
    for number in range(0, 147, 12):
        for one, other in zip(ours.image(number), theirs.image(number)):
            np.testing.assert_array_equal(one, other)
    samples = [ImageSamples(each, STAGE_1, seed=1) for each in (ours, theirs)]
    for one, other in zip(*(each.sample(5) for each in samples)):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(InputError, match="holds no clips"):
        prepared_clips(prepared, "val2017")
    # The index is used again, and not for other files.
    again = PreparedImages(prepared, "val2017")
    np.testing.assert_array_equal(again._places, ours._places)


def test_a_corrupt_picture_is_refused_when_preparing(davis, tmp_path):
    folder = tmp_path / "davis"
    shutil.copytree(davis[0], folder)
    path = folder / "JPEGImages" / "480p" / "adder" / "00002.jpg"
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(InputError, match=r"adder/00002.jpg cannot be decoded"):
        prepare(PreparedDavis(config="2017_480p", data_dir=tmp_path), folder)


def test_damage_and_wrong_names_are_refused(davis, tmp_path):
    _, prepared = davis
    with pytest.raises(InputError, match="has no split 'val', only test_dev, train"):
        prepared_clips(prepared, "val")
    with pytest.raises(InputError, match=r"must hold one prepared .* found 0"):
        prepared_clips(tmp_path, "train")
    with pytest.raises(InputError, match="holds no images"):
        PreparedImages(prepared, "train", tmp_path)
    copy = tmp_path / "copy" / "prepared_davis" / "2017_480p" / "1.0.0"
    shutil.copytree(prepared, copy)
    path = next(copy.glob("*train.tfrecord*"))
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged after byte 0"):
        prepared_clips(tmp_path / "copy", "train")


@pytest.mark.slow
@pytest.mark.needs("apache_beam")
def test_beam_makes_the_same_set(davis, tmp_path):
    from apache_beam.options.pipeline_options import PipelineOptions

    folder, plain = davis
    options = PipelineOptions(["--runner=DirectRunner"])
    builder = PreparedDavis(config="2017_480p", data_dir=tmp_path)
    prepared = prepare(builder, folder, beam_options=options)
    same_clips(prepared_clips(prepared, "train"), prepared_clips(plain, "train"))
