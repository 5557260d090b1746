"""How galleries learn: each of its own photos and of labelled queries, at once or when it is stale."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from copy import copy
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from index.errors import NotCalibratable
from index.labelled import lessons
from index.recognizer import Recognizer
from index.tuner import tune
from index.tuning import Choice, Tuning, TuningBody
from service.audit.service import record
from service.database import Database
from service.errors import EmptyGallery, GalleryPinned
from service.feedback.learning import labelled_queries
from service.gallery.model import Model, check_bundle
from service.gallery.replica import Replica, load_recognizer
from service.gallery.repository import GalleryRepository, Staleness, existing
from service.locks import file_lock, try_file_lock
from service.models import CalibrationRow, Gallery

__all__ = ["KEPT", "LARGE", "Kept", "Learning", "refuse_pinned"]

LARGE = 50_000
"""Galleries up to so many items are calibrated on a copy; a larger one on its generation opened once more, or with its
changes held off."""


class Kept(Enum):
    """`KEPT`: as it was, where None already means something else."""

    KEPT = "kept"


KEPT = Kept.KEPT


@dataclass(frozen=True, slots=True)
class _Aims:
    """What a gallery is calibrated for; kept with it."""

    far_budget: float
    unknown_share: float | None

    @classmethod
    def of(cls, row: Gallery) -> _Aims:
        return cls(row.far_budget, row.unknown_share)


class Learning:
    """The calibrations of one database's galleries. Thread-safe.

    Args:
        replica: gives the one of a gallery.
        root: tells where a gallery's folder is.
    """

    def __init__(
        self, database: Database, model: Model, *, replica: Callable[[str], Replica], root: Callable[[str], Path]
    ) -> None:
        self._database = database
        self._model = model
        self._replica = replica
        self._root = root
        self._not_calibratable: dict[str, int] = {}
        self._outdated: set[str] = set()

    def choices(self, row: Gallery) -> tuple[Choice, ...]:
        """Which parts a gallery uses, and why; nothing before its first calibration."""
        if row.pinned is not None:
            tuning = self._replica(row.name).inspect(lambda state: state.recognizer.tuning)
            return () if tuning is None else tuning.body.choices
        newest = self._newest(row)
        return () if newest is None else TuningBody.model_validate(newest.body).choices

    def calibrate(
        self, name: str, far_budget: float | None = None, *, unknown_share: float | Kept | None = KEPT
    ) -> Tuning:
        """Calibrate a gallery now, and keep for it what is given.

        Args:
            far_budget: the false-accept rate to keep to; None: as before.
            unknown_share: share of questions that show nothing of the gallery; None: as the settings say.

        Raises:
            UnknownGallery, EmptyGallery, NotCalibratable, GalleryPinned.
        """
        self._row(name)
        with file_lock(self._lock(name)):
            now = _Aims.of(self._row(name))
            aims = _Aims(
                now.far_budget if far_budget is None else far_budget,
                now.unknown_share if isinstance(unknown_share, Kept) else unknown_share,
            )
            return self._calibrate(name, aims, asked_for=True)

    def note_settings(self, row: Gallery) -> None:
        """A gallery that was calibrated with other settings counts as stale from now on."""
        newest = self._newest(row)
        if newest is not None and newest.pipeline != self._described(row.unknown_share) and row.pinned is None:
            self._outdated.add(row.name)

    def stale(self) -> list[Staleness]:
        """Galleries that changed since their calibration, or were calibrated with other settings before this process
        began; but for those that are known to hold too little for one."""
        with self._database.read() as session:
            stale = GalleryRepository(session).stale(also=self._outdated)
        return [entry for entry in stale if self._not_calibratable.get(entry.name) != entry.items_change]

    def calibrate_in_background(self, entry: Staleness) -> bool:
        """Calibrate a stale gallery, unless another process is at it. True when there is a new calibration."""
        with try_file_lock(self._lock(entry.name)) as mine:
            if not mine or all(entry.name != other.name for other in self.stale()):
                return False
            try:
                self._calibrate(entry.name)
            except (EmptyGallery, NotCalibratable):
                self._not_calibratable[entry.name] = entry.items_change
                return False
            except GalleryPinned:
                self._outdated.discard(entry.name)
                return False
            return True

    def first_time(self, name: str) -> bool:
        """Calibrate a gallery that never was; True when it can be asked then."""
        row = self._row(name)
        if row.pinned is not None or self._not_calibratable.get(name) == row.items_change:
            return False
        try:
            with file_lock(self._lock(name)):
                if self._replica(name).uncalibrated():  # else another process has been quicker
                    self._calibrate(name)
        except NotCalibratable:
            self._not_calibratable[name] = row.items_change
            return False
        return True

    def learn_if_stale(self, row: Gallery, recognizer: Recognizer) -> int:
        """Give a gallery, as it was loaded at `row`, what it learns of itself, unless it has that.

        Returns:
            The change that it stands at then.
        """
        newest = self._newest(row)
        if newest is not None and newest.basis >= row.items_change and row.name not in self._outdated:
            return row.change
        with file_lock(self._lock(row.name)), suppress(EmptyGallery, NotCalibratable):
            aims = _Aims.of(self._row(row.name))  # who holds the lock may have changed them since `row`
            recognizer.tuning = self._learned(recognizer, row, aims)
            stored = self._store(row.name, recognizer.tuning, basis=row.items_change, aims=aims)
            return stored if stored == row.change + 1 else row.change  # else something came between, which it has not
        return row.change

    def _calibrate(self, name: str, aims: _Aims | None = None, *, asked_for: bool = False) -> Tuning:
        row = self._row(name)
        check_bundle(row, self._model)
        refuse_pinned(row)
        aims = aims or _Aims.of(row)
        tuning, basis = self._tuned(name, row, aims)
        self._store(name, tuning, basis=basis, aims=aims, asked_for=asked_for)
        return tuning

    def _tuned(self, name: str, row: Gallery, aims: _Aims) -> tuple[Tuning, int]:
        """What a gallery learns of itself, and the change that it was learned on."""
        replica = self._replica(name)
        large, opened = replica.inspect(lambda state: (len(state.recognizer) > LARGE, state.opened))
        if large and opened:
            # Its generation opened once more, so that no change has to wait for what takes seconds or minutes. That may
            # have come further than the row: then it counts as stale once more than it need.
            return self._learned(replica.opened_anew().recognizer, row, aims), row.items_change
        if large:
            return replica.inspect(lambda state: self._learned(state.recognizer, row, aims)), row.items_change
        features = replica.inspect(lambda state: state.recognizer.features)
        with self._database.read() as session:
            repository = GalleryRepository(session)
            row = existing(repository, name)
            loaded = load_recognizer(repository, row, self._model, features=features)
        return self._learned(loaded, row, aims), row.items_change

    def _learned(self, recognizer: Recognizer, row: Gallery, aims: _Aims) -> Tuning:
        """What a gallery, as it was loaded at `row` or later, learns of itself and of labelled queries."""
        if len(recognizer) == 0:
            raise EmptyGallery(f"gallery {row.name!r} has no photos yet; add some first", gallery=row.name)
        with self._database.read() as session:
            learned = lessons(recognizer, labelled_queries(session, row, self._model))
        asking = copy(recognizer)  # the same photos, which may be in use, asked as the gallery will be
        asking.pipeline = self._model.pipeline_for(aims.unknown_share)
        return tune(asking, far_budget=aims.far_budget, labelled=learned.labelled, strangers=learned.strangers)

    def _store(self, name: str, tuning: Tuning, *, basis: int, aims: _Aims, asked_for: bool = False) -> int:
        """Store a calibration; returns its change number. One that nobody `asked_for` follows from other changes, and
        is no administrative change of its own."""
        with self._database.write() as session:
            repository = GalleryRepository(session)
            gallery = repository.locked(name)
            assert gallery is not None  # noqa: S101  for mypy: galleries are never deleted
            gallery.far_budget, gallery.unknown_share = aims.far_budget, aims.unknown_share
            pipeline = self._described(aims.unknown_share)
            change = repository.add_calibration(gallery, basis=basis, tuning=tuning, pipeline=pipeline)
            if asked_for:
                threshold = tuning.calibration.threshold
                record(session, "calibrated", gallery=name, threshold=threshold, **asdict(aims))
        self._outdated.discard(name)
        return change

    def _newest(self, row: Gallery) -> CalibrationRow | None:
        with self._database.read() as session:
            return GalleryRepository(session).newest_calibration(row.id)

    def _row(self, name: str) -> Gallery:
        with self._database.read() as session:
            return existing(GalleryRepository(session), name)

    def _lock(self, name: str) -> Path:
        return self._root(name) / "calibrate.lock"

    def _described(self, unknown_share: float | None) -> dict[str, Any]:
        """The pipeline of a gallery that was told this share, as it is stored."""
        # Without what is not set: a setting that is new and unset makes no calibration stale.
        return self._model.pipeline_for(unknown_share).model_dump(mode="json", exclude_none=True)


def refuse_pinned(row: Gallery) -> None:
    """Raises GalleryPinned for a gallery that serves an older generation since a rollback."""
    if row.pinned is not None:
        raise GalleryPinned(
            f"gallery {row.name!r} serves generation {row.pinned} since a rollback; publish a new one first "
            "(whichone index build)",
            gallery=row.name,
        )
