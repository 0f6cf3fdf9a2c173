"""Several sets of images as one."""

import bisect
import itertools

import numpy as np


class JoinedImages:
    """The objects of several sets, one set after the other.

    Args:
        sources: objects with `__len__`, `name(number)`, `image(number)` and maybe
            `others(number)`, such as `CocoObjects` and `ImageFolder`.
    """

    def __init__(self, sources):
        self.sources = list(sources)
        self._ends = list(itertools.accumulate(len(each) for each in self.sources))

    def __len__(self):
        return self._ends[-1] if self._ends else 0

    def _find(self, number):
        index = bisect.bisect_right(self._ends, number)
        return self.sources[index], number - (self._ends[index - 1] if index else 0)

    def name(self, number):
        """Name of image `number`."""
        source, own = self._find(number)
        return source.name(own)

    def image(self, number):
        """`(picture, mask)` of image `number`."""
        source, own = self._find(number)
        return source.image(own)

    def others(self, number):
        """(H, W) uint8 of 0 and 1: the picture's other objects, where known."""
        source, own = self._find(number)
        if hasattr(source, "others"):
            return source.others(own)
        return np.zeros_like(source.image(own)[1])
