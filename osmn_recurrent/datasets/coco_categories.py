"""Objects of COCO by category, as OSMN's Figs. 5 and 6 take them.

<data_dir>/val2017/000000000139.jpg
<data_dir>/annotations/instances_val2017.json
"""

import contextlib
import io
import pathlib

from pycocotools.coco import COCO

from osmn_recurrent.datasets.clips import read_frame
from osmn_recurrent.datasets.coco import MIN_COVER
from osmn_recurrent.errors import InputError

FIGURE_5 = (
    "bicycle",
    "motorcycle",
    "car",
    "bus",
    "truck",
    "dog",
    "cat",
    "horse",
    "cow",
    "person",
)
"""Categories of OSMN's Fig. 5."""


def category_objects(data_dir, split="val2017", categories=FIGURE_5, most=10):
    """Objects of some categories, in the order of their annotations.

    Args:
        data_dir: the folder that holds annotations and pictures.
        split: the annotation file's and the picture folder's name.
        categories: names of COCO categories.
        most: objects per category; fewer where there are not so many that
            cover more than `MIN_COVER` and are no crowd.

    Yields:
        `(picture, mask, category)`: (H, W, 3) uint8 RGB, (H, W) uint8 0 and
        1, and the category's name.

    Raises:
        InputError: no annotation file, a picture that is missing, or no such
            object.
    """
    data_dir = pathlib.Path(data_dir)
    path = data_dir / "annotations" / f"instances_{split}.json"
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; expected COCO's layout, annotations/ and {split}/."
        )
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it reports its progress
            coco = COCO(str(path))
        known = {each["name"]: each["id"] for each in coco.cats.values()}
    except (ValueError, KeyError, TypeError, AssertionError) as error:
        raise InputError(f"{path} is no annotation file of COCO ({error!r}).") from None
    found = 0
    for category in categories:
        for number in _numbers(coco, known.get(category), most):
            object_ = coco.anns[number]
            image = coco.imgs[object_["image_id"]]
            picture = read_frame(data_dir / split / image["file_name"])
            yield picture, coco.annToMask(object_), category
            found += 1
    if not found:
        raise InputError(
            f"{path} has no object of {', '.join(categories)} over {MIN_COVER:.0%} of "
            "its picture; name another split."
        )


def _numbers(coco, category, most):
    """Annotation ids of a category's first objects that are large enough."""
    if category is None:
        return []
    objects = [each for each in coco.anns.values() if each["category_id"] == category]
    large = []
    for each in sorted(objects, key=lambda x: x["id"]):
        image = coco.imgs[each["image_id"]]
        cover = each["area"] / (image["width"] * image["height"])
        if cover > MIN_COVER and not each["iscrowd"]:
            large.append(each["id"])
    return large[:most]
