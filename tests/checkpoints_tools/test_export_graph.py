"""The frozen graph, run by TensorFlow 1's session, against the network."""

import json

import numpy as np
import pytest
import tensorflow as tf

from checkpoints_tools import open_weights
from checkpoints_tools.export_graph import export_graph
from checkpoints_tools.release_names import release_variables
from osmn_recurrent import programs
from osmn_recurrent.cli import convert_export
from osmn_recurrent.errors import InputError
from osmn_recurrent.models.building import build_model, weights_of


@pytest.fixture(scope="module")
def model():
    """A small OSMN with weights that all matter."""
    made, rng = build_model("osmn", "mobilenet_compact"), np.random.default_rng(0)
    for variable in weights_of(made):
        shape = tuple(variable.shape)
        spread = 1.4 / np.sqrt(max(1, np.prod(shape[:-1])))
        values = (
            rng.normal(0, spread, shape)
            if len(shape) > 1
            else rng.uniform(0.5, 1.0, shape)
        )
        variable.assign(values)
    return made


def test_the_graph_gives_what_the_network_gives(model, tmp_path):
    path = tmp_path / "osmn.ckpt-5.graph.pb"
    export_graph(model, path, 64, 96)
    rng = np.random.default_rng(1)
    guide = rng.uniform(-110, 140, (1, 224, 224, 3)).astype(np.float32)
    image = rng.uniform(-110, 140, (1, 64, 96, 3)).astype(np.float32)
    heat = rng.uniform(size=(1, 64, 96, 1)).astype(np.float32)
    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    names = ["prob", *(f"visual_mod_params_{k}" for k in range(1, 5))]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.import_graph_def(graph, name="")
        scale = np.float32(0.00787)
        prob, *gammas = session.run(
            [f"{name}:0" for name in names],
            {
                "guide_image:0": guide * scale,
                "input_image:0": image * scale,
                "gb_image:0": heat,
            },
        )
    expected = np.asarray(model.adapt(guide))
    layout = model.gamma_layout()
    assert [g.shape for g in gammas] == [(1, 1, 1, b - a) for _, a, b in layout]
    flat = np.concatenate([g.ravel() for g in gammas])
    np.testing.assert_allclose(flat, expected[0], rtol=1e-4, atol=1e-4)
    given = {"image": image, "visual_guide": guide, "spatial_guide": heat}
    logits = np.asarray(model(given), np.float64)
    np.testing.assert_allclose(prob, 1 / (1 + np.exp(-logits)), atol=1e-4)
    flags = json.loads((tmp_path / f"{path.name}.json").read_text())
    assert (flags["base_model"], flags["im_size"]) == ("lite", [96, 64])
    stored = open_weights(path)
    for name, variable in release_variables(model)[0].items():
        np.testing.assert_array_equal(stored.read(name), variable)
    with pytest.raises(InputError, match="overwrite"):
        export_graph(model, path, 64, 96)


def test_other_networks_are_refused(tmp_path):
    for name, options in (
        ("osmn", {"backbone": "vgg16_compact"}),
        ("reconvnet", {"backbone": "mobilenet_compact"}),
        ("osvos_m", {"backbone": "mobilenet_compact"}),
    ):
        with pytest.raises(InputError, match="the release freezes OSMN on MobileNet"):
            export_graph(build_model(name, **options), tmp_path / "a.graph.pb", 64, 96)
    assert not list(tmp_path.iterdir())


def test_the_program(model, tmp_path):
    model.save(tmp_path / "m.keras")
    for name in convert_export.FLAGS:
        convert_export.FLAGS[name].unparse()
    arguments = [f"--weights={tmp_path}/m.keras", f"--out={tmp_path}/m.graph.pb"]
    arguments = ["convert", *arguments, "--height=64", "--width=64"]
    assert programs.call(convert_export.main, convert_export.FLAGS, arguments) == 0
    assert (tmp_path / "m.graph.pb.json").is_file()
