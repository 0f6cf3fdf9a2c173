"""The release's inputs for real frames."""

import numpy as np
import pytest
from PIL import Image

from osmn_recurrent import guides
from osmn_recurrent.media.mask_files import read_mask
from osmn_recurrent.media.pictures import read_frame

CASES = ("blackswan__1__854x480", "bmx-trees__31__854x480", "car-shadow__9__427x240")


@pytest.mark.parametrize("case", CASES)
def test_inputs_of_the_release(case, test_data, golden):
    made = np.load(golden / "release_preprocessing.npz")
    sequence, number, size = case.split("__")
    width, height = map(int, size.split("x"))
    data = test_data / "data" / "davis2016"

    def frame(t):
        return read_frame(data / f"JPEGImages/480p/{sequence}/{t:05d}.jpg")

    def mask(t):
        return read_mask(data / f"Annotations/480p/{sequence}/{t:05d}.png")

    visual = guides.visual_guide(frame(0), mask(0))
    error = np.abs(visual - made[f"{case}__visual_guide"])
    assert error.max() <= 1
    assert error.mean() <= 0.1

    before = Image.fromarray(mask(int(number) - 1)).resize((width, height), 0)
    heat = guides.spatial_guide(np.asarray(before))[..., 0]
    np.testing.assert_allclose(
        heat[::8, ::8], made[f"{case}__spatial_guide_8"].squeeze(), atol=1e-5
    )
    assert heat.sum() == pytest.approx(
        float(made[f"{case}__spatial_guide_sum"]), rel=1e-5
    )

    image = guides.network_image(frame(int(number)), (height, width))
    error = np.abs(image[::8, ::8] - made[f"{case}__image_8"])
    assert error.max() <= 1
    assert error.mean() <= 0.1
    means = image.mean(axis=(0, 1))
    np.testing.assert_allclose(means, made[f"{case}__image_mean"], atol=0.1)
