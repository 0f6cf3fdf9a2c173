"""Online fine-tuning: a network of its own for one object of one video."""

import dataclasses
import math
import re
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from osmn_recurrent import guides, losses
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference.arrays import checked_frame, checked_mask
from osmn_recurrent.masks import object_ids
from osmn_recurrent.models import building
from osmn_recurrent.models.segmentation_model import SegmentationModel
from osmn_recurrent.training import pipeline
from osmn_recurrent.training.first_frame import (
    FirstFrameSamples,
    FirstFrameTransforms,
)
from osmn_recurrent.training.optimizers import GroupedAdam
from osmn_recurrent.training.pseudo_clips import Motion
from osmn_recurrent.training.settings import RELEASED_DECAY
from osmn_recurrent.training.steps import decays

RELEASED: dict[str, Any] = {"freeze_batch_norm": False, "weight_decay": RELEASED_DECAY}
"""What the release's online fine-tuning shares with its stage 1."""


@dataclasses.dataclass(frozen=True)
class FinetuneSettings:
    """Settings of one fine-tuning; `for_model` gives the papers', and
    `for_network` those that suit a network.

    Attributes:
        iterations: optimiser steps.
        learning_rate: of all variables that move.
        optimizer: "adam" or "sgd" (momentum 0.9).
        power: the rate falls to zero as (1 - step / iterations)^power; None
            keeps it.
        batch_size: samples per step.
        loss: "balanced_cross_entropy" or "lovasz_hinge".
        reduction: of the balanced cross-entropy, see there.
        clip_norm: largest norm of the whole gradient; None: no clipping.
        trainable: regular expression; only variables with a match in their
            path move (paths begin with the network's name, as in
            "osmn/modulator/fc8/kernel"). Default: all trainable ones.
        freeze_batch_norm: the spatial modulator normalises with its moving averages and
            keeps them. False, with which OSMN's fine-tuned figures were made: with the
            statistics of each batch (of one frame), to which the averages move by a
            hundredth a step (the release's script has no `--fix_bn`). Kept as well
            where `trainable` leaves the spatial modulator out.
        weight_decay: of all kernels that move, see `TrainSettings`; 0.0002 as in the
            release, with its summed loss.
        transforms: `FirstFrameTransforms`.
        seed: fixes transformations and dropout.
    """

    iterations: int = 100
    learning_rate: float = 1e-5
    optimizer: str = "adam"
    power: float | None = None
    batch_size: int = 1
    loss: str = "balanced_cross_entropy"
    reduction: str = "sum"
    clip_norm: float | None = None
    trainable: str = ""
    freeze_batch_norm: bool = True
    weight_decay: float = 0.0
    transforms: FirstFrameTransforms = dataclasses.field(
        default_factory=FirstFrameTransforms
    )
    seed: int = 0

    @classmethod
    def for_model(cls, name):
        """The published settings.

        - "osmn": 100 iterations (OSMN section 4.3) at the release's rate,
          scales, disturbed guides, batch statistics and weight decay
          (`osmn_online_finetune.py`); the frame is not moved.
        - "reconvnet": 300 iterations at 1e-6 for all parts on random
          transformations of the first frame (its section 3), here pseudo-clips
          of 4 frames, with its Lovasz loss; the paper gives neither ranges
          nor a clip length.
        - "osvos": 500 iterations, SGD at 1e-8 with momentum, three scales and
          mirroring (Caelles et al. 2017, released demo). Its rates per layer
          and losses of side outputs are left out: the networks here have no
          such outputs.
        - "masktrack": 200 iterations of 10 images, SGD at 1e-3 with momentum
          and polynomial decay, mirroring, rotation, bent masks (Perazzi et
          al. 2017, sections 3.2 and 5.1). The paper gives no angle; its loss
          is a mean, so this is the balanced mean over the picture.
        - "osvos_m", "masktrack_m": OSMN's, moving the modulator alone; OSMN
          section 4.1.2 keeps their segmentation networks fixed. Neither is
          fine-tuned in a paper.

        For its table on DAVIS 2017 OSMN's authors gave OSVOS and MaskTrack
        1000 iterations (section 4.1.2).

        Args:
            name: a name of `models.NAMES`.
        """
        if name not in PUBLISHED:
            raise ValueError(
                f"name must be one of {sorted(PUBLISHED)}. Received: {name!r}"
            )
        return PUBLISHED[name]

    @classmethod
    def for_network(cls, model):
        """The settings that suit a network.

        In the papers' width they are the published ones. Networks on the other
        backbones learn pseudo-clips of 3 frames, with what `Backbone.finetuning`
        says.

        Args:
            model: a `SegmentationModel`.
        """
        name = name_of(model)
        published = cls.for_model(name)
        own = model.backbone.finetuning
        if own is None:
            return published
        clip = FirstFrameTransforms(flip=0.5, motion=Motion(), clip_length=3)
        return cls(trainable=published.trainable, transforms=clip, **own)


