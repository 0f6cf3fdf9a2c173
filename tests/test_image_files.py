"""Images are looked at before they are decoded."""

import resource

import pytest
from image_bombs import write_bomb
from PIL import Image

from osmn_recurrent import image_files
from osmn_recurrent.datasets import prepared, youtube_objects
from osmn_recurrent.errors import InputError
from osmn_recurrent.media.mask_files import read_mask, read_mask_with_palette
from osmn_recurrent.media.pictures import read_frame
from osmn_recurrent.metrics import frame_scores


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    "read",
    [
        read_mask,
        read_mask_with_palette,
        read_frame,
        frame_scores.read_values,
        youtube_objects.read_label,
        image_files.image_size,
        lambda path: read_frame("name", path.read_bytes()),
        lambda path: prepared._label_map(path.read_bytes(), "name"),
    ],
)
@pytest.mark.parametrize("side", [10_000, 50_000])
def test_bombs_are_not_decoded(tmp_path, read, side):
    path = write_bomb(tmp_path / "bomb.png", side, side)
    assert path.stat().st_size < 500_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=r"pixels|too large"):
        read(path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000  # kB


def test_a_large_photograph_passes(tmp_path):
    path = write_bomb(tmp_path / "large.png", 9400, 9500)
    assert image_files.image_size(path) == (9500, 9400)


def test_messages_name_kind_and_file(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    with image_files.open_image(tmp_path / "a.png", kind="mask") as image:
        assert image.size == (4, 4)
    (tmp_path / "b.png").write_bytes(b"no image")
    for name, text in (
        ("b.png", "mask .*b.png cannot be decoded .*; replace or re-encode it."),
        ("c.png", "c.png: no such mask."),
        (".", "is a folder, expected a mask file."),
    ):
        with pytest.raises(InputError, match=text):
            with image_files.open_image(tmp_path / name, kind="mask"):
                pass
