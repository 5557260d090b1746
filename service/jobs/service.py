"""Jobs: what callers may do with them, and how a process takes one, keeps it and gives it back."""

from __future__ import annotations

import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.orm import Session

from index.errors import DiskFull
from index.generation import told_when_full
from service.audit.service import record
from service.database import Database
from service.errors import Overloaded
from service.gallery.words import gallery_name
from service.jobs.archive import ArchiveLimits, ArchiveSource
from service.jobs.errors import (
    ImportPathRefused,
    ImportRootUnset,
    JobFilesGone,
    JobFinished,
    LeaseLost,
    TooManyJobs,
    UnknownJob,
)
from service.jobs.files import CsvSource, FileLimits, FolderSource, beneath
from service.jobs.importer import Outcome
from service.jobs.listing import Refusal, Source, readable
from service.jobs.repository import FINISHED, JobRepository
from service.models import JobFailureRow, JobRow
from service.settings import Settings

__all__ = ["JobDetail", "JobPage", "Jobs", "SourceKind"]

SourceKind = Literal["archive", "folder", "csv"]

MOST_UNFINISHED = 100
"""Each may keep an archive on disk."""

MOST_UPLOADS = 4
"""At a time, in one process."""

_KEPT = 1000
"""Finished jobs that can still be asked about."""

_UNPACKED = 4
_LEFT_OVER_SECONDS = 3600.0
"""Nobody writes to a file any more that was not written to for so long: a body may pause for some seconds."""


@dataclass(frozen=True, slots=True)
class JobPage:
    """Jobs, newest first; `before` continues behind the last one, None at the end."""

    jobs: Sequence[JobRow]
    before: int | None


@dataclass(frozen=True, slots=True)
class JobDetail:
    """A job with failures of it; `after` continues behind the last one, None at the end."""

    job: JobRow
    failures: Sequence[JobFailureRow]
    after: int | None