PUBLISHED = {
    "osmn": FinetuneSettings(**RELEASED),
    "reconvnet": FinetuneSettings(
        300,
        1e-6,
        loss="lovasz_hinge",
        transforms=FirstFrameTransforms(flip=0.5, motion=Motion(), clip_length=4),
    ),
    "osvos": FinetuneSettings(
        500, 1e-8, "sgd", transforms=FirstFrameTransforms(flip=0.5)
    ),
    "masktrack": FinetuneSettings(
        200,
        1e-3,
        "sgd",
        power=0.9,
        batch_size=10,
        reduction="image_mean",
        transforms=FirstFrameTransforms(
            scales=(1.0,),
            flip=0.5,
            motion=Motion(0.0, 0.0, 10.0, 0.0),
            deformation=0.1,
        ),
    ),
    "osvos_m": FinetuneSettings(trainable="/modulator/", **RELEASED),
    "masktrack_m": FinetuneSettings(trainable="/modulator/", **RELEASED),
}
"""What `FinetuneSettings.for_model` says, by the network's name."""


def name_of(model):
    """The name under which `build_model` makes this kind of network."""
    return next(n for n, kind in building.MODELS.items() if kind is type(model))


def at_size(settings, clip, working_size):
    """`FinetuneSettings` whose first frame has the size that the loop shows.

    Args:
        settings: `FinetuneSettings`.
        clip: a clip, or anything with its `size`.
        working_size: of the loop.
    """
    size = guides.network_size(working_size, *clip.size)
    transforms = dataclasses.replace(settings.transforms, size=size)
    return dataclasses.replace(settings, transforms=transforms)


class FinetuneWarning(UserWarning):
    """There is nothing to learn from; the copy is as it was."""


def finetune_online(
    model: SegmentationModel,
    frame: np.ndarray,
    mask: np.ndarray,
    settings: "FinetuneSettings | None" = None,
) -> SegmentationModel:
    """A copy of a network, fine-tuned on the first frame of a video.

    Shows a progress bar.

    Args:
        model: a built `SegmentationModel`; its weights are not touched.
        frame: (H, W, 3) uint8 RGB.
        mask: (H, W), bool or ids of one object. 255 (void) is background.
        settings: `FinetuneSettings`; default: `for_network`.

    Returns:
        A new network of the same kind. With a `FinetuneWarning`, an exact
        copy: the object covers the whole frame, or is so small that nothing
        of it is left at the network's size.

    Raises:
        InputError: arrays of another kind or size, an empty mask, several
            objects, no variable to move, or a loss that is not finite.
    """
    settings = settings or FinetuneSettings.for_network(model)
    frame = checked_frame(frame)
    mask = checked_mask(mask, frame)
    found = object_ids(mask)
    if len(found) != 1:
        raise InputError(
            f"the mask to fine-tune on holds {len(found)} objects"
            f"{' ' + str(found) if found else ''}, expected exactly one; "
            + (
                "give the mask of one object, and tune a network for each."
                if found
                else "give a frame in which the object is visible."
            )
        )
    tuner = Tuner(model, frame, mask > 0, settings)
    reason = tuner.reason_not_trainable()
    if reason:
        warnings.warn(
            f"object {found[0]} {reason}; the network stays as it is.",
            FinetuneWarning,
            stacklevel=2,
        )
        return tuner.model
    with tqdm(total=settings.iterations, desc="fine-tuning", unit="step") as progress:
        for number in range(settings.iterations):
            loss = tuner.first_frame_step(number)
            progress.set_postfix(loss=f"{loss:.4g}", refresh=False)
            progress.update()
    return tuner.model


def finetune_objects(model, frame, mask, settings=None):
    """A tuned copy for every object of a first mask.

    Args:
        model: see `finetune_online`, as are `frame` and `settings`.
        frame: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8 ids.
        settings: `FinetuneSettings`, or None.

    Returns:
        `{object id: network}`, as `inference.objectwise` takes it.

    Raises:
        InputError: an empty mask, or as `finetune_online` does.
    """
    mask = checked_mask(mask, checked_frame(frame))
    if not object_ids(mask):
        raise InputError(
            "the mask to fine-tune on is empty, expected at least one object "
            "(pixels from 1 to 254)."
        )
    return {
        i: finetune_online(model, frame, np.where(mask == i, mask, 0), settings)
        for i in object_ids(mask)
    }


