"""`whichone jobs`: the imports of a data folder, while a server or a worker is at them or not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.markup import escape
from rich.table import Table

from service.commands.data_folder import opened_database
from service.commands.terminal import print_json, stdout
from service.jobs.schemas import FailureList, JobInfo
from service.jobs.service import Jobs
from service.settings import Settings

__all__ = ["cancel_job", "list_jobs", "show_job"]

_NEWEST = 100
_PAGE = 1000


def list_jobs(settings: Settings, *, gallery: str | None, as_json: bool) -> None:
    """The newest jobs of a gallery, or of all."""
    with _opened_jobs(settings) as jobs:
        found = [JobInfo.of(row) for row in jobs.page(gallery, limit=_NEWEST).jobs]
    if as_json:
        print_json({"jobs": [job.model_dump(mode="json") for job in found]})
        return
    table = Table("job", "gallery", "source", "state", "done", "added", "there", "failed", "queued")
    for job in found:
        total = "?" if job.total is None else job.total
        counts = map(str, (job.added, job.duplicates, job.failed))
        moment = f"{job.created_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(job.id, job.gallery, escape(job.source.name), _state(job), f"{job.done}/{total}", *counts, moment)
    stdout().print(table)


def show_job(settings: Settings, id_: str, *, as_json: bool) -> None:
    """A job and everything that it could not add.

    Raises:
        UnknownJob.
    """
    failures = []
    after: int | None = -1
    with _opened_jobs(settings) as jobs:
        while after is not None:
            detail = jobs.detail(None, id_, after=after, limit=_PAGE)
            failures += FailureList.of(detail).failures
            after = detail.after
    job = JobInfo.of(detail.job)
    if as_json:
        print_json({**job.model_dump(mode="json"), "failures": [one.model_dump() for one in failures]})
        return
    total = "?" if job.total is None else job.total
    stdout().print(
        f"{_state(job)}: {job.done} of {total} photo(s) of {escape(job.source.name)} for gallery {job.gallery}: "
        f"{job.added} added, {job.duplicates} there already, {job.failed} not added"
    )
    if job.reason is not None:
        stdout().print(job.reason.detail, markup=False)
    for one in failures:
        stdout().print(f"not added: {one.name}: {one.detail}", markup=False, soft_wrap=True)


def cancel_job(settings: Settings, id_: str, *, as_json: bool) -> None:
    """End a job; what it added stays.

    Raises:
        UnknownJob; JobFinished.
    """
    with _opened_jobs(settings) as jobs:
        job = JobInfo.of(jobs.cancel(None, id_))
    if as_json:
        print_json(job.model_dump(mode="json"))
    else:
        stdout().print(f"job {job.id}: {_state(job)}; {job.added} photo(s) that it added stay")


def _state(job: JobInfo) -> str:
    if job.cancelling:
        return "cancelling"
    return "waiting" if job.state == "queued" and job.reason is not None else job.state


@contextmanager
def _opened_jobs(settings: Settings) -> Iterator[Jobs]:
    with opened_database(settings) as database:
        yield Jobs(database, settings)
