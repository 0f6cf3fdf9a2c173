"""COCO objects: against pycocotools, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as run_lengths

from osmn_recurrent.datasets import coco
from osmn_recurrent.errors import InputError

SQUARE = [[10, 5, 30, 5, 30, 25, 10, 25]]


def annotation(number, **given):
    return {
        "id": number,
        "image_id": 7,
        "category_id": 1,
        "iscrowd": 0,
        "area": 400.0,
        "bbox": [10, 5, 20, 20],
        "segmentation": SQUARE,
        **given,
    }


def write_coco(folder, annotations, pictures=(7,)):
    """A split "tiny" of 60x40 grey pictures; `annotations` as in the file."""
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "tiny").mkdir(exist_ok=True)
    for number in pictures:
        Image.new("L", (60, 40), number).save(folder / "tiny" / f"{number:012d}.jpg")
    images = [
        {"id": n, "file_name": f"{n:012d}.jpg", "height": 40, "width": 60}
        for n in (7, 9)
    ]
    content = {"images": images, "annotations": annotations, "categories": []}
    path = folder / "annotations" / "instances_tiny.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(("split", "count"), [("train2017", 952), ("val2017", 147)])
def test_masks_are_those_of_pycocotools(split, count, test_data, tmp_path):
    from pycocotools.coco import COCO

    folder = test_data / "data" / "coco_mini"
    objects = coco.CocoObjects(folder, split, tmp_path)
    assert len(objects) == count
    assert objects.covers.min() > 0.03
    official = COCO(folder / "annotations" / f"instances_{split}.json")
    for number in range(0, count, 23):
        each = official.anns[int(objects.annotation_ids[number])]
        picture, mask = objects.image(number)
        np.testing.assert_array_equal(mask, official.annToMask(each))
        name = official.imgs[each["image_id"]]["file_name"]
        assert objects.name(number) == str(folder / split / name)
        with Image.open(folder / split / name) as image:
            np.testing.assert_array_equal(picture, np.array(image.convert("RGB")))
    every = [
        each["id"]
        for each in official.anns.values()
        if not each["iscrowd"]
        and each["area"]
        > 0.03
        * official.imgs[each["image_id"]]["height"]
        * official.imgs[each["image_id"]]["width"]
    ]
    assert sorted(every) == sorted(objects.annotation_ids.tolist())


def test_crowds_and_small_objects_are_left_out_and_run_lengths_read(tmp_path):
    mask = np.zeros((40, 60), np.uint8, order="F")
    mask[3:30, 4:9] = 1
    packed = run_lengths.encode(mask)
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    text = {"size": [40, 60], "counts": packed["counts"].decode()}
    plain = {"size": [40, 60], "counts": counts}
    write_coco(
        tmp_path,
        [
            annotation(1),
            annotation(2, iscrowd=1),
            annotation(3, area=72.0),
            annotation(4, area=72.01, segmentation=text),
            annotation(5, segmentation=plain),
        ],
    )
    objects = coco.CocoObjects(tmp_path, "tiny")
    assert objects.annotation_ids.tolist() == [1, 4, 5]
    assert objects.image(0)[1].sum() == 400
    np.testing.assert_array_equal(objects.image(1)[1], mask)
    np.testing.assert_array_equal(objects.image(2)[1], mask)
    assert objects.describe() == "tiny: 3 objects over 3.0% in 1 of 2 pictures"


def test_the_index_is_read_again_until_the_annotations_change(tmp_path, monkeypatch):
    write_coco(tmp_path, [annotation(1)])
    first = coco.CocoObjects(tmp_path, "tiny")
    made = []
    real = coco._make_index
    monkeypatch.setattr(
        coco, "_make_index", lambda *args: made.append(args) or real(*args)
    )
    again = coco.CocoObjects(tmp_path, "tiny")
    assert not made
    np.testing.assert_array_equal(first.image(0)[1], again.image(0)[1])
    # The same size, another content.
    write_coco(tmp_path, [annotation(2)])
    assert coco.CocoObjects(tmp_path, "tiny").annotation_ids.tolist() == [2]
    assert len(made) == 1
    coco.CocoObjects(tmp_path, "tiny", min_cover=0.1)
    assert len(made) == 2


def test_the_papers_count_is_compared(tmp_path):
    write_coco(tmp_path, [annotation(1)])
    shutil.move(
        tmp_path / "annotations" / "instances_tiny.json",
        tmp_path / "annotations" / "instances_train2017.json",
    )
    shutil.move(tmp_path / "tiny", tmp_path / "train2017")
    objects = coco.CocoObjects(tmp_path)
    assert objects.expected is None
    objects.pictures = 118_287
    assert objects.expected == 217_516
    assert objects.describe().endswith(
        "OSMN's paper has 217,516: not the official file?"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"segmentation": []}, "1 of 2 objects have no segmentation .* annotation 2"),
        ({"segmentation": None}, "1 of 2 objects have no segmentation"),
        ({"segmentation": [[1, 2, 3, 4]]}, "1 of 2 objects have no segmentation"),
        ({"image_id": 8}, "1 annotations, the first is 2, belong to no picture"),
        ({"area": "much"}, "is not COCO's instances file"),
        ({"image_id": 9}, r"1 of 2 pictures .* missing, the first is .*0009.jpg"),
    ],
)
def test_bad_annotations_are_refused(given, message, tmp_path):
    write_coco(tmp_path, [annotation(1), annotation(2, **given)])
    with pytest.raises(InputError, match=message):
        coco.CocoObjects(tmp_path, "tiny")


def test_an_empty_or_absent_split_is_refused(tmp_path):
    with pytest.raises(InputError, match="instances_train2017.json: no such file"):
        coco.CocoObjects(tmp_path)
    write_coco(tmp_path, [])
    with pytest.raises(InputError, match="no non-crowd object over 3.0%"):
        coco.CocoObjects(tmp_path, "tiny")


def test_a_broken_index_is_named(tmp_path):
    path = write_coco(tmp_path, [annotation(1)])
    coco.CocoObjects(tmp_path, "tiny")
    index = path.with_name("instances_tiny.objects.npz")
    index.write_bytes(index.read_bytes()[:100])
    with pytest.raises(InputError, match="is no index of training data"):
        coco.CocoObjects(tmp_path, "tiny")


def test_a_picture_of_another_size_is_named(tmp_path):
    write_coco(tmp_path, [annotation(1)])
    objects = coco.CocoObjects(tmp_path, "tiny")
    Image.new("RGB", (30, 20)).save(objects.sources[0])
    with pytest.raises(InputError, match="is 30x20, but .* say 60x40"):
        objects.image(0)
