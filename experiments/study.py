"""The small-scale study: ReConvNet against OSMN on real video, from nothing.

    python -m experiments.study --coco_dir=COCO --train_dir=DAVIS_240P \\
        --val_dir=DAVIS --val_split=val --out=runs/study

OSMN is trained on images (stage 1) and on clips (stage 2); then, for every
seed, from the same weights (a) ReConvNet and (b) OSMN on for as many frames with
the same loss, so that what (a) has more than (b) is the recurrence's. Both are
fine-tuned online too. Beside them in the table: OSVOS, made of OSMN and trained on
as many frames again, copying the first mask, moving it by optical flow, and
published masks.

Every step is a command of its own (they are printed, and kept in
OUT/commands.txt), with settings from experiments/flags/study_*.flags. The same
command resumes where an interrupted one stopped. Writes OUT/study.md, study.csv and
study.json, the curves of J over time, pictures of failures, a page with all masks, and
what memory and guides are worth (OUT/probe, on the clips for early stopping).
"""

import dataclasses
import pathlib
import shlex
import subprocess
import sys

from absl import flags

from osmn_recurrent import files, programs, run_folder
from osmn_recurrent.cli import shared
from osmn_recurrent.errors import InputError

FLAGS = flags.FlagValues()
FLAG_FILES = pathlib.Path(__file__).parent / "flags"


def _text(name, default, help_text, **more):
    flags.DEFINE_string(name, default, help_text, flag_values=FLAGS, **more)


_text("coco_dir", None, "Folder in COCO's layout, for images.", required=True)
_text("coco_split", "train2017", "Its split.")
_text("train_dir", None, "DAVIS-2016 folder to train on.", required=True)
_text("train_resolution", "240p", "Folder under its JPEGImages.")
shared.define(FLAGS, "train_split", "train_fit")
_text("stop_split", "train_stop", "List of the clips for early stopping.")
_text("val_dir", None, "DAVIS-2016 folder for the table.", required=True)
shared.define(FLAGS, "val_split", "val", note="They are the table's.")
_text("val_resolution", "480p", "Folder under JPEGImages and Annotations.")
shared.define(FLAGS, "working_size", "160x285", note="Default: that of their training.")
shared.define(FLAGS, "out", required=True)
flags.DEFINE_list("seeds", ["0", "1", "2"], "Seeds.", flag_values=FLAGS)
shared.define(FLAGS, "masks", [])
flags.DEFINE_list(
    "tuned_seeds",
    None,
    "Those of --seeds whose networks are fine-tuned online too; an empty list: none. "
    "Default: all.",
    flag_values=FLAGS,
)
flags.DEFINE_bool("osvos", True, "Train and tune OSVOS too.", flag_values=FLAGS)
flags.DEFINE_multi_string(
    "training_flag",
    [],
    "Further flag of every training, such as --steps=10; repeat it for several.",
    flag_values=FLAGS,
)
flags.DEFINE_multi_string(
    "finetuning_flag", [], "The same for fine-tuning.", flag_values=FLAGS
)
_text(
    "record",
    None,
    "Folder to which run.json, losses, validations and tables of all runs are copied.",
)


@dataclasses.dataclass(frozen=True)
class Training:
    """A training of a seed.

    Attributes:
        name: of its folder; the flag file is study_<name>.flags.
        start: name of the training whose network it starts from, or None.
        start_file: the file there: the best network, or the last one. Where
            a lost ball decides which of several networks is the best, the
            last one, with the lowest rate and loss, is the better start.
        start_part: regular expression of what is taken from it; "": all of it.
        network: as the table calls it, or None if it is not in the table.
        seeded: whether every seed has its own; others are trained once, with
            the first seed.
    """

    name: str
    start: str | None = None
    start_file: str = "model.keras"
    start_part: str = ""
    network: str | None = None
    seeded: bool = False

    def folder(self, out, seed):
        """Where it lies."""
        return out / (f"seed{seed}" if self.seeded else "shared") / self.name


