"""Networks as Keras 3 models: any backend, no TensorFlow calls."""

CLASSES = {
    "osmn": "OSMN",
    "reconvnet": "ReConvNet",
    "osvos": "OSVOS",
    "osvos_m": "OSVOSM",
    "masktrack": "MaskTrack",
    "masktrack_m": "MaskTrackM",
}
"""Class of each network by its name."""

NAMES = tuple(CLASSES)
"""Names of the networks, here so that programs can list them without Keras."""
