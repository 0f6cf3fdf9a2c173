"""One step of training: forward, loss, gradients, update."""

import functools
import re

import keras
import tensorflow as tf
from keras import ops

from osmn_recurrent import losses
from osmn_recurrent.training import pipeline


def trained_variables(model, settings):
    """The variables of `model` that `settings.trainable` lets move."""
    return [
        variable
        for variable in model.trainable_variables
        if re.search(settings.trainable, variable.path)
    ]


def make_loss(settings):
    """The loss of `TrainSettings`, a function of labels, logits and share.

    The third argument is the positive share of the whole batch; only sums over
    the batch need it.
    """
    loss = losses.with_reduction(settings.loss, settings.reduction)
    if losses.is_sum(loss) and losses.takes_share(loss):
        return lambda labels, logits, share: loss(labels, logits, positive_share=share)
    return lambda labels, logits, share: loss(labels, logits)


class TrainStep:
    """Compiled optimiser step, on one device or on many.

    A device's share of the batch is cut into `accumulate` parts, and each
    clip into spans of `truncation` frames. Every part and span has its own
    gradient, one after the other; the gradients are added up over all of
    them and over all devices, and applied once. The loss is that of the whole
    batch, whatever the parts: sums add up, means are weighted.

    Args:
        model: a built `SegmentationModel`, made in the strategy's scope.
        optimizer: of `optimizers.make_optimizer`, made there too.
        settings: `TrainSettings`.
        strategy: `tf.distribute.Strategy`.
    """

    def __init__(self, model, optimizer, settings, strategy):
        self.model, self.optimizer, self.settings = model, optimizer, settings
        self.strategy = strategy
        self.variables = trained_variables(model, settings)
        self.loss = make_loss(settings)
        self._compiled = None

    def compile(self, batch_spec):
        """Fixes what batches are; one graph then serves all scales.

        Traced for the batches that come, the graph, and with it the order of
        sums, would depend on which scale came first, and a training that was
        killed would not end as a whole one.

        Args:
            batch_spec: `(inputs, labels)` of `tf.TypeSpec`s with sides left
                open: `pipeline.batch_spec`, or the `element_spec` of the
                distributed data set.
        """
        number = tf.TensorSpec((), tf.int64)
        self._compiled = tf.function(self._run, input_signature=(*batch_spec, number))

    def __call__(self, batch, number):
        """Runs step `number` (int, from 0) on a batch.

        Args:
            batch: `(inputs, labels)` of the distributed data set.
            number: the step's number; draws of guides depend on it.

        Returns:
            The batch's loss, a Python float.
        """
        if self._compiled is None:
            self.compile(pipeline.batch_spec(self.settings.samples.clip_length))
        return float(self._compiled(*batch, tf.constant(number, tf.int64)))

    def _run(self, inputs, labels, number):
        loss = self.strategy.run(self._replica, (inputs, labels, number))
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, loss, axis=None)

    def _replica(self, inputs, labels, number):
        context = tf.distribute.get_replica_context()
        total = functools.partial(context.all_reduce, tf.distribute.ReduceOp.SUM)
        positive = tf.reduce_sum(tf.cast(labels > 0.5, tf.float32))
        share = total(positive) / total(tf.cast(tf.size(labels), tf.float32))
        loss, gradients = self._gradients(inputs, labels, share, number)
        gradients = self._with_decay(total(gradients))
        # Keras adds up what all replicas give; see `GroupedAdam`.
        count = context.num_replicas_in_sync
        self.optimizer.apply([each / count for each in gradients], self.variables)
        return loss

    def _gradients(self, inputs, labels, share, number):
        """Loss and gradients of this device's share, part after part."""
        parts = self.settings.accumulate
        length = labels.shape[1] if len(labels.shape) == 5 else None
        weight = 1.0 / (parts * self.strategy.num_replicas_in_sync)
        loss, gradients = tf.zeros(()), None
        for part in range(parts):
            each = [_part(x, part, parts) for x in tf.nest.flatten(inputs)]
            given = tf.nest.pack_sequence_as(inputs, each)
            own_labels, state, last = _part(labels, part, parts), None, None
            for begin, end in spans(length, self.settings.truncation):
                own = 1.0 if length is None else (end - begin) / length
                # A part starts when the one before has its gradients, or the
                # feature maps of all would lie in memory together.
                with tf.control_dependencies(gradients or []):
                    value, found, state, last = self._span(
                        cut(given, begin, end),
                        own_labels if length is None else own_labels[:, begin:end],
                        (state, last, share, number, part),
                        1.0 if self.settings.summed else weight * own,
                    )
                loss += value
                if gradients is not None:
                    found = [a + b for a, b in zip(gradients, found, strict=True)]
                gradients = found
        return loss, gradients

    def _span(self, inputs, labels, carried, weight):
        state, last, share, number, part = carried
        settings = self.settings
        with tf.GradientTape() as tape:
            if settings.scheduled_sampling:
                logits, state = self._roll_out(
                    inputs, labels, state, last, number, part
                )
            else:
                logits, state = self.model.run(inputs, state, training=True)
            whole = logits
            if settings.loss_frames == "last" and len(logits.shape) == 5:
                labels, logits = labels[:, -1:], logits[:, -1:]
            loss = weight * self.loss(labels, logits, share)
            scaled = self.optimizer.scale_loss(loss)
        variables = [variable.value for variable in self.variables]
        gradients = tape.gradient(
            scaled, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        state = tf.nest.map_structure(tf.stop_gradient, state)
        last = tf.stop_gradient(whole[:, -1]) if len(whole.shape) == 5 else None
        return loss, gradients, state, last

    def _roll_out(self, inputs, labels, state, last, number, part):
        """Frame by frame, guides partly from the network's own predictions.

        No gradient passes through a guide: it comes from a thresholded mask.
        """
        model, settings = self.model, self.settings
        modulation = ()
        if model.use_visual_modulator:
            modulation = model.adapt(inputs["visual_guide"], training=True)
        share = settings.scheduled_sampling
        if settings.scheduled_sampling_steps:
            risen = tf.cast(number, tf.float32) / settings.scheduled_sampling_steps
            share *= tf.minimum(1.0, risen)
        images = tf.unstack(inputs["image"], axis=1)
        true_guides = tf.unstack(inputs["spatial_guide"], axis=1)
        begins = state is None
        if begins:
            batch, height, width, _ = ops.shape(images[0])
            state = model.initial_state(batch, height, width)
        # Different draws on every device.
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.stack([settings.seed, 1000 * part + tf.cast(replica, tf.int32)])
        seed = tf.random.fold_in(tf.cast(seed, tf.int32), number)
        # A sample that keeps its spatial guide to itself does so along the clip.
        given = tf.reduce_any(inputs["spatial_guide"] > 0.0, axis=(1, 2, 3))
        given = tf.cast(given, tf.float32)[:, None, None, :]
        lost = self._lost_frames(tf.shape(given)[0], len(images), seed)
        outputs = []
        for t, (image, guide) in enumerate(zip(images, true_guides, strict=True)):
            if last is not None and model.guide.is_used:
                draw = tf.random.stateless_uniform(
                    (tf.shape(guide)[0], 1, 1, 1), tf.random.fold_in(seed, t)
                )
                own = given * model.guide.of_masks(last > 0.0)
                guide = tf.where(draw < share, own, guide)
                guide = tf.where(lost == t, 0.0, guide)
            guide = guide if model.guide.is_used else ()
            frame = model.encode(image, training=True)
            before = state
            logits, state = model.step(frame, guide, modulation, state, training=True)
            last = tf.stop_gradient(logits)
            if begins and t == 0 and settings.first_mask_given:
                last = labels[:, 0] - 0.5
                state = model.memorize(frame, labels[:, 0], before)
            else:
                state = model.memorize(frame, ops.sigmoid(logits), state)
            outputs.append(logits)
        return tf.stack(outputs, axis=1), state

    def _lost_frames(self, clips, length, seed):
        """(B, 1, 1, 1) int32: the frame whose guide is lost; 0, the first: none."""
        shape = (clips, 1, 1, 1)
        if length < 2 or not self.settings.guides_lost:
            return tf.zeros(shape, tf.int32)
        # Behind the draws of the frames themselves.
        is_lost, frame = (tf.random.fold_in(seed, length + k) for k in range(2))
        is_lost = tf.random.stateless_uniform(shape, is_lost)
        frame = tf.random.stateless_uniform(shape, frame, 1, length, tf.int32)
        return tf.where(is_lost < self.settings.guides_lost, frame, 0)

    def _with_decay(self, gradients):
        """Adds slim's weight decay of kernels, scaled as the loss is."""
        decay = self.settings.decay
        if not decay:
            return gradients
        decay = self.optimizer.scale_loss(tf.constant(decay))
        return [
            gradient + decay * variable.value if decays(variable) else gradient
            for gradient, variable in zip(gradients, self.variables, strict=True)
        ]


def decays(variable):
    """Whether a variable decays: kernels do, but no depthwise ones (slim)."""
    layer, _, leaf = variable.path.rpartition("/")
    return leaf.endswith("kernel") and not layer.endswith("depthwise")


def spans(length, truncation):
    """`[(begin, end), ...]` of a clip cut every `truncation` frames."""
    if length is None:
        return [(0, None)]
    size = truncation or length
    return [(t, min(t + size, length)) for t in range(0, length, size)]


def cut(inputs, begin, end):
    """Frames `begin` to `end` of a batch's inputs; all of them for images."""
    if end is None:
        return inputs
    return {
        name: value if name == "visual_guide" else value[:, begin:end]
        for name, value in inputs.items()
    }


def _part(x, index, parts):
    """Part `index` of `parts` equal ones along the batch."""
    if parts == 1:
        return x
    size = tf.shape(x)[0] // parts
    return x[index * size : (index + 1) * size]


def prepare(model, settings, replicas):
    """Puts a network into the state that a training needs.

    Args:
        model: a built `SegmentationModel`.
        settings: `TrainSettings`.
        replicas: devices that share a batch; batch statistics are taken over
            all of them.
    """
    model.rematerialise(settings.rematerialise)
    modulator = getattr(model, "modulator_sp", None)
    if modulator is not None:
        modulator.freeze_statistics = settings.freeze_batch_norm
        for norm in modulator.norms:
            norm.synchronized = replicas > 1 and not settings.freeze_batch_norm
    keras.utils.set_random_seed(settings.seed)
