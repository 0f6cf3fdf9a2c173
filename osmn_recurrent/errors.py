"""The one exception for input that a person has to fix."""


class InputError(ValueError):
    """Input that cannot be used, explained in one sentence.

    The message names the file (or argument), what was found, what was
    expected and what to do about it. Programs in `experiments` and
    `checkpoints_tools` print it without a traceback and exit with code 2;
    library callers catch it like any `ValueError`.
    """
