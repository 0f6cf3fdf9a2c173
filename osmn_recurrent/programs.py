"""Starting a command-line program: flags, one-sentence errors, exit codes."""

import importlib
import inspect
import os
import re
import sys

from absl import flags

from osmn_recurrent.errors import InputError

HELP = ("--help", "-help", "-h", "--helpfull")


def run(main, flag_values=flags.FLAGS):
    """Runs a program with the command line's arguments, and exits.

    Args:
        main: function, called when the flags are parsed. Its parameters, if
            it has any, are the arguments that are no flags.
        flag_values: the program's own `absl.flags.FlagValues`. Programs share
            flag names, so each one has its own.
    """
    sys.exit(call(main, flag_values, sys.argv))


def call(main, flag_values, argv):
    """Parses `argv` and calls `main`.

    Args:
        main: see `run`.
        flag_values: see `run`.
        argv: list of str, the program's name first.

    Returns:
        Exit code: 0 when done; 2, after one sentence on stderr, when a flag
        or an input is bad (`InputError`); 130 after Ctrl-C. Any other
        exception is a fault of ours and keeps its traceback.
    """
    # Must be set before TensorFlow is imported, which programs do in main.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if any(argument in HELP for argument in argv[1:]):
        print(_help(main, flag_values))
        return 0
    # Flags may stand behind the other arguments.
    flag_values.set_gnu_getopt(True)
    try:
        rest = flag_values(argv)[1:]
    except flags.Error as error:
        return _fail(_flag_error(error))
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
        main(*rest)
    except InputError as error:
        return _fail(error)
    except KeyboardInterrupt:
        print("stopped; what was finished is kept.", file=sys.stderr)
        return 130
    return 0


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
    print(f"error: {message}", file=sys.stderr)
    return 2
