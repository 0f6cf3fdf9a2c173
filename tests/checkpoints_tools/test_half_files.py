"""Weights in half precision."""

import numpy as np
import pytest

from checkpoints_tools.half_files import export_half
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.building import build_model, weights_of


def test_half_precision_rounds_once_and_is_the_same_file_again(tmp_path):
    model = build_model("reconvnet", "vgg16_compact")
    paths = [tmp_path / f"{name}.weights.h5" for name in "ab"]
    for path in paths:
        export_half(model, path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    count = sum(int(np.prod(v.shape)) for v in weights_of(model))
    assert paths[0].stat().st_size < 2.2 * count
    found = build_model("reconvnet", "vgg16_compact", weights=paths[0])
    for one, other in zip(weights_of(model), weights_of(found), strict=True):
        rounded = one.numpy().astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(other.numpy(), rounded)
    with pytest.raises(InputError, match="exists"):
        export_half(model, paths[0])


@pytest.mark.parametrize("value", [70000.0, np.nan, -np.inf])
def test_values_that_half_precision_cannot_hold(value, tmp_path):
    model = build_model("osvos", "vgg16_compact")
    bias = model.seg.blocks[0].convs[0].bias
    bias.assign(np.full(bias.shape, value, np.float32))
    with pytest.raises(InputError, match="float16 cannot hold"):
        export_half(model, tmp_path / "x.weights.h5")
    assert not list(tmp_path.iterdir())
