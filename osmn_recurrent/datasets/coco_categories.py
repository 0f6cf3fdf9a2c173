"""Objects of COCO by category, as OSMN's Figs. 5 and 6 take them.

<data_dir>/val2017/000000000139.jpg
<data_dir>/annotations/instances_val2017.json
"""

import pathlib

from osmn_recurrent import names
from osmn_recurrent.datasets.coco import MIN_COVER, object_mask, read_picture
from osmn_recurrent.datasets.coco_annotations import (
    PictureFolder,
    code_of,
    read_annotations,
)
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
    """Objects of some categories, in the order of their annotations' ids.

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
        InputError: no annotation file or one that cannot be used, a picture
            that is missing or of another size, or no such object.
    """
    data_dir = pathlib.Path(data_dir)
    names.single(split, "the flag for a split")
    path = data_dir / "annotations" / f"instances_{split}.json"
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; expected COCO's layout, annotations/ and {split}/."
        )
    pictures, objects, known = read_annotations(path)
    folder, found = PictureFolder(data_dir, split), 0
    numbers = {name: number for number, name in known.items()}
    for category in categories:
        for each in _large(objects, pictures, numbers.get(category))[:most]:
            picture = pictures[each.picture]
            place, _ = folder.place(picture.name, path)
            code = code_of(each, picture, path)
            if not code:
                raise InputError(
                    f"{path}: annotation {each.id} has no segmentation; add it, or "
                    "leave the annotation out."
                )
            image = read_picture(place, picture.size)
            yield image, object_mask(code, picture.size), category
            found += 1
    if not found:
        raise InputError(
            f"{path} has no object of {', '.join(categories)} over {MIN_COVER:.0%} of "
            "its picture; name another split."
        )


def _large(objects, pictures, category):
    """A category's annotations that are large enough, by id."""
    found = [
        each
        for each in objects
        if category is not None and each.category == category and not each.crowd
    ]
    found.sort(key=lambda each: (isinstance(each.id, str), each.id))
    return [
        each
        for each in found
        if each.area
        > MIN_COVER * pictures[each.picture].size[0] * pictures[each.picture].size[1]
    ]
