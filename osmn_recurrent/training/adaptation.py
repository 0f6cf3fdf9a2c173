"""Online adaptation: networks that keep learning while they segment.

Voigtlaender and Leibe, "Online Adaptation of Convolutional Neural Networks
for Video Object Segmentation" (onAVOS, BMVC 2017), section 4, on top of any
network of this package. Names and values of the parameters are those of its
released DAVIS16_online configuration.
"""

import dataclasses

import cv2
import numpy as np
import tensorflow as tf
from keras import ops

from osmn_recurrent import masks
from osmn_recurrent.inference.frame_function import make_memory_function
from osmn_recurrent.inference.objectwise import (
    ObjectwiseSegmenter,
    make_probability_function,
)
from osmn_recurrent.training.online import FinetuneSettings, Tuner

IGNORED = 255
"""Value of pixels that are no target."""


@dataclasses.dataclass(frozen=True)
class AdaptationSettings:
    """Parameters of onAVOS.

    Attributes:
        n_adaptation_steps: updates per frame.
        adaptation_interval: of these, every so-manieth is on the current
            frame; the others are on the first one, against drift.
        adaptation_learning_rate: of all updates.
        posterior_positive_threshold: pixels of a larger probability become
            foreground targets.
        distance_negative_threshold: pixels farther than this from the last
            mask become background targets; in pixels of the frame, chosen
            for 854x480.
        adaptation_loss_scale: weight of the current frame's loss.
        adaptation_erosion_size: side of the square that erodes the last mask
            first. If nothing of it is left, the object counts as lost and
            the current frame teaches nothing.
    """

    n_adaptation_steps: int = 15
    adaptation_interval: int = 5
    adaptation_learning_rate: float = 1e-5
    posterior_positive_threshold: float = 0.97
    distance_negative_threshold: float = 220.0
    adaptation_loss_scale: float = 0.05
    adaptation_erosion_size: int = 15


