"""Starting a command-line program: flags, one-sentence errors, exit codes."""

import dataclasses
import errno
import importlib
import inspect
import os
import re
import shlex
import signal
import sys
import time
import warnings

from absl import flags

from osmn_recurrent import quiet
from osmn_recurrent.errors import InputError, InputNote
from osmn_recurrent.names import printable

_OF_THE_FILE_SYSTEM = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}
"""Faults of disks and rights, which no traceback explains better."""

_FORMAT_WARNING = warnings.formatwarning

HELP = ("--help", "-help", "-h", "--helpfull")


@dataclasses.dataclass(frozen=True)
class Done:
    """What a program's `main` returns, so that all programs end alike.

    Attributes:
        written: paths of what was written, the most useful first.
        advice: the next useful command, "" where there is none.
    """

    written: tuple = ()
    advice: str = ""


def osmn_command(verb, **given):
    """`osmn VERB --flag=value ...` for `Done.advice`.

    Args:
        verb: of `osmn`.
        **given: values by flag; None and False are left out, a list repeats the
            flag.
    """
    parts = [
        f"--{name}" if value is True else f"--{name}={shlex.quote(str(value))}"
        for name, values in given.items()
        for value in (values if isinstance(values, list | tuple) else [values])
        if value is not None and value is not False
    ]
    return " ".join(["osmn", verb, *parts])


def run(main, flag_values=flags.FLAGS):
    """Runs a program with the command line's arguments, and exits.

    Args:
        main: function, called when the flags are parsed. Its parameters, if
            it has any, are the arguments that are no flags. It returns `Done`,
            or None where nothing is to be said at the end.
        flag_values: the program's own `absl.flags.FlagValues`. Programs share
            flag names, so each one has its own.
    """
    leave(call, main, flag_values, sys.argv)


def leave(program, *given):
    """Ends the process with what `program(*given)` returns.

    A reader that has seen enough, such as `head`, ends it without a word.
    """
    try:
        code = program(*given)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left of the output has no place; Python flushes once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 128 + signal.SIGPIPE
    sys.exit(code)


def call(main, flag_values, argv):
    """Parses `argv` and calls `main`.

    Args:
        main: see `run`.
        flag_values: see `run`.
        argv: list of str, the program's name first.

    Returns:
        Exit code: 0 when done; 2, after one sentence on stderr, when a flag
        or an input is bad (`InputError`), or the file system says no; 130
        after Ctrl-C. Any other exception is a fault of ours and keeps its
        traceback.
    """
    start = time.perf_counter()
    speak_to_any_terminal()
    # Before TensorFlow is imported, which programs do in main.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    quiet.load_tensorflow_quietly()
    if any(argument in HELP for argument in argv[1:]):
        print(_help(main, flag_values))
        return 0
    # Flags may stand behind the other arguments.
    flag_values.set_gnu_getopt(True)
    try:
        rest = flag_values(argv)[1:]
    except flags.Error as error:
        return _fail(_flag_error(error))
    except UnicodeError as error:
        return _fail(f"the file of --flagfile is no text in UTF-8 ({error}).")
    wanted = inspect.signature(main).parameters.values()
    if len(rest) > len(wanted):
        return _fail(
            f"unexpected argument {rest[len(wanted)]!r}: flags are written "
            "--name=value; --help lists them."
        )
    missing = [p.name.upper() for p in wanted if p.default is p.empty][len(rest) :]
    if missing:
        return _fail(f"{' and '.join(missing)} must be given; see --help.")
    try:
        done = main(*rest)
    except InputError as error:
        return _fail(error)
    except OSError as error:
        if error.errno not in _OF_THE_FILE_SYSTEM:
            raise
        place = f"{error.filename}: " if error.filename else ""
        return _fail(
            f"{place}{os.strerror(error.errno)}; make sure that this place can be "
            "read and written, and run the command again."
        )
    except KeyboardInterrupt:
        print("stopped; what was finished is kept.", file=sys.stderr)
        return 130
    if done is not None:
        _say(done, time.perf_counter() - start)
    return 0


def speak_to_any_terminal():
    """Makes printing safe, whatever the terminal's encoding, and notes short.

    Characters that the encoding lacks are written as escapes, as stderr has them
    anyway; an `InputNote` becomes one line.
    """
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")
    warnings.formatwarning = _one_line


def _one_line(message, category, filename, lineno, line=None):
    if issubclass(category, InputNote):
        return f"note: {printable(str(message))}\n"
    return _FORMAT_WARNING(message, category, filename, lineno, line)


def _say(done, seconds):
    """Prints what was written, how long it took, and what comes next."""
    lines = [("written", path) for path in done.written]
    lines.append(("took", duration(seconds)))
    if done.advice:
        lines.append(("next", done.advice))
    print()
    for word, text in lines:
        print(f"{word + ':':<9}{text}")


def duration(seconds):
    """Seconds in words: "12.3 s", "4 min 5 s", "2 h 3 min"."""
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def dispatch(argv, table, about):
    """Hands over to one of several programs, chosen by the first argument.

    Args:
        argv: list of str, the program's name first.
        table: `{word: (module, line of help)}`; a module has `main` and `FLAGS`,
            or a `call(argv)` of its own.
        about: text above the list of words.

    Returns:
        Exit code, as of `call`.
    """
    speak_to_any_terminal()
    word = argv[1] if len(argv) > 1 else HELP[0]
    if word in HELP:
        width = max(map(len, table))
        print(about.strip() + "\n")
        for each, (_, line) in table.items():
            print(f"  {each:{width}}  {line}")
        return 0
    if word not in table:
        return _fail(
            f"{argv[0]} does not know {word!r}, expected one of {', '.join(table)}."
        )
    module = importlib.import_module(table[word][0])
    argv = [f"{argv[0]} {word}", *argv[2:]]
    if hasattr(module, "call"):
        return module.call(argv)
    return call(module.main, module.FLAGS, argv)


def _help(main, flag_values):
    document = inspect.getdoc(inspect.getmodule(main)) or ""
    listed = "\n".join(
        f"  {_help_line(flag_values[name])}" for name in sorted(flag_values)
    )
    return f"{document}\n\nFlags:\n{listed}"


def _help_line(flag):
    text = " ".join(flag.help.split())
    return f"--{flag.name}: {text} (default: {flag.default_as_str or 'none'})"


def _flag_error(error):
    """One sentence for a bad or missing flag."""
    missing = re.findall(r"Flag (--\w+) must have a value other than None", str(error))
    if missing:
        return f"{' and '.join(missing)} must be given; --help lists the flags."
    return f"{error}; --help lists the flags."


def _fail(message):
    print(f"error: {printable(str(message))}", file=sys.stderr)
    return 2
