"""Installed packages that add data sets, losses or networks to this one."""

import functools
import importlib.metadata

from osmn_recurrent.errors import InputError


@functools.cache
def load(group):
    """Imports what installed packages offer, once.

    Args:
        group: of entry points, such as "osmn_recurrent.losses".

    Raises:
        InputError: one of them cannot be imported.
    """
    for plugin in importlib.metadata.entry_points(group=group):
        try:
            plugin.load()
        except Exception as error:  # whatever is wrong with it
            raise InputError(
                f"the plug-in {plugin.name} ({plugin.value}) cannot be loaded "
                f"({type(error).__name__}: {error}); fix or uninstall it."
            ) from error
