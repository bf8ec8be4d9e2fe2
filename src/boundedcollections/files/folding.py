"""Names and paths in the forms in which they are looked up and matched, as bytes."""

from boundedcollections.files.scoring import fold
from boundedcollections.files.tree import decoded, encoded


def folded(name: bytes) -> bytes:
    """Return an encoded name or path as it is compared: composed, in lower case."""
    return name.lower() if name.isascii() else encoded(fold(decoded(name), ignore_case=True).folded)


def composed(name: bytes) -> bytes:
    """Return an encoded name or path as matchers take it: capitals stay if all is ASCII."""
    return name if name.isascii() else folded(name)


def following(prefix: bytes) -> bytes:
    """Return what comes after all that begins with `prefix`; empty if nothing does."""
    prefix = prefix.rstrip(b"\xff")
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else b""
