"""A generation into one file, to be moved to another machine."""

from __future__ import annotations

import hashlib
import os
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from sqlalchemy.orm import Session

from index.errors import GenerationNotFound
from index.generation import Generation, distractors_of, labels_of, told_when_full, verify_generation
from service.database import Database
from service.errors import FieldInvalid, GenerationOutdated
from service.feedback.repository import LabelledQueryRepository
from service.gallery.export_format import (
    ADAPTATION,
    CALIBRATION,
    EPOCH,
    ITEMS,
    MANIFEST,
    PHOTOS,
    PINS,
    QUERIES,
    Entry,
    ExportedItem,
    ExportedPhoto,
    ExportedPin,
    ExportedQuery,
    ExportManifest,
)
from service.gallery.item_repository import ItemRepository
from service.gallery.pin_repository import PinRepository
from service.gallery.repository import GalleryRepository, existing
from service.models import Gallery, ItemRow
from service.photos import PhotoStore

__all__ = ["Export"]


class Export:
    """Writes generations as files.

    Args:
        folder: where each gallery's generations stand in a folder of its name.
    """

    def __init__(self, database: Database, photos: PhotoStore, folder: Path) -> None:
        self._database = database
        self._photos = photos
        self._folder = folder

    def run(self, gallery: str, target: Path, number: int | None = None, *, photos: bool = True) -> ExportManifest:
        """Write a generation, the one in use unless `number` says which, to a new file.

        What a photo is called, its embedding and what is noted about it come from the database. A photo that was
        removed from the gallery since, or has another label now, does not travel: the generation is refused. Labelled
        queries and pins are those that the gallery has now.

        Args:
            photos: with the photos themselves, and the gallery's pins.

        Raises:
            UnknownGallery, GenerationNotFound, GenerationCorrupt.
            GenerationOutdated: photos of it were removed or got another label since.
            PhotoLost: a photo is not in the store any more.
            FieldInvalid: the file is there already, or cannot be made. DiskFull: nothing of it is left.
        """
        if target.exists():
            raise FieldInvalid(f"{target} is there already; name another file, or remove it first", path=str(target))
        draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            with told_when_full(f"the export to {target}"), self._database.read() as session:
                manifest = self._write(session, gallery, number, draft, photos=photos)
                draft.rename(target)
        except OSError as error:
            raise FieldInvalid(f"{target} cannot be written: {error.strerror}", path=str(target)) from error
        finally:
            draft.unlink(missing_ok=True)
        return manifest

    def _write(
        self, session: Session, gallery: str, number: int | None, draft: Path, *, photos: bool
    ) -> ExportManifest:
        galleries = GalleryRepository(session)
        row = existing(galleries, gallery)
        wanted = number or row.pinned or row.generation
        if not wanted:
            raise GenerationNotFound(f"gallery {gallery!r} has no generation yet; make one with whichone index build")
        generation = verify_generation(self._folder / gallery, wanted)
        numbers = _require_current(session, row, generation)
        with draft.open("xb") as file, zipfile.ZipFile(file, "w") as archive:
            out = _Entries(archive)
            shas: dict[str, None] = {}
            out.write(ITEMS, _items(galleries, row, numbers, shas))
            for name in (CALIBRATION, ADAPTATION):
                if name in generation.manifest.files:
                    out.write(name, [(generation.folder / name).read_bytes()])
            if photos:
                pins = PinRepository(session, row).all()
                shas.update(dict.fromkeys(pin.image_sha256 for pin in pins))
                out.write(PHOTOS, self._of_photos(shas))
                out.write(PINS, (_line(ExportedPin(sha256=pin.image_sha256, label=pin.label)) for pin in pins))
            queries = LabelledQueryRepository(session, row)
            if queries.count(generation.manifest.bundle_sha256):  # else versions from before there were any can read it
                out.write(QUERIES, _queries(queries, row, generation))
            newest = galleries.newest_calibration(row.id)
            manifest = ExportManifest(
                gallery=gallery,
                number=wanted,
                generation=generation.manifest,
                far_budget=row.far_budget,
                unknown_share=row.unknown_share,
                pipeline={} if newest is None else newest.pipeline,
                entries=out.entries,  # type: ignore[arg-type]  # pydantic checks the names
            )
            # Without a share that is not set: versions from before there was one can read it.
            unset = {"unknown_share"} if manifest.unknown_share is None else None
            archive.writestr(zipfile.ZipInfo(MANIFEST, EPOCH), manifest.model_dump_json(indent=2, exclude=unset))
            archive.close()
            file.flush()
            os.fsync(file.fileno())
        return manifest

    def _of_photos(self, shas: Iterable[str]) -> Iterator[bytes]:
        for sha256 in shas:
            data = self._photos.read(sha256)
            yield _line(ExportedPhoto(sha256=sha256, bytes=len(data)))
            yield data


