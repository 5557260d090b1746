"""`whichone migrate`: the database brought up to date, and nothing else."""

from __future__ import annotations

from service.commands.data_folder import opened_database
from service.settings import Settings

__all__ = ["migrate"]


def migrate(settings: Settings) -> None:
    """Bring the schema up to date, after whoever does so at this moment. No bundle is opened.

    Raises:
        DatabaseTooNew: a newer Whichone has been here.
        DatabaseUnavailable: no connection.
    """
    with opened_database(settings, make=True):
        print("whichone: the database is up to date", flush=True)