_START = ("osmn_stage2", "last.keras")

TRAININGS = {
    each.name: each
    for each in (
        Training("osmn_stage1"),
        Training("osmn_stage2", "osmn_stage1"),
        Training("osmn_stage3", *_START, "OSMN", seeded=True),
        Training("reconvnet", *_START, "ReConvNet", seeded=True),
        Training("osvos", "osmn_stage3", network="OSVOS", start_part="^seg/"),
    )
}
"""All trainings by name, in order."""


def main():
    """Trains, segments, scores; see the module's text."""
    out = pathlib.Path(FLAGS.out)
    for each in FLAGS.seeds:
        if not each.isdecimal():
            raise InputError(f"--seeds={','.join(FLAGS.seeds)} must be whole numbers.")
    commands = [training_command(training, seed, out) for seed, training in chosen()]
    commands += [tuning_command(training, seed, out) for seed, training in tuned()]
    commands += table_commands(out)
    commands = [[sys.executable, "-m", c[0], *c[1:]] for c in commands]
    if FLAGS.record:
        files.check_output(FLAGS.record, folder=True)
    from experiments import study_table
    from osmn_recurrent.datasets import registry

    place = FLAGS.val_dir, FLAGS.val_split, FLAGS.val_resolution
    clips = registry.clips("davis2016", *place, first_mask_only=False)
    with run_folder.hold(out):
        lines = [f"{shlex.join(command)}\n" for command in commands]
        files.write_text(out / "commands.txt", "".join(lines))
        for command in commands:
            run(command)
        study_table.write(out, tuned_runs(out), clips)
        if FLAGS.record:
            study_table.keep(out, pathlib.Path(FLAGS.record))
    names = ("study.md", "study.json", "j_over_time.png", "failures.png")
    return programs.Done(tuple(out / name for name in names))


def chosen():
    """All `(seed, Training)`, in order."""
    found = []
    for seed in FLAGS.seeds:
        for training in TRAININGS.values():
            wanted = training.seeded or seed == FLAGS.seeds[0]
            if wanted and (FLAGS.osvos or training.network != "OSVOS"):
                found.append((seed, training))
    return found


def tuned():
    """Those of `chosen` that are fine-tuned online."""
    seeds = FLAGS.seeds if FLAGS.tuned_seeds is None else FLAGS.tuned_seeds
    return [(seed, one) for seed, one in chosen() if one.network and seed in seeds]


def tuned_runs(out):
    """`{row's name: folder}` of all fine-tuned networks."""
    return {
        f"{training.network}+tuning.{seed}": training.folder(out, seed) / "tuned"
        for seed, training in tuned()
    }


def training_command(training, seed, out):
    """The command that trains a network.

    Args:
        training: `Training`.
        seed: digits.
        out: `pathlib.Path` of the small-scale study.

    Returns:
        Program's name and its flags.
    """
    command = [
        "osmn_recurrent.cli.train",
        f"--flagfile={FLAG_FILES / f'study_{training.name}.flags'}",
        f"--workdir={training.folder(out, seed)}",
        f"--seed={seed}",
        f"--cache_dir={out}",
        f"--data_dir={FLAGS.train_dir}",
        f"--split={FLAGS.train_split}",
        f"--val_split={FLAGS.stop_split}",
        f"--resolution={FLAGS.train_resolution}",
        f"--image_dir={FLAGS.coco_dir}",
        f"--image_split={FLAGS.coco_split}",
    ]
    if training.start:
        start = TRAININGS[training.start].folder(out, seed)
        part = f":{training.start_part}" if training.start_part else ""
        command.append(f"--init_from={start / training.start_file}{part}")
    return command + FLAGS.training_flag


