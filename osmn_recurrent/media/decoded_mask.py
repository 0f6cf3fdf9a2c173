"""A mask file as it was decoded, before its objects have got their ids."""

import dataclasses

import numpy as np

VOID_LABEL = 255
"""Label of pixels that belong to nobody."""


@dataclasses.dataclass(frozen=True)
class DecodedMask:
    """What one mask file shows.

    Attributes:
        labels: (H, W) uint8. With `keys` None these are object ids, 0 the
            background and 255 void. Else label k is the object `keys[k - 1]`.
        keys: what tells objects apart, such as `("colour", (255, 0, 0))`; the same
            key is the same object in all files that belong together. None where
            the file states ids.
        numbered: whether the file says which object it shows; False for one that
            says only where it is (0 and 255, a transparent background).
        palette: 768 ints, R, G, B of ids 0 to 255, or None.
        notes: what was made of the file where it is not what it seems, as
            `(kind, clause)` with the file as subject: `("soft", "has ...")`.
    """

    labels: np.ndarray
    keys: tuple | None = None
    numbered: bool = True
    palette: tuple | None = None
    notes: tuple = ()

    def noted(self, kind, clause):
        """A copy with one more note."""
        return dataclasses.replace(self, notes=(*self.notes, (kind, clause)))


def one_object(where, key=("level", 255)):
    """A mask that says only where its object is.

    Args:
        where: (H, W), non-zero pixels are the object.
        key: what it is told by among files with several objects.
    """
    return DecodedMask(np.asarray(where, bool).astype(np.uint8), (key,), numbered=False)
