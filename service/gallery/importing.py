"""A gallery from a file that `exporting` wrote on this machine or another: checked first, then taken in as one."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from sqlalchemy.orm import Session

from embedding.errors import WhichoneError
from embedding.images import Box
from index.errors import DiskFull, GenerationMismatch
from index.generation import told_when_full
from index.tuning import Tuning
from index.verification import LocalFeatures
from index.verification.features import MOST_BYTES
from service.audit.service import record as write_down
from service.database import Database
from service.errors import GalleryNotEmpty
from service.feedback.repository import LabelledQueryRepository
from service.feedback.service import MOST
from service.gallery.enrolment import open_gallery
from service.gallery.export_archive import ExportArchive
from service.gallery.export_format import (
    ADAPTATION,
    CALIBRATION,
    ITEMS,
    PHOTOS,
    PINS,
    QUERIES,
    ExportedItem,
    ExportedPin,
    ExportedQuery,
    ExportInvalid,
    ExportManifest,
)
from service.gallery.item_repository import ItemRepository, referenced
from service.gallery.model import Model
from service.gallery.pin_repository import PinRepository
from service.gallery.pins import MAX_PINS
from service.gallery.repository import GalleryRepository
from service.gallery.words import external_id_of, gallery_name, label_of, metadata_of
from service.models import Gallery, ItemRow, LabelledQueryRow, PinRow
from service.photos import PhotoStore

__all__ = ["Import", "Imported"]

_ROWS_AT_ONCE = 256
_UNIT = 1e-3
"""A unit vector's length may be so far from 1."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What came in; `renamed` of its items have another id here, as theirs are taken; `queries` are labelled ones."""

    manifest: ExportManifest
    items: int
    distractors: int
    photos: int
    pins: int
    queries: int
    renamed: int


@dataclass(slots=True)
class _Counts:
    """Of what has come in; `unlearned` of the queries are not in its calibration."""

    items: int = 0
    distractors: int = 0
    renamed: int = 0
    pins: int = 0
    queries: int = 0
    unlearned: int = 0


class Import:
    """Takes exports into empty galleries. Thread-safe.

    Args:
        data: the data folder, for the room that is left there.
        max_metadata: most bytes of an item's metadata.
    """

    def __init__(self, database: Database, photos: PhotoStore, model: Model, *, data: Path, max_metadata: int) -> None:
        self._database = database
        self._photos = photos
        self._model = model
        self._data = data
        self._max_metadata = max_metadata

    def run(self, path: Path, gallery: str) -> Imported:
        """Take an export in, as a gallery that does not exist yet or is empty: all of it, or nothing.

        Its items, distractors, calibration, pins and labelled queries are in the database, and its photos in the
        store, when this returns; it is served from then on. Publish it for a generation of its own.

        Raises:
            InvalidGalleryName; GalleryNotEmpty: the gallery holds something.
            ExportInvalid: no export, damaged, or of something else than an export holds.
            GenerationMismatch: another bundle made it.
            DiskFull: there is not the room for it.
        """
        gallery_name(gallery)
        with ExportArchive(path) as archive:
            self._require_fit(archive.manifest)
            self._require_room(archive.manifest)
            archive.verify()
            stored: set[str] = set()
            try:
                with told_when_full(f"the import of {path.name}"), self._photos.adding():
                    for sha256, data in archive.photos():
                        stored.add(self._put(sha256, data))
                    with self._database.write() as session:
                        return self._insert(session, gallery, archive, stored)
            except BaseException:
                self._photos.discard(sorted(stored), self._referenced)
                raise

    def _require_fit(self, manifest: ExportManifest) -> None:
        generation = manifest.generation
        if generation.bundle_sha256 != self._model.sha256 or generation.dim != self._model.dim:
            raise GenerationMismatch(
                f"the export was made with bundle {generation.bundle_sha256[:12]} ({generation.dim} values), this "
                f"server has {self._model.id} ({self._model.sha256[:12]}, {self._model.dim} values), and their "
                "embeddings do not compare; set WHICHONE_BUNDLE to the folder of the export's bundle",
                expected=self._model.sha256,
                got=generation.bundle_sha256,
            )

    def _require_room(self, manifest: ExportManifest) -> None:
        needed, free = sum(entry.bytes for entry in manifest.entries.values()), shutil.disk_usage(self._data).free
        if needed > free:
            raise DiskFull(
                f"the export takes {needed:,} bytes or more, and {self._data} has {free:,} left; make room, then try "
                "again",
                needed=needed,
                free=free,
            )

    def _put(self, sha256: str, data: bytes) -> str:
        if self._photos.put(data) != sha256:  # `verify` has seen to it, unless the file changed since
            raise ExportInvalid(f"photo {sha256} has other bytes than its sha256 says", sha256=sha256)
        return sha256

    def _insert(self, session: Session, gallery: str, archive: ExportArchive, stored: set[str]) -> Imported:
        manifest = archive.manifest
        galleries = GalleryRepository(session)
        row = open_gallery(session, gallery, self._model, manifest.far_budget)
        beside = PinRepository(session, row).count() or LabelledQueryRepository(session, row).count()
        if not galleries.is_empty(row) or beside or row.pinned is not None:
            raise GalleryNotEmpty(
                f"gallery {gallery!r} holds photos, pins or feedback already; an export becomes a gallery of its own, "
                "so name another",
                gallery=gallery,
            )
        row.far_budget, row.unknown_share = manifest.far_budget, manifest.unknown_share
        change = galleries.next_change(row, items=True)
        writer = _Writer(session, row, change, self._model.dim, self._max_metadata)
        shas = writer.items(archive.records(ITEMS, ExportedItem))
        shas |= writer.pins(archive.lines(PINS, ExportedPin))
        _require_all(manifest, writer, shas, stored)
        writer.queries(archive.records(QUERIES, ExportedQuery))
        counts = writer.counts
        if CALIBRATION in manifest.entries:
            tuning = _tuning(archive, self._model.dim)
            basis = change - 1 if counts.unlearned else change  # as stale as it was, or as fresh
            galleries.add_calibration(row, basis=basis, tuning=tuning, pipeline=manifest.pipeline)
        told: dict[str, Any] = {"items": counts.items, "distractors": counts.distractors, "pins": counts.pins}
        told["feedback"] = counts.queries
        write_down(session, "gallery_imported", gallery=gallery, **told)
        return Imported(
            manifest, counts.items, counts.distractors, len(stored), counts.pins, counts.queries, counts.renamed
        )

    def _referenced(self, shas: list[str]) -> set[str]:
        with self._database.read() as session:
            return referenced(session, shas)


