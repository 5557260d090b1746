"""Every gallery of one process: replicas on demand, publishing and rolling back generations."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from index.engines import parse_spec, spec_text
from index.errors import GenerationCorrupt, GenerationNotFound
from index.filter import Filter
from index.generation import (
    AUTO,
    Checked,
    Generation,
    build_vectors,
    check_generation,
    clear_leftovers,
    list_generations,
    open_generation,
    prune,
    publish,
    read_generation,
    rollback,
    told_when_full,
    write_generation,
)
from service.audit.service import Action, record
from service.database import Database
from service.gallery.learning import LARGE, Learning, refuse_pinned
from service.gallery.model import Model, check_bundle
from service.gallery.pins import PinAnswer, Pins
from service.gallery.replica import Answer, Replica, load_recognizer
from service.gallery.repository import GalleryRepository, existing
from service.locks import file_lock
from service.models import Gallery, PinRow
from service.photo_embedding import EmbeddedQuery

__all__ = ["DEFAULT_GALLERY", "Galleries", "Published"]

DEFAULT_GALLERY = "default"


class Published(Generation):
    """A generation that was put into use.

    Attributes:
        broken_pins: pins that it breaks, and was published all the same.
        removed: older generations that were deleted for it.
    """

    broken_pins: tuple[PinAnswer, ...] = ()
    removed: tuple[int, ...] = ()


class Galleries:
    """The galleries of one database, as one process serves them. Thread-safe.

    Args:
        folder: where each gallery's generations stand in a folder of its name.
        pins: that generations have to answer as expected.
        keep: generations of a gallery that stay on disk.

    Attributes:
        learning: how they are calibrated.
    """

    def __init__(self, database: Database, model: Model, folder: Path, *, pins: Pins, keep: int) -> None:
        self._database = database
        self._model = model
        self._folder = folder
        self._pins = pins
        self._keep = keep
        self._replicas: dict[str, Replica] = {}
        self._making = threading.Lock()
        self.learning = Learning(database, model, replica=self.replica, root=self.root)

    def root(self, name: str) -> Path:
        """The folder of a gallery's generations."""
        return self._folder / name

    def row(self, name: str) -> Gallery:
        """The gallery's row.

        Raises:
            InvalidGalleryName, UnknownGallery: the latter names the galleries that exist.
        """
        with self._database.read() as session:
            return existing(GalleryRepository(session), name)

    def rows(self) -> list[Gallery]:
        """Every gallery's row, by name."""
        with self._database.read() as session:
            return list(GalleryRepository(session).all())

    def replica(self, name: str) -> Replica:
        """The replica of a gallery, made at its first use.

        Raises:
            InvalidGalleryName, UnknownGallery: see `row`.
        """
        replica = self._replicas.get(name)
        if replica is not None:
            return replica
        self.row(name)
        with self._making:
            if name not in self._replicas:
                self._replicas[name] = Replica(name, database=self._database, model=self._model, root=self.root(name))
            return self._replicas[name]

    def replicas(self) -> list[Replica]:
        """Those that are in memory."""
        return list(self._replicas.values())

    def load_all(self) -> None:
        """Load every gallery, so that one that cannot be served stops the start and not the first query.

        Galleries that were calibrated with other settings are noted, to be calibrated anew. That is done here and only
        here: two processes with different settings would otherwise undo each other's work for ever.

        Raises:
            BundleMismatch, GenerationCorrupt, GenerationMismatch: names gallery and file.
        """
        for row in self.rows():
            self.replica(row.name).catch_up()
            self.learning.note_settings(row)

    def recognize(
        self, name: str, query: EmbeddedQuery, *, top_k: int, explain: bool = False, wanted: Filter | None = None
    ) -> Answer:
        """The verdict on a query; a gallery that has never been calibrated is calibrated first."""
        replica = self.replica(name)
        answer = replica.recognize(query, top_k=top_k, explain=explain, wanted=wanted)
        if answer.verdict.reason != "not_calibrated" or not self.learning.first_time(name):
            return answer
        return replica.recognize(query, top_k=top_k, explain=explain, wanted=wanted)

    def publish(
        self, name: str, engine: str | None = None, *, force: bool = False, keep_rollback: bool = False
    ) -> Published:
        """Write the gallery, as the database has it, as a new generation, and serve from it on. Ends a rollback.

        Generations beyond those to keep are deleted, oldest first.

        Args:
            engine: what searches its vectors, in short form; None for that of the generation in use.
            force: also when it breaks pins.
            keep_rollback: leave a gallery in peace that serves an older generation since a rollback.

        Raises:
            UnknownGallery, BundleMismatch, InvalidEngineSpec, DeviceUnavailable.
            GalleryPinned: it does, and `keep_rollback` was asked for.
            PinsBroken: the generation answers pins otherwise than they expect. What is served stays as it was, and
                nothing is left on disk.
            DiskFull: likewise.
        """
        if engine not in (None, AUTO):
            parse_spec(engine)  # told before the work
        self.row(name)
        root = self.root(name)
        with told_when_full(f"a generation of gallery {name!r}"), file_lock(root / "publish.lock"):
            if keep_rollback:
                refuse_pinned(self.row(name))
            with self._database.read() as session:
                repository = GalleryRepository(session)
                row = existing(repository, name)
                check_bundle(row, self._model)
                recognizer = load_recognizer(repository, row, self._model)
            clear_leftovers(root)
            asked = engine or self._engine_in_use(root, row)
            vectors = build_vectors(recognizer, asked)
            if len(recognizer) > LARGE:  # it learns by asking itself thousands of times: of a million, soon only so
                recognizer.search_by(vectors.index)
            broken: list[PinAnswer] = []
            generation = write_generation(
                root,
                recognizer,
                change=self.learning.learn_if_stale(row, recognizer),
                engine=asked,
                built=vectors,
                accept=lambda written: broken.extend(self._broken_pins(name, row, written, force=force)),
            )
            publish(root, generation.number)
            told = {"engine": spec_text(generation.manifest.engine), "forced": force, "broken_pins": len(broken)}
            self._point_at(name, generation.number, "published", pinned=False, **told)
            removed = prune(root, keep=self._keep, besides={generation.number})
        return Published(**dict(generation), broken_pins=tuple(broken), removed=tuple(removed))

    def rollback(self, name: str, number: int | None = None) -> Generation:
        """Serve an older generation exactly as it is, until the next `publish`: later changes wait.

        Raises:
            UnknownGallery, GenerationNotFound, GenerationCorrupt.
        """
        self.row(name)
        root = self.root(name)
        with file_lock(root / "publish.lock"):
            generation = rollback(root, number)
            self._point_at(name, generation.number, "rolled_back", pinned=True)
        return generation

    def generations(self, name: str) -> list[int]:
        """The numbers of the generations on disk."""
        return list_generations(self.root(name))

    def verify(self, name: str) -> list[Checked]:
        """Check every generation of a gallery: files, counts, and recall against exact search.

        Raises:
            UnknownGallery, GenerationMismatch, RecallLost; GenerationCorrupt: names the file.
        """
        self.row(name)
        return [
            check_generation(
                self.root(name),
                number,
                bundle_sha256=self._model.sha256,
                background=self._model.background,
                pipeline=self._model.pipeline,
                verifier=self._model.verifier,
            )
            for number in self.generations(name)
        ]

    def pin_answers(self, name: str) -> list[PinAnswer]:
        """How the gallery, as it is served now, answers its pins.

        Raises:
            UnknownGallery.
        """
        pins = self._pins.all(name)
        return self._pins.answers(pins, lambda query: self.recognize(name, query, top_k=1).verdict)

    def pin(self, name: str, photo: bytes, label: str | None) -> tuple[PinRow, PinAnswer]:
        """Pin a photo. Returns the pin, and how the gallery, as it is served now, answers it.

        Raises: see `Pins.add`.
        """
        self.row(name)  # an unknown gallery costs no decoding
        pin = self._pins.add(name, photo, label)
        [answer] = self._pins.answers([pin], lambda query: self.recognize(name, query, top_k=1).verdict)
        return pin, answer

    def _engine_in_use(self, root: Path, row: Gallery) -> str:
        """As it was asked for; flat where there is no generation yet, or none that can be read."""
        if not row.generation:
            return "flat"
        with suppress(GenerationNotFound, GenerationCorrupt):
            return read_generation(root, row.generation).manifest.asked
        return "flat"

    def _broken_pins(self, name: str, row: Gallery, written: Generation, *, force: bool) -> list[PinAnswer]:
        """Ask a generation that was just written about the gallery's pins."""
        if not self._pins.all(name):
            return []
        recognizer = open_generation(
            written,
            bundle_sha256=self._model.sha256,
            background=self._model.background,
            far_budget=row.far_budget,
            pipeline=self._model.pipeline_for(row.unknown_share),
            verifier=self._model.verifier,
        )
        return self._pins.broken_by(recognizer, name, force=force)

    def _point_at(self, name: str, number: int, action: Action, *, pinned: bool, **told: Any) -> None:
        with self._database.write() as session:
            repository = GalleryRepository(session)
            gallery = repository.locked(name)
            assert gallery is not None  # noqa: S101  for mypy: galleries are never deleted
            gallery.generation = number
            gallery.pinned = number if pinned else None
            session.flush()
            repository.next_change(gallery, items=False)
            record(session, action, gallery=name, subject=str(number), **told)
