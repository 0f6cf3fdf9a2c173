"""Small networks and a small clip for the tests of the loop."""

import keras
import numpy as np
import pytest
from PIL import Image

from osmn_recurrent import guides, masks
from osmn_recurrent.datasets.clips import Clip
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.media.mask_files import write_mask
from osmn_recurrent.models import building

SIZE = (64, 96)
FIRST_BOXES = {1: (8, 10), 5: (34, 50), 200: (40, 8)}


def random_network(name, frame, mask, seed=3, **options):
    """A compact network that answers: neither all object nor all background.

    New networks ignore their visual modulator (its last kernel is zero) and
    put almost all pixels on one side of 0.5. Here the kernel is random and
    the last bias is such that, in the first frame, half of the pixels are
    above 0.5.
    """
    keras.utils.set_random_seed(seed)
    model = building.build_model(name, "vgg16_compact", **options)
    rng = np.random.default_rng(seed)
    if model.modulator is not None:
        for layer in (model.modulator.fc8, model.modulator.fc8_convlstm):
            if layer is not None:
                shape = layer.kernel.shape
                layer.kernel.assign(rng.normal(0, 0.05, shape))
    own = mask == mask.max()
    guide = {
        guides.GaussianGuide: guides.spatial_guide(own)[None],
        guides.MaskGuide: guides.mask_guide(own)[None],
        guides.NoGuide: (),
    }[type(model.guide)]
    visual_guide = guides.visual_guide(frame, own)[None]
    logits, _ = model.step(
        model.encode(guides.network_image(frame)[None]),
        guide,
        model.adapt(visual_guide),
        model.initial_state(1, *frame.shape[:2]),
    )
    last = [v for v in model.trainable_variables if v.path.endswith("bias")]
    if hasattr(model.seg.decoder, "fusion"):
        last = [model.seg.decoder.fusion.bias]
    last[-1].assign(last[-1] - np.median(logits.numpy()))
    return model


def draw(length, seed=0, boxes=FIRST_BOXES):
    """Moving textured boxes: frames (T, H, W, 3) uint8, ids (T, H, W)."""
    rng = np.random.default_rng(seed)
    background = rng.integers(0, 120, (*SIZE, 3), dtype=np.uint8)
    textures = {i: rng.integers(80, 256, (18, 26, 3), dtype=np.uint8) for i in boxes}
    frames = np.repeat(background[None], length, 0)
    ids = np.zeros((length, *SIZE), np.uint8)
    for t in range(length):
        for i, (top, left) in boxes.items():
            rows = slice(top + t, top + t + 18)
            columns = slice(left + 2 * t, left + 2 * t + 26)
            shape = ids[t, rows, columns].shape
            frames[t, rows, columns] = textures[i][: shape[0], : shape[1]]
            ids[t, rows, columns] = i
    return frames, ids


@pytest.fixture(scope="session")
def scene():
    """`(frames, ids)` of six frames with the objects 1, 5 and 200."""
    return draw(6)


@pytest.fixture(scope="session")
def network(scene):
    """Function from a name (and options) to a network, made once."""
    made = {}

    def get(name, **options):
        key = (name, *sorted(options.items()))
        if key not in made:
            made[key] = random_network(name, scene[0][0], scene[1][0], **options)
        return made[key]

    return get


@pytest.fixture(scope="session")
def segmenters(network):
    """Function from a network's name (and its options) to a segmenter.

    Each is made and traced once: tests begin with `start` or `segment`,
    which forget what was before.
    """
    made = {}

    def get(name, **options):
        key = (name, *sorted(options.items()))
        if key not in made:
            made[key] = VideoSegmenter(network(name, **options))
        return made[key]

    return get


@pytest.fixture
def clip(scene, tmp_path):
    """The scene on disk; object 5's mask comes with frame 2 only."""
    frames, ids = scene
    folder = tmp_path / "frames" / "boxes"
    folder.mkdir(parents=True)
    for t, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{t:05d}.png")
    palette = tuple(reversed(masks.davis_palette()))
    given = {0: np.where(ids[0] == 5, 0, ids[0]), 2: np.where(ids[2] == 5, 5, 0)}
    mask_paths = {}
    for t, mask in given.items():
        mask_paths[t] = tmp_path / "masks" / f"{t:05d}.png"
        write_mask(mask_paths[t], mask, palette)
    return Clip("boxes", tuple(sorted(folder.iterdir())), mask_paths)
