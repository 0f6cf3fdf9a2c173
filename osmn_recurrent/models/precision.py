"""The types that layers compute in, by the names that users give."""

PRECISIONS = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}
"""Keras policy of each name. Variables are float32 in all of them."""


def precision_of(model):
    """The name of the precision of a built `SegmentationModel`."""
    names = {policy: name for name, policy in PRECISIONS.items()}
    return names[model.dtype_policy.name]