class Tuner:
    """A copy of a network, and the steps that train it on a video.

    Args:
        model: a built `SegmentationModel`, not touched.
        frame: (H, W, 3) uint8 RGB.
        mask: (H, W) bool, the object.
        settings: `FinetuneSettings`.

    Attributes:
        model: the copy.
        samples: `FirstFrameSamples`.

    Raises:
        InputError: `settings.trainable` matches no variable.
    """

    def __init__(self, model, frame, mask, settings):
        self.settings = settings
        self.model = building.with_dtype(model, model.dtype_policy)
        spatial = self.model.modulator_sp
        if spatial is not None:
            # Averages are no part that moves where none of its variables does.
            moves = any(
                re.search(settings.trainable, variable.path)
                for variable in spatial.trainable_variables
            )
            spatial.freeze_statistics = settings.freeze_batch_norm or not moves
        for variable in self.model.variables:
            if "seed_generator" in variable.path:  # dropout
                variable.assign(np.array([settings.seed, 0], np.uint32))
        self.variables = [
            variable
            for variable in self.model.trainable_variables
            if re.search(settings.trainable, variable.path)
        ]
        if not self.variables:
            raise InputError(
                f"no variable of {self.model.name} matches "
                f"{settings.trainable!r}, so there is nothing to tune; its paths "
                f"look like {self.model.trainable_variables[0].path}."
            )
        self.loss = losses.with_reduction(settings.loss, settings.reduction)
        self.optimizer = _make_optimizer(settings)
        self.optimizer.build(self.variables)
        self.samples = FirstFrameSamples(
            frame,
            mask,
            settings.transforms,
            self.model.guide,
            settings.batch_size,
            settings.seed,
        )
        self._step = None

    def reason_not_trainable(self):
        """Why the first frame teaches nothing, or None."""
        if self.samples.mask.all():
            return "covers the whole first frame, without any background"
        if not self.samples.shows_object():
            height, width = self.samples.size
            return f"vanishes when its mask is resized to {width}x{height}"
        return None

    def first_frame_step(self, number):
        """One step on the first frame, transformed.

        Args:
            number: which of the endless batches.

        Returns:
            The loss, float.

        Raises:
            InputError: the loss is not finite.
        """
        if self._step is None:
            self._step = self._compiled_step()
        return self.checked(self._step(*self.samples.batch(number)))

    def checked(self, loss):
        """`loss` as float.

        Raises:
            InputError: it is not finite.
        """
        loss = float(loss)
        if not math.isfinite(loss):
            raise InputError(
                f"the loss of fine-tuning step {int(self.optimizer.iterations)} is "
                f"{loss}; lower the learning rate or set a clip_norm."
            )
        return loss

    def descend(self, tape, loss):
        """Applies the gradient of `loss` to the variables that move."""
        gradients = tape.gradient(loss, [v.value for v in self.variables])
        decay, found = self.settings.weight_decay, []
        for gradient, variable in zip(gradients, self.variables, strict=True):
            # Gammas that no layer uses have no gradient.
            given = tf.zeros_like(variable.value) if gradient is None else gradient
            if decay and decays(variable):
                given = given + decay * variable.value
            found.append(given)
        self.optimizer.apply(found, self.variables)

    def _compiled_step(self):
        def step(inputs, label):
            with tf.GradientTape() as tape:
                loss = self.loss(label, self.model(inputs, training=True))
            self.descend(tape, loss)
            return loss

        spec = pipeline.batch_spec(self.settings.transforms.clip_length)
        return tf.function(step, input_signature=spec)


def _make_optimizer(settings):
    rate = settings.learning_rate
    if settings.power is not None:
        rate = keras.optimizers.schedules.PolynomialDecay(
            rate, settings.iterations, 0.0, settings.power
        )
    if settings.optimizer == "adam":
        return GroupedAdam(rate, global_clipnorm=settings.clip_norm)
    if settings.optimizer == "sgd":
        return keras.optimizers.SGD(
            rate, momentum=0.9, global_clipnorm=settings.clip_norm
        )
    raise ValueError(
        f"optimizer must be 'adam' or 'sgd'. Received: {settings.optimizer!r}"
    )