class Jobs:
    """The jobs of one data folder. Thread-safe; several processes meet in the database."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._folder = settings.data / "jobs"
        self._uploads = threading.BoundedSemaphore(MOST_UPLOADS)

    # ------------------------------------------------------------ for callers

    @contextmanager
    def uploading(self, size: int) -> Iterator[Path]:
        """A file for an archive to be written to; it is gone after the block unless `start_archive` took it.

        Args:
            size: bytes that are to come, as far as is known.

        Raises:
            Overloaded: other archives are on their way. DiskFull: there is not the room.
        """
        incoming = self._folder / "incoming"
        with told_when_full("the archive"):
            incoming.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(incoming).free
        if size > free:
            raise DiskFull(f"the archive has {size} bytes, and there is room for {free}; make room, then try again")
        if not self._uploads.acquire(blocking=False):
            raise Overloaded(
                f"{MOST_UPLOADS} archives are on their way already; try again when one is through", limit=MOST_UPLOADS
            )
        path = incoming / f"{uuid.uuid4().hex}.zip"
        try:
            yield path
        finally:
            self._uploads.release()
            path.unlink(missing_ok=True)

    def start_archive(self, gallery: str, upload: Path, name: str, *, distractors: bool) -> JobRow:
        """Queue the import of an uploaded archive, which is taken over.

        Raises:
            InvalidGalleryName; ArchiveInvalid: it is no zip, or too large inside; TooManyJobs.
        """
        gallery_name(gallery)
        ArchiveSource(upload, name, self._archive_limits).close()
        id_ = upload.stem
        folder = self._folder / id_
        try:
            with told_when_full("the archive"):
                folder.mkdir()
                upload.replace(folder / "archive.zip")
                for changed in (folder, self._folder):
                    _flush(changed)
            return self._start(id_, gallery, "archive", readable(name, 100), distractors=distractors)
        except BaseException:
            self._clear(id_)
            raise

    def start_path(self, gallery: str, kind: SourceKind, name: str, *, distractors: bool) -> JobRow:
        """Queue the import of a folder or CSV beneath the import root.

        Raises:
            InvalidGalleryName; ImportRootUnset; ImportPathRefused; NoPhotos; TooManyJobs.
        """
        gallery_name(gallery)
        path = beneath(self._root(), name)
        if path.is_dir() != (kind == "folder"):
            what, other = ("a folder", "folder") if path.is_dir() else ("a file", "csv")
            raise ImportPathRefused(f"`{kind}` names {what}; send it as `{other}`", field=kind)
        id_ = uuid.uuid4().hex
        try:
            with told_when_full("the import"):
                (self._folder / id_).mkdir(parents=True)
            return self._start(id_, gallery, kind, name, distractors=distractors)
        except BaseException:
            self._clear(id_)
            raise

    def _start(self, id_: str, gallery: str, kind: SourceKind, name: str, *, distractors: bool) -> JobRow:
        with self._database.write() as session:
            repository = JobRepository(session)
            if repository.unfinished() >= MOST_UNFINISHED:
                raise TooManyJobs(
                    f"{MOST_UNFINISHED} imports are waiting or running already; wait for some, or cancel them "
                    "(POST /jobs/{id}/cancel)",
                    limit=MOST_UNFINISHED,
                )
            source = {"kind": kind, "name": name}
            row = JobRow(id=id_, gallery=gallery, source=source, distractors=distractors, state="queued")
            repository.add(row)
            repository.forget(_KEPT)
            record(session, "import_started", gallery=gallery, subject=id_, source=kind, distractors=distractors)
        return row

    def detail(self, gallery: str | None, id_: str, *, after: int = -1, limit: int = 100) -> JobDetail:
        """A job and its failures, a page at a time; of any gallery, for None.

        Raises:
            UnknownJob.
        """
        with self._database.read() as session:
            repository = JobRepository(session)
            row = self._known(repository, gallery, id_)
            failures = repository.failures(row.number, after=after, limit=limit + 1)
        more = len(failures) > limit
        failures = failures[:limit]
        return JobDetail(row, failures, failures[-1].position if more else None)

    def page(
        self, gallery: str | None, *, state: str | None = None, before: int | None = None, limit: int = 100
    ) -> JobPage:
        """A gallery's jobs, newest first; of all galleries, for None."""
        with self._database.read() as session:
            rows = JobRepository(session).page(gallery, state=state, before=before, limit=limit + 1)
        more = len(rows) > limit
        rows = rows[:limit]
        return JobPage(rows, rows[-1].number if more else None)

    def by_state(self) -> dict[str, int]:
        """How many jobs of all galleries there are in every state."""
        with self._database.read() as session:
            return JobRepository(session).by_state()

    def cancel(self, gallery: str | None, id_: str) -> JobRow:
        """Cancel a job: at once, or, where a process works on it, within a photo or two. What was added stays.

        Raises:
            UnknownJob; JobFinished: it is done, or has failed.
        """
        with self._database.write() as session:
            repository = JobRepository(session)
            row = self._known(repository, gallery, id_, locked=True)
            if row.state == "cancelled":
                return row
            if row.state in FINISHED:
                raise JobFinished(f"job {id_} is {row.state} already: there is nothing left to cancel", state=row.state)
            now = repository.now()
            if row.owner is None or (row.owned_until is not None and row.owned_until < now):
                row.state, row.finished_at, row.owner, row.owned_until = "cancelled", now, None, None
                row.code = row.message = None
            elif row.cancelling:
                return row
            else:
                row.cancelling = True
            record(session, "import_cancelled", gallery=row.gallery, subject=id_, position=row.position)
        if row.state == "cancelled":
            self._clear(id_)
        return row

    # ------------------------------------------------------------ for whoever works on them

    def claim(self, owner: str) -> JobRow | None:
        """Take the oldest job that nobody works on, if there is one; it is ours for a lease's time."""
        with self._database.read() as session:  # which disturbs nobody; there is rarely anything
            if not JobRepository(session).claimable(owner):
                return None
        with self._database.write() as session:
            return JobRepository(session).claim(owner, self._settings.job_lease)

    def keep(self, job: JobRow, owner: str, **values: Any) -> bool:
        """Renew the lease; whether the job is to be cancelled.

        Raises:
            LeaseLost.
        """
        with self._database.write() as session:
            cancelling = JobRepository(session).keep(job.number, owner, self._settings.job_lease, **values)
        if cancelling is None:
            raise _lost(job)
        return cancelling

    def advance(self, session: Session, job: JobRow, owner: str, start: int, outcomes: Sequence[Outcome]) -> bool:
        """Note what became of the photos from place `start` on, in the transaction that adds them; whether the job is
        to be cancelled.

        Raises:
            LeaseLost: somebody else has them; nothing may be added.
        """
        repository = JobRepository(session)
        failures = [
            JobFailureRow(
                job=job.number,
                position=start + place,
                name=outcome.photo.name,
                code=outcome.refusal.code,
                message=outcome.refusal.message,
            )
            for place, outcome in enumerate(outcomes)
            if outcome.refusal is not None
        ]
        duplicates = sum(outcome.enrolled is not None and outcome.enrolled.duplicate for outcome in outcomes)
        counts = {
            "added": len(outcomes) - duplicates - len(failures),
            "duplicates": duplicates,
            "failed": len(failures),
        }
        cancelling = repository.advance(job.number, owner, self._settings.job_lease, start=start, **counts)
        if cancelling is None:
            raise _lost(job)
        repository.add_failures(failures)
        return cancelling

    def finish(self, job: JobRow, owner: str, state: str, reason: Refusal | None = None) -> None:
        """Bring a job to its end, and remove its files.

        Raises:
            LeaseLost.
        """
        with self._database.write() as session:
            repository = JobRepository(session)
            values = {"state": state, "finished_at": repository.now(), **_reason(reason)}
            if not repository.let_go(job.number, owner, **values):
                raise _lost(job)
        self._clear(job.id)

    def put_back(self, job: JobRow, owner: str, *, reason: Refusal | None = None, pause: float = 0.0) -> None:
        """Give a job back for anybody to go on with, after `pause` seconds; without a word if it is lost already."""
        with self._database.write() as session:
            repository = JobRepository(session)
            not_before = repository.now() + timedelta(seconds=pause) if pause else None
            repository.let_go(job.number, owner, state="queued", not_before=not_before, **_reason(reason))

    def listing_file(self, job: JobRow) -> Path:
        """Where the job's listing is or would be."""
        return self._folder / job.id / "listing.jsonl"

    def source(self, job: JobRow) -> Source:
        """The job's source, opened.

        Raises:
            JobFilesGone; ArchiveInvalid; ImportRootUnset; ImportPathRefused.
        """
        kind, name = job.source["kind"], job.source["name"]
        if kind == "archive":
            path = self._folder / job.id / "archive.zip"
            if not path.is_file():
                raise JobFilesGone("the archive of this job is gone from the data folder; send it again")
            return ArchiveSource(path, name, self._archive_limits)
        root = self._root()
        limits = FileLimits(self._settings.max_image_bytes, self._settings.max_metadata_bytes, root)
        path = beneath(root, name)
        return FolderSource(path, name, limits) if kind == "folder" else CsvSource(path, name, limits)

    def clear_left_overs(self) -> None:
        """Remove what crashes left: uploads that never ended, and files of jobs that have."""
        old = time.time() - _LEFT_OVER_SECONDS
        for upload in self._folder.glob("incoming/*.zip"):
            with suppress(FileNotFoundError):
                if upload.stat().st_mtime < old:
                    upload.unlink()
        found = [path.name for path in self._folder.glob("*") if path.name != "incoming" and path.stat().st_mtime < old]
        with self._database.read() as session:
            needed = JobRepository(session).known(found)
        for id_ in found:
            if id_ not in needed:
                self._clear(id_)

    def _clear(self, id_: str) -> None:
        shutil.rmtree(self._folder / id_, ignore_errors=True)

    def _known(self, repository: JobRepository, gallery: str | None, id_: str, *, locked: bool = False) -> JobRow:
        row = repository.get(gallery, id_[:32], locked=locked) if len(id_) == 32 else None
        if row is None:
            where = "" if gallery is None else f" of gallery {gallery!r}"
            raise UnknownJob(
                f"there is no job {readable(id_, 40)!r}{where}; GET /jobs or whichone jobs list has them",
                gallery=gallery,
            )
        return row

    def _root(self) -> Path:
        if self._settings.import_root is None:
            raise ImportRootUnset(
                "this server imports no folders or CSVs: WHICHONE_IMPORT_ROOT is not set; set it to the folder that "
                "they lie in, or send the photos as an archive"
            )
        return self._settings.import_root

    @property
    def _archive_limits(self) -> ArchiveLimits:
        settings = self._settings
        return ArchiveLimits(
            settings.max_image_bytes, _UNPACKED * settings.max_import_bytes, settings.max_metadata_bytes
        )


def _reason(reason: Refusal | None) -> dict[str, str | None]:
    return {"code": None, "message": None} if reason is None else {"code": reason.code, "message": reason.message}


def _lost(job: JobRow) -> LeaseLost:
    return LeaseLost(f"job {job.id} is another process's now, or was cancelled", job=job.id)


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
