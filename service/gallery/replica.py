"""One gallery in this process's memory, and how it keeps up with the database.

A replica stands at a change number. Before every answer it asks the database for the gallery's (one small SELECT) and,
if it is behind, applies what was stamped later. So what one process has acknowledged, every process answers from, and
no process has to send another anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from index.engines import IndexStats, Selection
from index.errors import GenerationCorrupt, GenerationNotFound
from index.filter import Filter
from index.generation import open_recognizer, read_generation
from index.items import Item
from index.receipt import About, Receipt, build
from index.recognizer import Recognizer
from index.tuning import Tuning
from index.verdict import Verdict
from index.verification import FeatureFile
from service.database import Database
from service.errors import Overloaded, UnknownGallery
from service.gallery.filtering import Filters
from service.gallery.model import Model, check_bundle
from service.gallery.repository import GalleryRepository, change_of
from service.locks import ReadWriteLock
from service.models import Gallery, ItemRow
from service.photo_embedding import EmbeddedQuery

__all__ = ["Answer", "Replica", "Standing", "State", "load_recognizer"]

T = TypeVar("T")

_TRIES = 20
"""Looks for a moment in which the database and the replica stand at the same change; each misses only by a write."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict, and which state of the gallery it was given on; with a receipt where one was asked for."""

    verdict: Verdict
    generation: int
    change: int
    receipt: Receipt | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Where a replica stands.

    Attributes:
        generation: the last one that was published or rolled back to.
        pinned: the one that it serves exactly as it is; None where changes are laid over.
        opened: the one that its vectors lie in; 0 where they came from the database.
    """

    recognizer: Recognizer
    change: int
    generation: int
    pinned: int | None
    opened: int = 0

    @property
    def behind(self) -> bool:
        """Whether its vectors lie in an older generation than the one in use."""
        return self.pinned is None and 0 < self.opened != self.generation

    def unmerged(self) -> int:
        """Changes laid over the generation that its vectors lie in; 0 where no generation could take them in."""
        return self.recognizer.index.stats().changes if self.pinned is None and self.opened else 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What a replica holds, as of its last catching up. `generation` is 0 where there is none."""

    generation: int
    change: int
    items: int
    distractors: int
    index: IndexStats


def item_of(row: ItemRow, dim: int, *, local: bool = True) -> Item:
    """A database row as the index knows it, with or without its local features."""
    return Item(
        number=row.number,
        id=row.id,
        label=row.label if row.kind == "item" else None,
        embedding=np.frombuffer(row.embedding, "<f4").astype(np.float32),
        views=np.frombuffer(row.views, "<f4").astype(np.float32).reshape(-1, dim),
        local=row.local if local else b"",
    )


def _apply(
    repository: GalleryRepository, row: Gallery, recognizer: Recognizer, model: Model, since: int, *, local: bool = True
) -> None:
    """Bring a recogniser from change `since` to the row's."""
    for rows in repository.changed_items(row.id, since, local=local):
        recognizer.upsert([item_of(item, recognizer.dim, local=local) for item in rows])
    recognizer.remove(repository.removed_numbers(row.id, since))
    recognizer.far_budget, recognizer.pipeline = row.far_budget, model.pipeline_for(row.unknown_share)
    newest = repository.newest_calibration(row.id)
    if newest is not None and newest.change > since:
        recognizer.tuning = Tuning.from_parts(newest.body, newest.adaptation, recognizer.dim)


