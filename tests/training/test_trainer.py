"""The trainer: resuming, parts of a batch, stopping, errors; small networks."""

import csv
import dataclasses
import errno
import json
import math
import pathlib
import shutil
import threading
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from osmn_recurrent import files, run_folder
from osmn_recurrent.datasets.davis import davis_clips
from osmn_recurrent.datasets.moving_shapes import write_moving_shapes
from osmn_recurrent.errors import InputError
from osmn_recurrent.guides import GAUSSIAN
from osmn_recurrent.models import building
from osmn_recurrent.training import distribution, optimizers, steps, trainer
from osmn_recurrent.training.callbacks import SpreadWarning
from osmn_recurrent.training.sample_settings import SampleSettings
from osmn_recurrent.training.samples import ClipSamples
from osmn_recurrent.training.state import TrainState

SETTINGS = trainer.TrainSettings(
    samples=SampleSettings(size=(32, 48), scales=(1.0,), clip_length=2),
    steps=6,
    batch_size=2,
    learning_rate=1e-4,
    recurrent_learning_rate=1e-3,
    freeze_batch_norm=False,
    scheduled_sampling=0.5,
    validate_every=3,
    save_every=2,
)


SCALES = dataclasses.replace(
    SETTINGS,
    samples=dataclasses.replace(SETTINGS.samples, scales=(0.5, 0.8, 1.0)),
    seed=1,
)
"""With three scales, of which another one comes first after the power cut."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_moving_shapes(folder, train=2, val=1, frames=5, size=(32, 48))
    return davis_clips(folder, 2017, "train"), davis_clips(folder, 2017, "val")


def make_model(name="reconvnet", seed=0, **options):
    keras.utils.set_random_seed(seed)
    return building.build_model(name, "vgg16_compact", **options)


def state_of(folder):
    with np.load(folder / "state.npz") as archive:
        return {k: archive[k] for k in archive.files if k != "progress"}


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


class PowerCutError(Exception):
    """Ends a run without any warning to it."""


class CutOff(ClipSamples):
    """Samples that end with an exception."""

    def sample(self, number):
        if number >= 2 * 5:  # step 6; the state is that of step 4
            raise PowerCutError
        return super().sample(number)


@pytest.fixture(scope="module")
def whole_run(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    trainer.train(make_model(), clips[0], SCALES, folder, validation=clips[1])
    return folder


def test_an_interrupted_run_ends_as_the_whole_one_bit_for_bit(
    clips, whole_run, tmp_path
):
    samples = CutOff(clips[0], SCALES.samples, GAUSSIAN, 2, SCALES.seed)
    with pytest.raises(tf.errors.OpError):
        trainer.train(make_model(), samples, SCALES, tmp_path, validation=clips[1])
    progress = json.loads(np.load(tmp_path / "state.npz")["progress"].tobytes())
    assert 0 < progress["step"] < SCALES.steps
    sizes = [samples._draws(2 * step, 0)[1] for step in range(SCALES.steps)]
    assert len(set(sizes)) == 3 and sizes[0] != sizes[progress["step"]]
    # Other weights and another random state to begin with: all of it is replaced.
    trainer.train(make_model(seed=5), clips[0], SCALES, tmp_path, validation=clips[1])
    whole, resumed = state_of(whole_run), state_of(tmp_path)
    assert whole.keys() == resumed.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(resumed[name], values, err_msg=name)
    for name in ("loss.csv", "validation.csv"):
        ours, theirs = rows_of(tmp_path / name), rows_of(whole_run / name)
        for row in (*ours, *theirs):
            row.pop("seconds", None)
        assert ours == theirs


def test_best_model_is_the_best_validated(whole_run, clips):
    run = json.loads((whole_run / "run.json").read_text())
    rows = rows_of(whole_run / "validation.csv")
    best = max(rows, key=lambda row: float(row["J"]))
    assert [int(row["step"]) for row in rows] == [3, 6]
    assert run["finished"] and run["result"]["best_step"] == int(best["step"])
    assert not (whole_run / "best.keras").exists()
    last = building.load_model(whole_run / "last.keras")
    state = state_of(whole_run)
    for variable in building.weights_of(last):
        np.testing.assert_array_equal(variable, state[f"model/{variable.path}"])


def test_another_setting_or_clip_is_refused(clips, whole_run):
    other = dataclasses.replace(SCALES, learning_rate=1e-3)
    with pytest.raises(InputError, match=r"learning_rate 0\.0001 there, 0\.001"):
        trainer.train(make_model(), clips[0], other, whole_run)
    with pytest.raises(InputError, match=r"run.json\): data \["):
        trainer.train(make_model(), clips[0][:1], SCALES, whole_run)
    with pytest.raises(InputError, match="model coupling "):
        model = make_model(coupling="residual")
        trainer.train(model, clips[0], SCALES, whole_run)


def test_replaced_frames_are_noticed(clips, whole_run, tmp_path):
    moved = []
    for clip in clips[0]:
        folder = tmp_path / clip.name
        folder.mkdir()
        frames = [shutil.copy(path, folder) for path in clip.frame_paths]
        paths = tuple(map(pathlib.Path, frames))
        moved.append(dataclasses.replace(clip, frame_paths=paths))
    for part in ("state.npz", "run.json"):
        shutil.copy(whole_run / part, tmp_path)
    frame = moved[0].frame_paths[1]
    frame.write_bytes(frame.read_bytes() + b"\0")
    with pytest.raises(InputError, match="data_files "):
        trainer.train(make_model(), moved, SCALES, tmp_path)


def test_two_trainings_in_one_folder_are_refused(clips, tmp_path):
    errors = []

    def other():
        try:
            trainer.train(make_model(), clips[0], SCALES, tmp_path)
        except InputError as error:
            errors.append(str(error))

    with run_folder.hold(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert "another run works in" in errors[0]
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def batch(clips):
    settings = dataclasses.replace(SETTINGS.samples, clip_length=3)
    samples = ClipSamples(clips[0], settings, GAUSSIAN, 2)
    parts = [np.stack(part) for part in zip(samples.sample(0), samples.sample(1))]
    names = ("image", "visual_guide", "spatial_guide")
    inputs = {n: tf.constant(p, tf.float32) for n, p in zip(names, parts)}
    return inputs, tf.constant(parts[3], tf.float32)


def gradients(batch, model=None, **changes):
    """Loss and gradients of one batch, without dropout."""
    model = model or make_model()
    model.modulator.dropout6.rate = model.modulator.dropout7.rate = 0.0
    settings = dataclasses.replace(
        SETTINGS, **{"scheduled_sampling": 0.0, "freeze_batch_norm": True, **changes}
    )
    steps.prepare(model, settings, 1)
    optimizer = optimizers.make_optimizer(settings)
    step = steps.TrainStep(
        model, optimizer, settings, distribution.make_strategy("one")
    )
    share = tf.reduce_mean(batch[1])
    loss, found = step._gradients(*batch, share, tf.constant(0, tf.int64))
    return float(loss), [each.numpy() for each in found]


@pytest.mark.parametrize(
    "changes",
    [
        {"accumulate": 2},
        {"rematerialise": True},
        {"reduction": "image_mean", "accumulate": 2},
        {"loss": "lovasz_hinge", "accumulate": 2},
    ],
    ids=str,
)
def test_parts_and_rematerialisation_change_nothing(batch, changes):
    plain = {k: v for k, v in changes.items() if k in ("loss", "reduction")}
    loss, expected = gradients(batch, **plain)
    other, found = gradients(batch, **changes)
    assert other == pytest.approx(loss, rel=1e-5)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4 * max(1e-3, np.abs(b).max()))


def test_truncation_keeps_the_loss_and_cuts_the_gradient(batch):
    model = make_model()
    loss, whole = gradients(batch, model)
    for truncation, same in ((3, True), (2, False)):
        other, cut = gradients(batch, model, truncation=truncation)
        assert other == pytest.approx(loss, rel=1e-5)  # the state is carried on
        paths = [v.path for v in steps.trained_variables(model, SETTINGS)]
        cell = next(i for i, p in enumerate(paths) if "recurrent_kernel" in p)
        assert np.allclose(cut[cell], whole[cell], rtol=1e-3) == same


def test_scheduled_sampling_are_the_networks_predictions(batch):
    # Share 1: the same as stepping by hand with guides from predictions.
    model = make_model()
    loss, _ = gradients(batch, model, scheduled_sampling=1.0)
    inputs, labels = batch
    modulation = model.adapt(inputs["visual_guide"])
    state, guide = model.initial_state(2, 32, 48), inputs["spatial_guide"][:, 0]
    logits = []
    for t in range(3):
        frame = model.encode(inputs["image"][:, t])
        each, state = model.step(frame, guide, modulation, state)
        logits.append(each)
        guide = GAUSSIAN.of_masks(each > 0)
    expected = steps.make_loss(SETTINGS)(
        labels, tf.stack(logits, axis=1), tf.reduce_mean(labels)
    )
    assert loss == pytest.approx(float(expected), rel=1e-5)
    true_guides, _ = gradients(batch, model)
    assert abs(loss - true_guides) > 1e-3 * loss


def test_a_lost_guide_is_zeros_in_one_frame(batch):
    # Two frames, so that the lost guide is the second; against stepping by hand.
    inputs, labels = batch
    short = steps.cut(inputs, 0, 2), labels[:, :2]
    model = make_model("osmn")
    loss, _ = gradients(short, model, scheduled_sampling=1.0, guides_lost=1.0)
    modulation = model.adapt(inputs["visual_guide"])
    guides = inputs["spatial_guide"][:, 0], tf.zeros_like(labels[:, 0])
    logits = [
        model.step(model.encode(inputs["image"][:, t]), guides[t], modulation, ())[0]
        for t in range(2)
    ]
    expected = steps.make_loss(SETTINGS)(
        short[1], tf.stack(logits, axis=1), tf.reduce_mean(short[1])
    )
    assert loss == pytest.approx(float(expected), rel=1e-5)


def test_the_frames_whose_guides_are_lost_are_drawn_evenly():
    settings = dataclasses.replace(SETTINGS, guides_lost=0.25)
    step = steps.TrainStep(
        make_model("osmn"), None, settings, distribution.make_strategy("one")
    )
    lost = step._lost_frames(8000, 5, tf.constant([1, 2])).numpy().ravel()
    shares = np.bincount(lost, minlength=5) / 8000
    # Six deviations of a share of 8000 draws.
    np.testing.assert_allclose(shares, [0.75] + 4 * [0.0625], atol=0.03)
    assert not step._lost_frames(8, 1, tf.constant([1, 2])).numpy().any()


def test_a_clips_first_mask_is_given(batch):
    # Frame 0 is run for its loss; the memory begins with its true mask.
    inputs, labels = batch
    model = make_model(first_state="mask", recurrent_levels=(5,))
    rng = np.random.default_rng(0)
    for start in model.starts:
        start.kernel.assign(0.1 * rng.normal(size=start.kernel.shape))
    loss, found = gradients(batch, model, scheduled_sampling=1.0, first_mask_given=True)
    modulation = model.adapt(inputs["visual_guide"])
    state = model.initial_state(2, 32, 48)
    frames = [model.encode(inputs["image"][:, t]) for t in range(3)]
    first, _ = model.step(frames[0], inputs["spatial_guide"][:, 0], modulation, state)
    logits, guide = [first], GAUSSIAN.of_masks(labels[:, 0])
    state = model.memorize(frames[0], labels[:, 0], state)
    for frame in frames[1:]:
        each, state = model.step(frame, guide, modulation, state)
        logits.append(each)
        guide = GAUSSIAN.of_masks(each > 0)
    expected = steps.make_loss(SETTINGS)(
        labels, tf.stack(logits, axis=1), tf.reduce_mean(labels)
    )
    assert loss == pytest.approx(float(expected), rel=1e-5)
    paths = [v.path for v in steps.trained_variables(model, SETTINGS)]
    start = next(i for i, p in enumerate(paths) if p.endswith("_start/kernel"))
    assert np.abs(found[start]).max() > 0


def test_the_released_decay_belongs_to_the_released_loss():
    settings = trainer.TrainSettings()
    assert settings.decay == 0.0002
    for change in ({"reduction": "image_mean"}, {"loss": "lovasz_hinge"}):
        assert dataclasses.replace(settings, **change).decay == 0.0
        kept = dataclasses.replace(settings, **change, weight_decay=0.1)
        assert kept.decay == 0.1


def test_a_step_is_adams_with_slims_decay(batch):
    settings = dataclasses.replace(
        SETTINGS,
        samples=dataclasses.replace(SETTINGS.samples, clip_length=3),
        scheduled_sampling=0.0,
        weight_decay=0.1,
        clip_norm=5.0,
        freeze_batch_norm=True,
    )
    model = make_model("osmn")
    model.modulator.dropout6.rate = model.modulator.dropout7.rate = 0.0
    steps.prepare(model, settings, 1)
    optimizer = optimizers.make_optimizer(settings)
    strategy = distribution.make_strategy("one")
    step = steps.TrainStep(model, optimizer, settings, strategy)
    before = [v.numpy().astype(np.float64) for v in step.variables]
    _, found = step._gradients(
        *batch, tf.reduce_mean(batch[1]), tf.constant(0, tf.int64)
    )
    optimizer.build(step.variables)
    step(batch, 0)
    found = [
        g.numpy() + (0.1 * v if variable.path.endswith("kernel") else 0.0)
        for g, v, variable in zip(found, before, step.variables)
    ]
    norm = math.sqrt(sum(float((g**2).sum()) for g in found))
    assert norm > 5.0
    for variable, old, g in zip(step.variables, before, found, strict=True):
        g = g * 5.0 / norm
        # Adam's first step (Kingma and Ba 2015): both moments are the gradient's.
        corrected = math.sqrt(1 - 0.999) / (1 - 0.9)
        new = old - 1e-4 * corrected * 0.1 * g / (np.sqrt(0.001 * g * g) + 1e-8)
        np.testing.assert_allclose(variable.numpy(), new, atol=1e-6)


def test_rates_follow_their_closed_form():
    rate = optimizers.TrainingRate(1.0, 100, 10, ((50, 0.1),), 0.2)
    for step in (0, 4, 9, 10, 49, 50, 99, 100):
        cosine = 0.5 * (1 + math.cos(math.pi * min(1, max(0, (step - 10) / 90))))
        expected = min(1, (step + 1) / 10) * (0.2 + 0.8 * cosine)
        expected *= 0.1 if step >= 50 else 1.0
        assert float(rate(step)) == pytest.approx(expected, rel=1e-5)


def test_only_trainable_variables_move(clips, tmp_path):
    model = make_model("osvos_m")
    before = {v.path: v.numpy() for v in model.variables}
    settings = dataclasses.replace(
        SETTINGS,
        samples=dataclasses.replace(SETTINGS.samples, clip_length=None),
        scheduled_sampling=0.0,
        trainable="/modulator/",
        steps=1,
    )
    trainer.train(model, clips[0], settings, tmp_path)
    moved = {
        variable.path
        for variable in model.variables
        if not np.array_equal(variable.numpy(), before[variable.path])
    }
    # fc8 starts at zero, so that the first step moves nothing below it.
    assert any("/modulator/fc8/" in path for path in moved)
    assert all("/modulator/" in p or "seed_generator" in p for p in moved), moved


def test_a_loss_that_is_no_number_names_the_batch(clips, tmp_path):
    samples = ClipSamples(clips[0], SETTINGS.samples, GAUSSIAN, 2, SETTINGS.seed)
    model = make_model()
    broken = next(v for v in model.variables if "decoder" in v.path)
    broken.assign(np.full(broken.shape, np.nan))
    with pytest.raises(InputError, match="loss of step 1 is nan.*batch is") as error:
        trainer.train(model, samples, SETTINGS, tmp_path)
    for number in (0, 1):
        assert samples.describe(number) in str(error.value)
    assert "train-00" in samples.describe(0)


def test_a_full_disk_keeps_the_last_state(tmp_path, monkeypatch):
    model = make_model("osvos")
    optimizer = optimizers.make_optimizer(SETTINGS)
    optimizer.build(model.trainable_variables)
    state = TrainState(tmp_path / "state.npz", model, optimizer)
    state.save({"step": 1})
    kept = state.path.read_bytes()

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(InputError, match="No space left on device.*make room"):
        state.save({"step": 2})
    assert state.path.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [state.path]


@pytest.mark.parametrize("damage", ["cut", "text", "other"])
def test_a_damaged_state_is_refused(tmp_path, damage):
    def make(name):
        model = make_model(name)
        optimizer = optimizers.make_optimizer(SETTINGS)
        optimizer.build(model.trainable_variables)
        return model, TrainState(tmp_path / "state.npz", model, optimizer)

    model, state = make("osvos")
    state.save({"step": 1})
    content = state.path.read_bytes()
    if damage == "cut":
        state.path.write_bytes(content[: len(content) // 2])
    elif damage == "text":
        state.path.write_text("nothing")
    else:
        model, state = make("osvos_m")
    before = [v.numpy() for v in model.variables]
    with pytest.raises(InputError, match=r"state\.npz is"):
        state.load()
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 3, "accumulate": 2}, "cannot be shared"),
        ({"scheduled_sampling": 1.5}, "between 0 and 1"),
        ({"samples": SampleSettings(), "truncation": 2}, "need clips"),
    ],
)
def test_settings_that_contradict_each_other(changes, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(SETTINGS, **changes).check()


def test_training_stops_when_j_does_not_rise(clips, tmp_path):
    settings = dataclasses.replace(
        SETTINGS,
        learning_rate=1e-12,
        recurrent_learning_rate=1e-12,
        steps=40,
        validate_every=1,
        patience=2,
        scheduled_sampling=0.0,
    )
    trainer.train(make_model(), clips[0], settings, tmp_path, validation=clips[1])
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["result"]["stopped_early"]
    assert run["result"]["steps"] == run["result"]["best_step"] + 2


@pytest.mark.parametrize("kind", ["release", "channelwise"])
def test_a_modulator_that_does_nothing_is_told(kind, tmp_path):
    """The release's form starts with the same scales for all objects."""
    write_moving_shapes(
        tmp_path, train=1, val=2, frames=3, size=(32, 48), objects=(2, 2)
    )
    data = [davis_clips(tmp_path, 2017, split) for split in ("train", "val")]
    settings = dataclasses.replace(
        SETTINGS,
        samples=dataclasses.replace(SETTINGS.samples, clip_length=None),
        steps=2,
        scheduled_sampling=0.0,
        validate_every=1,
    )
    model = make_model("osmn", visual_modulator=kind)
    out = tmp_path / "out"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.train(model, data[0], settings, out, validation=data[1])
    told = [w for w in caught if w.category is SpreadWarning]
    assert len(told) == (kind == "release")
    rows = rows_of(out / "validation.csv")
    result = json.loads((out / "run.json").read_text())["result"]
    best = next(r for r in rows if int(r["step"]) == result["best_step"])
    found = result["modulation"]
    assert float(best["spread"]) == pytest.approx(found["spread"], rel=1e-4)
    assert (found["spread"] < 0.01) == (kind == "release")
    assert ("dead/conv5" in found) == (kind == "release")
    assert "spread/conv3_1" in found


