"""The released test procedure, re-enacted to be measured against.

What `osmn.py: test` of the release does (called by `osmn_train_eval.py`) with an OSMN
of ours, on TensorFlow and in float32: one object at a time through the whole network,
nothing shared between objects; per frame the last mask is read back from the PNG that
it was written to, the heat map is made in NumPy pixel by pixel, and side outputs are
enlarged with all their channels by dense transposed convolutions, put side by side
and fused at full size. For the benchmark alone; the library has
`inference.segmenter`.
"""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from osmn_recurrent import guides
from osmn_recurrent.backbones.backbone import max_pool
from osmn_recurrent.models.enlargement import bilinear_kernel
from osmn_recurrent.models.osmn import OSMN


def fits(model):
    """Whether the release has a graph for `model`: OSMN as it is by default."""
    return (
        type(model) is OSMN
        and model.backbone.decoder == "hypercolumn"
        and model.visual_modulator == "release"
        and model.use_visual_modulator
        and model.use_spatial_modulator
        and not model.mod_early_conv
        and model.alignment == "release"
    )


class ReleaseLoop:
    """One object of a video, as released.

    Args:
        graph: of `release_graph`; made once for all objects.
        adapt: function from a visual guide (1, 224, 224, 3) to gammas (1, P).
        folder: where this object's masks go as PNGs, or None to keep each
            PNG in memory.
    """

    def __init__(self, graph, adapt, folder=None):
        self.graph, self.adapt, self.folder = graph, adapt, folder

    def start(self, frame, mask):
        """Frame 0: (H, W, 3) uint8 RGB and (H, W), non-zero is the object."""
        self.gammas = self.adapt(guides.visual_guide(frame, mask)[None])
        self.number = 0
        self._write(mask)

    def step(self, frame):
        """The next frame's mask, (H, W) bool; `frame` (H, W, 3) uint8 RGB."""
        heat = heat_map(np.asarray(Image.open(self.last_mask)) > 0)
        image = guides.network_image(frame)
        probabilities = self.graph(image[None], heat[None, ..., None], self.gammas)
        mask = probabilities.numpy()[0, ..., 0] > 0.5
        self.number += 1
        self._write(mask)
        return mask

    def _write(self, mask):
        picture = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))
        if self.folder is None:
            self.last_mask = io.BytesIO()
        else:
            self.last_mask = self.folder / f"{self.number:05d}.png"
        picture.save(self.last_mask, format="PNG")


def heat_map(mask):
    """The spatial guide, from all set pixels and at all pixels.

    Release `util.py: compute_robust_moments` and `get_gb_image`.

    Args:
        mask: (H, W) bool.

    Returns:
        (H, W) float32.
    """
    y, x = np.nonzero(mask)
    if not x.size:
        return np.zeros(mask.shape, np.float32)
    points = np.stack([x, y], axis=1).astype(np.float64)
    centre = np.median(points, axis=0)
    sigma = 1.4826 * np.median(np.abs(points - centre), axis=0)
    sigma = np.maximum(sigma, guides.SMALLEST_SIGMA)
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    distances = ((columns - centre[0]) / sigma[0]) ** 2
    distances += ((rows - centre[1]) / sigma[1]) ** 2
    return np.exp(-distances / 2).astype(np.float32)


