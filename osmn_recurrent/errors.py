"""The one exception for input that a person has to fix, and the one warning."""


class InputError(ValueError):
    """Input that cannot be used, explained in one sentence.

    The message names the file (or argument), what was found, what was
    expected and what to do about it. Programs in `experiments` and
    `checkpoints_tools` print it without a traceback and exit with code 2;
    library callers catch it like any `ValueError`.
    """


class InputNote(UserWarning):
    """Input that was used, but not as it stands: what was made of it.

    For things that a person should know and need not fix: a soft mask that was
    cut at half, a damaged frame that was left out. Programs print it as one line
    on stderr.
    """
