"""Verbs whose packages only an extra of the installation brings, such as torch for training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from embedding.errors import WhichoneError

__all__ = ["ExtraMissing", "from_extra"]

ROOMS = frozenset({"embedding", "index", "service", "training"})
"""Our own: a module of theirs that is not there is a fault, and no package to install."""


class ExtraMissing(WhichoneError):
    """A verb needs packages that are not installed."""

    code = "extra_missing"


@contextmanager
def from_extra(extra: str) -> Iterator[None]:
    """Around the imports of a verb whose packages come with an extra.

    Args:
        extra: its name, as in `pip install 'whichone[NAME]'`.

    Raises:
        ExtraMissing: a package that they need is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or package in ROOMS:
            raise
        raise ExtraMissing(
            f"this needs {package}, which is not installed: pip install 'whichone[{extra}]'",
            package=package,
            extra=extra,
        ) from error
