"""How galleries learn: each of its own photos and of labelled queries, at once or when it is stale."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
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
from service.gallery.replica import Model, Replica, check_bundle, load_recognizer
from service.gallery.repository import GalleryRepository, Staleness, existing
from service.locks import file_lock, try_file_lock
from service.models import CalibrationRow, Gallery

__all__ = ["LARGE", "Learning", "refuse_pinned"]

LARGE = 50_000
"""Galleries up to so many items are calibrated on a copy; a larger one on its generation opened once more, or with its
changes held off."""


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

    def calibrate(self, name: str, far_budget: float | None = None) -> Tuning:
        """Calibrate a gallery now, and keep `far_budget` for it if one is given.

        Raises:
            UnknownGallery, EmptyGallery, NotCalibratable, GalleryPinned.
        """
        self._row(name)
        with file_lock(self._lock(name)):
            return self._calibrate(name, far_budget, asked_for=True)

    def note_settings(self, row: Gallery) -> None:
        """A gallery that was calibrated with other settings counts as stale from now on."""
        newest = self._newest(row)
        if newest is not None and newest.pipeline != self._pipeline and row.pinned is None:
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
                self._calibrate(entry.name, None)
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
                    self._calibrate(name, None)
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
            recognizer.tuning = self._learned(recognizer, row, row.far_budget)
            stored = self._store(row.name, recognizer.tuning, basis=row.items_change, far_budget=row.far_budget)
            return stored if stored == row.change + 1 else row.change  # else something came between, which it has not
        return row.change

    def _calibrate(self, name: str, far_budget: float | None, *, asked_for: bool = False) -> Tuning:
        row = self._row(name)
        check_bundle(row, self._model)
        refuse_pinned(row)
        budget = row.far_budget if far_budget is None else far_budget
        tuning, basis = self._tuned(name, row, budget)
        self._store(name, tuning, basis=basis, far_budget=budget, asked_for=asked_for)
        return tuning

    def _tuned(self, name: str, row: Gallery, far_budget: float) -> tuple[Tuning, int]:
        """What a gallery learns of itself, and the change that it was learned on."""
        replica = self._replica(name)
        large, opened = replica.inspect(lambda state: (len(state.recognizer) > LARGE, state.opened))
        if large and opened:
            # Its generation opened once more, so that no change has to wait for what takes seconds or minutes. That may
            # have come further than the row: then it counts as stale once more than it need.
            return self._learned(replica.opened_anew().recognizer, row, far_budget), row.items_change
        if large:
            return replica.inspect(lambda state: self._learned(state.recognizer, row, far_budget)), row.items_change
        features = replica.inspect(lambda state: state.recognizer.features)
        with self._database.read() as session:
            repository = GalleryRepository(session)
            row = existing(repository, name)
            copy = load_recognizer(repository, row, self._model, features=features)
        return self._learned(copy, row, far_budget), row.items_change

    def _learned(self, recognizer: Recognizer, row: Gallery, far_budget: float) -> Tuning:
        """What a gallery, as it was loaded at `row` or later, learns of itself and of labelled queries."""
        if len(recognizer) == 0:
            raise EmptyGallery(f"gallery {row.name!r} has no photos yet; add some first", gallery=row.name)
        with self._database.read() as session:
            learned = lessons(recognizer, labelled_queries(session, row, self._model))
        return tune(recognizer, far_budget=far_budget, labelled=learned.labelled, strangers=learned.strangers)

    def _store(self, name: str, tuning: Tuning, *, basis: int, far_budget: float, asked_for: bool = False) -> int:
        """Store a calibration; returns its change number. One that nobody `asked_for` follows from other changes, and
        is no administrative change of its own."""
        with self._database.write() as session:
            repository = GalleryRepository(session)
            gallery = repository.locked(name)
            assert gallery is not None  # noqa: S101  for mypy: galleries are never deleted
            gallery.far_budget = far_budget
            change = repository.add_calibration(gallery, basis=basis, tuning=tuning, pipeline=self._pipeline)
            if asked_for:
                threshold = tuning.calibration.threshold
                record(session, "calibrated", gallery=name, far_budget=far_budget, threshold=threshold)
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

    @cached_property
    def _pipeline(self) -> dict[str, Any]:
        # Without what is not set: a setting that is new and unset makes no calibration stale.
        return self._model.pipeline.model_dump(mode="json", exclude_none=True)


def refuse_pinned(row: Gallery) -> None:
    """Raises GalleryPinned for a gallery that serves an older generation since a rollback."""
    if row.pinned is not None:
        raise GalleryPinned(
            f"gallery {row.name!r} serves generation {row.pinned} since a rollback; publish a new one first "
            "(whichone index build)",
            gallery=row.name,
        )
