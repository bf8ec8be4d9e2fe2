"""The structure as compiled code, where the build made it; importing this fails elsewhere."""

from boundedcollections._core.events import RemovalCause
from boundedcollections._core.ledger import refusal
from boundedcollections._core.tables import allocated
from boundedcollections._core.units import measured_size
from boundedcollections.lru._recency import (
    BUCKET_BYTES,
    EXPIRY_BYTES,
    NODE_BYTES,
    set_charges,
    set_up,
)
from boundedcollections.lru._recency import Recency as CompiledRecency

__all__ = ["CompiledRecency", "charge_as_allocated", "set_charges"]


def charge_as_allocated() -> None:
    """Have an entry, a deadline and a bucket cost what the allocator spends on them."""
    set_charges(allocated(NODE_BYTES), allocated(EXPIRY_BYTES), BUCKET_BYTES)


set_up(measured_size, refusal, tuple(RemovalCause))
charge_as_allocated()
