"""
What the tables behind a collection cost, and when they are about to grow.

A dict grows in steps: one insert in thousands allocates a table twice as large while the old one
still exists. A bound that is to hold at every moment has to know of the step before it is made.

The rules are those of CPython's ``Objects/dictobject.c``, the same from 3.11 on: a table has a
power of two of slots, of which two thirds can be used; an insert uses one up, and a deletion does
not give it back; the insert that finds none left makes a table for three times the entries held.
How that is rounded for one or two entries has changed once, so it is tried.
"""

import struct

_POINTER_BYTES = struct.calcsize("P")
ORDER_NODE_BYTES = 4 * _POINTER_BYTES
"""The node of one entry in an ``OrderedDict``: key, hash, next, previous."""

_SMALL_BYTES = 512
_HEADER_BYTES = 32
_LEAST_SLOTS = 8
_SPARSE = 12
"""Tables are made anew when they have so many slots for an entry; new ones have two or three."""


def dict_bytes(slots: int) -> int:
    """
    Return the bytes of a dict's table with so many slots, for keys of any type.

    >>> {1: 1}.__sizeof__() - {}.__sizeof__() == dict_bytes(8)
    True
    """
    index_bytes = 1 if slots < 1 << 8 else 2 if slots < 1 << 16 else 4 if slots < 1 << 32 else 8
    return _HEADER_BYTES + slots * index_bytes + _usable(slots) * 3 * _POINTER_BYTES


def ordered_dict_bytes(slots: int) -> int:
    """Return the bytes of an ``OrderedDict``'s tables, without the nodes of its entries."""
    return dict_bytes(slots) + slots * _POINTER_BYTES


def allocated(size: int) -> int:
    """
    Return what the allocator spends on a block of so many bytes.

    CPython's own allocator serves up to 512 bytes, in steps of 16; malloc adds 8 of its own.

    >>> allocated(1), allocated(512), allocated(513)
    (16, 512, 528)
    """
    return (size + 15 if size <= _SMALL_BYTES else size + 23) & -16


class TableMeter:
    """
    Counts the slots that are left in tables which see the same inserts and deletions.

    >>> meter = TableMeter()
    >>> meter.next_slots(entries=0)
    8
    >>> for entries in range(5):
    ...     meter.insert(entries=entries)
    >>> meter.next_slots(entries=5)
    16

    Attributes:
        slots: how many slots the tables have now.
        left: how many inserts they take before new ones are made. Who inserts where some are left
            may take one off by himself, before he uses it.
        renewals: how often new tables were made; who has taken a slot sees by it whether it was
            one of these.
        in_doubt: whether an interruption has made the count uncertain. Then none are left: who
            inserts has to look what became of the tables, until they are made anew.
    """

    __slots__ = ("in_doubt", "left", "renewals", "slots")

    def __init__(self) -> None:
        self.slots = 0
        self.left = 0
        self.renewals = 0
        self.in_doubt = False

    def next_slots(self, *, entries: int) -> int:
        """Return the slots of the new tables that one more insert makes; 0 if it makes none."""
        return 0 if self.left > 0 else slots_for(3 * entries)

    def insert(self, *, entries: int, grown: bool = False) -> None:
        """Note an insert into so many entries; `grown`, if it was seen to make new tables."""
        if self.in_doubt:
            self.left = 0
            return
        if self.left <= 0 or grown:
            self.slots = slots_for(3 * entries)
            self.left = _usable(self.slots) - entries
            self.renewals += 1
        self.left -= 1

    def doubt(self) -> None:
        """Note that an interruption may have used up a slot unseen."""
        self.left = 0
        self.in_doubt = True

    def is_worn(self, *, entries: int) -> bool:
        """Say whether tables made for so many entries would be a small part, or better known."""
        return self.in_doubt or self.slots > _SPARSE * (entries + _LEAST_SLOTS)


def slots_for(entries: int) -> int:
    """
    Return how many slots CPython gives a new table for so many entries.

    >>> [slots_for(entries) for entries in (0, 9, 27)]
    [8, 16, 32]
    """
    least = max(entries, _LEAST_SLOTS) if _ROUNDS_EXACTLY else entries | _LEAST_SLOTS
    return 1 << ((least - 1) | (_LEAST_SLOTS - 1)).bit_length()


def _usable(slots: int) -> int:
    return (slots << 1) // 3


def _rounds_exactly() -> bool:
    """Whether a table for two entries gets 8 slots, as from 3.14 on, and not 16."""
    table = {number: number for number in range(_usable(_LEAST_SLOTS))}
    full = table.__sizeof__()
    while len(table) > 2:  # noqa: PLR2004  # for which the two rules differ
        table.popitem()
    table[-1] = -1
    return table.__sizeof__() == full


_ROUNDS_EXACTLY = _rounds_exactly()
