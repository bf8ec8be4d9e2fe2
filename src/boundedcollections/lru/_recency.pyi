from collections.abc import Callable
from typing import Any

from boundedcollections._core.errors import TooLarge
from boundedcollections._core.events import RemovalCause
from boundedcollections.lru.keeper import Keeper

NODE_BYTES: int
EXPIRY_BYTES: int
BUCKET_BYTES: int

Recency = Keeper  # the same methods

def set_up(
    measured_size: Callable[[Any], int],
    refusal: Callable[[str, int, int, bool], TooLarge],
    causes: tuple[RemovalCause, ...],
    /,
) -> None: ...
def set_charges(node_bytes: int, expiry_bytes: int, bucket_bytes: int, /) -> None: ...
