"""`prepared_coco`: COCO's pictures with the masks of their training objects."""

import pathlib
import tempfile

import numpy as np
import tensorflow_datasets as tfds

from osmn_recurrent.datasets.coco import CocoObjects, object_mask, read_picture
from osmn_recurrent.datasets.tfds_builders.generation import FolderBuilder
from osmn_recurrent.errors import InputError


class PreparedCoco(FolderBuilder):
    """One example per picture that has objects; see `CocoObjects`.

    Every split with an annotation file in the folder becomes a split. JPEGs
    are stored as they are; each object's mask is a PNG of 0 and 1.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The folder with COCO's annotations/instances_<split>.json and <split>/*.jpg."
    )

    def _info(self):
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(
                    shape=(None, None, 3), encoding_format="jpeg"
                ),
                "file_name": tfds.features.Text(),
                "number": np.int64,
                "objects": tfds.features.Sequence(
                    {
                        "annotation_id": np.int64,
                        "cover": np.float64,
                        "mask": tfds.features.Image(
                            shape=(None, None, 1), encoding_format="png"
                        ),
                    }
                ),
            }
        )
        return self.dataset_info_from_configs(
            features=features,
            description="COCO objects over 3% of their picture, as OSMN trains on.",
        )

    def _split_generators(self, dl_manager):
        folder = pathlib.Path(dl_manager.manual_dir)
        found = sorted((folder / "annotations").glob("instances_*.json"))
        if not found:
            raise InputError(
                f"{folder / 'annotations'} has no instances_<split>.json; name the "
                "folder of COCO."
            )
        splits = [path.stem.removeprefix("instances_") for path in found]
        return {
            split: self._generate_examples(_example, _pictures(folder, split))
            for split in splits
        }


def _pictures(folder, split):
    """`[(number, (path, size, objects))]`, see `CocoObjects.by_picture`."""
    with tempfile.TemporaryDirectory() as cache:
        return list(enumerate(CocoObjects(folder, split, cache).by_picture()))


def _example(numbered):
    number, (path, size, objects) = numbered
    read_picture(path, size)  # refuses now what training could not read
    return f"{number:09d}", {
        "image": str(path),
        "file_name": path.name,
        "number": number,
        "objects": [
            {
                "annotation_id": annotation,
                "cover": cover,
                "mask": np.ascontiguousarray(object_mask(code, size))[..., None],
            }
            for annotation, cover, code in objects
        ],
    }
