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


def coded(counts, size=(40, 60)):
    """Run lengths as an annotation has them."""
    return {"size": size, "counts": counts}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"segmentation": []}, "1 of 2 objects have no segmentation .* annotation 2"),
        ({"segmentation": None}, "1 of 2 objects have no segmentation"),
        ({"segmentation": [[1, 2, 3, 4]]}, "1 of 2 objects have no segmentation"),
        ({"image_id": 8}, "1 annotations, the first is 2, belong to no picture"),
        ({"area": "much"}, "annotation 2 has the area 'much'"),
        ({"area": None}, "annotation 2 has the area None"),
        ({"area": float("nan")}, "annotation 2 has the area nan"),
        ({"area": float("inf")}, "annotation 2 has the area inf"),
        ({"area": -4}, "annotation 2 has the area -4"),
        ({"id": None}, "is not COCO's instances file"),
        ({"id": 10**400}, "is not COCO's instances file"),
        ({"image_id": True}, "is not COCO's instances file"),
        ({"segmentation": "text"}, "annotation 2 of .*0007.jpg .*neither a list"),
        (
            {"segmentation": [[1, 2, None, 4, 5, 6]]},
            "annotation 2 .* corner is not finite",
        ),
        ({"segmentation": [[1, 2, "x", 4, 5, 6]]}, "annotation 2 of picture"),
        ({"segmentation": [[1, 2, [3], 4, 5, 6]]}, "annotation 2 of picture"),
        ({"segmentation": [[[1, 2], [3, 4], [5, 6]]]}, "annotation 2 .* x, y, x, y"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "annotation 2 .* x, y, x, y"),
        (
            {"segmentation": [[1, 2, float("nan"), 4, 5, 6]]},
            "annotation 2 .*not finite",
        ),
        (
            {"segmentation": [[1, 2, float("inf"), 4, 5, 6]]},
            "annotation 2 .*not finite",
        ),
        ({"segmentation": [[1, 2, 1e9, 4, 5, 6]]}, "annotation 2 .*corner at 1e.09"),
        ({"segmentation": [[1, 2, 3, -1e5, 5, 6]]}, "annotation 2 .*corner at -1"),
        ({"segmentation": [[1, 2, 3, 10**400, 5, 6]]}, "annotation 2 of picture"),
        ({"segmentation": {"size": [40, 60]}}, "annotation 2 .*no 'counts'"),
        ({"segmentation": coded([1000, 1399])}, "annotation 2 .*cover 2399 pixels"),
        ({"segmentation": coded([1000, 1401])}, "annotation 2 .*cover 2401 pixels"),
        ({"segmentation": coded([])}, "annotation 2 .*cover 0 pixels"),
        ({"segmentation": coded([-100, 2500])}, "annotation 2 .*negative run length"),
        ({"segmentation": coded([0.5, 2399.5])}, "annotation 2 .*no whole numbers"),
        ({"segmentation": coded([None, 2400])}, "annotation 2 .*no whole numbers"),
        ({"segmentation": coded([float("inf")])}, "annotation 2 .*cover inf"),
        ({"segmentation": coded([1e300, 4])}, "annotation 2 of picture"),
        ({"segmentation": coded(7)}, "annotation 2 .*neither a list nor text"),
        ({"segmentation": coded([2400], [60, 40])}, "annotation 2 .*of 40x60 pixels"),
        ({"segmentation": coded([2400], None)}, "annotation 2 of picture"),
        ({"segmentation": coded("0")}, "annotation 2 .*cover 0 pixels"),
        ({"segmentation": coded("oooooooooo")}, "annotation 2 .*are damaged"),
        ({"segmentation": coded("\u00e9")}, "annotation 2 of picture"),
        ({"segmentation": coded("!!")}, "annotation 2 .*are damaged"),
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"id": 7, "file_name": "other.jpg"},
            "two pictures have the id 7, 0",
        ),
        ({"id": "7"}, "two pictures have the id 7"),
        ({"id": 7.0}, "two pictures have the id 7"),
        ({"file_name": "../../x.jpg"}, "names '../../x.jpg', which leads out of"),
        ({"file_name": "..\\x.jpg"}, "leads out of its folder"),
        ({"file_name": "/etc/passwd"}, "begins at the root of a disk"),
        ({"file_name": None}, "which is no text"),
        ({"height": None}, "the height None, expected a number of pixels"),
        ({"width": float("inf")}, "the width inf, expected"),
        ({"width": 0}, "the width 0, expected"),
        ({"width": 10**6, "height": 10**6}, "is 1000000x1000000, more than"),
    ],
)
def test_bad_pictures_are_refused(change, message, tmp_path):
    path = write_coco(tmp_path, [annotation(1)])
    content = json.loads(path.read_text())
    content["images"][1] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        coco.CocoObjects(tmp_path, "tiny")


