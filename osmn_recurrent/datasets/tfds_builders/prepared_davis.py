"""`prepared_davis`: the clips of a folder in DAVIS layout, with label maps."""

import dataclasses
import pathlib

import numpy as np
import tensorflow_datasets as tfds

from osmn_recurrent.datasets.davis import davis_clips
from osmn_recurrent.datasets.tfds_builders.generation import FolderBuilder
from osmn_recurrent.errors import InputError


@dataclasses.dataclass
class DavisFolderConfig(tfds.core.BuilderConfig):
    """Which part of a DAVIS folder is prepared.

    Attributes:
        year: 2016 or 2017, a folder of ImageSets.
        resolution: folder under JPEGImages and Annotations.
    """

    year: int = 2017
    resolution: str = "480p"


def _config(year, resolution):
    name = f"{year}_{resolution}".lower().replace("-", "_")
    return DavisFolderConfig(name=name, year=int(year), resolution=resolution)


class PreparedDavis(FolderBuilder):
    """One example per clip, in the layout of TFDS' own `davis` and more.

    Every list of sequences of the year becomes a split. Frames are stored as
    they are; masks as PNGs whose grey values are the object ids (2016: 1),
    only those that exist: `mask_frames` names their frames.
    """

    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "The folder with DAVIS' JPEGImages, Annotations and ImageSets."
    )
    BUILDER_CONFIGS = [  # noqa: RUF012 - tfds reads it from the class
        _config(year, resolution)
        for year, resolution in (
            (2017, "480p"),
            (2016, "480p"),
            (2017, "Full-Resolution"),
        )
    ]

    def _info(self):
        features = tfds.features.FeaturesDict(
            {
                "video": {
                    "frames": tfds.features.Sequence(
                        tfds.features.Image(
                            shape=(None, None, 3), encoding_format="jpeg"
                        )
                    ),
                    "segmentations": tfds.features.Sequence(
                        tfds.features.Image(
                            shape=(None, None, 1),
                            encoding_format="png",
                            use_colormap=True,
                        )
                    ),
                },
                "metadata": {
                    "num_frames": np.int64,
                    "video_name": tfds.features.Text(),
                    "number": np.int64,
                    "frame_names": tfds.features.Sequence(tfds.features.Text()),
                    "mask_frames": tfds.features.Sequence(np.int64),
                },
            }
        )
        return self.dataset_info_from_configs(
            features=features,
            description="Clips in DAVIS layout, frames and object ids.",
        )

    def _split_generators(self, dl_manager):
        folder = pathlib.Path(dl_manager.manual_dir)
        year, resolution = self.builder_config.year, self.builder_config.resolution
        lists = sorted((folder / "ImageSets" / str(year)).glob("*.txt"))
        if not lists:
            raise InputError(
                f"{folder / 'ImageSets' / str(year)} has no list of sequences; name "
                "the folder of DAVIS and a year that is there."
            )
        return {
            path.stem.replace("-", "_"): self._generate_examples(
                _example,
                list(enumerate(davis_clips(folder, year, path.stem, resolution))),
            )
            for path in lists
        }


def davis_folder_config(year, resolution):
    """The configuration of a year and a folder of pictures, any such."""
    config = _config(year, resolution)
    return PreparedDavis.builder_configs.get(config.name, config)


def _example(numbered):
    number, clip = numbered
    clip.check()
    for frame in clip.frames():  # refuses now what training could not read
        del frame
    times = sorted(clip.mask_paths)
    return clip.name, {
        "video": {
            "frames": [str(path) for path in clip.frame_paths],
            "segmentations": [clip.mask(t)[..., None] for t in times],
        },
        "metadata": {
            "num_frames": len(clip),
            "video_name": clip.name,
            "number": number,
            "frame_names": list(clip.frame_names),
            "mask_frames": times,
        },
    }
