"""The jobs' answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from service.jobs.service import JobDetail
from service.models import JobFailureRow, JobRow

__all__ = ["FailureList", "JobAnswer", "JobInfo", "JobList", "JobState"]

JobState = Literal["queued", "running", "done", "failed", "cancelled"]


class JobSource(BaseModel):
    """What is imported: an archive by the name its sender gave it, or a path beneath the import root."""

    kind: Literal["archive", "folder", "csv"]
    name: str


class JobReason(BaseModel):
    """Why a job failed, or what it is waiting for."""

    code: str
    detail: str


class JobInfo(BaseModel):
    """A bulk import. `done` photos of `total` are behind it: `added`, `duplicates` that were there, or `failed`."""

    id: str
    gallery: str
    state: JobState
    source: JobSource
    distractors: bool
    total: Annotated[int | None, Field(description="Null until the source was looked through.")]
    done: int
    added: int
    duplicates: int
    failed: int
    ignored: Annotated[int | None, Field(description="Files beside the photos that are none, by their names.")]
    cancelling: bool
    reason: JobReason | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: JobRow) -> JobInfo:
        """A job as it stands."""
        return cls.model_validate(_members(row))


class JobFailure(BaseModel):
    """A photo that was not added, by its source's name for it, and why, as `POST /index` would say it."""

    name: str
    code: str
    detail: str


class JobAnswer(JobInfo):
    """A job and the first photos that it could not add; `GET /jobs/{id}/failures` has all of them."""

    failures: list[JobFailure]

    @classmethod
    def with_failures(cls, detail: JobDetail) -> JobAnswer:
        """A job with its report."""
        return cls.model_validate({**_members(detail.job), "failures": _failures(detail.failures)})


class FailureList(BaseModel):
    """A page of the photos that were not added; `next` continues behind the last one, null at the end."""

    failures: list[JobFailure]
    next: str | None

    @classmethod
    def of(cls, detail: JobDetail) -> FailureList:
        """A page."""
        return cls(failures=_failures(detail.failures), next=None if detail.after is None else str(detail.after))


class JobList(BaseModel):
    """A page of jobs, newest first; `next` continues behind the last one, null at the end."""

    jobs: list[JobInfo]
    next: str | None


def _members(row: JobRow) -> dict[str, object]:
    names = ("id", "gallery", "state", "source", "distractors", "total", "added", "duplicates", "failed", "ignored")
    moments = ("created_at", "started_at", "finished_at")
    return {
        **{name: getattr(row, name) for name in (*names, *moments)},
        "done": row.position,
        "cancelling": row.cancelling and row.state == "running",
        "reason": None if row.code is None else {"code": row.code, "detail": row.message},
    }


def _failures(rows: Sequence[JobFailureRow]) -> list[JobFailure]:
    return [JobFailure(name=row.name, code=row.code, detail=row.message) for row in rows]
