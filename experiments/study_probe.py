"""What a network's memory and guides are worth: the small-scale study's probe.

    python -m experiments.study_probe --weights=OSMN:osmn.keras \\
        --weights=ReConvNet:reconvnet.keras --data_dir=DAVIS --split=train_stop \\
        --resolution=240p --out=runs/probe

Segments each clip as usual; with the true mask of the frame before as guide, so
that no error is handed on; and, for a recurrent network, without memory (the
state of the first frame at every frame) and with a memory that is cleared as
often as the clips of its training end. Writes OUT/probe.md and probe.json, masks
in OUT/NETWORK/WAY; resumes where it stopped.
"""

import pathlib

import numpy as np
import tensorflow as tf
from absl import flags

from osmn_recurrent import files, programs
from osmn_recurrent.cli import flags as shared_flags
from osmn_recurrent.cli import shared, tuning
from osmn_recurrent.datasets import registry
from osmn_recurrent.errors import InputError
from osmn_recurrent.inference import output
from osmn_recurrent.inference.segmenter import VideoSegmenter

FLAGS = flags.FlagValues()
shared.define(FLAGS, "weights", note="NAME:FILE.", required=True, several=True)
shared_flags.define_dataset(FLAGS, "davis2016")
shared.define(FLAGS, "working_size", note="Default: the frames' own.")
flags.DEFINE_integer(
    "memory", 6, "Frames between clearings.", lower_bound=1, flag_values=FLAGS
)
shared.define(FLAGS, "out", required=True)


class ProbingSegmenter(VideoSegmenter):
    """`VideoSegmenter` whose state is cleared or whose guides are true.

    Args:
        model: see `VideoSegmenter`, as is `working_size`.
        working_size: see there.
        memory: frames after which the state is cleared; None: never.
        ground_truth: function of a frame's index that gives its true ids, from which
            the next frame's guides are made; None: the predicted ones.
        digest: what tells these masks from others, for the record.
    """

    def __init__(
        self, model, working_size=None, memory=None, ground_truth=None, digest=None
    ):
        super().__init__(model, working_size=working_size)
        self.memory, self.ground_truth, self._frame = memory, ground_truth, 0
        self._digest = digest

    def settings(self):
        """Those of `VideoSegmenter`, and of the probe."""
        own = {"memory": self.memory, "true_guides": self._digest}
        return {**super().settings(), **own}

    def _forget_objects(self):
        super()._forget_objects()
        self._frame = 0

    def _run(self, frame):
        if self.memory and self._frame % self.memory == 0:
            self._state = tf.nest.map_structure(tf.zeros_like, self._state)
        if self.ground_truth:
            self._ids = tf.constant(self.ground_truth(self._frame))
        self._frame += 1
        return super()._run(frame)


def main():
    """Segments in all ways and scores; see the module's text."""
    from osmn_recurrent.models import building
    from osmn_recurrent.reports import text_tables

    place = shared_flags.dataset_place(FLAGS)
    clips = registry.clips(*place, first_mask_only=False)
    for clip in clips:
        clip.check()
    sequences = registry.sequences(*place)
    out, networks = pathlib.Path(FLAGS.out), {}
    for text in FLAGS.weights:
        name, colon, path = text.partition(":")
        if not colon:
            raise InputError(f"--weights={text} has no name, expected NAME:FILE.")
        networks[name] = building.load_model(path)
    rows = []
    for name, model in networks.items():
        for way in ways_of(model):
            rows.append(probe(model, way, clips, sequences, out / name))
            rows[-1] = {"network": name, **rows[-1]}
    table = text_tables.markdown_table(rows, {})
    place = f"{FLAGS.dataset} {FLAGS.split}"
    title = f"{place}, percent; cleared: every {FLAGS.memory} frames."
    files.write_text(out / "probe.md", f"{title}\n\n{table}\n")
    files.write_json(out / "probe.json", rows)
    print(text_tables.text_table(rows, {}))
    return programs.Done((out / "probe.md", out / "probe.json"))


def ways_of(model):
    """Names of the ways to segment with a network."""
    ways = ["as usual", "true guides"]
    if VideoSegmenter(model).carries_state:
        ways += ["no memory", "memory cleared"]
    return ways


def probe(model, way, clips, sequences, folder):
    """One row: J&F, J and F in percent.

    Args:
        model: the network.
        way: of `ways_of`.
        clips: list of `Clip`s with a mask for every frame.
        sequences: their ground truth, of `registry.sequences`.
        folder: the masks go to FOLDER/WAY/CLIP.

    Returns:
        Dict for the table.
    """
    from osmn_recurrent.metrics import result_folder
    from osmn_recurrent.metrics.statistics import summarise

    memory = {"no memory": 1, "memory cleared": FLAGS.memory}.get(way)
    size = shared_flags.parse_working_size(FLAGS.working_size)
    place = folder / way.replace(" ", "_")
    for clip in clips:
        ground_truth = digest = None
        if way == "true guides":
            ground_truth, digest = _ground_truth(clip), tuning.digest_of(clip)
        segmenter = ProbingSegmenter(model, size, memory, ground_truth, digest)
        output.segment_clip(segmenter, clip, place / clip.name, later_masks=False)
    scores = result_folder.evaluate_folder(place, sequences)
    total = summarise({name: objects[1] for name, objects in scores.items()})
    return {"way": way} | {
        figure.removesuffix("-Mean"): 100 * total[figure]
        for figure in ("J&F-Mean", "J-Mean", "F-Mean")
    }


def _ground_truth(clip):
    """Function of a frame's index that gives its ids, void as background."""

    def ids(index):
        mask = clip.mask(index)
        return np.where(mask == 255, 0, mask).astype(np.uint8)

    return ids


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
