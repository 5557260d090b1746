"""Which Whichone this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version

__all__ = ["version"]


def version() -> str:
    """The installed package's version; `0+source` where it runs from a source tree that is not installed."""
    try:
        return installed_version("whichone")
    except PackageNotFoundError:
        return "0+source"
