"""Lost objects are counted as a person would."""

import numpy as np

from experiments import lost_objects


def test_kinds_of_loss():
    true = np.zeros((10, 20), bool)
    true[:5, :10] = True
    nowhere = np.zeros_like(true)
    elsewhere, spilt, half = nowhere.copy(), np.ones_like(true), true.copy()
    elsewhere[6:, 12:] = True
    spilt[:, :2] = False  # 40 of 160: J is 40 / 170
    spilt[:3] = False  # 16 of the object's 50, of 126 pixels: 16 / 160
    half[:, :5] = False
    found = [true, nowhere, half, elsewhere, spilt, true, elsewhere]
    shown = [true] * 6 + [nowhere]  # a frame without the object does not count
    assert lost_objects.count(shown, found) == lost_objects.Counts(
        frames=6, lost=3, empty=1, elsewhere=1, spilt=1, found_again=2
    )
