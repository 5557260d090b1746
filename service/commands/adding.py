"""`whichone index add`: the photos of folders, CSVs, archives and single files into a gallery, in the foreground."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from embedding.errors import InputError, WhichoneError
from service.commands.gallery import recalibrate
from service.commands.terminal import note, print_json, progress_bar, stdout
from service.gallery.enrolment import Enrolled
from service.gallery.words import gallery_name, label_of
from service.jobs.archive import ArchiveLimits, ArchiveSource
from service.jobs.errors import NoPhotos
from service.jobs.files import CsvSource, FileLimits, FilesSource, FolderSource
from service.jobs.importer import Importer, Outcome
from service.jobs.listing import ListedPhoto, Listing, Refusal, Showing, Source
from service.settings import Settings
from service.workspace import open_workspace

__all__ = ["PhotosNotAdded", "add_photos", "listed", "sources_of"]

_MOST_UNPACKED = 2**40
"""Bytes of an archive that somebody names on a command line: it is theirs."""


class PhotosNotAdded(InputError):
    """Some photos could not be used; all others are in the gallery."""

    code = "photos_not_added"


@dataclass
class _Report:
    """What came of a run."""

    added: list[Enrolled] = field(default_factory=list)
    refused: list[tuple[str, Refusal]] = field(default_factory=list)
    ignored: int = 0

    def take(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.enrolled is not None:
                self.added.append(outcome.enrolled)
            elif outcome.refusal is not None:
                self.refused.append((outcome.photo.name, outcome.refusal))

    @property
    def done(self) -> int:
        return len(self.added) + len(self.refused)


def add_photos(
    settings: Settings, paths: Sequence[Path], *, gallery: str, label: str | None, distractors: bool, as_json: bool
) -> None:
    """Add every photo that can be used; each is durable by itself, so an interrupted run is simply run again.

    Raises:
        NoPhotos: nothing to add.
        PhotosNotAdded: some could not be used; they are listed on stderr.
    """
    gallery_name(gallery)
    showing = Showing(None if label is None else label_of(label), distractors)
    report = _Report()
    with ExitStack() as opened:
        sources = [opened.enter_context(closing(source)) for source in sources_of(paths, settings)]
        found = list(zip(sources, listed(sources, showing), strict=True))
        report.ignored = sum(listing.ignored for _, listing in found)
        try:
            _add(settings, [(source, listing.photos) for source, listing in found], gallery, report)
        except WhichoneError:
            if report.added:
                note(f"{len(report.added)} photo(s) are in the gallery; run it again to go on")
            raise
    _show(report, gallery, as_json)


def _add(
    settings: Settings, found: Sequence[tuple[Source, Sequence[ListedPhoto]]], gallery: str, report: _Report
) -> None:
    total = sum(len(photos) for _, photos in found)
    with open_workspace(settings) as workspace, progress_bar() as progress:
        importer = Importer(workspace.enrolment, workspace.database, side_by_side=settings.concurrency)
        for source, photos in found:
            for outcomes in importer.run(gallery, source, iter(photos)):
                report.take(outcomes)
                progress("adding photos", report.done, total)
        if report.added:
            recalibrate(workspace, gallery)


def sources_of(paths: Sequence[Path], settings: Settings) -> Iterator[Source]:
    """A source for each path, in their order; files that stand side by side have one together."""
    limits = FileLimits(settings.max_image_bytes, settings.max_metadata_bytes)
    for is_file, group in groupby(paths, key=_is_photo):
        if is_file:
            yield FilesSource(list(group), limits)
        else:
            yield from (_source(path, settings, limits) for path in group)


def _is_photo(path: Path) -> bool:
    if not path.exists():
        raise NoPhotos(f"{path}: there is no such file or folder", path=str(path))
    return not path.is_dir() and path.suffix.lower() not in {".csv", ".zip"}


def _source(path: Path, settings: Settings, limits: FileLimits) -> Source:
    if path.is_dir():
        return FolderSource(path, str(path), limits)
    if path.suffix.lower() == ".csv":
        return CsvSource(path, str(path), limits)
    unpacked = ArchiveLimits(settings.max_image_bytes, _MOST_UNPACKED, settings.max_metadata_bytes)
    return ArchiveSource(path, str(path), unpacked)


def listed(sources: Sequence[Source], showing: Showing) -> Iterator[Listing]:
    """What is in each source, but for photos that one before it names as well.

    Raises:
        NoPhotos: nothing is.
    """
    seen: set[tuple[str, str | None]] = set()
    for source in sources:
        try:
            listing = source.list(showing)
        except NoPhotos as error:
            if isinstance(source, FolderSource) and not showing.said:
                error.message += "; if all of it shows one thing, say so with --label NAME"
            raise
        photos = []
        for photo in listing.photos:
            known = (photo.place, photo.label)
            if isinstance(source, ArchiveSource) or photo.refusal is not None or known not in seen:
                photos.append(photo)
                seen.add(known)
        yield Listing(photos, listing.ignored)


def _show(report: _Report, gallery: str, as_json: bool) -> None:
    for name, refusal in report.refused:
        note(f"not added: {name}: {refusal.message}")
    if report.ignored:
        note(f"{report.ignored} file(s) passed over: by their names they are no photos")
    if as_json:
        print_json(_document(report))
    else:
        new = [item for item in report.added if not item.duplicate]
        labels = len({item.label for item in new if item.label is not None})
        what = f"{len(new)} photo(s) added to gallery {gallery}" + (f", {labels} label(s)" if labels else "")
        there = len(report.added) - len(new)
        stdout().print(what + (f"; {there} were there already" if there else ""))
    if report.refused:
        raise PhotosNotAdded(f"{len(report.refused)} of {report.done} photo(s) could not be used; see above")


def _document(report: _Report) -> dict[str, Any]:
    return {
        "items": [
            {"id": one.id, "label": one.label, "sha256": one.sha256, "duplicate": one.duplicate} for one in report.added
        ],
        "refused": [
            {"path": name, "code": refusal.code, "message": refusal.message} for name, refusal in report.refused
        ],
        "ignored": report.ignored,
    }
