"""Writes recorded figures into README, docs and the card of the weights.

    python -m experiments.write_texts            # writes
    python -m experiments.write_texts --check    # says what is not up to date

Between `<!-- recorded: NAME -->` and `<!-- end of NAME -->` stands what the function
NAME of experiments/recorded_blocks.py makes from recorded results. A figure changes
by replacing its record and running this program.
"""

import pathlib
import re
import textwrap

from absl import flags

from osmn_recurrent import files, programs
from osmn_recurrent.errors import InputError

FLAGS = flags.FlagValues()
flags.DEFINE_bool("check", False, "Write nothing.", flag_values=FLAGS)

WIDTH = 120
ROOT = pathlib.Path(__file__).parents[1]
BLOCK = re.compile(
    r"(<!-- recorded: (?P<name>\w+) -->\n)(?P<text>.*?)(<!-- end of (?P=name) -->)",
    re.DOTALL,
)


def texts():
    """Paths of all texts that may hold blocks."""
    card = ROOT / "osmn_recurrent" / "models" / "weights" / "CARD.md"
    return [ROOT / "README.md", card, *sorted((ROOT / "docs").glob("*.md"))]


def renewed(text, blocks):
    """`text` with every block made anew.

    Args:
        text: str.
        blocks: `{name: function without arguments that gives Markdown}`.

    Raises:
        InputError: a marker of an unknown block, or one without its end.
    """
    opened = re.findall(r"<!-- recorded: (.*?) -->", text)
    closed = [match["name"] for match in BLOCK.finditer(text)]
    if opened != closed:
        odd = next(name for name in opened if opened.count(name) != closed.count(name))
        raise InputError(
            f"the block {odd} has no end, expected <!-- end of {odd} --> below it."
        )
    unknown = [name for name in opened if name not in blocks]
    if unknown:
        raise InputError(
            f"no recorded block is called {unknown[0]}; there are {', '.join(blocks)}."
        )
    return BLOCK.sub(
        lambda match: f"{match[1]}\n{_wrapped(blocks[match['name']]())}\n\n{match[4]}",
        text,
    )


def _wrapped(markdown):
    """Lines of at most `WIDTH` characters; those of tables stay whole."""
    return "\n".join(
        line
        if line.startswith("|")
        else textwrap.fill(line, WIDTH, break_long_words=False, break_on_hyphens=False)
        for line in markdown.splitlines()
    )


def main():
    """Writes or compares; see the module's text."""
    from experiments.recorded_blocks import BLOCKS

    changed = []
    for path in texts():
        old = path.read_text(encoding="utf-8")
        new = renewed(old, BLOCKS)
        if new != old:
            changed.append(path.relative_to(ROOT))
            if not FLAGS.check:
                files.write_text(path, new)
    if FLAGS.check and changed:
        raise InputError(
            f"{', '.join(map(str, changed))} do not agree with the records; run "
            "python -m experiments.write_texts."
        )
    return programs.Done(tuple(changed))


def console():
    """Entry of the console command."""
    programs.run(main, FLAGS)


if __name__ == "__main__":
    console()