def adaptation_targets(last_mask, posteriors, settings):
    """What the current frame teaches.

    Args:
        last_mask: (H, W) bool, the object in the frame before.
        posteriors: (H, W) float, its probabilities in this frame.
        settings: `AdaptationSettings`.

    Returns:
        (H, W) uint8: 1 foreground, 0 background (which wins), 255 no target.
        None if the object seems to be lost.
    """
    size = settings.adaptation_erosion_size
    eroded = cv2.erode(last_mask.astype(np.uint8), np.ones((size, size), np.uint8))
    if not eroded.any():
        return None
    distance = cv2.distanceTransform(1 - eroded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    targets = np.full(last_mask.shape, IGNORED, np.uint8)
    targets[posteriors > settings.posterior_positive_threshold] = 1
    targets[distance > settings.distance_negative_threshold] = 0
    return targets


class AdaptingSegmenter(ObjectwiseSegmenter):
    """`ObjectwiseSegmenter` whose networks are updated at every frame.

    Before a frame is segmented each object's network makes
    `n_adaptation_steps` updates; then it segments the frame. Far background
    is taken out of the mask from which the next targets are made. Weights go
    back to the given ones with every new video; the given networks are not
    touched.

    Resuming after an interruption runs the adaptation again from the first frame.

    Args:
        models: `{object id: network}`, usually fine-tuned on the first frame.
        adaptation: `AdaptationSettings`.
        finetuning: `FinetuneSettings`, for the loss, the parts that move and
            the first frame's transformations; default: `FinetuneSettings.for_network`.
        merge: see `VideoSegmenter`.
        working_size: see `VideoSegmenter`.
        **options: `guides_from`, `enlarge`, `visual_guide` of `VideoSegmenter`.
    """

    def __init__(
        self,
        models,
        adaptation=None,
        finetuning=None,
        merge="argmax",
        working_size=None,
        **options,
    ):
        self.adaptation = adaptation or AdaptationSettings()
        first = next(iter(models.values()))
        finetuning = finetuning or FinetuneSettings.for_network(first)
        self.finetuning = dataclasses.replace(
            finetuning,
            learning_rate=self.adaptation.adaptation_learning_rate,
            power=None,
        )
        super().__init__(models, merge, working_size, **options)
        if self.search_area is not None:
            raise ValueError(
                "what is learned from a frame is learned from the whole; leave "
                "search_area out."
            )

    @property
    def carries_state(self):
        """True: what the networks have learnt is carried."""
        return True

    def settings(self):
        """Those of `ObjectwiseSegmenter`, and of the adaptation."""
        return {
            **super().settings(),
            "adaptation": dataclasses.asdict(self.adaptation),
            "finetuning": dataclasses.asdict(self.finetuning),
        }

    def _forget_objects(self):
        super()._forget_objects()
        self._learners = {}

    def _paint(self, frame, mask, painted):
        new = [i for i in painted if i not in self.objects and i in self.models]
        ids = super()._paint(frame, mask, painted)
        self._learners = dict(self._learners)
        for i in painted:
            if i in new:
                self._learners[i] = _Learner(self, i, frame, mask == i)
            else:
                self._learners[i].reference = mask == i
            self._learners[i].visual_guide = self._seen(frame, mask == i)[None]
        return ids

    def _show(self, object_id, seen):
        super()._show(object_id, seen)
        self._learners[object_id].visual_guide = seen

    def _run(self, frame):
        ids = super()._run(frame)
        for i in self.objects:
            self._learners[i].remember(ids.numpy() == i)
        return ids

    def _memorized(self, i, image, own_mask, state):
        if i not in self._learners or not self.models[i].memorizes:
            return super()._memorized(i, image, own_mask, state)
        return self._learners[i].memory_function(image, own_mask[None], state)

    def _object_probabilities(self, i, image, last, state):
        return self._learners[i].segment(image, last, state)


class _Learner:
    """One object's network in one video."""

    def __init__(self, segmenter, i, frame, mask):
        size = segmenter._network_size(*mask.shape)
        resizing = segmenter.working_size is not None
        transforms = dataclasses.replace(segmenter.finetuning.transforms, size=size)
        settings = dataclasses.replace(segmenter.finetuning, transforms=transforms)
        self.adaptation, self.size = segmenter.adaptation, size
        self.tuner = Tuner(segmenter.models[i], frame, mask, settings)
        self.teaches = self.tuner.reason_not_trainable() is None
        self.probabilities_of = make_probability_function(
            self.tuner.model, resizing, segmenter.enlarge
        )
        self.memory_function = make_memory_function(self.tuner.model, resizing)
        self.update = tf.function(self._update)  # of one video, so of one size
        self.reference, self.negatives, self.steps = mask, None, 0

    def segment(self, image, last, state):
        """Adapts, then segments: probabilities (H, W) and the new state."""
        found, _ = self.probabilities_of(image, last, self._modulation(), state)
        targets = adaptation_targets(self.reference, found.numpy(), self.adaptation)
        self.negatives = None if targets is None else targets == 0
        self._adapt(image, last, state, targets)
        return self.probabilities_of(image, last, self._modulation(), state)

    def remember(self, mask):
        """Keeps this frame's mask for the next targets."""
        self.reference = mask if self.negatives is None else mask & ~self.negatives

    def _modulation(self):
        model = self.tuner.model
        if not model.use_visual_modulator:
            return ()
        return model.adapt(ops.convert_to_tensor(self.visual_guide))

    def _adapt(self, image, last, state, targets):
        if targets is not None:
            targets = masks.resize_mask(targets, self.size)
            last = masks.resize_mask(last.numpy().astype(np.uint8), self.size)
        for k in range(self.adaptation.n_adaptation_steps):
            if k % self.adaptation.adaptation_interval:
                if self.teaches:
                    self.tuner.first_frame_step(self.steps)
            elif targets is not None and (targets != IGNORED).any():
                self.tuner.checked(
                    self.update(image, self.visual_guide, last[None], targets, state)
                )
            self.steps += 1

    def _update(self, image, visual_guide, last, targets, state):
        model = self.tuner.model
        counted = tf.where(targets != IGNORED)
        labels = tf.gather_nd(targets, counted)[None, :, None, None]
        with tf.GradientTape() as tape:
            modulation = ()
            if model.use_visual_modulator:
                modulation = model.adapt(visual_guide, training=True)
            guide = model.guide.of_masks(last)
            logits, _ = model.step(
                model.encode(image, training=True),
                guide,
                modulation,
                state,
                training=True,
            )
            # The losses know pictures: one of n x 1 pixels.
            own = tf.gather_nd(logits[0, ..., 0], counted)[None, :, None, None]
            loss = self.adaptation.adaptation_loss_scale * self.tuner.loss(labels, own)
        self.tuner.descend(tape, loss)
        return loss
