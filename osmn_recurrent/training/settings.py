"""Settings of a training."""

import dataclasses

from osmn_recurrent import losses
from osmn_recurrent.errors import InputError
from osmn_recurrent.training.sample_settings import SampleSettings

RELEASED_DECAY = 0.0002
"""Slim's weight decay in the release."""


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """Settings of one training; defaults are OSMN's stage 2.

    Attributes:
        samples: `SampleSettings`.
        loss: "balanced_cross_entropy" (OSMN), "lovasz_hinge" (ReConvNet),
            "cross_entropy_lovasz", or one of `losses.register`.
        reduction: of the balanced cross-entropy: "sum" as released, or
            "image_mean", whose scale does not depend on batch and image size
            (gradient clipping needs that).
        steps: optimiser steps.
        batch_size: samples per step, over all devices together.
        accumulate: parts that each device's share of a batch is cut into;
            their gradients are added before the one step. Memory falls, the
            step stays the same (but for batch norm in training, which then
            sees parts).
        learning_rate: of the non-recurrent variables.
        recurrent_learning_rate: of the ConvLSTMs and their gammas
            (ReConvNet: ten times the other).
        trunk_learning_rate: of the segmentation network's trunk, for networks whose
            trunk knows ImageNet and whose other parts are new; None: as the others.
        rate_drops: `((step, factor), ...)`: from that step on both rates are
            multiplied by the factor (OSMN, stage 1: ((200000, 0.1),)).
        warmup_steps: the rates rise linearly over these first steps; 0 as in
            the papers, which start from trained weights.
        final_rate: the rates fall along a cosine to this share of their
            value; 1 keeps them as the papers do.
        weight_decay: of all kernels, as slim has it: the gradient of
            weight_decay * sum(w^2) / 2 is added. None: the release's 0.0002
            with its loss, the sum over all pixels, and 0 with a loss that is a
            mean: some 1e5 times smaller, it would weigh less than the decay.
            ReConvNet's paper names none.
        trainable: regular expression, searched in variable paths: only these
            variables move (OSVOS-M: "modulator").
        freeze_batch_norm: the spatial modulator normalises with its moving
            averages and keeps them (release, stage 2); its scale and centre
            are trained all the same.
        clip_norm: largest norm of the whole gradient; None: no clipping, as
            in the papers.
        truncation: frames after which back-propagation through time is cut;
            the state is carried on. None: the whole clip. Neither paper
            gives it.
        scheduled_sampling: share of spatial guides, after the first frame of a clip,
            made from the network's own prediction of the frame before
            instead of from the true mask (scheduled sampling). 0 as OSMN's
            release; the papers do not say.
        guides_lost: share of clips in which the object is lost once: the guide of one
            frame after the first, drawn evenly, is all zeros, as behind an empty mask,
            so that the network learns to find the object again. Needs
            `scheduled_sampling`; 0 as the papers.
        first_mask_given: a network with a `memorize` is given the true mask of a
            clip's first frame, as it is of a video's; the second frame's guide is made
            from it. Needs `scheduled_sampling`.
        loss_frames: "all" frames of a clip have a loss, or the "last" one alone: with
            guides of the network's own making the earlier ones then only carry its
            faults on to the last.
        scheduled_sampling_steps: the share rises linearly from 0 over these steps.
        rematerialise: keep fewer feature maps and compute them again for the
            gradient: less memory, more time.
        validate_every: steps between validations; 0: only at the end. Ignored
            without validation clips.
        validate_at: size at which the network sees the validation's frames, as
            `working_size` of `VideoSegmenter`. None: their own.
        patience: validations without a better J after which training stops;
            0: never.
        save_every: steps between full states on the disk; 0: only at the
            end.
        seed: fixes data order, augmentation, dropout and guide draws.
    """

    samples: SampleSettings = dataclasses.field(default_factory=SampleSettings)
    loss: str = "balanced_cross_entropy"
    reduction: str = "sum"
    steps: int = 50_000
    batch_size: int = 4
    accumulate: int = 1
    learning_rate: float = 1e-6
    recurrent_learning_rate: float = 1e-5
    trunk_learning_rate: float | None = None
    rate_drops: tuple = ()
    warmup_steps: int = 0
    final_rate: float = 1.0
    weight_decay: float | None = None
    trainable: str = ""
    freeze_batch_norm: bool = True
    clip_norm: float | None = None
    truncation: int | None = None
    scheduled_sampling: float = 0.0
    scheduled_sampling_steps: int = 0
    guides_lost: float = 0.0
    first_mask_given: bool = False
    loss_frames: str = "all"
    rematerialise: bool = False
    validate_every: int = 1000
    validate_at: int | tuple | None = None
    patience: int = 0
    save_every: int = 1000
    seed: int = 0

    @property
    def summed(self) -> bool:
        """Whether the loss is a sum over the batch, as released."""
        return losses.is_sum(losses.with_reduction(self.loss, self.reduction))

    @property
    def decay(self) -> float:
        """`weight_decay` as it is used, a float."""
        if self.weight_decay is not None:
            return self.weight_decay
        return RELEASED_DECAY if self.summed else 0.0

    def check(self, replicas: int = 1) -> None:
        """Raises `InputError` for settings that contradict each other.

        Args:
            replicas: devices that share a batch.
        """
        losses.find(self.loss)
        parts = replicas * self.accumulate
        if self.batch_size % parts:
            raise InputError(
                f"a batch of {self.batch_size} cannot be shared by {replicas} "
                f"devices in {self.accumulate} parts each; choose a multiple of "
                f"{parts}."
            )
        if self.samples.clip_length is None and (
            self.truncation or self.scheduled_sampling
        ):
            raise InputError(
                "truncation and scheduled_sampling need clips; set clip_length, or "
                "leave them out for images."
            )
        if self.loss_frames not in ("all", "last"):
            raise InputError(
                f"loss_frames is {self.loss_frames!r}, expected 'all' or 'last'."
            )
        for name in ("scheduled_sampling", "guides_lost"):
            share = getattr(self, name)
            if not 0.0 <= share <= 1.0:
                raise InputError(f"{name} is a share between 0 and 1, not {share:g}.")
        if (self.guides_lost or self.first_mask_given) and not self.scheduled_sampling:
            raise InputError(
                "guides_lost and first_mask_given need scheduled_sampling; set it too."
            )


MAY_CHANGE = frozenset({"steps", "validate_every", "patience", "save_every"})
"""Settings that may differ between an interrupted run and its continuation."""
