"""
What a walk asks the system about a folder: what is in it, and whether it has changed.

There are two forms of the same two functions. Those in Python are the reference; where the build
had a compiler, those in `_folders.c` take their place, which make no object of an entry.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from itertools import islice

ListFolder = Callable[[bytes, int], tuple[bytes, int, list[bytes]] | None]
StampOf = Callable[[bytes, int], int]


def list_folder_in_python(path: bytes, most: int) -> tuple[bytes, int, list[bytes]] | None:
    """
    Return the names of the files and folders in a folder, if there is nothing unusual about it.

    Links are files. What is unusual has to be looked at entry by entry: something else than files
    and folders, more than `most` entries, an entry whose kind the system does not tell, an error.

    Args:
        path: of the folder.
        most: how many entries there may be.

    Returns:
        The names of the files in the order of bytes, a NUL before each; how many these are; the
        names of the folders, in no order. None if anything is unusual.
    """
    files: list[bytes] = []
    folders: list[bytes] = []
    others: list[bytes] = []
    try:
        with os.scandir(path) as entries:
            sort_out(islice(entries, most + 1), files, folders, others)
    except OSError:
        return None
    if others or len(files) + len(folders) > most:
        return None
    files.sort()
    return b"\0" + b"\0".join(files) if files else b"", len(files), folders


def sort_out(
    entries: Iterator[os.DirEntry[bytes]],
    files: list[bytes],
    folders: list[bytes],
    others: list[bytes],
) -> None:
    """
    Add the name of each entry where it belongs; links are files.

    Raises:
        OSError: the listing ends here, or an entry cannot be told; then one may go on behind it.
    """
    for entry in entries:
        if entry.is_file(follow_symlinks=False):
            files.append(entry.name)
        elif entry.is_dir(follow_symlinks=False):
            folders.append(entry.name)
        elif entry.is_symlink():
            files.append(entry.name)
        else:
            others.append(entry.name)


def stamp_of_in_python(path: bytes, settled: int) -> int:
    """
    Return the stamp of a folder or file, 0 if it has changed after `settled`; `stamps.py` says why.

    Args:
        path: of it.
        settled: nanoseconds since the epoch.

    Raises:
        OSError: it is out of reach.
    """
    status = os.stat(path)  # noqa: PTH116  # there may be very many
    modified, changed = status.st_mtime_ns, status.st_ctime_ns
    if modified > settled or changed > settled:
        return 0
    return hash((modified, changed, status.st_ino, status.st_dev)) or 1


list_folder: ListFolder = list_folder_in_python
stamp_of: StampOf = stamp_of_in_python

if os.environ.get("BOUNDEDCOLLECTIONS_PURE", "0") in ("", "0"):
    with contextlib.suppress(ImportError):  # the build had no compiler
        from boundedcollections.files import _folders

        list_folder, stamp_of = _folders.list_folder, _folders.stamp_of
