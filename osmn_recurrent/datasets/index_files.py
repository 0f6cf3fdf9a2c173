"""Arrays that take long to make, kept in a file beside the data."""

import json
import zipfile

import numpy as np

from osmn_recurrent import files
from osmn_recurrent.archives import open_archive
from osmn_recurrent.errors import InputError


def stored_arrays(path, key, make):
    """The arrays in `path`, or those of `make()`, which are then stored there.

    Args:
        path: `pathlib.Path` of an .npz file.
        key: JSON value that names what the arrays were made from; a file
            with another key is made anew.
        make: function without arguments that gives `{name: array}`.

    Returns:
        `{name: array}`.

    Raises:
        InputError: a file that is no such index, or a place that cannot be
            written.
    """
    key = json.dumps(key)
    if path.is_file():
        try:
            open_archive(path).close()
            with np.load(path) as stored:
                if str(stored["key"]) == key:
                    return dict(stored)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{path} is no index of training data ({error}); delete it, it is "
                "made anew."
            ) from None
    files.check_output(path)
    arrays = make()
    with files.replace_when_done(path) as temporary:
        np.savez_compressed(temporary, key=key, **arrays)
    return arrays