def load_recognizer(
    repository: GalleryRepository, row: Gallery, model: Model, *, features: FeatureFile | None = None
) -> Recognizer:
    """A gallery from the database alone.

    Args:
        features: local features of its items that are in memory already, so that they need not be read again; the
            recogniser must then stay as it is.
    """
    recognizer = Recognizer(
        model.dim,
        bundle_sha256=model.sha256,
        background=model.background,
        far_budget=row.far_budget,
        pipeline=model.pipeline_for(row.unknown_share),
        verifier=model.verifier,
    )
    _apply(repository, row, recognizer, model, since=0, local=features is None)
    if features is not None:
        recognizer.features = features
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
        self._state: State | None = None
        self._filters = Filters(database, name)

    @property
    def change(self) -> int:
        """The change number it stands at; -1 before the first loading."""
        return -1 if self._state is None else self._state.change

    def recognize(
        self, query: EmbeddedQuery, *, top_k: int, explain: bool = False, wanted: Filter | None = None
    ) -> Answer:
        """The verdict on a query, on the gallery's state as of this call or later.

        Args:
            explain: with a receipt.
            wanted: ask about this part of the gallery alone.

        Raises:
            UnknownLabel, Overloaded: see `inspect_within`.
        """

        def ask(state: State, within: Selection | None) -> Answer:
            recognizer = state.recognizer
            traced = recognizer.trace(
                query.embedding, local=query.local, defect=query.defect, top_k=top_k, within=within
            )
            receipt = None
            if explain:
                about = self.about(query, state, wanted)
                receipt = build(recognizer, query.embedding, traced, about=about, defect=query.defect, top_k=top_k)
            return Answer(traced.verdict, state.generation, state.change, receipt)

        def ask_without_local(state: State, within: Selection | None) -> Answer | None:
            wants = query.defect is None and state.recognizer.wants_local(query.embedding, within=within)
            return None if wants else ask(state, within)

        # Local features are extracted between two looks, not during one: that takes longer than all the rest, and no
        # change would come in meanwhile.
        answer = self.inspect_within(wanted, ask_without_local)
        if answer is not None:
            return answer
        query.local()
        return self.inspect_within(wanted, ask)

    def about(self, query: EmbeddedQuery, state: State, wanted: Filter | None = None) -> About:
        """What a receipt says of query and gallery."""
        return About(
            image_sha256=query.sha256,
            box=None if query.box is None else str(query.box),
            model=self._model.id,
            model_sha256=self._model.sha256,
            gallery=self.name,
            change=state.change,
            generation=state.generation,
            pinned=state.pinned is not None,
            filter=wanted,
        )

    def uncalibrated(self) -> bool:
        """Whether it has items and never had a calibration."""
        return self._reading(lambda state: len(state.recognizer) > 0 and state.recognizer.tuning is None)

    def sizes(self) -> tuple[int, int]:
        """Items and distractors, as of the last catching up."""
        standing = self.standing()
        return (0, 0) if standing is None else (standing.items, standing.distractors)

    def standing(self) -> Standing | None:
        """Where it stands, without asking the database; None before the first loading."""
        with self._lock.reading():
            if self._state is None:
                return None
            state, recognizer = self._state, self._state.recognizer
            return Standing(
                state.pinned or state.generation,
                state.change,
                len(recognizer),
                recognizer.n_distractors,
                recognizer.index.stats(),
            )

    def measure(self, most: int) -> int:
        """Measure photos beforehand (`Space.measure`); returns 0 when there are no further ones."""
        with self._lock.reading():
            return 0 if self._state is None else self._state.recognizer.space.measure(most)

    def inspect(self, look: Callable[[State], T]) -> T:
        """Call `look` on the replica's state, whose recogniser does not change meanwhile; catches up first."""
        return self._reading(look)

    def inspect_within(self, wanted: Filter | None, look: Callable[[State, Selection | None], T]) -> T:
        """`inspect`, told also which of the items a filter selects at that very state.

        Raises:
            UnknownLabel: the filter names labels that no item carries.
            Overloaded: the gallery changes faster than its metadata can be looked at.
        """
        if wanted is None:
            return self._reading(lambda state: look(state, None))
        for _ in range(_TRIES):
            self.catch_up()
            # Not under the lock: the database may take longer for it than a change should have to wait.
            matching = self._filters.matching(wanted, self.change)
            with self._lock.reading():
                state = self._state
                assert state is not None  # noqa: S101  for mypy: catch_up has set it
                if state.change == matching.change:
                    return look(state, self._filters.selection(state.recognizer.table, wanted, matching))
        raise Overloaded(f"gallery {self.name!r} changes faster than a filter can be applied; ask again")

    def take_up(self) -> bool:
        """Turn to the generation in use, if the vectors still lie in an older one. True when it did.

        The older one goes on answering while the new one is opened and checked.

        Raises:
            UnknownGallery: it is gone.
            GenerationCorrupt, GenerationMismatch: the older one stays in use.
        """
        if not self._reading(lambda state: state.behind):
            return False
        fresh = self.opened_anew()
        with self._catching_up, self._database.read() as session:
            repository = GalleryRepository(session)
            row = self._existing(repository)
            if row.pinned is not None or row.generation != fresh.generation:
                return False  # another one came meanwhile
            _apply(
                repository, row, fresh.recognizer, self._model, fresh.change
            )  # the little that came since, and writers wait for
            with self._lock.writing():
                self._state = replace(fresh, change=row.change)
        return True

    def opened_anew(self) -> State:
        """The generation in use, opened once more, with the changes after it up to now; later ones do not reach it."""
        with self._database.read() as session:
            repository = GalleryRepository(session)
            row = self._existing(repository)
            fresh = self._opened(repository, row)
            if fresh.pinned is None and fresh.change < row.change:
                _apply(repository, row, fresh.recognizer, self._model, fresh.change)
        return replace(fresh, change=row.change)

    def _existing(self, repository: GalleryRepository) -> Gallery:
        row = repository.by_name(self.name)
        if row is None:
            raise UnknownGallery(f"gallery {self.name!r} is gone", gallery=self.name)
        check_bundle(row, self._model)
        return row

    def catch_up(self) -> None:
        """Apply what the database has and this replica has not.

        Raises:
            UnknownGallery: it is gone.
            BundleMismatch, GenerationCorrupt, GenerationMismatch: it cannot be served as it is.
        """
        with self._database.glance() as connection:
            change = change_of(connection, self.name)
        if change is not None and self._state is not None and change <= self._state.change:
            return
        tried = -1
        while True:
            with self._catching_up, self._database.read() as session:
                repository = GalleryRepository(session)
                row = self._existing(repository)
                try:
                    self._advance(repository, row)
                    return
                except (GenerationNotFound, GenerationCorrupt, FileNotFoundError):
                    if row.change == tried:
                        raise
                    # Perhaps one that was just deleted, as a newer one was published: then the gallery has moved on.
                    tried = row.change

    def _reading(self, look: Callable[[State], T]) -> T:
        self.catch_up()
        with self._lock.reading():
            assert self._state is not None  # noqa: S101  for mypy: catch_up has set it
            return look(self._state)

    def _advance(self, repository: GalleryRepository, row: Gallery) -> None:
        state = self._state
        if state is not None and row.change <= state.change:
            return
        if state is None or state.pinned != row.pinned or self._has_another_engine(state, row):
            state = self._opened(repository, row)  # beside the one in use, which goes on answering
        with self._lock.writing():
            if row.pinned is None and state.change < row.change:
                _apply(repository, row, state.recognizer, self._model, state.change)
            self._state = State(state.recognizer, row.change, row.generation, row.pinned, state.opened)

    def _has_another_engine(self, state: State, row: Gallery) -> bool:
        """Whether a generation of another engine came into use; one of the same is taken up when there is time for it
        (`take_up`), and until then the changes are enough."""
        if not row.generation or row.generation == state.generation:
            return False
        # What is in use goes on answering where the new one cannot be read; whoever starts anew is told.
        with suppress(GenerationNotFound, GenerationCorrupt):
            return read_generation(self._root, row.generation).manifest.engine.kind != state.recognizer.index.spec.kind
        return False

    def _opened(self, repository: GalleryRepository, row: Gallery) -> State:
        """From the generation in use, if there is one that the database can continue; else from the database."""
        number = row.pinned or row.generation
        if number and (row.pinned or read_generation(self._root, number).manifest.change <= row.change):
            recognizer, generation = open_recognizer(
                self._root,
                number,
                bundle_sha256=self._model.sha256,
                background=self._model.background,
                far_budget=row.far_budget,
                pipeline=self._model.pipeline_for(row.unknown_share),
                verifier=self._model.verifier,
            )
            return State(recognizer, generation.manifest.change, row.generation, row.pinned, number)
        return State(load_recognizer(repository, row, self._model), row.change, row.generation, row.pinned)
