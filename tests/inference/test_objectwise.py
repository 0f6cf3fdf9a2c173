"""One network per object."""

import numpy as np
import pytest
from reenactment import assert_decided, reenact

from osmn_recurrent.errors import InputError
from osmn_recurrent.inference.objectwise import ObjectwiseSegmenter
from osmn_recurrent.models import building


@pytest.mark.parametrize("name", ["osmn", "reconvnet"])
def test_one_network_for_all_is_the_video_segmenter(network, segmenters, scene, name):
    frames, ids = scene
    model, plain = network(name), segmenters(name)
    segmenter = ObjectwiseSegmenter(dict.fromkeys((1, 5, 200), model))
    later = {2: np.where(ids[2] == 5, 5, 0)}
    first = np.where(ids[0] == 5, 0, ids[0])
    found = list(segmenter.segment(frames[:3], ids[0]))
    objects, logits = reenact(model, frames[:3], found)
    for mine, theirs in zip(found[1:], logits, strict=True):
        assert_decided(mine, objects, theirs)
    found = list(segmenter.segment(frames[:4], first, later))
    assert np.array_equal(found[2] == 5, ids[2] == 5)
    assert 0.02 < np.mean(np.array(found)[1:] > 0) < 0.98
    assert segmenter.carries_state == plain.carries_state
    # Going over known masks leads to the same place.
    segmenter.start(frames[0], first)
    segmenter.replay(frames[1], found[1])
    segmenter.replay(frames[2], found[2], later[2])
    assert np.array_equal(segmenter.step(frames[3]), found[3])
    segmenter.drop(5)
    assert segmenter.objects == (1, 200)
    assert not (segmenter.step(frames[4]) == 5).any()


def test_every_object_has_its_own_network(network, scene):
    """A network that sees nothing loses its object, and only that."""
    frames, ids = scene
    blind = building.with_dtype(network("osmn"), "float32")
    blind.seg.decoder.fusion.bias.assign([-1000.0])
    segmenter = ObjectwiseSegmenter({1: network("osmn"), 5: blind})
    both = np.where(ids[0] == 200, 0, ids[0])
    _, found = segmenter.segment(frames[:2], both)
    _, alone = segmenter.segment(frames[:2], np.where(ids[0] == 1, 1, 0))
    assert (alone == 1).any()
    assert np.array_equal(found, alone)
    assert segmenter.settings()["objects"] == [1, 5]
    swapped = ObjectwiseSegmenter({5: network("osmn"), 1: blind}).settings()
    assert swapped["weights_sha256"] != segmenter.settings()["weights_sha256"]
    with pytest.raises(InputError, match=r"\[200\], for which there is no network"):
        segmenter.start(frames[0], ids[0])
