"""Points in the plane whose distances are nearly those of long vectors."""

import numpy as np


def classical_scaling(vectors, dimensions=2):
    """Classical multi-dimensional scaling (Torgerson, 1952).

    The squared Euclidean distances, doubly centred, are inner products; their
    leading eigenvectors, times the roots of their eigenvalues, are the
    points whose distances are closest to the given ones in this sense.

    Args:
        vectors: (N, P) float.
        dimensions: D of the result.

    Returns:
        `(points, kept)`: (N, D) float64, centred, signs so that each
        dimension's largest value is positive; and the share of the
        (positive) eigenvalues that the D dimensions have.
    """
    vectors = np.asarray(vectors, np.float64)
    centred = vectors - vectors.mean(0)
    # The doubly centred squared distances, without the distances.
    values, directions = np.linalg.eigh(centred @ centred.T)
    values = np.clip(values[::-1], 0, None)
    points = directions[:, ::-1][:, :dimensions] * np.sqrt(values[:dimensions])
    largest = points[np.abs(points).argmax(0), np.arange(points.shape[1])]
    points = points * np.where(largest < 0, -1, 1)
    total = values.sum()
    return points, float(values[:dimensions].sum() / total) if total else 1.0
