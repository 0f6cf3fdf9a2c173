"""OSVOS and OSVOS-M: OSMN's segmentation network with less steering."""

from typing import Any

import keras

from osmn_recurrent.models.osmn import OSMN


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class OSVOSM(OSMN):
    """OSVOS-M (OSMN section 4.1.2): visual modulation only.

    The paper trains the modulator and keeps the segmentation network fixed;
    which parts move is a setting of the training.

    Args:
        **kwargs: as of `OSMN`, without `use_spatial_modulator`.
    """

    def __init__(self, backbone="vgg16", **kwargs):
        super().__init__(
            backbone, use_spatial_modulator=False, **{"name": "osvos_m", **kwargs}
        )

    def get_config(self):
        """Constructor arguments."""
        config = super().get_config()
        del config["use_spatial_modulator"]
        return config


@keras.saving.register_keras_serializable(package="osmn_recurrent")
class OSVOS(OSMN):
    """OSVOS (Caelles et al. 2017): the segmentation network alone.

    Without fine-tuning on the first frame ("OSVOS-B") it finds whatever its
    training taught it to be foreground; `step` gives one map for all objects.

    Args:
        **kwargs: `alignment`, `name` and `dtype` as of `OSMN`.
    """

    takes_visual_modulator = False

    def __init__(self, backbone: str = "vgg16", **kwargs: Any) -> None:
        super().__init__(
            backbone,
            use_visual_modulator=False,
            use_spatial_modulator=False,
            **{"name": "osvos", **kwargs},
        )

    def get_config(self) -> dict:
        """Constructor arguments."""
        config = super().get_config()
        for name in (
            "use_visual_modulator",
            "use_spatial_modulator",
            "mod_early_conv",
            "visual_modulator",
            "modulator_options",
        ):
            del config[name]
        return config