class Stopping(keras.callbacks.Callback):
    """Notes what it is told, and stops after the first epoch."""

    def __init__(self):
        super().__init__()
        self.told = []

    def on_train_begin(self, logs=None):
        self.told.append(("begin", self.params["first_step"], self.params["steps"]))

    def on_train_batch_end(self, batch, logs=None):
        assert math.isfinite(logs["loss"])
        self.told.append(("step", batch))

    def on_epoch_end(self, epoch, logs=None):
        self.told.append(("epoch", epoch, 0.0 <= logs["val_J"] <= 1.0))
        self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.told.append("end")


def test_callbacks_of_keras_are_told_and_can_stop(clips, tmp_path):
    samples = dataclasses.replace(SETTINGS.samples, clip_length=None)
    settings = dataclasses.replace(
        SETTINGS, samples=samples, scheduled_sampling=0.0, steps=4, validate_every=2
    )
    told = []
    for _ in range(2):  # the second one resumes
        seen = Stopping()
        trainer.train(
            make_model("osvos"),
            clips[0],
            settings,
            tmp_path,
            validation=clips[1],
            callbacks=[seen],
        )
        told.append(seen.told)
    begin, end = ("begin", 0, 4), "end"
    assert told[0] == [begin, ("step", 0), ("step", 1), ("epoch", 0, True), end]
    assert told[1][0] == ("begin", 2, 4)
    assert told[1][1:] == [("step", 2), ("step", 3), ("epoch", 1, True), end]
