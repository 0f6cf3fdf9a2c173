"""What the frame function is made of, compiled with sizes known and open."""

import numpy as np
import pytest
import tensorflow as tf

from osmn_recurrent import guides
from osmn_recurrent.inference.frame_function import GUIDES

TWINS = {"gaussian": guides.spatial_guide, "mask": guides.mask_guide}


@pytest.mark.parametrize("kind", sorted(TWINS))
@pytest.mark.parametrize("known", [True, False])
def test_guides_on_the_device(scene, kind, known):
    """Equal to their NumPy twins, an empty mask included."""
    object_masks = np.stack([scene[1][0] == i for i in (1, 5, 200, 7)])
    shape = object_masks.shape if known else (None, None, None)
    compiled = tf.function(
        GUIDES[kind], input_signature=[tf.TensorSpec(shape, tf.bool)]
    )
    expected = np.stack([TWINS[kind](mask) for mask in object_masks])
    assert np.allclose(compiled(object_masks), expected, atol=1e-5)
    assert not expected[3].any()
