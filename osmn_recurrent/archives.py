"""ZIP archives: the table of contents is read before anything is unpacked."""

import pathlib
import zipfile

from osmn_recurrent.errors import InputError

MOST_BYTES = 4 * 2**30
"""Largest size of all tensors together. ReConvNet with Adam's moments, the
largest thing there is, has 2.5 GB; a file that claims more is a mistake or was
made to fill the memory."""

MOST_EXPANSION = 100
"""An archive above `FREE_BYTES` that grows more than this is refused: trained
weights shrink by about a tenth."""

FREE_BYTES = 64 * 2**20
"""Archives that unpack to less are harmless whatever they hold."""

MOST_TEXT = 16 * 2**20
"""Largest settings file (JSON) in an archive; those of networks have 100 kB."""


def open_archive(path):
    """Opens a ZIP archive after reading its table of contents.

    Args:
        path: the file.

    Returns:
        `zipfile.ZipFile`.

    Raises:
        InputError: a damaged archive, or one that would fill the memory (a
            "zip bomb").
    """
    path = pathlib.Path(path)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be read as a ZIP archive ({error}); it is "
            "damaged or truncated, copy it again."
        ) from None
    try:
        entries = archive.infolist()
        refuse_expansion(path, sum(entry.file_size for entry in entries))
        for entry in entries:
            if entry.filename.endswith(".json") and entry.file_size > MOST_TEXT:
                raise InputError(
                    f"{path}: its {entry.filename} has {entry.file_size:,} bytes, more "
                    "than the settings of any network; nothing was unpacked, use "
                    "another file."
                )
    except InputError:
        archive.close()
        raise
    return archive


def refuse_expansion(path, unpacked):
    """Refuses a file that becomes much larger than trained weights do.

    Args:
        path: the file.
        unpacked: bytes of what is in it.

    Raises:
        InputError: it would fill the memory.
    """
    packed = max(path.stat().st_size, 1)
    if unpacked > MOST_BYTES or (
        unpacked > FREE_BYTES and unpacked > MOST_EXPANSION * packed
    ):
        raise InputError(
            f"{path} has {packed} bytes but unpacks to {unpacked}, as a file does "
            "that is made to fill the memory; nothing was unpacked, use another file."
        )
