"""
Changes to columns, laid over them in order, and merged with them into new ones.

Of a large tree a refresh finds little that is new. So the few folders that were read again are
kept sorted beside the columns, and the new columns are copied from both, run by run.
"""

from array import array
from collections.abc import Sequence

from sortedcontainers import SortedDict

from boundedcollections.files.columns import Columns, ColumnsWriter
from boundedcollections.files.tree import Tree, decoded


class Overlay:
    r"""
    What is different from some columns.

    >>> tree = Tree()
    >>> root, src = tree.add([b"", b"src/"])
    >>> tree.parts[root] = [b"\0a\0b", src]
    >>> columns = Columns(tree)
    >>> overlay = Overlay(columns)
    >>> tree.parts[src] = b"\0app.py"
    >>> overlay.put(tree, src)
    >>> list(overlay.merged().paths(0))
    ['a', 'b', 'src/app.py']

    Args:
        columns: what is as it was, where nothing else is said. They are not changed.
    """

    __slots__ = ("_added", "_blocks", "_columns", "_is_gone", "_is_old", "_stamps")

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        folders = len(columns.folder_offsets) - 1
        self._is_gone = bytearray(folders)
        self._is_old = bytearray(folders)  # so are the files that were in these folders
        self._stamps = columns.stamps[:] or array("q", bytes(8 * folders))
        self._added: SortedDict[str, tuple[bytes, int]] = SortedDict()
        self._blocks: SortedDict[str, tuple[str, bytes]] = SortedDict()  # by their first path

    def leave_out(self, folders: range) -> None:
        """Leave out the folders with these numbers, and their files."""
        for number in folders:
            self._is_gone[number] = self._is_old[number] = True

    def put(self, tree: Tree, folder: int) -> None:
        """
        Put in the files of a folder of a tree, instead of those that it had.

        A folder among its parts only says where it cuts the files. What is to be left out must
        have been left out before.
        """
        path, stamp = tree.path(folder), tree.stamps[folder]
        number = self._columns.folder_number(path)
        if number is None or self._is_gone[number]:
            self._added[path] = tree.paths[folder], stamp
        else:
            self._is_old[number] = True
            self._stamps[number] = stamp
        for block in tree.blocks(folder):
            first = decoded(block[1:].partition(b"\0")[0])
            self._blocks[path + first] = path, block

    def merged(self) -> Columns:
        """Return the columns with these changes; O(n), with a small constant."""
        columns = self._columns
        writer = ColumnsWriter()
        owners, added = self._write_folders(writer)
        cuts = [
            (at, True, 0, b"") for at, owner in enumerate(columns.owners) if self._is_old[owner]
        ]
        for first, (folder, block) in self._blocks.items():
            number = added.get(folder)
            owner = owners[columns.folder_place(folder)] if number is None else number
            cuts.append((columns.block_place(first), False, owner, block))
        cuts.sort(key=lambda cut: cut[:2])  # what is put in comes before what is taken out
        done = 0
        for place, is_taken_out, owner, block in cuts:
            writer.add_blocks(columns, done, place, owners)
            if not is_taken_out:
                writer.add_block(owner, block)
            done = place + is_taken_out
        writer.add_blocks(columns, done, len(columns.owners), owners)
        return Columns.written(writer)

    def _write_folders(self, writer: ColumnsWriter) -> tuple[Sequence[int], dict[str, int]]:
        """Write all folders; return the new numbers of the old ones, and of the added ones."""
        owners = array("I")
        added = {}
        for path, (raw_path, stamp) in self._added.items():
            self._copy_folders(writer, owners, self._columns.folder_place(path))
            added[path] = writer.add_folder(raw_path, stamp)
        self._copy_folders(writer, owners, len(self._is_gone))
        return owners, added

    def _copy_folders(self, writer: ColumnsWriter, owners: "array[int]", end: int) -> None:
        """Write the old folders up to `end`, but for those that are left out."""
        columns = self._columns
        offsets = columns.folder_offsets
        for number in range(len(owners), end):
            if self._is_gone[number]:
                owners.append(0)
            else:
                path = columns.folders[offsets[number] + 1 : offsets[number + 1]]
                owners.append(writer.add_folder(path, self._stamps[number]))
