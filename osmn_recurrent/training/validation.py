"""Validation by propagation: whole clips, the network's own masks as guides."""

import numpy as np
import tensorflow as tf

from osmn_recurrent.inference import modulation_health
from osmn_recurrent.inference.segmenter import VideoSegmenter
from osmn_recurrent.metrics.davis_scores import evaluate_masks
from osmn_recurrent.models.precision import precision_of
from osmn_recurrent.training import distribution, pipeline, steps
from osmn_recurrent.training.samples import ClipSamples

LOSS_SAMPLES = 32
"""Samples of the validation loss, spread over all clips."""


class Validation:
    """Scores a network on clips as it would be used.

    J and F come from propagation through each whole clip from its first mask
    (DAVIS' rules); the loss from single samples with true guides, undisturbed,
    as in training. Only the former says how errors add up. Neither says whether the
    visual guide still matters: that is the spread of the gammas over the objects of
    the clips' first frames, which all workers measure alike.

    Args:
        model: a built `SegmentationModel`; its current weights are scored.
        clips: list of `Clip`s with a mask for every frame.
        settings: `TrainSettings`.
        strategy: `tf.distribute.Strategy`; its workers share the clips.
    """

    def __init__(self, model, clips, settings, strategy):
        self.model, self.clips, self.strategy = model, list(clips), strategy
        self._segmenter = VideoSegmenter(
            model,
            precision_of(model),
            working_size=settings.validate_at,
            visual_guide=settings.samples.guide_augmentation.visual_guide_options(),
        )
        self.samples = ClipSamples(
            self.clips,
            settings.samples.undisturbed(),
            model.guide,
        )
        self._guides = ()
        if model.use_visual_modulator:
            self._guides = modulation_health.first_guides(self.clips)
        count = min(LOSS_SAMPLES, len(self.samples))
        self._numbers = np.linspace(0, len(self.samples) - 1, count).astype(int)
        self._loss = steps.make_loss(settings)
        self._compiled = tf.function(
            self._sample_loss,
            input_signature=pipeline.batch_spec(settings.samples.clip_length),
        )

    def __call__(self):
        """Scores the current weights; all workers must call it.

        Returns:
            Dict of "loss", "J", "F" and "J&F" (the last three in [0, 1]),
            means over samples or objects; and, where the network has a visual
            modulator and the clips two objects or more, the figures of
            `modulation_health.ModulationSpread`.
        """
        index, count = distribution.worker_of(self.strategy)
        sums = np.zeros(5)
        for clip in self.clips[index::count]:
            figures = [score.summary() for score in self._scores(clip).values()]
            for figure in figures:
                if np.isfinite(figure["J-Mean"]):
                    sums[:3] += figure["J-Mean"], figure["F-Mean"], 1
        for number in self._numbers[index::count]:
            sums[3:] += self.loss(self.samples.make(int(number), int(number))), 1
        j, f, objects, loss, samples = distribution.sum_over_workers(
            self.strategy, sums
        )
        j, f = float(j / objects), float(f / objects)
        figures = {"loss": float(loss / samples), "J": j, "F": f, "J&F": (j + f) / 2}
        if len(self._guides) > 1:
            spread = modulation_health.modulation_spread(self.model, self._guides)
            figures |= spread.summary()
        return figures

    def _scores(self, clip):
        ground_truth = [clip.mask(t) for t in range(len(clip))]
        predicted = self._segmenter.segment(clip.frames(), ground_truth[0])
        return evaluate_masks(ground_truth, predicted)

    def loss(self, sample):
        """Loss of one sample, a float."""
        image, visual, spatial, label = (
            tf.convert_to_tensor(part[None], tf.float32) for part in sample
        )
        inputs = {"image": image, "visual_guide": visual, "spatial_guide": spatial}
        return float(self._compiled(inputs, label))

    def _sample_loss(self, inputs, label):
        logits = self.model(inputs, training=False)
        return self._loss(label, logits, tf.reduce_mean(label))