class _Writer:
    """Rows of an import, inside its transaction."""

    def __init__(self, session: Session, gallery: Gallery, change: int, dim: int, max_metadata: int) -> None:
        self._session = session
        self._gallery = gallery
        self._repository = ItemRepository(session, gallery)
        self._change = change
        self._dim = dim
        self._max_metadata = max_metadata
        self._ids: set[str] = set()
        self._seen: set[tuple[str, str, str]] = set()
        self.counts = _Counts()
        self.labels: set[str] = set()

    def items(self, records: Iterator[tuple[ExportedItem, Callable[[int], bytes]]]) -> set[str]:
        """Write items and distractors. Returns the sha256 of their photos."""
        shas: set[str] = set()
        rows: list[ItemRow] = []
        for record, read in records:
            with _named(f"item {record.id}"):
                rows.append(self._row(record, read))
            shas.add(record.sha256)
            if len(rows) == _ROWS_AT_ONCE:
                self._flush(rows)
        self._flush(rows)
        return shas

    def pins(self, pins: Iterator[ExportedPin]) -> set[str]:
        """Write pins. Returns the sha256 of their photos."""
        shas: set[str] = set()
        repository = PinRepository(self._session, self._gallery)
        for pin in pins:
            if pin.sha256 in shas or len(shas) >= MAX_PINS:
                raise ExportInvalid(f"{PINS} holds more than {MAX_PINS} pins, or two of one photo")
            shas.add(pin.sha256)
            with _named(f"the pin of photo {pin.sha256}"):
                label = None if pin.label is None else _kept(label_of(pin.label), pin.label)
            repository.add(
                PinRow(id=uuid.uuid4().hex, gallery_id=self._gallery.id, image_sha256=pin.sha256, label=label)
            )
            self.counts.pins += 1
        return shas

    def queries(self, records: Iterator[tuple[ExportedQuery, Callable[[int], bytes]]]) -> None:
        """Write labelled queries."""
        repository = LabelledQueryRepository(self._session, self._gallery)
        ids: set[str] = set()
        places: set[tuple[str, str]] = set()
        rows: list[LabelledQueryRow] = []
        for record, read in records:
            place = record.sha256, record.box
            if len(ids) >= MOST or record.id in ids or place in places:
                raise ExportInvalid(f"{QUERIES} holds more than {MOST} labelled queries, or one twice")
            ids.add(record.id)
            places.add(place)
            with _named(f"labelled query {record.id}"):
                rows.append(self._query(record, read))
            if len(rows) == _ROWS_AT_ONCE:
                _flush_queries(repository, rows)
        _flush_queries(repository, rows)

    def _row(self, record: ExportedItem, read: Callable[[int], bytes]) -> ItemRow:
        self._require_new(record)
        embedding = self._vectors(read, record.embedding)
        views = self._vectors(read, record.views)
        if len(embedding) != 4 * self._dim:
            raise ExportInvalid(f"its embedding has {len(embedding)} bytes, expected {4 * self._dim}")
        local = read(record.local)
        if local:
            LocalFeatures.from_bytes(local)
        if record.kind == "item":
            _kept(label_of(record.label), record.label)
            self.labels.add(record.label)
            self.counts.items += 1
        elif record.label:
            raise ExportInvalid("it is a distractor with a label")
        else:
            self.counts.distractors += 1
        return ItemRow(
            id=record.id,
            gallery_id=self._gallery.id,
            kind=record.kind,
            label=record.label,
            image_sha256=record.sha256,
            external_id=None if record.external_id is None else external_id_of(record.external_id),
            item_metadata=metadata_of(json.dumps(record.metadata), self._max_metadata),
            embedding=embedding,
            views=views,
            local=local,
            width=record.width,
            height=record.height,
            created_at=record.created_at,
            change=self._change,
        )

    def _query(self, record: ExportedQuery, read: Callable[[int], bytes]) -> LabelledQueryRow:
        if record.embedding != 4 * self._dim or record.local > MOST_BYTES:
            raise ExportInvalid(
                f"its embedding has {record.embedding} bytes, expected {4 * self._dim}; its local features "
                f"{record.local}, at most {MOST_BYTES}"
            )
        embedding, local = self._vectors(read, record.embedding), read(record.local)
        if local:
            LocalFeatures.from_bytes(local)
        if record.box and str(Box.parse(record.box)) != record.box:
            raise ExportInvalid(f"box {record.box[:60]!r} is not written as boxes are kept")
        self.counts.queries += 1
        self.counts.unlearned += not record.learned
        return LabelledQueryRow(
            id=record.id,
            gallery_id=self._gallery.id,
            image_sha256=record.sha256,
            box=record.box,
            label=None if record.label is None else _kept(label_of(record.label), record.label),
            bundle_sha256=self._gallery.bundle_sha256,
            embedding=embedding,
            local=local,
            created_at=record.created_at,
        )

    def _require_new(self, record: ExportedItem) -> None:
        key = (record.kind, record.label, record.sha256)
        if record.id in self._ids or key in self._seen:
            raise ExportInvalid("its id, or its photo under this label, comes twice")
        self._ids.add(record.id)
        self._seen.add(key)

    def _vectors(self, read: Callable[[int], bytes], size: int) -> bytes:
        data = read(size)
        if size % (4 * self._dim):
            raise ExportInvalid(f"{size} bytes are no vectors of {self._dim} values")
        vectors = np.frombuffer(data, "<f4").reshape(-1, self._dim)
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
        if not (np.abs(lengths - 1) < _UNIT).all():
            raise ExportInvalid("its embedding is not of unit length")
        return data

    def _flush(self, rows: list[ItemRow]) -> None:
        taken = self._repository.by_ids([row.id for row in rows])
        for row in rows:
            if row.id in taken:
                row.id = uuid.uuid4().hex
                self.counts.renamed += 1
        self._session.add_all(rows)
        self._session.flush()
        for row in rows:
            self._session.expunge(row)
        rows.clear()


