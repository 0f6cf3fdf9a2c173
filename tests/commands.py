"""Finds the commands that a page shows, and the programs behind them."""

import importlib
import re

from osmn_recurrent.cli import convert
from osmn_recurrent.cli import main as osmn

COMMAND = re.compile(r"(?:\bosmn |python -m experiments\.)([a-z][\w-]*)([^`\n]*)")
OF_ABSL = ("flagfile", "help")


def commands_of(text):
    """`(module, names of flags)` of every command in a text.

    Args:
        text: Markdown. A command ends with its line, unless that ends with a
            backslash, or with the backtick that closes it.

    Raises:
        KeyError: a verb of `osmn` that there is not.
    """
    for match in COMMAND.finditer(text.replace("\\\n", " ")):
        verb, rest = match[1], match[2].partition("#")[0]
        name = f"experiments.{verb}"
        if match[0].startswith("osmn"):
            name, _ = osmn.VERBS[verb]
            if name == convert.__name__:
                name, _ = convert.KINDS[rest.split()[0]]
        module = importlib.import_module(name)
        given = re.findall(r"(?<![\w-])--([a-z_]\w*)", rest)
        yield module, [_plain(flag, module) for flag in given if flag not in OF_ABSL]


def _plain(flag, module):
    """The name of a switch that is turned off, such as --noosvos."""
    if flag not in module.FLAGS and flag.startswith("no"):
        return flag.removeprefix("no")
    return flag
