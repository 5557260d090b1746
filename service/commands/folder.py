"""The data folder as a command finds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from service.commands.data_folder import require_data_folder
from service.settings import Settings
from service.workspace import Workspace, open_workspace

__all__ = ["opened"]


@contextmanager
def opened(settings: Settings) -> Iterator[Workspace]:
    """A workspace on a data folder that is there already: looking into a mistyped one must not make it.

    Raises:
        NoDataFolder: there is no such folder.
    """
    require_data_folder(settings)
    with open_workspace(settings) as workspace:
        yield workspace