def test_a_picture_listed_twice_counts_once(tmp_path):
    path = write_coco(tmp_path, [annotation(1)])
    content = json.loads(path.read_text())
    content["images"] += content["images"]
    path.write_text(json.dumps(content))
    assert coco.CocoObjects(tmp_path, "tiny").pictures == 2


@pytest.mark.parametrize("kind", ["number", "text", "name"])
def test_ids_may_be_text(tmp_path, kind):
    spell = {"number": int, "text": str, "name": "p{}".format}[kind]
    path = write_coco(tmp_path, [], pictures=(7, 9))
    content = json.loads(path.read_text())
    for each in content["images"]:
        each["id"] = spell(each["id"])
    number = {"number": 3, "text": "3", "name": "a3"}[kind]
    content["annotations"] = [
        annotation(number, image_id=spell(9)),
        annotation("04" if kind == "text" else 4, image_id=spell(7)),
    ]
    path.write_bytes(json.dumps(content).encode("utf-8-sig"))
    objects = coco.CocoObjects(tmp_path, "tiny")
    expected = {"number": [4, 3], "text": [4, 3], "name": [2, 1]}[kind]
    assert objects.annotation_ids.tolist() == expected
    assert objects.name(0).endswith("000000000007.jpg")
    assert objects.image(0)[1].sum() == 400


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("tiny/{}", "tiny"),
        ("tiny\\{}", "tiny"),
        ("part/{}", "tiny/part"),
        ("part\\deep/{}", "tiny/part/deep"),
        ("elsewhere/{}", "elsewhere"),
    ],
)
def test_file_names_with_folders(tmp_path, name, place):
    path = write_coco(tmp_path, [annotation(1)])
    content = json.loads(path.read_text())
    file = content["images"][0]["file_name"]
    content["images"][0]["file_name"] = name.format(file)
    path.write_text(json.dumps(content))
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / "tiny" / file).rename(tmp_path / place / file)
    objects = coco.CocoObjects(tmp_path, "tiny")
    assert objects.sources == (tmp_path / place / file,)
    assert objects.image(0)[0].shape == (40, 60, 3)


def test_file_names_of_another_case(tmp_path):
    path = write_coco(tmp_path, [annotation(1)])
    content = json.loads(path.read_text())
    file = content["images"][0]["file_name"]
    content["images"][0]["file_name"] = file.upper()
    path.write_text(json.dumps(content))
    objects = coco.CocoObjects(tmp_path, "tiny")
    assert objects.sources == (tmp_path / "tiny" / file,)
    # Two that differ in their case alone: which one is meant is not clear.
    (tmp_path / "tiny" / file).rename(tmp_path / "tiny" / file.replace("jpg", "Jpg"))
    shutil.copy(objects.sources[0].with_suffix(".Jpg"), tmp_path / "tiny" / file)
    with pytest.raises(InputError, match="are missing, .* or correct their file_name"):
        coco.CocoObjects(tmp_path, "tiny")


def test_run_lengths_of_any_mask_are_understood():
    from osmn_recurrent.datasets import coco_annotations
    from osmn_recurrent.media.run_lengths import decompressed

    rng = np.random.default_rng(0)
    for share in (0.0, 0.02, 0.5, 0.98, 1.0):
        for size in ((1, 1), (40, 60), (300, 7)):
            mask = np.asfortranarray(rng.uniform(size=size) < share, np.uint8)
            packed = run_lengths.encode(mask)["counts"]
            counts = decompressed(packed)
            values = np.arange(len(counts)) % 2
            assert (np.repeat(values, counts) == mask.ravel(order="F")).all()
            for given in (packed.decode(), counts.tolist()):
                one = coco_annotations.Annotation(
                    1, 1, 1, 9.0, False, {"size": size, "counts": given}
                )
                picture = coco_annotations.Picture("a.jpg", size)
                code = coco_annotations.code_of(one, picture, "a.json")
                assert (coco.object_mask(code, size) == mask).all()
