"""YouTube-Objects' average over categories.

Figures are per video, averaged over videos (as in the OSMN release) or per
category first (as in other papers).
"""

import numpy as np

from osmn_recurrent.metrics.statistics import summarise


def by_category(scores, categories):
    """Averages videos within each category.

    Args:
        scores: `{video name: {object id: ObjectScores}}`. Videos of which
            no frame counts are left out.
        categories: `{video name: category}`.

    Returns:
        `(table, mean)`: `{category: figures}` with the seven official
        figures each, sorted by category, and the figures' mean over
        categories.
    """
    groups = {}
    for name, objects in scores.items():
        found = [each for each in objects.values() if len(each)]
        groups.setdefault(categories[name], []).extend(found)
    table = {name: summarise(groups[name]) for name in sorted(groups) if groups[name]}
    mean = {
        figure: float(np.mean([row[figure] for row in table.values()]))
        for figure in summarise([])
        if table
    }
    return table, mean
