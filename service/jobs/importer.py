"""Photos of a source into a gallery, one by one, a few at a time: by a job, or by the command in the foreground."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from sqlalchemy.orm import Session

from embedding.errors import InputError
from service.database import Database
from service.gallery.enrolment import Enrolled, Enrolment, Prepared
from service.jobs.listing import ListedPhoto, Refusal

__all__ = ["Importer", "Outcome"]

_AT_ONCE = 4
"""Photos of one transaction, which takes as long for one; with more, a crash would lose more work."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a photo: it is in the gallery, or there is a reason why not."""

    photo: ListedPhoto
    enrolled: Enrolled | None
    refusal: Refusal | None


class _Reads(Protocol):
    def read(self, photo: ListedPhoto) -> bytes: ...


Within = Callable[[Session, Sequence[Outcome]], None]


@dataclass(slots=True)
class _Bytes:
    """A photo that is read once: what is embedded is what is stored, whoever writes to the file meanwhile."""

    source: _Reads
    photo: ListedPhoto
    data: bytes | None = None

    @property
    def name(self) -> str:
        return self.photo.name

    def read(self) -> bytes:
        if self.data is None:
            self.data = self.source.read(self.photo)
        return self.data


class Importer:
    """Adds photos that a source listed. Thread-safe.

    Args:
        side_by_side: photos that are worked on at a time.
    """

    def __init__(self, enrolment: Enrolment, database: Database, *, side_by_side: int) -> None:
        self._enrolment = enrolment
        self._database = database
        self._side_by_side = side_by_side

    def run(
        self,
        gallery: str,
        source: _Reads,
        photos: Iterator[ListedPhoto],
        *,
        within: Within | None = None,
        go_on: Callable[[], bool] = lambda: True,
    ) -> Iterator[list[Outcome]]:
        """Add photos, in their order; yields what became of some of them whenever that is committed.

        A photo that cannot be used is told of and keeps out no other. Any other error ends this: what was yielded is
        in the gallery, and nothing else of these photos.

        Args:
            within: writes more in the transaction of each part; may raise, and then nothing of the part is added.
            go_on: asked before photos are begun; after a no, those in hand are finished.

        Raises:
            BundleMismatch, DatabaseUnavailable, DiskFull; see `Enrolment.enrol`.
        """
        begun: deque[tuple[ListedPhoto, Future[Prepared] | None]] = deque()
        threads = ThreadPoolExecutor(self._side_by_side, thread_name_prefix="import")
        try:
            while True:
                if not go_on():
                    _put_down(begun)
                elif len(begun) < self._side_by_side + _AT_ONCE:  # threads have work while a transaction is written
                    wanted = self._side_by_side + _AT_ONCE - len(begun)
                    begun.extend(
                        (photo, self._begin(threads, gallery, source, photo)) for photo in islice(photos, wanted)
                    )
                if not begun:
                    return
                yield self._add(gallery, _finished(begun), within)
        finally:
            threads.shutdown(cancel_futures=True)

    def _begin(
        self, threads: ThreadPoolExecutor, gallery: str, source: _Reads, photo: ListedPhoto
    ) -> Future[Prepared] | None:
        if photo.refusal is not None:
            return None
        return threads.submit(
            self._enrolment.prepare,
            gallery,
            photo.label,
            _Bytes(source, photo),
            external_id=photo.external_id,
            metadata=photo.metadata,
        )

    def _add(
        self, gallery: str, finished: Sequence[tuple[ListedPhoto, Prepared | Refusal]], within: Within | None
    ) -> list[Outcome]:
        outcomes: list[Outcome] = []

        def write(session: Session, enrolled: Sequence[Enrolled]) -> None:
            outcomes[:] = _outcomes(finished, enrolled)  # anew, where this is called a second time
            if within is not None:
                within(session, outcomes)

        prepared = [one for _, one in finished if isinstance(one, Prepared)]
        if prepared:
            self._enrolment.add(gallery, prepared, write)
        else:
            with self._database.write() as session:
                write(session, [])
        return outcomes


def _finished(
    begun: deque[tuple[ListedPhoto, Future[Prepared] | None]],
) -> list[tuple[ListedPhoto, Prepared | Refusal]]:
    """The first few photos that were begun, once they are ready."""
    first = [begun.popleft() for _ in range(min(_AT_ONCE, len(begun)))]
    return [(photo, _result(photo, future)) for photo, future in first]


def _put_down(begun: deque[tuple[ListedPhoto, Future[Prepared] | None]]) -> None:
    """Let go of photos that no thread has taken up yet: the last ones, as threads take them in their order."""
    while begun and (begun[-1][1] is None or begun[-1][1].cancel()):
        begun.pop()


def _result(photo: ListedPhoto, future: Future[Prepared] | None) -> Prepared | Refusal:
    if photo.refusal is not None:
        return photo.refusal
    if future is None:
        raise AssertionError("a photo was neither refused nor begun")
    try:
        return future.result()
    except InputError as error:
        return Refusal.of(error)


def _outcomes(
    finished: Sequence[tuple[ListedPhoto, Prepared | Refusal]], enrolled: Sequence[Enrolled]
) -> Iterator[Outcome]:
    done = iter(enrolled)
    for photo, one in finished:
        refusal = one if isinstance(one, Refusal) else None
        yield Outcome(photo, next(done) if refusal is None else None, refusal)
