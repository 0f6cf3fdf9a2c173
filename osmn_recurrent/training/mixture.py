"""Samples drawn from several sources, such as clips and pseudo-clips."""

import collections

import numpy as np


class Mixture:
    """An endless, repeatable sequence of samples from several sources.

    Every sample's source is drawn on its own, so that batches are mixed.

    Args:
        sources: list of `Samples` that share settings, batch size and seed,
            so that a batch has one scale.
        shares: how often each one is drawn; they add up to 1.

    Raises:
        ValueError: sources that do not fit together, or wrong shares.
    """

    def __init__(self, sources, shares):
        self.sources, self.shares = list(sources), np.asarray(shares, np.float64)
        first = self.sources[0]
        self.settings, self.seed = first.settings, first.seed
        for other in self.sources:
            for name in ("settings", "seed", "batch_size", "guide"):
                if getattr(other, name) != getattr(first, name):
                    raise ValueError(f"the sources of a mixture differ in {name}.")
        if len(shares) != len(self.sources) or not np.isclose(self.shares.sum(), 1.0):
            raise ValueError(
                f"one share per source, 1 in all, is needed. Received: {shares}"
            )

    def __len__(self):
        return sum(len(source) for source in self.sources)

    @property
    def skipped(self):
        """`{message: samples}`, see `Samples.skipped`."""
        return sum((s.skipped for s in self.sources), collections.Counter())

    def source_of(self, number):
        """The source that sample `number` comes from."""
        rng = np.random.default_rng((self.seed, 3, number))
        return self.sources[rng.choice(len(self.sources), p=self.shares)]

    def sample(self, number):
        """Sample `number`, see `Samples.sample`."""
        return self.source_of(number).sample(number)

    def describe(self, number):
        """In words, what sample `number` is made from."""
        return self.source_of(number).describe(number)

    def digest(self):
        """Of the sources' files, see `ClipSamples.digest`."""
        return " ".join(source.digest() for source in self.sources).strip()

    def names(self):
        """The sources' names, with their shares."""
        return [
            f"{share:g} of {name}"
            for source, share in zip(self.sources, self.shares, strict=True)
            for name in source.names()
        ]
