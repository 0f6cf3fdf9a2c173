"""Exit codes, one-sentence errors and help of every program."""

import ast
import importlib
import os
import pathlib
import re
import subprocess
import sys

import pytest
from absl import flags

from osmn_recurrent import programs
from osmn_recurrent.cli import convert
from osmn_recurrent.cli import main as osmn
from osmn_recurrent.errors import InputError

ROOT = pathlib.Path(__file__).parents[1]


def make_flags():
    """Flags of a small program."""
    values = flags.FlagValues()
    flags.DEFINE_integer("number", 3, "A number.", flag_values=values)
    flags.DEFINE_string("place", None, "A place.", required=True, flag_values=values)
    return values


def call(arguments, main=lambda: None):
    """Exit code of the small program."""
    return programs.call(main, make_flags(), ["program", *arguments])


def raise_(error):
    """Raises, as an expression."""
    raise error


@pytest.mark.parametrize(
    ("arguments", "main", "code", "message"),
    [
        (["--place=x"], lambda: None, 0, ""),
        (["--place=x", "--nubmer=4"], None, 2, "Unknown command line flag 'nubmer'"),
        (["--place=x", "--number=a"], None, 2, "flag --number=a"),
        ([], None, 2, "error: --place must be given; --help lists the flags."),
        (["--place=x", "y"], lambda: None, 2, "unexpected argument 'y'"),
        (["--place=x"], lambda path: None, 2, "error: PATH must be given"),
        (["a", "b", "--place=x"], lambda a, b=1: raise_(InputError(a + b)), 2, "ab"),
        (["a", "--place=x"], lambda a, b="c": raise_(InputError(a + b)), 2, "ac"),
        (["a", "b", "--place=x"], lambda a: None, 2, "unexpected argument 'b'"),
        (["--place=x"], lambda: raise_(InputError("a.png is b.")), 2, "error: a.png"),
        (["--place=x"], lambda: raise_(InputError("a\x1b[31m")), 2, "a\\x1b[31m"),
        (["--place=x"], lambda: raise_(OSError(28, "x", "f")), 2, "f: No space left"),
        (["--place=x"], lambda: raise_(OSError(13, "x")), 2, "error: Permission"),
        (["--place=x"], lambda: raise_(KeyboardInterrupt()), 130, "stopped"),
    ],
)
def test_exit_codes_and_messages(arguments, main, code, message, capsys):
    assert call(arguments, main) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") <= 1
    assert "Traceback" not in error


def test_a_program_ends_with_what_was_written_the_time_and_what_comes_next(capsys):
    advice = programs.osmn_command("report", out="a b", dataset=None, overwrite=True)
    done = programs.Done(("masks", "clip.webm"), advice)
    assert call(["--place=x"], lambda: done) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["", "written: masks", "written: clip.webm"]
    assert re.fullmatch(r"took:    \d\.\d s", lines[3])
    assert lines[4:] == ["next:    osmn report --out='a b' --overwrite"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (99.9, "99.9 s"), (99.96, "1 min 40 s"), (7380, "2 h 3 min")],
)
def test_time_is_told_in_units_that_suit_it(seconds, text):
    assert programs.duration(seconds) == text


def test_our_own_faults_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        call(["--place=x"], lambda: 1 / 0)
    with pytest.raises(FileNotFoundError):
        call(["--place=x"], lambda: open("nowhere at all"))


PROGRAMS = [
    module
    for module, _ in [*osmn.VERBS.values(), *convert.KINDS.values()]
    if module != convert.__name__
] + [
    f"experiments.{path.stem}"
    for path in sorted((ROOT / "experiments").glob("*.py"))
    if "FLAGS = flags.FlagValues()" in path.read_text()
]


@pytest.mark.parametrize("module", PROGRAMS)
def test_help_lists_each_flag_with_its_default(module, capsys):
    module = importlib.import_module(module)
    assert programs.call(module.main, module.FLAGS, ["program", "--help"]) == 0
    text = capsys.readouterr().out
    for name in module.FLAGS:
        line = next(x for x in text.splitlines() if x.startswith(f"  --{name}: "))
        default = module.FLAGS[name].default_as_str or "none"
        assert line.endswith(f"(default: {default})")
    assert callable(module.console)


@pytest.mark.parametrize("module", PROGRAMS)
def test_a_program_that_writes_says_how_it_ended(module):
    """`main` hands on a `Done`, its own or that of what it calls."""
    if module == "osmn_recurrent.cli.inspect":
        return  # it writes nothing
    tree = ast.parse(pathlib.Path(importlib.import_module(module).__file__).read_text())
    (main,) = (x for x in tree.body if getattr(x, "name", None) == "main")
    last = main.body[-1]
    while isinstance(last, ast.With | ast.Try | ast.If | ast.For):
        last = last.body[-1]
    assert isinstance(last, ast.Return) and isinstance(last.value, ast.Call)


def test_there_are_programs():
    assert {"osmn_recurrent.cli.demo", "osmn_recurrent.cli.segment"} < set(PROGRAMS)


def test_names_that_the_terminal_does_not_have():
    code = (
        "from absl import flags; from osmn_recurrent import programs\n"
        "def main(): print('\\u89c6'); raise programs.InputError('\\u0142')\n"
        "programs.run(main, flags.FlagValues())"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (2, b"\\u89c6\n")
    assert found.stderr == b"error: \\u0142\n"


def test_a_flag_file_that_is_no_text(tmp_path, capsys):
    (tmp_path / "a.flags").write_bytes(b"--place=\xe9\n")
    assert call([f"--flagfile={tmp_path / 'a.flags'}"]) == 2
    assert "--flagfile is no text" in capsys.readouterr().err


def test_a_reader_that_leaves_gets_no_traceback():
    command = [sys.executable, "-m", "osmn_recurrent.cli.main", "--help"]
    with subprocess.Popen(command, stdout=-1, stderr=-1) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_the_list_of_verbs_comes_at_once():
    """Quick on any machine: nothing large is imported for it."""
    code = (
        "import sys; from osmn_recurrent.cli import main; main.call(['osmn']); "
        "large = {'numpy', 'cv2', 'keras', 'tensorflow', 'av', 'matplotlib', 'PIL'}; "
        "sys.exit(sorted(large & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    verbs = [line.split()[0] for line in done.stdout.splitlines() if line[:2] == "  "]
    assert 10 <= len(verbs) <= 14 and verbs == list(osmn.VERBS)