def _flush_queries(repository: LabelledQueryRepository, rows: list[LabelledQueryRow]) -> None:
    # An id is kept where it can be: whatever has no name is told apart by it (`service.feedback.learning`).
    taken = repository.taken([row.id for row in rows])
    for row in rows:
        if row.id in taken:
            row.id = uuid.uuid4().hex
    repository.add_all(rows)
    rows.clear()


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Errors inside are about one record of the file, and say which."""
    try:
        yield
    except WhichoneError as error:
        raise ExportInvalid(f"{what} of the export cannot be used: {error.message}") from error


def _kept(checked: str, came: str) -> str:
    if checked != came:
        raise ExportInvalid(f"label {came[:60]!r} is not written as labels are kept")
    return checked


def _require_all(manifest: ExportManifest, writer: _Writer, shas: set[str], stored: set[str]) -> None:
    generation = manifest.generation
    came = (writer.counts.items, len(writer.labels), writer.counts.distractors)
    said = (generation.items, generation.labels, generation.distractors)
    if came != said:
        raise ExportInvalid(f"the export holds {_sizes(*came)}, its manifest says {_sizes(*said)}")
    if PHOTOS in manifest.entries and shas != stored:
        raise ExportInvalid(
            f"{len(shas - stored)} photos that the export refers to are not in it, and {len(stored - shas)} are in it "
            "that nothing refers to"
        )


def _sizes(items: int, labels: int, distractors: int) -> str:
    return f"{items} items of {labels} labels and {distractors} distractors"


def _tuning(archive: ExportArchive, dim: int) -> Tuning:
    try:
        adaptation = archive.read(ADAPTATION) if ADAPTATION in archive.manifest.entries else b""
        return Tuning.from_parts(json.loads(archive.read(CALIBRATION)), adaptation, dim)
    except (ValueError, ValidationError) as error:
        raise ExportInvalid(f"{CALIBRATION} and {ADAPTATION} are not what this version writes") from error
