"""Starting a command-line program: flags, one-sentence errors, exit codes."""

import os
import sys

from absl import app, flags, logging

from osmn_recurrent.errors import InputError


def run(main):
    """Runs `main()` as an absl program.

    Exit codes: 0 when done; 2 with one sentence and no traceback when a flag
    or an input is bad (`InputError`); 130 after Ctrl-C. Any other exception
    is a fault of ours and keeps its traceback.

    Args:
        main: function without arguments; flags are parsed when it is called.
    """
    # Must be set before TensorFlow is imported, which programs do in main.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.set_verbosity(logging.WARNING)
    app.run(lambda argv: _guarded(main), flags_parser=_parse_flags)


def _parse_flags(argv):
    try:
        rest = flags.FLAGS(argv)
    except flags.Error as error:
        _fail(f"{error}; --help lists the flags.")
    if len(rest) > 1:
        _fail(
            f"unexpected argument {rest[1]!r}: flags are written "
            "--name=value; --help lists them."
        )
    return rest


def _guarded(main):
    try:
        main()
    except InputError as error:
        _fail(error)
    except KeyboardInterrupt:
        print("stopped; what was finished is kept.", file=sys.stderr)
        sys.exit(130)


def _fail(message):
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
