"""Files by wildcards: the language of ignore files, turned on the columns."""

import re
from collections.abc import Iterator

from boundedcollections.files.columns import Columns
from boundedcollections.files.wildmatch import translate_parted


def matching(columns: Columns, pattern: str) -> Iterator[str]:
    """Yield the paths that match `pattern`, in order; folders and names are matched apart."""
    wildcards = translate_parted(pattern)
    is_folder = re.compile(wildcards.folder, re.DOTALL).fullmatch
    is_name = re.compile(wildcards.name, re.DOTALL).fullmatch
    owner, folder, is_wanted = -1, "", False
    for block in range(len(columns.owners)):
        if owner != columns.owners[block]:
            owner = columns.owners[block]
            folder = columns.folder(owner)
            is_wanted = is_folder(folder) is not None
        if is_wanted:
            yield from (folder + name for name in columns.names_in(block) if is_name(name))
