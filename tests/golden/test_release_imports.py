"""The release's variable lists and outputs through the import programs."""

import gc
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image
from recipe import CASES, inputs, seed_of, variables_of, weight

from checkpoints_tools import (
    export_osmn_checkpoint,
    load_osmn_checkpoint,
    open_weights,
)
from checkpoints_tools.release_names import FIXED, fixed_kernels
from checkpoints_tools.tf_checkpoints import write_checkpoint
from checkpoints_tools.weight_files import array_of
from osmn_recurrent import programs
from osmn_recurrent.cli import convert_osmn
from osmn_recurrent.media.mask_files import read_mask
from osmn_recurrent.models.building import build_model

SMALL = "osmn_novisual_64x96_seed7"
"""The case without a visual modulator, a tenth of the others' size."""


def release_tensors(shapes, model, values):
    """What the released graph saves: `values(name, shape)` and the fixed kernels."""
    tensors = {
        name: values(name, shape)
        for name, shape in shapes.items()
        if name != "global_step" and not FIXED.search(name)
    }
    return tensors | fixed_kernels(model) | {"global_step": np.int32(50_000)}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case, marks=() if case == SMALL or "lite" in case else pytest.mark.slow
        )
        for case in CASES
    ],
)
def test_in_and_out_bit_for_bit(case, golden, tmp_path):
    """The restored checkpoint has exactly the released graph's variables."""
    shapes = variables_of(golden, case)
    name, options = CASES[case]
    model = build_model(name, **options)
    rng = np.random.default_rng(seed_of(case))
    write_checkpoint(
        tmp_path / "a",
        release_tensors(
            shapes, model, lambda _, shape: rng.random(shape, np.float32) - 0.5
        ),
    )
    load_osmn_checkpoint(model, tmp_path / "a")
    export_osmn_checkpoint(model, tmp_path / "b", global_step=50_000)
    first, second = open_weights(tmp_path / "a"), open_weights(tmp_path / "b")
    assert second.shapes() == shapes
    for variable in shapes:
        a, b = (array_of(file.read(variable)) for file in (first, second))
        assert a.dtype == b.dtype
        assert a.tobytes() == b.tobytes(), variable
    kinds = golden / f"{case}.dtypes.json"
    if kinds.exists():
        found = {name: info.dtype.name for name, info in second.tensors.items()}
        assert found == json.loads(kinds.read_text())
    del model
    keras.utils.clear_session()
    gc.collect()


def test_the_program_passes_the_release_s_probe(test_data, golden, tmp_path):
    """Network and preprocessing against what the released program computed."""
    released = np.load(golden / f"{SMALL}.npz")
    seed, shapes = seed_of(SMALL), variables_of(golden, SMALL)
    model = build_model("osmn", **CASES[SMALL][1])
    write_checkpoint(
        tmp_path / "release.ckpt",
        release_tensors(shapes, model, lambda name, s: weight(name, s, seed)),
    )
    del model
    made = np.load(golden / "release_preprocessing.npz")
    data = test_data / "data" / "davis2016"
    sequence = "blackswan"
    frame = data / f"JPEGImages/480p/{sequence}/00000.jpg"
    mask = data / f"Annotations/480p/{sequence}/00000.png"
    np.savez(
        tmp_path / "probe.npz",
        **inputs(*released["logits"].shape[1:3], seed),
        logits=released["logits"],
        guide_frame=np.asarray(Image.open(frame).convert("RGB")),
        guide_mask=read_mask(mask),
        guide_frame_as_visual_guide=made[f"{sequence}__1__854x480__visual_guide"],
    )
    for name in convert_osmn.FLAGS:
        convert_osmn.FLAGS[name].unparse()
    out = tmp_path / "osmn.weights.h5"
    arguments = [
        f"--checkpoint={tmp_path}/release.ckpt",
        "--use_visual_modulator=false",
        f"--probe={tmp_path}/probe.npz",
        f"--out={out}",
    ]
    assert programs.call(convert_osmn.main, convert_osmn.FLAGS, ["p", *arguments]) == 0
    report = json.loads((tmp_path / f"{out.name}.import.json").read_text())
    assert 0 < report["probe"]["network"]["logits"] < 1e-3
    assert report["probe"]["preprocessing"]["guide_frame_as_visual_guide"] <= 1


IMPORT = """
import re, sys, time
import keras, tensorflow
from checkpoints_tools import load_osmn_checkpoint
from osmn_recurrent.cli import convert_osmn
from osmn_recurrent.models.building import build_model
wall, processor = time.perf_counter(), time.process_time()
model = build_model("osmn")
report = load_osmn_checkpoint(model, sys.argv[1])
wall, processor = time.perf_counter() - wall, time.process_time() - processor
# Unlike getrusage's, this peak does not begin with that of the parent process.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]
print(len(report.loaded), wall, processor, int(peak) * 1024)
"""


@pytest.mark.slow
def test_the_largest_checkpoint_in_little_memory_and_time(golden, tmp_path):
    """165 million parameters: under 2.5 GB and 20 s, the building included.

    The limit is on processor time, all threads together: the wall clock also
    counts what other programs do.
    """
    shapes = variables_of(golden, "osmn_64x96_seed7")
    fixed = fixed_kernels(build_model("osmn", "vgg16_compact"))  # the same at any size
    rng = np.random.default_rng(0)
    write_checkpoint(
        tmp_path / "osmn.ckpt-50000",
        {n: fixed.get(n, rng.random(s, np.float32)) for n, s in shapes.items()},
    )
    assert sum(np.prod(s) for s in shapes.values()) > 165e6
    result = subprocess.run(
        [sys.executable, "-c", IMPORT, str(tmp_path / "osmn.ckpt-50000")],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded, wall, processor, peak = map(float, result.stdout.split())
    print(f"{wall:.1f} s (processor {processor:.1f} s), peak {peak / 1e9:.2f} GB")
    assert loaded == len(shapes) - len(fixed) - 1  # all but kernels and step
    assert peak < 2.5e9
    assert processor < 20
