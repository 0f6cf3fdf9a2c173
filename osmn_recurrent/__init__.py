"""Semi-supervised video object segmentation with OSMN and ReConvNet.

The public names are loaded when they are first used, so that importing this
package is quick and does not load TensorFlow.
"""

import importlib

__version__ = "0.1.0"

_MODULES = {
    "BalancedCrossEntropy": "losses",
    "InputError": "errors",
    "InputNote": "errors",
    "LovaszHinge": "losses",
    "MaskTrack": "models.building",
    "OSMN": "models.building",
    "OSVOS": "models.building",
    "ReConvNet": "models.building",
    "RegionSimilarity": "metrics.keras_metrics",
    "SampleBatches": "training.sample_batches",
    "SegmentationModel": "models.building",
    "TrainSettings": "training.settings",
    "VideoSegmenter": "inference.segmenter",
    "balanced_cross_entropy": "losses",
    "build_model": "models.building",
    "contour_accuracy": "metrics.boundary",
    "example_clip": "datasets.video_files",
    "finetune_online": "training.online",
    "load_model": "models.building",
    "lovasz_hinge": "losses",
    "mask_guide": "guides",
    "network_image": "guides",
    "presets": "models.presets",
    "open_clip": "datasets.video_files",
    "read_mask": "media.mask_files",
    "region_similarity": "metrics.region",
    "segment_clip": "inference.output",
    "spatial_guide": "guides",
    "train": "training.trainer",
    "visual_guide": "guides",
    "write_mask": "media.mask_files",
}

__all__ = sorted(["__version__", *_MODULES])


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    return getattr(module, name)


def __dir__():
    return __all__
