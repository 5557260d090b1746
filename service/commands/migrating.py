"""`whichone migrate`: the database brought up to date, and nothing else."""

from __future__ import annotations

from service.commands.data_folder import opened_database
from service.settings import Settings

__all__ = ["migrate"]


def migrate(settings: Settings) -> None:
    """Bring the schema up to date, after whoever does so at this moment. No bundle is opened.

    Raises:
        DatabaseTooNew: a newer Whichone has been here, and this one does not fit what it made.
        DatabaseUnavailable: no connection.
    """
    with opened_database(settings, make=True) as database:
        if database.ahead:
            print("whichone: a newer Whichone brought the database further; this one can work on it", flush=True)
        else:
            print("whichone: the database is up to date", flush=True)
