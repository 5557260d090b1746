"""A bound on the galleries that metrics tell apart."""

from __future__ import annotations

__all__ = ["KnownGalleries"]

_MOST = 100
_OTHER = "(others)"  # which no gallery can be called


class KnownGalleries:
    """The first hundred galleries that were met."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def knows(self, gallery: str) -> bool:
        """Whether it has a name of its own in metrics."""
        if len(self._names) < _MOST:
            self._names.add(gallery)
        return gallery in self._names

    def name_of(self, gallery: str) -> str:
        """How metrics call it."""
        return gallery if self.knows(gallery) else _OTHER
