"""How many bytes is this object?"""

from pympler.asizeof import Asizer


def deep_size(obj: object) -> int:
    """Return the bytes of `obj` and all that it references, as pympler counts them."""
    return int(Asizer().asizeof(obj))