def tuning_command(training, seed, out):
    """The command that tunes it to every clip of the table and segments these."""
    place = training.folder(out, seed)
    return [
        "osmn_recurrent.cli.finetune",
        f"--weights={place / 'model.keras'}",
        f"--data_dir={FLAGS.val_dir}",
        "--dataset=davis2016",
        f"--split={FLAGS.val_split}",
        f"--resolution={FLAGS.val_resolution}",
        f"--working_size={FLAGS.working_size}",
        "--nobefore",
        f"--seed={seed}",
        f"--out={place / 'tuned'}",
        *FLAGS.finetuning_flag,
    ]


def table_commands(out):
    """Commands for the baselines' masks, all scores and the page."""
    clips = [
        f"--data_dir={FLAGS.val_dir}",
        f"--split={FLAGS.val_split}",
        f"--resolution={FLAGS.val_resolution}",
    ]
    baselines = ["experiments.study_baselines", *clips, f"--out={out}"]
    masks = [f"{name}:{out / name}" for name in ("copy", "flow")] + FLAGS.masks
    weights = []
    for seed, training in chosen():
        if not training.network:
            continue
        place = training.folder(out, seed)
        weights.append(f"{training.network}.{seed}:{place / 'model.keras'}")
    masks += [f"{name}:{folder / 'masks'}" for name, folder in tuned_runs(out).items()]
    benchmark = [
        "osmn_recurrent.cli.benchmark",
        *clips,
        "--dataset=davis2016",
        *(f"--weights={each}" for each in weights),
        *(f"--masks={each}" for each in masks),
        f"--working_size={FLAGS.working_size}",
        f"--out={out / 'benchmark'}",
    ]
    first, second = (
        f"{name}.{FLAGS.seeds[0]}:{out / 'benchmark' / name}.{FLAGS.seeds[0]}"
        for name in ("ReConvNet", "OSMN")
    )
    page = [
        "osmn_recurrent.cli.report",
        *clips,
        "--dataset=davis2016",
        f"--results={first}",
        f"--compare={second}",
        f"--out={out / 'report.html'}",
        "--overwrite",
    ]
    probe = [
        "experiments.study_probe",
        f"--data_dir={FLAGS.train_dir}",
        f"--split={FLAGS.stop_split}",
    ]
    probe += [
        f"--resolution={FLAGS.train_resolution}",
        *(f"--weights={each}" for each in weights[:2]),
        f"--working_size={FLAGS.working_size}",
        f"--out={out / 'probe'}",
    ]
    return [baselines, benchmark, page, probe]


def is_trained(command):
    """Whether a command is a training that is done.

    What its network was trained with, flags of flag files included, is kept beside
    it.

    Raises:
        InputError: it was trained with other flags.
    """
    work = [a.removeprefix("--workdir=") for a in command if a.startswith("--workdir=")]
    if not work:
        return False
    path = pathlib.Path(work[0], "command.txt")
    lines = []
    for argument in command[3:]:
        name, _, value = argument.partition("=")
        if name != "--flagfile":
            lines.append(argument)
            continue
        text = pathlib.Path(value).read_text(encoding="utf-8")
        lines += [line for line in text.splitlines() if line.startswith("--")]
    now = "".join(f"{line}\n" for line in lines)
    if not path.with_name("model.keras").exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, now)
        return False
    if not path.exists() or path.read_text(encoding="utf-8") != now:
        raise InputError(
            f"{path.parent} holds a network that was trained with other flags; "
            "remove the folder to train it again, or name another --out."
        )
    return True


def run(command):
    """Runs one command, unless it is a training that is done.

    Raises:
        InputError: the command failed (its own message stands above), or see
            `is_trained`.
    """
    if is_trained(command):
        return
    print(f"$ {shlex.join(command)}", flush=True)
    code = subprocess.run(command, check=False).returncode
    if code in (130, -2):
        raise KeyboardInterrupt
    if code:
        raise InputError(
            f"the command above ended with exit code {code}; fix what it says and "
            "start the small-scale study again, it resumes from there."
        )


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
