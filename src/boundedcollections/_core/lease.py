"""Something borrowed, that is given back once: by ``with``, by hand, or by nobody and noticed."""

import warnings
from abc import ABC, abstractmethod
from typing import Any, Final

_SLOTS: Final = ("__weakref__", "_owner")


class Lease(ABC):
    """
    What a user borrows. Its owner decides what that is; this says how often it comes back.

    A second `release` is an error. A lease that is dropped without one is a leak: what it holds
    goes back all the same, and a ResourceWarning says so.
    """

    __slots__ = _SLOTS

    _owner: Any
    """Who lent it; set last, so that a lease without it was struck before it came to be."""

    @property
    @abstractmethod
    def released(self) -> bool:
        """Whether it was given back."""

    @abstractmethod
    def _give_back(self, *, leaked: bool) -> bool:
        """Give back what is held; return False if nothing is. Callable from a destructor."""

    @abstractmethod
    def _where(self) -> str:
        """Name the lease and its owner for people."""

    def release(self) -> None:
        """
        Give it back.

        Raises:
            RuntimeError: it was given back before.
        """
        if not self._give_back(leaked=False):
            raise RuntimeError(f"{self._where()} was released already")

    def __exit__(self, *_: object) -> None:
        self._give_back(leaked=False)

    def __repr__(self) -> str:
        return f"<{self._where()}{' released' if self.released else ''}>"

    def __del__(self) -> None:
        if hasattr(self, "_owner") and not self.released and self._give_back(leaked=True):
            warnings.warn(
                f"{self._where()} was never released", ResourceWarning, stacklevel=2, source=self
            )
