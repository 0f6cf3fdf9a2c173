"""What the frame function is made of, compiled with sizes known and open."""

import numpy as np
import pytest
import tensorflow as tf

from osmn_recurrent import guides
from osmn_recurrent.guides import GaussianGuide, MaskGuide

TWINS = {GaussianGuide: guides.spatial_guide, MaskGuide: guides.mask_guide}


@pytest.mark.parametrize("kind", TWINS)
@pytest.mark.parametrize("known", [True, False])
def test_guides_on_the_device(scene, kind, known):
    """Equal to their NumPy twins, an empty mask included."""
    object_masks = np.stack([scene[1][0] == i for i in (1, 5, 200, 7)])
    shape = object_masks.shape if known else (None, None, None)
    compiled = tf.function(
        kind().of_masks, input_signature=[tf.TensorSpec(shape, tf.bool)]
    )
    expected = np.stack([TWINS[kind](mask) for mask in object_masks])
    np.testing.assert_array_equal(kind().of_mask(object_masks[0]), expected[0])
    assert np.allclose(compiled(object_masks), expected, atol=1e-5)
    assert not expected[3].any()
