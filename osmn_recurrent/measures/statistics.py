"""Mean, recall and decay of a measure over a video."""

import numpy as np

RECALL_THRESHOLD = 0.5


def mean_recall_decay(values):
    """The three statistics that DAVIS reports of J and of F.

    Args:
        values: (T,) measure per scored frame.

    Returns:
        `(mean, recall, decay)`: recall is the share of frames above 0.5;
        decay the mean of the first quarter minus that of the last, the
        quarters ending at round(linspace(1, T, 5)) with both ends included.
        All NaN for no frames.
    """
    values = np.asarray(values, np.float64)
    if values.size == 0:
        return float("nan"), float("nan"), float("nan")
    # The small number makes halves round up, as in the official evaluator.
    edges = np.round(np.linspace(1, values.size, 5) + 1e-10).astype(int) - 1
    first = values[edges[0] : edges[1] + 1]
    last = values[edges[3] : edges[4] + 1]
    return (
        float(values.mean()),
        float((values > RECALL_THRESHOLD).mean()),
        float(first.mean() - last.mean()),
    )
