"""Training losses on logits, in float32 (Keras ops only, any backend).

Functions give the loss of a batch; the classes of the same names are
`keras.losses.Loss`, for `compile`. `register` makes one known to `TrainSettings`.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from osmn_recurrent import plugins
from osmn_recurrent.errors import InputError

PLUGINS = "osmn_recurrent.losses"
"""Entry points of installed packages whose import registers losses."""


def balanced_cross_entropy(
    labels: Any, logits: Any, reduction: str = "sum", positive_share: Any = None
) -> Any:
    """Class-balanced cross-entropy of OSVOS and OSMN.

        loss = n_neg / n * sum(l over object) + n_pos / n * sum(l over rest)

    with l the sigmoid cross-entropy of a pixel and n = n_pos + n_neg.
    Release: `osmn.py: class_balanced_cross_entropy_loss`.

    Args:
        labels: (..., H, W, 1) ground truth; values above 0.5 are the object.
        logits: same shape, any float type.
        reduction: `"sum"` as released, counts and sums over the whole batch,
            not averaged; `"image_mean"`: counts and the mean over the pixels
            of each image, averaged over images, so that the scale does not
            depend on batch and image size.
        positive_share: n_pos / n where the whole batch is not at hand (spread
            over devices, or divided into parts); for "sum" only. Losses of the
            parts then add up to that of the whole.

    Returns:
        float32 scalar.
    """
    labels, logits = _as_images(labels, logits)
    all_axes = {"sum": (0, 1), "image_mean": (1,)}
    if reduction not in all_axes:
        raise ValueError(
            f"reduction must be 'sum' or 'image_mean'. Received: {reduction!r}"
        )
    axes = all_axes[reduction]
    share = ops.mean(labels, axes) if positive_share is None else positive_share
    loss = _balanced(labels, logits, share, axes)
    if reduction == "sum":
        return loss
    return ops.mean(loss / ops.cast(ops.shape(labels)[1], "float32"))


def _balanced(labels, logits, share, axes):
    """Class-balanced cross-entropy of (images, pixels), summed over `axes`."""
    losses = (
        ops.maximum(logits, 0.0)
        - logits * labels
        + ops.log1p(ops.exp(-ops.abs(logits)))
    )
    return (1.0 - share) * ops.sum(labels * losses, axes) + share * ops.sum(
        (1.0 - labels) * losses, axes
    )


def lovasz_hinge(labels: Any, logits: Any) -> Any:
    """Lovasz hinge: a convex surrogate of the Jaccard loss, per image.

    ReConvNet section 3 ("Lovasz loss"); Berman et al., arXiv:1705.08790,
    Algorithm 1. The hinge errors of an image are sorted in falling order and
    weighted by the gradient of the Lovasz extension of the Jaccard loss.

    Args:
        labels: (..., H, W, 1) ground truth; values above 0.5 are the object.
        logits: same shape, any float type.

    Returns:
        float32 scalar, the mean over images (leading axes). Finite for
        images without any object: their loss is the largest hinge error.

    Example:

    >>> labels = ops.reshape([1.0, 1.0, 0.0, 0.0], (1, 2, 2, 1))
    >>> float(lovasz_hinge(labels, 4.0 * labels - 2.0))  # right, beyond the margin
    0.0
    """
    return ops.mean(_lovasz(*_as_images(labels, logits)))


def _lovasz(labels, logits):
    """Lovasz hinge (images,) of (images, pixels)."""
    errors = 1.0 - logits * (2.0 * labels - 1.0)
    order = ops.argsort(-errors, axis=-1)
    errors = ops.take_along_axis(errors, order, axis=-1)
    labels = ops.take_along_axis(labels, order, axis=-1)
    positives = ops.sum(labels, -1, keepdims=True)
    intersection = positives - ops.cumsum(labels, -1)
    union = positives + ops.cumsum(1.0 - labels, -1)
    jaccard = 1.0 - intersection / union
    gradient = ops.concatenate(
        [jaccard[:, :1], jaccard[:, 1:] - jaccard[:, :-1]], axis=-1
    )
    return ops.sum(ops.relu(errors) * ops.stop_gradient(gradient), axis=-1)


def cross_entropy_lovasz(labels: Any, logits: Any) -> Any:
    """Mean cross-entropy plus half the Lovasz hinge of every second column.

    Not in the papers. For networks with ImageNet trunks and few steps: the first
    term moves every pixel, the second one the masks' overlap; on half of the pixels
    its sorting costs half.

    Args:
        labels: (..., H, W, 1); values above 0.5 are the object.
        logits: same shape, any float type.

    Returns:
        float32 scalar.
    """
    thresholded, values = _as_images(labels, logits)
    # log(1 + exp(-|x|)) + max(x, 0) - x * label, which never overflows.
    cross_entropy = (
        ops.softplus(-ops.abs(values)) + ops.relu(values) - values * thresholded
    )
    half = lovasz_hinge(labels[..., ::2, :], logits[..., ::2, :])
    return ops.mean(cross_entropy) + 0.5 * half


def _as_images(labels, logits):
    """Flattens to (images, pixels) float32, labels thresholded at 0.5."""
    shape = ops.shape(logits)
    pixels = shape[-3] * shape[-2] * shape[-1]
    labels = ops.reshape(labels, (-1, pixels))
    logits = ops.reshape(logits, (-1, pixels))
    labels = ops.cast(ops.cast(labels, "float32") > 0.5, "float32")
    return labels, ops.cast(logits, "float32")


class _PerImage(keras.losses.Loss):
    """A loss with a value per image: reductions and `sample_weight` are Keras'.

    Labels and logits are (B, H, W, 1), or (B, T, H, W, 1) of clips, whose value is
    that of their frames, summed or averaged as the batch is.
    """

    def call(self, y_true, y_pred):
        """Values (B,), float32."""
        values = self.per_image(*_as_images(y_true, y_pred))
        if len(y_pred.shape) == 5:
            values = ops.reshape(values, (-1, y_pred.shape[1]))
            over_frames = ops.sum if self.reduction == "sum" else ops.mean
            values = over_frames(values, axis=-1)
        return values

    def per_image(self, labels, logits):
        """Values (images,) of labels and logits (images, pixels)."""
        raise NotImplementedError

    def get_config(self):
        """Constructor arguments."""
        return {"name": self.name, "reduction": self.reduction}


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class BalancedCrossEntropy(_PerImage):
    """`balanced_cross_entropy` for `compile`.

    Args:
        reduction: "sum" as released, with the shares of object and rest counted over
            the whole batch, or "sum_over_batch_size": with those of each image, and
            the mean over pixels and images ("image_mean" of the function). Under
            `tf.distribute` a batch is what one replica has.
        name: of the loss.
    """

    def __init__(
        self, reduction: str = "sum", name: str = "balanced_cross_entropy"
    ) -> None:
        if reduction not in ("sum", "sum_over_batch_size"):
            raise ValueError(
                "reduction must be 'sum' or 'sum_over_batch_size'. "
                f"Received: {reduction!r}"
            )
        super().__init__(name=name, reduction=reduction)

    def per_image(self, labels: Any, logits: Any) -> Any:
        """Values (images,) of labels and logits (images, pixels)."""
        if self.reduction == "sum":
            return _balanced(labels, logits, ops.mean(labels), (1,))
        share = ops.mean(labels, 1)
        pixels = ops.cast(ops.shape(labels)[1], "float32")
        return _balanced(labels, logits, share, (1,)) / pixels


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class LovaszHinge(_PerImage):
    """`lovasz_hinge` for `compile`.

    Args:
        reduction: of `keras.losses.Loss`; the default is the mean over images.
        name: of the loss.
    """

    def __init__(
        self, reduction: str = "sum_over_batch_size", name: str = "lovasz_hinge"
    ) -> None:
        super().__init__(name=name, reduction=reduction)

    def per_image(self, labels: Any, logits: Any) -> Any:
        """Values (images,) of labels and logits (images, pixels)."""
        return _lovasz(labels, logits)


_REGISTERED = {}


def register(name: str, loss: Callable) -> Callable:
    """Makes a loss known by its name, for `TrainSettings(loss=NAME)` and `--loss`.

    Args:
        name: str.
        loss: function of labels (..., H, W, 1) of 0 and 1 and logits of the same
            shape that gives a float32 scalar, the mean over images; a
            `keras.losses.Loss` is one. One with `reduction="sum"` is taken as a sum
            over the batch; a function with an argument `reduction` is given
            `TrainSettings.reduction`.

    Returns:
        The loss.

    Raises:
        ValueError: another one has its name.
    """
    if _REGISTERED.setdefault(name, loss) is not loss:
        raise ValueError(f"there is a loss called {name} already")
    return loss


def names() -> tuple[str, ...]:
    """Names of all losses, tuple of str."""
    plugins.load(PLUGINS)
    return tuple(_REGISTERED)


def find(name: str) -> Callable:
    """The loss of a name.

    Raises:
        InputError: there is none.
    """
    if name not in _REGISTERED:
        plugins.load(PLUGINS)
    if name not in _REGISTERED:
        raise InputError(
            f"no loss is called {name}; there are {', '.join(_REGISTERED)}."
        )
    return _REGISTERED[name]


def with_reduction(name: str, reduction: str) -> Callable:
    """The loss of a name, with the reduction where it has a choice of them.

    Args:
        name: of `names`.
        reduction: `"sum"` or `"image_mean"`, see `balanced_cross_entropy`.

    Returns:
        Function of labels and logits; see `is_sum`.

    Raises:
        InputError: there is none.
    """
    loss = find(name)
    if "reduction" not in inspect.signature(loss).parameters:
        return loss
    return functools.partial(loss, reduction=reduction)


def is_sum(loss: Callable) -> bool:
    """Whether a loss adds up over the batch; any other is a mean over images."""
    if isinstance(loss, functools.partial):
        return loss.keywords.get("reduction") == "sum"
    return getattr(loss, "reduction", None) == "sum"


def takes_share(loss: Callable) -> bool:
    """Whether a loss counts pixels of the whole batch: has `positive_share`."""
    return "positive_share" in inspect.signature(loss).parameters


register("balanced_cross_entropy", balanced_cross_entropy)
register("lovasz_hinge", lovasz_hinge)
register("cross_entropy_lovasz", cross_entropy_lovasz)
