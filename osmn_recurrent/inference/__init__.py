"""From frames and a first mask to masks of every frame."""
