"""One buffer, and the loan of it."""

from typing import Protocol

from boundedcollections._core.lease import Lease


class Lender(Protocol):
    """Who lends a buffer, and takes it back."""

    def _take_back(self, lease: "BufferLease", *, leaked: bool) -> bool: ...

    def _where(self) -> str: ...


class Buffer(bytearray):
    """
    The memory itself. The pool refers to it weakly, and counts it as long as it is there.

    So nothing has to be counted back: not for a lease that was lost, not for memory that somebody
    still looks at, and not when an exception out of the blue drops a buffer between two lines.
    """

    __slots__ = ("__weakref__", "lent")

    lent: bool


class BufferLease(Lease):
    """
    The loan of one buffer; ``with`` gives its memory, and gives it back.

    >>> from boundedcollections import BufferPool
    >>> pool = BufferPool(max_buffers=2)
    >>> with pool.acquire_nowait() as buffer:
    ...     buffer[:5] = b"hello"
    ...     len(buffer)
    65536
    >>> buffer[:5]
    Traceback (most recent call last):
    ...
    ValueError: operation forbidden on released memoryview object

    Attributes:
        buffer: the memory, all zeros at first; it cannot be used after the release. Slices of it,
            and whatever else was made from it, are to be dropped before: as long as one is there,
            the buffer is not lent again, and its slot stays taken.
    """

    __slots__ = ("_memory", "buffer")

    buffer: memoryview
    _owner: Lender

    def __init__(self, owner: Lender) -> None:
        self._memory: Buffer | None = None
        self._owner = owner

    @property
    def released(self) -> bool:
        """Whether the buffer was given back."""
        return self._memory is None

    def __enter__(self) -> memoryview:
        return self.buffer

    def _give_back(self, *, leaked: bool) -> bool:
        return self._owner._take_back(self, leaked=leaked)  # noqa: SLF001  # one mechanism

    def _where(self) -> str:
        return f"a lease of {self._owner._where()}"  # noqa: SLF001
