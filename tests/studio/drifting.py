"""A stand-in for networks."""

import time

import numpy as np


class Drifting:
    """Moves masks by a way that each object carries: a network without its cost.

    Has the interface of a `VideoSegmenter` of a recurrent network, in NumPy, apart
    from masks that come with a step.

    Args:
        seconds: that a step takes.
    """

    working_size = None

    def __init__(self, seconds=0.0):
        self._seconds = seconds

    def start(self, frame, mask=None):
        self._ids, self._state = np.zeros(frame.shape[:2], np.uint8), {}
        return self._ids if mask is None else self.correct(frame, mask)

    @property
    def objects(self):
        return tuple(sorted(self._state))

    def settings(self):
        return {"model": "Drifting"}

    def step(self, frame, mask=None):
        time.sleep(self._seconds)
        ids = np.zeros_like(self._ids)
        for object_id, (age, seen) in self._state.items():
            self._state = {**self._state, object_id: (age + 1, seen)}
            way = (age % 3, (seen + int(frame[0, 0, 0])) % 3 - 1)
            ids[np.roll(self._ids == object_id, way, (0, 1))] = object_id
        self._ids = ids
        return ids

    def replay(self, frame, ids, mask=None):
        self.step(frame)
        self._ids = ids

    def correct(self, frame, mask):
        ids = self._ids.copy()
        for object_id in set(np.unique(mask).tolist()) - {0}:
            age = self._state.get(object_id, (0, 0))[0]
            seen = int(frame[mask == object_id].sum())
            self._state = {**self._state, object_id: (age, seen)}
            ids[ids == object_id] = 0
        ids[mask > 0] = mask[mask > 0]
        self._ids = ids
        return ids

    def drop(self, object_id):
        self._state = {i: v for i, v in self._state.items() if i != object_id}
        self._ids = np.where(self._ids == object_id, 0, self._ids).astype(np.uint8)
