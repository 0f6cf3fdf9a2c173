"""DeepLab-LargeFOV's VGG16: strides up to 8, a dilated last block.

Release `model_func.py: osmn_deeplab` and `osmn_masktrack`, which differ in the size
of the poolings and in the name of the classifiers.
"""

from osmn_recurrent import backbones
from osmn_recurrent.backbones.vgg16 import COMPACT, FULL, VGG16


class DeepLab(VGG16):
    """VGG16 with the last pooling at stride 1 and conv5 dilated by 2.

    Args:
        name: of the backbone.
        width: `Width`.
        pool: side of the poolings before blocks 2 to 5.
        classifier: name of the branches' last layers, without their number.
        modulator_trunk: name of the plain VGG16 of the visual modulator.
    """

    decoder, sides = "atrous", (5,)

    def __init__(self, name, width, pool, classifier, modulator_trunk):
        pools = ((pool, 2), (pool, 2), (pool, 2), (pool, 1))
        super().__init__(name, width, (1, 1, 1, 1, 2), pools)
        self.classifier, self.modulator_trunk = classifier, modulator_trunk


for _suffix, _width in (("", FULL), ("_compact", COMPACT)):
    backbones.register(
        DeepLab(f"deeplab{_suffix}", _width, 2, "fc8_voc12", f"vgg16{_suffix}")
    )
    backbones.register(
        DeepLab(f"deeplab_masktrack{_suffix}", _width, 3, "fc8", f"vgg16{_suffix}")
    )
