from collections.abc import Callable
from typing import Any

def set_up(
    take_apart: Callable[[Any, dict[int, Any], bool], tuple[Any, ...]],
    open_up: Callable[[Any, dict[int, Any]], tuple[Any, ...]],
    leaves: tuple[type, ...],
    free: tuple[Any, ...],
    gc_header: int,
    /,
) -> None: ...
def deep_walk(obj: Any, ceiling: float, single: int, /) -> int: ...
def spent_walk(obj: Any, ceiling: float, single: int, /) -> int: ...