class _Entries:
    """Entries of a zip, written one after the other, and what they were."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self.entries: dict[str, Entry] = {}

    def write(self, name: str, blocks: Iterable[bytes]) -> None:
        """Write an entry."""
        digest, size = hashlib.sha256(), 0
        with self._archive.open(zipfile.ZipInfo(name, EPOCH), "w", force_zip64=True) as entry:
            for block in blocks:
                entry.write(block)
                digest.update(block)
                size += len(block)
        self.entries[name] = Entry(bytes=size, sha256=digest.hexdigest())


def _require_current(session: Session, row: Gallery, generation: Generation) -> set[int]:
    """The numbers of a generation's photos, all of which the gallery has as the generation has them."""
    labels, strangers = labels_of(generation), distractors_of(generation)
    numbers = labels.keys() | strangers
    same = {
        number
        for number, kind, label in ItemRepository(session, row).names()
        if number in numbers and ((number in strangers) if kind == "distractor" else labels.get(number) == label)
    }
    if len(same) < len(numbers):
        raise GenerationOutdated(
            f"{len(numbers) - len(same)} of the {len(numbers)} photos of generation {generation.number} were removed "
            f"from gallery {row.name!r} or got another label since; publish a new one (whichone index build) and "
            "export that",
            gallery=row.name,
            number=generation.number,
            changed=len(numbers) - len(same),
        )
    return set(numbers)


def _items(galleries: GalleryRepository, row: Gallery, numbers: set[int], shas: dict[str, None]) -> Iterator[bytes]:
    """The entry of items; notes the sha256 of every photo."""
    for rows in galleries.changed_items(row.id, since=0):
        for item in rows:
            if item.number in numbers:
                shas[item.image_sha256] = None
                yield _line(_exported(item))
                yield item.embedding + item.views + item.local


def _exported(row: ItemRow) -> ExportedItem:
    return ExportedItem(
        id=row.id,
        kind="item" if row.kind == "item" else "distractor",
        label=row.label,
        sha256=row.image_sha256,
        external_id=row.external_id,
        metadata=row.item_metadata,
        width=row.width,
        height=row.height,
        created_at=row.created_at,
        embedding=len(row.embedding),
        views=len(row.views),
        local=len(row.local),
    )


def _queries(queries: LabelledQueryRepository, row: Gallery, generation: Generation) -> Iterator[bytes]:
    """The entry of labelled queries, oldest first."""
    manifest = generation.manifest
    # The moment has whole seconds: it is asked only where something was changed since.
    since = datetime.fromisoformat(manifest.created_at) if row.items_change > manifest.change else None
    for rows in queries.in_parts(manifest.bundle_sha256):
        for query in rows:
            record = ExportedQuery(
                id=query.id,
                sha256=query.image_sha256,
                box=query.box,
                label=query.label,
                learned=since is None or query.created_at < since,
                created_at=query.created_at,
                embedding=len(query.embedding),
                local=len(query.local),
            )
            yield _line(record)
            yield query.embedding + query.local


def _line(record: ExportedItem | ExportedPhoto | ExportedPin | ExportedQuery) -> bytes:
    return record.model_dump_json().encode() + b"\n"
