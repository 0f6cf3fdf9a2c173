"""From frames and a first mask to masks of every frame."""

GUIDES_FROM = ("merged", "own")
"""Masks that the next guides can be made from, the default first; see
`VideoSegmenter`. Here so that programs can list them without TensorFlow."""

ENLARGE = ("probabilities", "labels")
"""What is brought to the frame's size, the default first; see `VideoSegmenter`."""
