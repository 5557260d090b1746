"""The data folder and its database, for verbs that load no model: this imports little, so that they are quick."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from embedding.errors import WhichoneError
from service.database import Database
from service.keys.service import KeyService
from service.settings import Settings

__all__ = ["NoDataFolder", "opened_database", "opened_keys", "require_data_folder"]


class NoDataFolder(WhichoneError):
    """There is nothing to ask yet."""

    code = "no_data_folder"


def require_data_folder(settings: Settings) -> None:
    """Looking into a mistyped data folder must not make it.

    Raises:
        NoDataFolder: there is no such folder.
    """
    if settings.database_url is None and not (settings.data / "whichone.db").is_file():
        raise NoDataFolder(
            f"there is no gallery in {settings.data} yet; make one with whichone index add FOLDER, or name the data "
            "folder with --data or WHICHONE_DATA",
            folder=str(settings.data),
        )


@contextmanager
def opened_database(settings: Settings, *, make: bool = False) -> Iterator[Database]:
    """The database of a data folder, which is made if it is not there and `make` says so. No bundle is opened.

    Raises:
        NoDataFolder: there is no such folder, and none is to be made.
    """
    if make:
        settings.data.mkdir(parents=True, exist_ok=True)
    else:
        require_data_folder(settings)
    database = Database(settings)
    try:
        database.migrate()
        yield database
    finally:
        database.close()


@contextmanager
def opened_keys(settings: Settings, *, make: bool = False) -> Iterator[KeyService]:
    """The keys of a data folder.

    Raises: see `opened_database`.
    """
    with opened_database(settings, make=make) as database:
        yield KeyService(database)
