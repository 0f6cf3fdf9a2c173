"""Training losses on logits, in float32 (Keras ops only, any backend)."""

from keras import ops


def balanced_cross_entropy(labels, logits, reduction="sum", positive_share=None):
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
            over devices, or cut into pieces); for "sum" only. Losses of the
            parts then add up to that of the whole.

    Returns:
        float32 scalar.
    """
    labels, logits = _as_images(labels, logits)
    losses = (
        ops.maximum(logits, 0.0)
        - logits * labels
        + ops.log1p(ops.exp(-ops.abs(logits)))
    )
    axes = {"sum": (0, 1), "image_mean": (1,)}
    if reduction not in axes:
        raise ValueError(
            f"reduction must be 'sum' or 'image_mean'. Received: {reduction!r}"
        )
    axes = axes[reduction]
    share = ops.mean(labels, axes) if positive_share is None else positive_share
    loss = (1.0 - share) * ops.sum(labels * losses, axes) + share * ops.sum(
        (1.0 - labels) * losses, axes
    )
    if reduction == "sum":
        return loss
    return ops.mean(loss / ops.cast(ops.shape(labels)[1], "float32"))


def lovasz_hinge(labels, logits):
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
    labels, logits = _as_images(labels, logits)
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
    return ops.mean(ops.sum(ops.relu(errors) * ops.stop_gradient(gradient), axis=-1))


def cross_entropy_lovasz(labels, logits):
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


LOSSES = {
    "balanced_cross_entropy": balanced_cross_entropy,
    "lovasz_hinge": lovasz_hinge,
    "cross_entropy_lovasz": cross_entropy_lovasz,
}
