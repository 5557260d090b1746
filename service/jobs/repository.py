"""All SQL about jobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from service.models import JobFailureRow, JobRow

__all__ = ["FINISHED", "JobRepository"]

FINISHED = ("done", "failed", "cancelled")
_UNFINISHED = ("queued", "running")


class JobRepository:
    """Jobs inside one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def now(self) -> datetime:
        """By one clock for all processes: the database's; SQLite has that of the machine, which they share."""
        if self._session.get_bind().dialect.name == "sqlite":
            return datetime.now(UTC)
        moment: datetime = self._session.execute(select(func.clock_timestamp())).scalar_one()
        return moment

    def add(self, row: JobRow) -> None:
        """Add a job."""
        self._session.add(row)
        self._session.flush()

    def get(self, gallery: str | None, id_: str, *, locked: bool = False) -> JobRow | None:
        """A gallery's job; of any gallery, for None; kept from changing until the transaction ends."""
        statement = select(JobRow).where(JobRow.id == id_)
        if gallery is not None:
            statement = statement.where(JobRow.gallery == gallery)
        return self._session.scalar(statement.with_for_update() if locked else statement)

    def page(self, gallery: str | None, *, state: str | None, before: int | None, limit: int) -> Sequence[JobRow]:
        """Jobs, newest first.

        Args:
            before: the number of the last one of the page before.
        """
        statement = select(JobRow).order_by(JobRow.number.desc()).limit(limit)
        if gallery is not None:
            statement = statement.where(JobRow.gallery == gallery)
        if state is not None:
            statement = statement.where(JobRow.state == state)
        if before is not None:
            statement = statement.where(JobRow.number < before)
        return self._session.scalars(statement).all()

    def unfinished(self) -> int:
        """How many are queued or running."""
        statement = select(func.count()).select_from(JobRow).where(JobRow.state.in_(_UNFINISHED))
        return self._session.scalar(statement) or 0

    def by_state(self) -> dict[str, int]:
        """How many there are in every state."""
        counts = dict.fromkeys((*_UNFINISHED, *FINISHED), 0)
        for state, count in self._session.execute(select(JobRow.state, func.count()).group_by(JobRow.state)):
            counts[state] = count
        return counts

    def known(self, ids: Sequence[str]) -> set[str]:
        """Those of `ids` that are jobs which may still need their files."""
        statement = select(JobRow.id).where(JobRow.id.in_(ids), JobRow.state.in_(_UNFINISHED))
        return set(self._session.scalars(statement))

    def claimable(self, owner: str) -> bool:
        """Whether there is a job for `owner` to take."""
        return self._session.scalar(select(JobRow.number).where(*self._free(owner)).limit(1)) is not None

    def claim(self, owner: str, lease: float) -> JobRow | None:
        """Take the oldest job that nobody else works on; `owner` itself may, and was kept from it for a while.

        SQLite has one writer at a time; on PostgreSQL rows that another process is just taking are passed over.
        """
        statement = (
            select(JobRow).where(*self._free(owner)).order_by(JobRow.number).limit(1).with_for_update(skip_locked=True)
        )
        row = self._session.scalar(statement)
        if row is None:
            return None
        now = self.now()
        crashed = row.owner not in {None, owner}  # nobody gave it back
        row.begun = row.begun + 1 if crashed and row.begun_at == row.position else 1
        row.begun_at = row.position
        row.state, row.owner, row.owned_until = "running", owner, now + timedelta(seconds=lease)
        row.started_at = row.started_at or now
        row.not_before = None
        self._session.flush()
        return row

    def _free(self, owner: str) -> tuple[Any, ...]:
        now = self.now()
        return (
            JobRow.state.in_(_UNFINISHED),
            or_(JobRow.owner.is_(None), JobRow.owned_until < now, JobRow.owner == owner),
            or_(JobRow.not_before.is_(None), JobRow.not_before <= now),
        )

    def keep(self, number: int, owner: str, lease: float, **values: Any) -> bool | None:
        """Renew a lease, and change more of the job; whether it is to be cancelled, or None if the lease is lost."""
        until = self.now() + timedelta(seconds=lease)
        statement = (
            update(JobRow)
            .where(*_owned(number, owner))
            .values(owned_until=until, **values)
            .returning(JobRow.cancelling)
            .execution_options(synchronize_session=False)
        )
        return self._session.execute(statement).scalar_one_or_none()

    def advance(self, number: int, owner: str, lease: float, *, start: int, **counts: int) -> bool | None:
        """Count photos that are behind a job, which stood at `start`. Answers as `keep` does."""
        done = sum(counts.values())
        statement = (
            update(JobRow)
            .where(*_owned(number, owner), JobRow.position == start)
            .values(
                position=start + done,
                owned_until=self.now() + timedelta(seconds=lease),
                code=None,
                message=None,
                **{name: getattr(JobRow, name) + count for name, count in counts.items()},
            )
            .returning(JobRow.cancelling)
            .execution_options(synchronize_session=False)
        )
        return self._session.execute(statement).scalar_one_or_none()

    def let_go(self, number: int, owner: str, **values: Any) -> bool:
        """Give a lease back, and change more of the job; False if it was lost."""
        statement = (
            update(JobRow)
            .where(*_owned(number, owner))
            .values(owner=None, owned_until=None, **values)
            .returning(JobRow.number)
            .execution_options(synchronize_session=False)
        )
        return self._session.execute(statement).scalar_one_or_none() is not None

    def add_failures(self, rows: Sequence[JobFailureRow]) -> None:
        """Add to the report."""
        self._session.add_all(rows)

    def failures(self, number: int, *, after: int, limit: int) -> Sequence[JobFailureRow]:
        """Failed photos in the order of the listing, behind position `after`."""
        statement = (
            select(JobFailureRow)
            .where(JobFailureRow.job == number, JobFailureRow.position > after)
            .order_by(JobFailureRow.position)
            .limit(limit)
        )
        return self._session.scalars(statement).all()

    def forget(self, kept: int) -> None:
        """Remove finished jobs but the newest `kept`, with their reports."""
        finished = select(JobRow.number).where(JobRow.state.in_(FINISHED))
        last = self._session.scalar(finished.order_by(JobRow.number.desc()).offset(kept).limit(1))
        if last is None:
            return
        old = finished.where(JobRow.number <= last)
        self._session.execute(delete(JobFailureRow).where(JobFailureRow.job.in_(old)))
        self._session.execute(delete(JobRow).where(and_(JobRow.state.in_(FINISHED), JobRow.number <= last)))


def _owned(number: int, owner: str) -> tuple[Any, ...]:
    return (JobRow.number == number, JobRow.owner == owner, JobRow.state == "running")