def release_graph(model):
    """The released graph with the weights of `model`.

    Args:
        model: an `OSMN` for which `fits` holds; its weights are copied.

    Returns:
        `tf.function` of image (1, H, W, 3) BGR minus mean, heat map
        (1, H, W, 1) and gammas (1, P), all float32; gives probabilities
        (1, H, W, 1).
    """
    parts = _constants(model)
    scale = model.backbone.width.input_scale

    def graph(image, heat, gammas):
        size = tf.shape(image)[1:3]
        shifts = _shifts(heat, parts["spatial"])
        x, start, hypercolumns = image * scale, 0, []
        for number, convs in enumerate(parts["blocks"], 1):
            if number > 1:
                x = tf.nn.max_pool2d(x, 2, 2, "SAME")
            for i, (kernel, bias) in enumerate(convs):
                x = tf.nn.conv2d(x, kernel, 1, "SAME")
                x = tf.nn.relu(tf.nn.bias_add(x, bias))
                if number in shifts:
                    channels = kernel.shape[-1]
                    own = slice(i * channels, (i + 1) * channels)
                    x = x * gammas[:, None, None, start : start + channels]
                    x = x + shifts[number][..., own]
                    start += channels
            if number > 1:
                kernel, bias, enlarge = parts["sides"][number - 2]
                side = tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias)
                stride = 2 ** (number - 1)
                hypercolumns.append(_enlarged(side, enlarge, stride, size))
        kernel, bias = parts["fuse"]
        fused = tf.nn.conv2d(tf.concat(hypercolumns, -1), kernel, 1, "SAME")
        return tf.sigmoid(tf.nn.bias_add(fused, bias))

    return tf.function(
        graph,
        input_signature=(
            tf.TensorSpec((1, None, None, 3), tf.float32),
            tf.TensorSpec((1, None, None, 1), tf.float32),
            tf.TensorSpec((1, model.gamma_layout()[-1][2]), tf.float32),
        ),
    )


def _shifts(heat, spatial):
    shifts, scale = {}, 1
    for number, (kernel, *statistics) in spatial.items():
        while scale < number:
            heat, scale = tf.nn.avg_pool2d(heat, 2, 2, "SAME"), scale + 1
        normed = tf.compat.v1.nn.fused_batch_norm(
            tf.nn.conv2d(heat, kernel, 1, "SAME"),
            *statistics,
            epsilon=0.001,
            is_training=False,
        )[0]
        shifts[number] = tf.nn.relu(normed)
    return shifts


def _enlarged(side, kernel, stride, size):
    """All side channels upsampled and cropped to `size` in their middle."""
    shape = tf.shape(side)
    full = (shape[1:3] + 1) * stride
    large = tf.nn.conv2d_transpose(
        side,
        kernel,
        tf.concat([shape[:1], full, shape[3:]], 0),
        stride,
        "VALID",
    )
    top, left = tf.unstack((full - size) // 2)
    return large[:, top : top + size[0], left : left + size[1]]


def _constants(model):
    """The weights of `model`, taken apart as the graph wants them."""

    def values(*variables):
        return [tf.constant(np.asarray(v), tf.float32) for v in variables]

    decoder, spatial = model.seg.decoder, model.modulator_sp
    sides = []
    for number, conv in zip(decoder.numbers, decoder.sides, strict=True):
        stride, channels = 2 ** (number - 1), conv.filters
        dense = bilinear_kernel(stride)[..., None, None] * np.eye(channels)
        sides.append([*values(conv.kernel, conv.bias), *values(dense)])
    return {
        "blocks": [
            [values(conv.kernel, conv.bias) for conv in block.convs]
            for block in model.seg.blocks
        ],
        "spatial": {
            number: values(
                conv.kernel,
                norm.gamma,
                norm.beta,
                norm.moving_mean,
                norm.moving_variance,
            )
            for number, conv, norm in zip(
                spatial.levels, spatial.convs, spatial.norms, strict=True
            )
        },
        "sides": sides,
        "fuse": values(decoder.fusion.kernel, decoder.fusion.bias),
    }


def bare_convolutions(model, precision):
    """The floor: the 13 convolutions and 4 poolings of VGG16, nothing else.

    Args:
        model: any network with VGG16's blocks in `seg`.
        precision: "float32", "bfloat16" or "float16"; weights and maps.

    Returns:
        `tf.function` of an image (1, H, W, 3) float32 BGR minus mean.
    """
    blocks = [
        [
            [tf.constant(np.asarray(w, np.float32)) for w in (c.kernel, c.bias)]
            for c in block.convs
        ]
        for block in model.seg.blocks
    ]
    blocks = tf.nest.map_structure(lambda w: tf.cast(w, precision), blocks)
    scale = model.backbone.width.input_scale

    def convolutions(image):
        x = tf.cast(image * scale, precision)
        for number, convs in enumerate(blocks, 1):
            x = x if number == 1 else max_pool(x)
            for kernel, bias in convs:
                x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, "SAME"), bias))
        return x

    return tf.function(
        convolutions, input_signature=[tf.TensorSpec((1, None, None, 3), tf.float32)]
    )
