"""Works on jobs, one at a time, in a thread of every server and of `whichone worker`."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from contextlib import closing, suppress
from types import TracebackType

from sqlalchemy.orm import Session
from structlog.typing import FilteringBoundLogger

from embedding.errors import WhichoneError
from index.errors import DiskFull
from index.generation import told_when_full
from service.audit.actor import Actor, acting
from service.background import BackgroundThread
from service.errors import DatabaseUnavailable
from service.jobs.errors import LeaseLost
from service.jobs.importer import Importer, Outcome
from service.jobs.listing import Refusal, Showing, Source, read_listing, write_listing
from service.jobs.service import Jobs
from service.models import JobRow
from service.workspace import Workspace

__all__ = ["MOST_BEGUN", "JobRunner"]

_TICK = 0.5
_PAUSE = 10.0
"""Seconds before a job is tried again that found no room on the disk."""

MOST_BEGUN = 5
"""Processes that may end at one and the same photo; then the job fails, instead of ending the next one as well."""

_BEATS = 3
"""How often a lease is renewed in its time."""


class JobRunner(BackgroundThread):
    """A thread that takes jobs and works on them; several processes may each have one."""

    def __init__(self, workspace: Workspace, log: FilteringBoundLogger) -> None:
        super().__init__("jobs", "a look for imports", _TICK, log)
        self._jobs = workspace.jobs
        self._lease = workspace.settings.job_lease
        self._importer = Importer(workspace.enrolment, workspace.database, side_by_side=workspace.settings.concurrency)
        self._owner = uuid.uuid4().hex
        self._looked = False

    def look(self) -> None:
        """Work on what there is to work on."""
        if not self._looked:
            self._jobs.clear_left_overs()
            self._looked = True
        while not self._stop.is_set() and (job := self._jobs.claim(self._owner)) is not None:
            with acting(Actor("server", request_id=job.id)):
                self._work_on(job)

    def _work_on(self, job: JobRow) -> None:
        """Everything that may end the work on a job, and what becomes of the job then."""
        log = self._log.bind(job=job.id)
        log.info("import taken up", position=job.position, total=job.total)
        try:
            state = self._import(job)
        except LeaseLost:
            log.warning("import lost to another process")
        except DatabaseUnavailable as error:
            log.warning("import waits for the database", detail=error.message)
            self._stop.wait(_TICK)
            with suppress(WhichoneError):
                self._jobs.put_back(job, self._owner)
        except DiskFull as error:
            log.warning("import waits for room on the disk", detail=error.message)
            with suppress(WhichoneError):  # the database may find no room either; then the lease ends by itself
                self._jobs.put_back(job, self._owner, reason=Refusal.of(error), pause=_PAUSE)
            self._stop.wait(_TICK)
        except WhichoneError as error:
            log.warning("import failed", code=error.code)
            self._finish(job, "failed", Refusal.of(error))
        except Exception:
            log.exception("import failed unexpectedly")
            told = f"something went wrong here that should not; the server's log tells more under job {job.id}"
            self._finish(job, "failed", Refusal("internal_error", told))
        else:
            log.info("import left", state=state)

    def _import(self, job: JobRow) -> str:
        """Go on with a job until there is no more to do or it is to stop; its state then."""
        with _Heartbeat(self._jobs, job, self._owner, self._lease / _BEATS) as heart:
            with closing(self._jobs.source(job)) as source:
                if job.total is None:
                    self._list(job, source)
                self._require_harmless(job)
                position = self._add(job, source, heart)
            heart.check()
        if position >= (job.total or 0):
            self._finish(job, "done")
            return "done"
        if heart.cancelling:
            self._finish(job, "cancelled")
            return "cancelled"
        self._jobs.put_back(job, self._owner)
        return "queued"

    def _list(self, job: JobRow, source: Source) -> None:
        listing = source.list(Showing(distractors=job.distractors))
        with told_when_full("the list of photos to import"):
            write_listing(self._jobs.listing_file(job), listing)
        job.total, job.ignored = len(listing.photos), listing.ignored
        self._jobs.keep(job, self._owner, total=job.total, ignored=job.ignored)

    def _require_harmless(self, job: JobRow) -> None:
        if job.begun > MOST_BEGUN:
            photo = next(read_listing(self._jobs.listing_file(job), job.position), None)
            raise _Harmful(
                f"{MOST_BEGUN} processes that worked on it ended at photo {'' if photo is None else photo.name!r} or "
                "one of the next; import the others: those that are in the gallery are found there"
            )

    def _add(self, job: JobRow, source: Source, heart: _Heartbeat) -> int:
        position = job.position

        def within(session: Session, outcomes: Sequence[Outcome]) -> None:
            cancelling = self._jobs.advance(session, job, self._owner, position, outcomes)
            heart.cancelling = heart.cancelling or cancelling

        photos = read_listing(self._jobs.listing_file(job), position)
        for outcomes in self._importer.run(
            job.gallery, source, photos, within=within, go_on=lambda: not self._stop.is_set() and heart.go_on()
        ):
            position += len(outcomes)
        return position

    def _finish(self, job: JobRow, state: str, reason: Refusal | None = None) -> None:
        try:
            self._jobs.finish(job, self._owner, state, reason)
        except LeaseLost:
            self._log.warning("import lost to another process", job=job.id)
        except WhichoneError as error:  # it is taken up again, and comes to the same end
            self._log.warning("import could not be closed", job=job.id, code=error.code)


class _Harmful(WhichoneError):
    """A photo that ends whoever works on it."""

    code = "photo_ends_process"


class _Heartbeat:
    """Renews a job's lease while there is work on it, however long one photo takes.

    Attributes:
        cancelling: the job is to be cancelled.
    """

    def __init__(self, jobs: Jobs, job: JobRow, owner: str, interval: float) -> None:
        self._jobs = jobs
        self._job = job
        self._owner = owner
        self._interval = interval
        self._lost: LeaseLost | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="job lease", daemon=True)
        self.cancelling = job.cancelling

    def __enter__(self) -> _Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def go_on(self) -> bool:
        """Whether the next photo is to be begun."""
        return not self.cancelling and self._lost is None

    def check(self) -> None:
        """Raise LeaseLost if it is."""
        if self._lost is not None:
            raise self._lost

    def _beat(self) -> None:
        while not self._end.wait(self._interval):
            try:
                self.cancelling = self._jobs.keep(self._job, self._owner) or self.cancelling
            except LeaseLost as error:
                self._lost = error
                return
            except WhichoneError:  # the database is away: whoever works finds out, and the lease ends by itself
                continue
