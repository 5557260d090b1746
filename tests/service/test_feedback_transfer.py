"""What people said of a gallery's answers moves with it; and nothing of it that is not right."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness
import numpy as np
import pytest
from forging import Contents, forge, opened, refused

from embedding.images import Box
from index.labelled import FEWEST_KNOWN
from index.tuning import TuningBody
from service.errors import GalleryNotEmpty
from service.feedback.repository import LabelledQueryRepository
from service.feedback.service import MOST
from service.gallery.repository import GalleryRepository, existing
from service.workspace import Workspace

THINGS = FEWEST_KNOWN
STRANGERS = range(500, 512)
PART = Box(0.1, 0.2, 0.9, 0.95)
QUERIES = THINGS + len(STRANGERS) + 1
VECTOR = 4 * harness.DIM

Record = dict[str, Any]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[Workspace]:
    """A gallery that learned from what was said of it. Not to be changed."""
    with opened(tmp_path_factory.mktemp("source") / "data", bundle) as workspace:
        for thing in range(THINGS):
            workspace.enrol(f"thing {thing}", [harness.jpeg(thing)])
        say = workspace.feedback.about_photo
        for stranger in STRANGERS:
            say("default", harness.again(stranger), None if stranger % 2 else f"stranger {stranger}")
        for thing in range(THINGS):
            say("default", harness.again(thing), f"thing {thing}")
        say("default", harness.again(0), "thing 0", box=PART)
        workspace.galleries.publish("default")
        yield workspace


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory, source: Workspace) -> Path:
    """Not to be changed."""
    path = tmp_path_factory.mktemp("exports") / "shop.whichone"
    source.exporting.run("default", path)
    return path


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[Workspace]:
    """A machine that takes nothing in."""
    with opened(tmp_path_factory.mktemp("target") / "data", bundle) as workspace:
        yield workspace


def said(workspace: Workspace, gallery: str = "default") -> list[tuple[Any, ...]]:
    """All that is kept of labelled queries, oldest first; their ids last."""
    with workspace.database.read() as session:
        row = existing(GalleryRepository(session), gallery)
        return [
            (q.image_sha256, q.box, q.label, q.bundle_sha256, q.embedding, q.local, q.created_at, q.id)
            for q in LabelledQueryRepository(session, row).with_vectors(workspace.model.sha256)
        ]


def learned(workspace: Workspace) -> TuningBody:
    with workspace.database.read() as session:
        galleries = GalleryRepository(session)
        newest = galleries.newest_calibration(existing(galleries, "default").id)
        assert newest is not None
        return TuningBody.model_validate(newest.body)


def entry(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read("queries.bin")


def test_it_is_said_on_the_other_machine(
    source: Workspace, export: Path, tmp_path: Path, bundle: Path, database: str | None
) -> None:
    with opened(tmp_path / "data", bundle, database) as other:
        other.enrol("something", [harness.jpeg(40)], gallery="of-its-own")  # numbers are not free there
        other.feedback.about_photo("of-its-own", harness.jpeg(41), None)
        assert other.importing.run(export, "default").queries == QUERIES
        assert said(other) == said(source)
        assert {len(local) > 0 for *_, local, _, _ in said(other)} == {True}
        assert [label for _, box, label, *_ in said(other) if box == str(PART)] == ["thing 0"]
        assert [label for _, _, label, *_ in said(other)].count(None) == len(STRANGERS) / 2
        learning = other.galleries.learning
        assert [stale.name for stale in learning.stale()] == ["of-its-own"]  # what it learned came with it
        other.galleries.publish("default")
        tuning = learning.calibrate("default")
        assert tuning.calibration.source == "labelled"
        assert tuning.body == learned(source)
        again = tmp_path / "again.whichone"
        other.exporting.run("default", again)
        assert entry(again) == entry(export)

        other.importing.run(export, "copy")
        assert [row[:-1] for row in said(other, "copy")] == [row[:-1] for row in said(source)]
        ids, copied = ({row[-1] for row in said(other, name)} for name in ("default", "copy"))
        assert not ids & copied  # an id is of one gallery
        assert len(other.feedback.all("copy").said) == QUERIES


def test_it_travels_without_photos_and_an_export_of_before_comes_in(
    source: Workspace, export: Path, tmp_path: Path, bundle: Path
) -> None:
    small, before = tmp_path / "small.whichone", tmp_path / "before.whichone"
    source.exporting.run("default", small, photos=False)
    forge(export, before, lambda contents, _: contents.__delitem__("queries.bin"))
    with opened(tmp_path / "data", bundle) as other:
        assert other.importing.run(small, "small").queries == QUERIES
        assert said(other, "small") == said(source)
        assert other.importing.run(before, "before").queries == 0
        assert said(other, "before") == []
        assert other.galleries.learning.stale() == []
        assert other.galleries.learning.calibrate("before").calibration.source == "gallery"


def test_what_was_said_since_the_generation_is_learned_at_once(tmp_path: Path, bundle: Path) -> None:
    before, since = tmp_path / "before.whichone", tmp_path / "since.whichone"
    with opened(tmp_path / "source", bundle) as workspace:
        workspace.enrol("cup", [harness.jpeg(1), harness.jpeg(2)])
        workspace.feedback.about_photo("default", harness.again(1), "cup")
        workspace.galleries.publish("default")
        workspace.exporting.run("default", before)
        workspace.feedback.about_photo("default", harness.again(3), None)
        workspace.exporting.run("default", since)
    with opened(tmp_path / "data", bundle) as other:
        assert other.importing.run(before, "before").queries == 1
        assert other.importing.run(since, "since").queries == 2
        assert [stale.name for stale in other.galleries.learning.stale()] == ["since"]
        other.galleries.publish("since")
        assert other.galleries.learning.stale() == []


def test_a_gallery_of_which_something_was_said_takes_nothing_in(export: Path, tmp_path: Path, bundle: Path) -> None:
    with opened(tmp_path / "data", bundle) as other:
        judged = other.feedback.about_photo("default", harness.again(0), "thing 0")
        with pytest.raises(GalleryNotEmpty, match="feedback already"):
            other.importing.run(export, "default")
        assert [row[-1] for row in said(other)] == [judged.row.id]


def test_as_many_as_a_gallery_may_have(export: Path, tmp_path: Path, bundle: Path, target: Workspace) -> None:
    """In parts, each in its order; and not one more."""
    full, more, again = (tmp_path / f"{name}.whichone" for name in ("full", "more", "again"))
    forge(export, full, copies(MOST))
    forge(export, more, copies(MOST + 1))
    refused(target, more, "more than 1000 labelled queries")
    with opened(tmp_path / "data", bundle) as other:
        assert other.importing.run(full, "default").queries == MOST
        other.galleries.publish("default")
        other.exporting.run("default", again)
        assert entry(again) == entry(full)


def test_a_flipped_byte_is_refused(target: Workspace, export: Path, tmp_path: Path) -> None:
    whole, path = export.read_bytes(), tmp_path / "flipped.whichone"
    with zipfile.ZipFile(export) as archive:
        info = archive.getinfo("queries.bin")
    at = info.header_offset + info.file_size // 2
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    refused(target, path, r"queries\.bin")


def first_query(data: bytes) -> tuple[Record, bytes, bytes]:
    """Its line, what follows it, and all other queries."""
    line, _, rest = data.partition(b"\n")
    record = json.loads(line)
    size = record["embedding"] + record["local"]
    return record, rest[:size], rest[size:]


def line_of(record: Record) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def copies(count: int) -> Callable[[Contents, Record], None]:
    """The first query so many times, each of another photo."""

    def forged(contents: Contents, _: Record) -> None:
        record, body, _ = first_query(contents["queries.bin"])
        contents["queries.bin"] = b"".join(
            line_of({**record, "id": f"{at * 7919 % 65536:032x}", "sha256": f"{at:064x}"}) + body for at in range(count)
        )

    return forged


def first(change: Callable[[Record, bytes], tuple[Record, bytes]]) -> Callable[[Contents, Record], None]:
    """The first query is another."""

    def forged(contents: Contents, _: Record) -> None:
        record, body, rest = first_query(contents["queries.bin"])
        record, body = change(record, body)
        contents["queries.bin"] = line_of(record) + body + rest

    return forged


def with_field(name: str, value: object) -> Callable[[Contents, Record], None]:
    return first(lambda record, body: ({**record, name: value}, body))


def with_vector(vector: bytes) -> Callable[[Contents, Record], None]:
    return first(lambda record, body: (record, vector + body[VECTOR:]))


def once_more(**fields: str) -> Callable[[Contents, Record], None]:
    def forged(contents: Contents, _: Record) -> None:
        record, body, _ = first_query(contents["queries.bin"])
        contents["queries.bin"] += line_of({**record, **fields}) + body

    return forged


def cut_short(contents: Contents, _: Record) -> None:
    contents["queries.bin"] = contents["queries.bin"][:-3]


FORGERIES: dict[str, tuple[Callable[[Contents, Record], None], str]] = {
    "features without end": (with_field("local", 10**8), "local features 100000000, at most 64000"),
    "a negative length": (with_field("local", -4), "queries.bin: local"),
    "an embedding of another bundle": (with_field("embedding", 2 * VECTOR), f"{2 * VECTOR} bytes, expected {VECTOR}"),
    "no embedding": (first(lambda r, b: ({**r, "embedding": 0}, b[VECTOR:])), f"0 bytes, expected {VECTOR}"),
    "a vector of no unit": (with_vector(bytes(VECTOR)), "unit length"),
    "no number": (with_vector(np.full(harness.DIM, np.nan, "<f4").tobytes()), "unit length"),
    "local features that are none": (first(lambda r, b: (r, b[:-9] + bytes(9))), "checksum"),
    "a label with a line end": (with_field("label", "a\nb"), "control character"),
    "a label with room around": (with_field("label", " a"), "not written as labels are kept"),
    "an empty label": (with_field("label", ""), "at least one character"),
    "a box that is none": (with_field("box", "1,2,3"), "not four numbers"),
    "a box without area": (with_field("box", "9,9,9,9"), "no area"),
    "a box without end": (with_field("box", "0,0,inf,1"), "no finite number"),
    "a box written otherwise": (with_field("box", "0, 0, 0.50, 1"), "not written as boxes are kept"),
    "a sha256 that is none": (with_field("sha256", "../x"), "queries.bin: sha256"),
    "an id that is none": (with_field("id", "x"), "queries.bin: id"),
    "a moment that is none": (with_field("created_at", "yesterday"), "queries.bin: created_at"),
    "a flag that is none": (with_field("learned", "yes"), "queries.bin: learned"),
    "a field too many": (with_field("path", "/etc/passwd"), "queries.bin: path"),
    "an id twice": (once_more(sha256="0" * 64), "one twice"),
    "a photo twice": (once_more(id="0" * 32), "one twice"),
    "an end in the middle": (cut_short, "middle of a record"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_feedback_is_refused(target: Workspace, export: Path, tmp_path: Path, forgery: str) -> None:
    change, match = FORGERIES[forgery]
    path = tmp_path / "forged.whichone"
    forge(export, path, change)
    refused(target, path, match)
