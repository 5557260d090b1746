"""One gallery in this process's memory, and how it keeps up with the database.

A replica stands at a change number. Before every answer it asks the database for the gallery's (one small SELECT) and,
if it is behind, applies what was stamped later. So what one process has acknowledged, every process answers from, and
no process has to send another anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from index.background import Background
from index.calibration import Calibration
from index.generation import open_recognizer, read_generation
from index.items import Item
from index.recognizer import Recognizer
from index.verdict import Verdict
from service.database import Database
from service.errors import BundleMismatch, UnknownGallery
from service.gallery.repository import GalleryRepository
from service.locks import ReadWriteLock
from service.models import Gallery, ItemRow

__all__ = ["Answer", "Model", "Replica", "load_recognizer"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Model:
    """What a replica must know of the bundle."""

    id: str
    sha256: str
    dim: int
    background: Background


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict, and which state of the gallery it was given on."""

    verdict: Verdict
    generation: int
    change: int


@dataclass(frozen=True, slots=True)
class _State:
    """Where a replica stands."""

    recognizer: Recognizer
    change: int
    generation: int
    pinned: int | None


def check_bundle(row: Gallery, model: Model) -> None:
    """Refuse a gallery that another bundle embedded.

    Raises:
        BundleMismatch: says what to do.
    """
    if row.bundle_sha256 != model.sha256:
        raise BundleMismatch(
            f"gallery {row.name!r} was embedded with bundle {row.bundle_sha256[:12]}, but {model.id} "
            f"({model.sha256[:12]}) is loaded, and their embeddings do not compare; set WHICHONE_BUNDLE to the folder "
            "of the gallery's bundle, or WHICHONE_DATA to another folder",
            gallery=row.name,
            expected=row.bundle_sha256,
            got=model.sha256,
        )


def item_of(row: ItemRow, dim: int) -> Item:
    """A database row as the index knows it."""
    return Item(
        number=row.number,
        id=row.id,
        label=row.label if row.kind == "item" else None,
        embedding=np.frombuffer(row.embedding, "<f4").astype(np.float32),
        views=np.frombuffer(row.views, "<f4").astype(np.float32).reshape(-1, dim),
    )


def _apply(repository: GalleryRepository, row: Gallery, recognizer: Recognizer, since: int) -> None:
    """Bring a recogniser from change `since` to the row's."""
    for rows in repository.changed_items(row.id, since):
        recognizer.upsert([item_of(item, recognizer.dim) for item in rows])
    recognizer.remove(repository.removed_numbers(row.id, since))
    recognizer.far_budget = row.far_budget
    newest = repository.newest_calibration(row.id)
    if newest is not None and newest.change > since:
        recognizer.calibration = Calibration.model_validate(newest.body)


def load_recognizer(repository: GalleryRepository, row: Gallery, model: Model) -> Recognizer:
    """A gallery from the database alone."""
    recognizer = Recognizer(
        model.dim, bundle_sha256=model.sha256, background=model.background, far_budget=row.far_budget
    )
    _apply(repository, row, recognizer, since=0)
    return recognizer


class Replica:
    """A gallery in memory. Thread-safe.

    Args:
        root: the gallery's folder of generations.
    """

    def __init__(self, name: str, *, database: Database, model: Model, root: Path) -> None:
        self.name = name
        self._database = database
        self._model = model
        self._root = root
        self._lock = ReadWriteLock()
        self._catching_up = threading.Lock()
        self._state: _State | None = None

    @property
    def change(self) -> int:
        """The change number it stands at; -1 before the first loading."""
        return -1 if self._state is None else self._state.change

    def recognize(self, embedding: NDArray[np.float32], *, top_k: int) -> Answer:
        """The verdict on one (d,) embedding, on the gallery's state as of this call or later."""

        def ask(state: _State) -> Answer:
            [verdict] = state.recognizer.recognize(embedding[None], top_k=top_k)
            return Answer(verdict, state.generation, state.change)

        return self._reading(ask)

    def uncalibrated(self) -> bool:
        """Whether it has items and never had a calibration."""
        return self._reading(lambda state: len(state.recognizer) > 0 and state.recognizer.calibration is None)

    def sizes(self) -> tuple[int, int]:
        """Items and distractors, as of the last catching up."""
        if self._state is None:
            return 0, 0
        return len(self._state.recognizer), self._state.recognizer.n_distractors

    def inspect(self, look: Callable[[Recognizer], T]) -> T:
        """Call `look` on the recogniser, which does not change meanwhile; catches up first."""
        return self._reading(lambda state: look(state.recognizer))

    def catch_up(self) -> None:
        """Apply what the database has and this replica has not.

        Raises:
            UnknownGallery: it is gone.
            BundleMismatch, GenerationCorrupt, GenerationMismatch: it cannot be served as it is.
        """
        with self._database.read() as session:
            row = GalleryRepository(session).by_name(self.name)
        if row is not None and self._state is not None and row.change <= self._state.change:
            return
        with self._catching_up, self._database.read() as session:
            repository = GalleryRepository(session)
            row = repository.by_name(self.name)
            if row is None:
                raise UnknownGallery(f"gallery {self.name!r} is gone", gallery=self.name)
            check_bundle(row, self._model)
            self._advance(repository, row)

    def _reading(self, look: Callable[[_State], T]) -> T:
        self.catch_up()
        with self._lock.reading():
            assert self._state is not None  # noqa: S101  for mypy: catch_up has set it
            return look(self._state)

    def _advance(self, repository: GalleryRepository, row: Gallery) -> None:
        state = self._state
        if state is not None and row.change <= state.change:
            return
        if state is None or state.pinned != row.pinned:
            state = self._opened(repository, row)  # beside the one in use, which goes on answering
        with self._lock.writing():
            if row.pinned is None and state.change < row.change:
                _apply(repository, row, state.recognizer, state.change)
            self._state = _State(state.recognizer, row.change, row.generation, row.pinned)

    def _opened(self, repository: GalleryRepository, row: Gallery) -> _State:
        """From the generation in use, if there is one that the database can continue; else from the database."""
        number = row.pinned or row.generation
        if number and (row.pinned or read_generation(self._root, number).manifest.change <= row.change):
            recognizer, generation = open_recognizer(
                self._root,
                number,
                bundle_sha256=self._model.sha256,
                background=self._model.background,
                far_budget=row.far_budget,
            )
            return _State(recognizer, generation.manifest.change, row.generation, row.pinned)
        return _State(load_recognizer(repository, row, self._model), row.change, row.generation, row.pinned)
