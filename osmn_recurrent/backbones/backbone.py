"""What a network has to know of its trunk."""

import dataclasses

from keras import ops

GUIDE_SIZE = 224
"""Side of the visual guide in pixels (OSMN section 3.5)."""

SMALL_FINETUNING = {"learning_rate": 3e-4, "loss": "lovasz_hinge", "clip_norm": 1.0}
"""For networks that know no ImageNet, found on compact OSMN: on four training sequences
of DAVIS-2016 J went from 59 to 68 so, and to 48 by 100 images with the balanced
cross-entropy at 1e-4 (loss, rate and clips were not told apart)."""


@dataclasses.dataclass(frozen=True)
class Place:
    """A feature map that can be modulated: gamma * map + beta.

    Attributes:
        name: of the layer that makes it, such as "conv3_1".
        channels: C of the map; as many gammas and betas.
    """

    name: str
    channels: int


@dataclasses.dataclass(frozen=True)
class Level:
    """A part of a trunk that ends at one stride.

    Attributes:
        number: counted from 1. Options that choose levels, such as
            `recurrent_levels`, name them by it.
        name: of its layer, such as "conv3".
        channels: of its output.
        stride: pixels of the image per step of its output.
        places: `Place`s within it that can be modulated, in order; the last
            one is its output.
    """

    number: int
    name: str
    channels: int
    stride: int
    places: tuple = ()


class Backbone:
    """A trunk's description, and the maker of its layers.

    `make_levels` gives one Keras layer per level, which turns the output of
    the level before into its own:

        y = layer(x, gamma=None, beta=None)
        y, maps = layer(x, gamma, beta, with_maps=True)
        y = layer(x, gamma, beta, training=True)

    gamma is (N, sum of the places' channels), beta a list of (N, h, w, C), one
    per place; maps are those of the places before they are modulated; training
    matters where a level normalises by batch statistics. x may be a batch of one
    where gamma and beta are of N objects: what does not depend on the object runs
    once.

    Attributes:
        name: as of `build_model`.
        levels: tuple of `Level`.
        modulated: numbers of the levels whose places OSMN modulates.
        modulated_early: the same with `mod_early_conv`, or None where that is
            not possible.
        sides: numbers of the levels that the decoder reads.
        recurrent: numbers of the levels after which ReConvNet has ConvLSTMs.
        decoder: kind of decoder, see `models.decoders.DECODERS`.
        modulator: kind of the release's visual modulator for this trunk, see
            `models.visual_modulators`.
        visual_modulator: default of the option of this name, "release" or
            "channelwise".
        channelwise: arguments of `ChannelwiseModulator` that suit this trunk.
        spatial: form of the spatial modulator, "release" (convolution, batch
            norm, ReLU) or "linear" (the paper's equation 3).
        first_pool: factor of the first average pooling of the heat map on its way to
            the first modulated level; the next ones halve it.
        multiple: images are padded at the right and bottom to a multiple of
            this before the trunk sees them.
        pretrained: name of the ImageNet weights that `weights="imagenet"`
            loads (see `backbones.pretrained`), or None.
        masktrack_form: name of the backbone that MaskTrack takes in its place, or
            None.
        finetuning: fields of `training.online.FinetuneSettings` that differ from the
            papers' for networks on it, which are trained by recipes of this package;
            None: the papers'.
        finetune_by_default: whether online fine-tuning with these was measured to
            help, so that programs do it where nothing else is asked for.
    """

    name = ""
    levels: tuple[Level, ...] = ()
    modulated: tuple[int, ...] = (3, 4, 5)
    modulated_early: tuple[int, ...] | None = None
    sides: tuple[int, ...] = (2, 3, 4, 5)
    recurrent: tuple[int, ...] = (3, 4, 5)
    decoder = "hypercolumn"
    modulator = "vgg16"
    visual_modulator = "release"
    channelwise: dict = {}  # noqa: RUF012 - a constant
    spatial = "release"
    first_pool = 2
    multiple = 1
    pretrained = None
    masktrack_form = None
    finetuning: dict | None = None
    finetune_by_default = False

    def make_levels(self, dtype=None):
        """New Keras layers, one per level, called as the levels are."""
        raise NotImplementedError

    def new_kernel(self):
        """Initialiser of kernels that the trunk's own weights do not have."""
        raise NotImplementedError

    def network_input(self, image):
        """What the first level reads.

        Args:
            image: (B, H, W, 3) BGR minus `guides.MEAN_BGR`, or with channels
                before these three that are no colours.

        Returns:
            (B, H, W, C).
        """
        return image

    def level(self, number):
        """The `Level` of a number."""
        return self.levels[number - 1]

    def short_name(self, number):
        """What the spatial modulator calls its part for a level, such as "conv3"."""
        return f"conv{number}"

    def modulated_levels(self, early=False):
        """Numbers of the modulated levels.

        Args:
            early: those of `mod_early_conv`.

        Raises:
            ValueError: the trunk has no early modulation.
        """
        if early and self.modulated_early is None:
            raise ValueError(
                f"the backbone {self.name} has no early modulation. Received: "
                "mod_early_conv=True"
            )
        return self.modulated_early if early else self.modulated

    def pad(self, image):
        """The image padded at the right and bottom to the trunk's multiple.

        Args:
            image: (B, H, W, C); the padding is zero, which is the mean colour,
                or no object.
        """
        if self.multiple == 1:
            return image
        height, width = ops.shape(image)[1:3]
        rows, columns = -height % self.multiple, -width % self.multiple
        if isinstance(rows, int) and isinstance(columns, int) and not rows + columns:
            return image
        return ops.pad(image, [[0, 0], [0, rows], [0, columns], [0, 0]])

    def level_size(self, number, height, width):
        """`(h, w)` of a level's output for images of `height` x `width`."""
        stride = self.level(number).stride
        if self.multiple > 1:
            height = -(-height // self.multiple) * self.multiple
            width = -(-width // self.multiple) * self.multiple
        return -(-height // stride), -(-width // stride)


def build_levels(levels, channels):
    """Builds a chain of level layers whose input has `channels` channels."""
    for level in levels:
        level.build((None, None, None, channels))
        channels = level.channels


def modulate(x, gamma=None, beta=None):
    """gamma * x + beta, each of which may be missing.

    Args:
        x: (1 or N, h, w, C).
        gamma: (N, C) or None.
        beta: (N, h, w, C) or None.
    """
    if gamma is not None:
        x = x * ops.cast(gamma, x.dtype)[:, None, None, :]
    if beta is not None:
        x = x + beta
    return x


def max_pool(x, size=2, stride=2):
    """Max-pooling, SAME padding: (B, H, W, C) to (B, ceil(H/stride), ...)."""
    return ops.max_pool(x, size, stride, padding="same", data_format="channels_last")
