"""Flag values that several programs read in the same way."""

import ast

from osmn_recurrent.errors import InputError


def parse_working_size(text):
    """`"480"` to 480, `"480x854"` to (480, 854), None to None.

    Raises:
        InputError: anything else.
    """
    if text is None:
        return None
    try:
        lengths = [int(part) for part in text.lower().split("x")]
    except ValueError:
        lengths = []
    if len(lengths) not in (1, 2) or min(lengths) < 16:
        raise InputError(
            f"--working_size={text} is no size, expected the shorter side or "
            "HEIGHTxWIDTH, at least 16 pixels each, such as 480 or 480x854."
        )
    return lengths[0] if len(lengths) == 1 else tuple(lengths)


def parse_model_options(texts, flag="model_option"):
    """`["coupling=residual"]` to `{"coupling": "residual"}`.

    Args:
        texts: list of KEY=VALUE; values are Python literals (True, 64, (4, 5)), or
            else text.
        flag: the flag's name, for errors.

    Raises:
        InputError: an entry without "=".
    """
    options = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise InputError(
                f"--{flag}={text} has no '=', expected KEY=VALUE such as "
                "coupling=residual."
            )
        try:
            options[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[key] = value
    return options
