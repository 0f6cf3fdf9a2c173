"""Everything that changes weights."""

TARGETS = ("any", "visible")
"""Which frames follow the first of a sample, the default first; see
`SampleSettings.targets`. Here so that programs can list them without TensorFlow."""

GUIDE_FRAMES = ("drawn", "kept", "first")
"""Where visual guides come from, the default first; see `SampleSettings`."""
