"""The structure as compiled code, where the build made it; importing this fails elsewhere."""

from boundedcollections._core.events import RemovalCause
from boundedcollections._core.ledger import refusal
from boundedcollections._core.tables import allocated
from boundedcollections._core.units import measured_size
from boundedcollections.lru import _recency
from boundedcollections.lru._recency import Recency as CompiledRecency

__all__ = ["CompiledRecency"]

_recency.set_up(measured_size, refusal, tuple(RemovalCause))
_recency.set_charges(
    allocated(_recency.NODE_BYTES), allocated(_recency.EXPIRY_BYTES), _recency.BUCKET_BYTES
)
