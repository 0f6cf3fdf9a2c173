"""What every network answers, so that nothing outside knows one by name."""

import os
from typing import Any, Self

import keras
from keras import ops

from osmn_recurrent import backbones
from osmn_recurrent.guides import GAUSSIAN, Guide
from osmn_recurrent.models import saved


class SegmentationModel(keras.Model):
    """Base of all networks: two calls for a video, one for training.

    For N objects, P gammas, B pictures or clips, T frames:

    - `adapt(visual_guide) -> modulation`, once per object;
    - `encode(image) -> frame`: all that does not depend on the object;
    - `initial_state(objects, height, width) -> state`;
    - `step(frame, guide, modulation, state) -> (logits, state)`;
    - `memorize(frame, masks, state) -> state`, after the masks of all objects were
      merged, for methods that remember masks;
    - `call({"image", "visual_guide", "spatial_guide"}) -> logits`.

    What a network does not use is an empty structure `()`.

    Attributes:
        guide: how the guide of a frame is made from the object's mask in the frame
            before, a `guides.Guide`.
        use_visual_modulator: whether `adapt` gives a modulation.
        modulator: the visual modulator, or None.
        modulator_sp: the `SpatialModulator`, or None.
        cells: the `ModulatedConvLSTM2D`s, a list.
        backbone: the `Backbone`.

    Args:
        backbone: name of the backbone, see `backbones.NAMES`.
        **kwargs: `name` and `dtype` of `keras.Model`.
    """

    guide: Guide = GAUSSIAN
    use_visual_modulator = True
    takes_visual_modulator = False
    modulator: Any = None
    modulator_sp: Any = None
    cells: Any = ()

    def __init__(self, backbone: str = "vgg16", **kwargs: Any) -> None:
        # Without autocast the image reaches the first convolution, and the
        # heat map the pooling, in float32; layers cast for themselves.
        super().__init__(autocast=False, **kwargs)
        self.backbone = backbones.find(backbone)

    def gamma_layout(self) -> list[tuple[str, int, int]]:
        """Where each layer's gammas lie in the modulation vector.

        Returns:
            List of `(layer name, start, end)` in vector order.
        """
        raise NotImplementedError

    def adapt(self, visual_guide: Any, training: bool = False) -> Any:
        """Modulation of the objects, computed once per object.

        Args:
            visual_guide: (N, 224, 224, 3) BGR minus mean, background 0.
            training: whether dropout is active.

        Returns:
            (N, P) float32, or `()` without a visual modulator.
        """
        if self.modulator is None:
            return ()
        return self._modulation(visual_guide, training)

    def _modulation(self, visual_guide, training):
        return self.modulator(visual_guide, training=training)

    def encode(self, image: Any, training: bool = False) -> Any:
        """What all objects share of a frame.

        Args:
            image: (B, H, W, 3) BGR minus mean.
            training: whether batch statistics are active.

        Returns:
            A structure of tensors for `step`.
        """
        raise NotImplementedError

    def initial_state(self, objects: int, height: int, width: int) -> Any:
        """State before the first frame, `()` where nothing is carried.

        Any structure of tensors that have the objects as first axis. Their shapes
        follow from the arguments alone, so that they stay the same along a video: a
        memory has a fixed number of places, and a tensor that counts the used ones.

        Args:
            objects: N.
            height: rows H of the image.
            width: columns W of the image.
        """
        return ()

    def step(
        self,
        frame: Any,
        guide: Any,
        modulation: Any,
        state: Any,
        training: bool = False,
    ) -> tuple[Any, Any]:
        """Segments one frame.

        Args:
            frame: of `encode`, batch 1 for all N objects or batch N.
            guide: (N, H, W, 1) of `self.guide`; `()` where there is none.
            modulation: (N, P) of `adapt`, or `()`.
            state: of `initial_state` or the frame before.
            training: whether dropout and batch statistics are active.

        Returns:
            `(logits, state)`: (N, H, W, 1) float32 (batch 1 for a network
            without guide and modulation) and the state for the next frame.
        """
        raise NotImplementedError

    def memorize(self, frame: Any, masks: Any, state: Any) -> Any:
        """Hook: the state with a frame's final masks in it.

        Called after every `step`, once the objects' masks were merged, and with the
        given masks of new or corrected objects. By default nothing is remembered, and
        the call costs nothing.

        Args:
            frame: of `encode`, batch 1 for all N objects or batch N.
            masks: (N, H, W, 1) float32 of 0 and 1 at the image's size; in training
                the probabilities of a network's own masks.
            state: of `step`, or of `initial_state` for new objects.

        Returns:
            The state for the next frame, of the same structure and shapes.
        """
        return state

    @property
    def memorizes(self) -> bool:
        """Whether the network has a `memorize` of its own."""
        return type(self).memorize is not SegmentationModel.memorize

    def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
        """Segments images or clips, for training.

        Args:
            inputs: dict of "image" (B, H, W, 3) or (B, T, H, W, 3) BGR minus
                mean, "visual_guide" (B, 224, 224, 3), and "spatial_guide",
                the image's shape with one channel. What the network does not
                use may be missing.
            training: whether dropout and batch statistics are active.

        Returns:
            Logits (B, H, W, 1) or (B, T, H, W, 1), float32.
        """
        return self.run(inputs, training=training)[0]

    def run(
        self, inputs: dict[str, Any], state: Any = None, training: bool = False
    ) -> tuple[Any, Any]:
        """`call` that starts from a state, for clips that come in parts.

        Args:
            inputs: as of `call`.
            state: of `initial_state` or the part before; None: the initial
                one.
            training: whether dropout and batch statistics are active.

        Returns:
            `(logits, state)`: as of `call`, and the state after the last
            frame.
        """
        image, guide = inputs["image"], inputs.get("spatial_guide", ())
        if not self.guide.is_used:
            guide = ()
        modulation = ()
        if self.use_visual_modulator:
            modulation = self.adapt(inputs["visual_guide"], training)
        if len(image.shape) == 4:
            return self._run_merged(image, guide, modulation, state, 1, training)
        length = image.shape[1]
        if length is None:
            raise ValueError(
                "the number of frames of a clip must be static. "
                f"Received: image.shape={tuple(image.shape)}"
            )
        if self.memorizes:
            return self._run_in_turn(image, guide, modulation, state, training)
        if self.use_visual_modulator:
            modulation = ops.repeat(modulation, length, axis=0)
        guide = _merge_time(guide) if self.guide.is_used else ()
        logits, state = self._run_merged(
            _merge_time(image), guide, modulation, state, length, training
        )
        _, height, width, _ = ops.shape(logits)
        return ops.reshape(logits, (-1, length, height, width, 1)), state

    def _run_merged(self, image, guide, modulation, state, length, training):
        """Logits of `length` frames per clip, time merged into the batch."""
        del state, length  # Nothing is carried from frame to frame.
        return self.step(self.encode(image, training), guide, modulation, (), training)

    def _run_in_turn(self, image, guide, modulation, state, training):
        """Logits (B, T, H, W, 1) of clips, frame by frame, each one memorized."""
        if state is None:
            batch, _, height, width, _ = ops.shape(image)
            state = self.initial_state(batch, height, width)
        found = []
        for t in range(image.shape[1]):
            frame = self.encode(image[:, t], training)
            own = guide[:, t] if self.guide.is_used else ()
            logits, state = self.step(frame, own, modulation, state, training)
            state = self.memorize(frame, ops.sigmoid(logits), state)
            found.append(logits)
        return ops.stack(found, axis=1), state

    @classmethod
    def from_preset(cls, source: str | os.PathLike) -> Self:
        """A network with its weights.

        Args:
            source: name of a preset (`presets.presets`); a folder of
                `save_to_preset`; a `.keras` file; "https://HOST/NAME.keras#sha256=..."
                with the file's SHA-256; or "hf://USER/REPOSITORY", with @REVISION to
                pin it, a repository at Hugging Face that holds such a folder.
                Downloads are kept beside converted weights (`presets.folder`).

        Returns:
            A built network of this class or a subclass.

        Raises:
            InputError: an unknown source, one that cannot be read or downloaded,
                whose digest is another, or that holds another kind of network.
        """
        return saved.from_preset(source, cls)[0]

    def save_to_preset(
        self,
        folder: str | os.PathLike,
        working_size: int | tuple[int, int] | None = None,
        search_area: float | None = None,
    ) -> None:
        """Writes the network as a folder for `from_preset`.

        Args:
            folder: made if missing; a preset that it holds is replaced.
            working_size: size at which a `VideoSegmenter` should see frames: shorter
                side or `(height, width)`; None: their own.
            search_area: part of a frame that it should see; see `VideoSegmenter`.
        """
        saved.save_to_preset(self, folder, working_size, search_area)

    def build(self, input_shape: Any = None) -> None:
        """Makes all variables; no input shape is needed."""
        raise NotImplementedError

    def _build_part(self, part, taken, made):
        """Builds a part, and notes the shape of its outputs for `summary`."""
        part.build(taken)
        part.output_shape = made

    def rematerialise(self, on: bool = True) -> None:
        """Trades time for memory in training (`keras.remat`).

        Args:
            on: True keeps only what enters a level of the trunk or a time step
                of a ConvLSTM, and computes the rest again for the gradient.
        """
        parts = getattr(self, "seg", None), self.modulator
        levels = [b for part in parts for b in getattr(part, "blocks", ())]
        for layer in [*levels, *self.cells]:
            layer.rematerialise = on

    def get_build_config(self) -> dict:
        """No shapes are needed, but Keras ignores an empty dict."""
        return {"input_shape": None}

    def build_from_config(self, config: dict) -> None:
        """Makes the variables when a saved model is loaded."""
        self.build()

    def get_config(self) -> dict:
        """Constructor arguments."""
        return {
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "backbone": self.backbone.name,
        }

    @classmethod
    def from_config(cls, config: dict) -> Self:
        """Makes the model that `get_config` describes."""
        config = dict(config)
        if "size" in config:  # a file from before backbones had names
            config["backbone"] = _EARLIER_SIZES[config.pop("size")]
            if cls.takes_visual_modulator:
                config["visual_modulator"] = "release"
        if "recurrent_blocks" in config:
            config["recurrent_levels"] = config.pop("recurrent_blocks")
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = keras.saving.deserialize_keras_object(config["dtype"])
        return cls(**config)


_EARLIER_SIZES = {"full": "vgg16", "compact": "vgg16_compact"}


def _merge_time(x):
    """(B, T, H, W, C) to (B*T, H, W, C)."""
    _, _, height, width, channels = ops.shape(x)
    return ops.reshape(x, (-1, height, width, channels))
