"""A gallery's generation as one file: the same answers on another machine, and nothing of a file that is not right."""

from __future__ import annotations

import json
import resource
import signal
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness
import numpy as np
import pytest
from forging import Contents, forge, opened, refused

from index.errors import DiskFull, GenerationMismatch, GenerationNotFound
from service.errors import DatabaseUnavailable, FieldInvalid, GalleryNotEmpty, GenerationOutdated, PhotoLost
from service.gallery.item_repository import ItemFilter
from service.workspace import Workspace


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Iterator[Workspace]:
    """Not to be changed."""
    with opened(tmp_path_factory.mktemp("source") / "data", bundle) as workspace:
        for thing in range(5):
            workspace.enrol(
                f"thing {thing}",
                [harness.jpeg(thing, (160 + 32 * shot, 120 + 24 * shot)) for shot in range(2)],
                external_id=f"sku-{thing}",
                metadata={"shelf": thing},
            )
        workspace.enrol(None, [harness.jpeg(90), harness.jpeg(91)])
        workspace.galleries.pin("default", harness.jpeg(1), "thing 1")
        workspace.galleries.publish("default", "ivf,lists=2")
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


def answers(workspace: Workspace, gallery: str = "default") -> list[dict[str, Any]]:
    asked = [harness.again(seed) for seed in range(5)] + [harness.jpeg(1), harness.jpeg(70)]
    return [workspace.recognize(photo, gallery=gallery).answer.verdict.to_json() for photo in asked]


def rows(workspace: Workspace, gallery: str = "default") -> list[tuple[Any, ...]]:
    page = workspace.gallery.page(gallery, ItemFilter(), limit=100)
    return [
        (r.id, r.kind, r.label, r.image_sha256, r.external_id, r.item_metadata, r.width, r.created_at)
        for r in page.items
    ]


def test_the_same_answers_on_another_machine(
    source: Workspace, export: Path, tmp_path: Path, bundle: Path, database: str | None
) -> None:
    with opened(tmp_path / "data", bundle, database) as other:
        other.enrol("something", [harness.jpeg(40)], gallery="of-its-own")  # numbers are not free there
        imported = other.importing.run(export, "default")
        assert (imported.items, imported.distractors, imported.photos, imported.pins) == (10, 2, 12, 1)
        assert imported.renamed == 0
        assert rows(other) == rows(source)
        assert answers(other) == answers(source)
        published = other.galleries.publish("default", imported.manifest.generation.asked)
        assert (published.manifest.asked, published.manifest.items) == ("ivf,lists=2", 10)
        assert answers(other) == answers(source)
        first = rows(other)[0]
        assert other.gallery.image("default", first[0])[0] == harness.jpeg(0)
        assert other.verify().pins[0].passes
        assert [entry.name for entry in other.galleries.learning.stale()] == [
            "of-its-own"
        ]  # what it learned came with it
        again = tmp_path / "again.whichone"
        other.exporting.run("default", again)
        with zipfile.ZipFile(export) as one, zipfile.ZipFile(again) as two:
            assert one.read("items.bin") == two.read("items.bin")
        with pytest.raises(GalleryNotEmpty, match="name another"):
            other.importing.run(export, "default")
        [pin] = other.pins.all("default")
        other.pins.remove("default", pin.id)
        assert other.gallery.discard_orphans() == 0  # an item shows the same
        copy = other.importing.run(export, "copy")
        assert copy.renamed == 12  # ids are of one gallery
        assert [answer["label"] for answer in answers(other, "copy")] == [a["label"] for a in answers(source)]


def test_the_share_of_strangers_comes_along(tmp_path: Path, bundle: Path) -> None:
    exports = [tmp_path / name for name in ("untold.whichone", "told.whichone")]
    with opened(tmp_path / "source", bundle) as source:
        for thing in range(4):
            source.enrol(f"thing {thing}", [harness.jpeg(thing)])
        for path, share in zip(exports, (None, 0.2), strict=True):
            source.galleries.learning.calibrate("default", unknown_share=share)
            source.galleries.publish("default", None)
            source.exporting.run("default", path)
        expected = answers(source)
    with zipfile.ZipFile(exports[0]) as untold:  # as versions before wrote it, and can read it
        assert "unknown_share" not in json.loads(untold.read("whichone.json"))
    with opened(tmp_path / "target", bundle) as target:
        target.importing.run(exports[1], "default")
        target.start()
        assert target.galleries.row("default").unknown_share == 0.2
        assert target.galleries.learning.stale() == []
        assert answers(target) == expected
        target.importing.run(exports[0], "untold")
        assert target.galleries.row("untold").unknown_share is None


def test_without_photos(source: Workspace, tmp_path: Path, bundle: Path) -> None:
    path = tmp_path / "small.whichone"
    source.exporting.run("default", path, photos=False)
    with opened(tmp_path / "data", bundle) as other:
        imported = other.importing.run(path, "default")
        assert (imported.photos, imported.pins) == (0, 0)
        assert answers(other) == answers(source)
        with pytest.raises(PhotoLost):
            other.gallery.image("default", rows(other)[0][0])
    with pytest.raises(FieldInvalid, match="is there already"):
        source.exporting.run("default", path)


def test_only_what_the_gallery_still_has(tmp_path: Path, bundle: Path) -> None:
    with opened(tmp_path / "data", bundle) as workspace:
        [item] = workspace.enrol("cup", [harness.jpeg(1)])
        workspace.enrol("hat", [harness.jpeg(2)])
        path = tmp_path / "x.whichone"
        with pytest.raises(GenerationNotFound, match="whichone index build"):
            workspace.exporting.run("default", path)
        workspace.galleries.publish("default")
        workspace.enrol("coat", [harness.jpeg(3)])  # is not in the generation, and does not travel
        manifest = workspace.exporting.run("default", path)
        assert manifest.generation.items == 2
        workspace.gallery.delete("default", item.id)
        with pytest.raises(GenerationOutdated, match="1 of the 2 photos of generation 1"):
            workspace.exporting.run("default", tmp_path / "y.whichone")
        assert [entry.name for entry in tmp_path.iterdir() if "whichone" in entry.name] == ["x.whichone"]


def test_another_bundle_is_refused(export: Path, tmp_path: Path) -> None:
    other = harness.tiny_bundle(tmp_path / "other", seed=1)
    with opened(tmp_path / "data", other) as workspace:
        with pytest.raises(GenerationMismatch, match="export was made with bundle"):
            workspace.importing.run(export, "default")
        assert rows(workspace) == []


def test_a_flipped_byte_anywhere_is_refused(target: Workspace, export: Path, tmp_path: Path) -> None:
    whole = export.read_bytes()
    with zipfile.ZipFile(export) as archive:
        infos = archive.infolist()
    assert {info.filename for info in infos} == {
        "items.bin",
        "calibration.json",
        "photos.bin",
        "pins.jsonl",
        "whichone.json",
    }
    path = tmp_path / "flipped.whichone"
    for info in infos:
        name, extra = struct.unpack_from("<HH", whole, info.header_offset + 26)
        head = info.header_offset + 30 + name + extra
        for at in (head + 1, head + info.file_size // 2, head + info.file_size - 2):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            refused(target, path, info.filename.replace(".", r"\."))
    for length in (0, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(target, path, "no zip, or was cut short")
    refused(target, tmp_path / "nowhere", "No such file")


def first_item(change: Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]) -> Any:
    def forged(contents: Contents, _: dict[str, Any]) -> None:
        line, _, rest = contents["items.bin"].partition(b"\n")
        record = json.loads(line)
        size = record["embedding"] + record["views"] + record["local"]
        record, body = change(record, rest[:size])
        contents["items.bin"] = json.dumps(record).encode() + b"\n" + body + rest[size:]

    return forged


def with_field(name: str, value: Any) -> Any:
    return first_item(lambda record, body: ({**record, name: value}, body))


def twice(contents: Contents, _: dict[str, Any]) -> None:
    contents["items.bin"] += contents["items.bin"]


def climbing(contents: Contents, _: dict[str, Any]) -> None:
    contents["../../evil"] = b"x"


def less_photos(contents: Contents, _: dict[str, Any]) -> None:
    line, _, rest = contents["photos.bin"].partition(b"\n")
    contents["photos.bin"] = rest[json.loads(line)["bytes"] :]


def other_photo(contents: Contents, _: dict[str, Any]) -> None:
    data = contents["photos.bin"]
    contents["photos.bin"] = data[:-5] + bytes([data[-5] ^ 1]) + data[-4:]


def no_calibration(contents: Contents, _: dict[str, Any]) -> None:
    contents["calibration.json"] = b"{}"


def more_items(_: Contents, manifest: dict[str, Any]) -> None:
    manifest["generation"]["items"] += 1


FORGERIES: dict[str, tuple[Any, str]] = {
    "a length that lies": (first_item(lambda r, b: ({**r, "local": r["local"] + 10**8}, b)), "middle of a record"),
    "a negative length": (with_field("views", -4), "greater than or equal to 0"),
    "a vector of no unit": (first_item(lambda r, b: (r, bytes(4 * harness.DIM) + b[4 * harness.DIM :])), "unit length"),
    "no number": (
        first_item(lambda r, b: (r, np.full(harness.DIM, np.nan, "<f4").tobytes() + b[4 * harness.DIM :])),
        "unit length",
    ),
    "local features that are none": (first_item(lambda r, b: (r, b[:-9] + bytes(9))), "checksum"),
    "a label with a line end": (with_field("label", "a\nb"), "control character"),
    "an unknown kind": (with_field("kind", "ghost"), "items.bin: kind"),
    "a field too many": (with_field("path", "/etc/passwd"), "items.bin: path"),
    "an id that is none": (with_field("id", "../x"), "items.bin: id"),
    "deep metadata": (with_field("metadata", {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": 1}}}}}}}}}), "deep"),
    "all items twice": (twice, "comes twice"),
    "a name that climbs": (climbing, "which no export has"),
    "a photo that is missing": (less_photos, "1 photos that the export refers to are not in it"),
    "a photo that is another": (other_photo, "other bytes than its sha256"),
    "a calibration that is none": (no_calibration, "are not what this version writes"),
    "a count that lies": (more_items, "its manifest says 11 items"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_export_is_refused(target: Workspace, export: Path, tmp_path: Path, forgery: str) -> None:
    change, match = FORGERIES[forgery]
    path = tmp_path / "forged.whichone"
    forge(export, path, change)
    refused(target, path, match)


def test_a_compressed_or_changed_export_is_refused(target: Workspace, export: Path, tmp_path: Path) -> None:
    path = tmp_path / "bomb.whichone"
    forge(export, path, lambda contents, _: None, compression=zipfile.ZIP_DEFLATED)
    refused(target, path, "compressed")
    with zipfile.ZipFile(export) as archive, zipfile.ZipFile(path, "w") as other:
        for name in archive.namelist():  # with checksums of a zip that are right
            other.writestr(name, archive.read(name).replace(b"thing 1", b"thing 2"))
    refused(target, path, "items.bin is not the entry that whichone.json describes")
    path.write_bytes(b"PK\x05\x06" + bytes(18))
    refused(target, path, "has no whichone.json")


def test_kill_nine_during_an_import_leaves_all_or_nothing(
    source: Workspace, export: Path, tmp_path: Path, bundle: Path
) -> None:
    data = tmp_path / "data"
    with opened(data, bundle) as workspace:
        stored = workspace.photos
    command = [sys.executable, "-m", "cli", "index", "import", str(export), "--gallery", "shop"]
    for photos in (1, 8, 12):
        running = subprocess.Popen(command, env=harness.environment(data, bundle), cwd=harness.ROOT)
        harness.until(
            "photos", lambda at=photos, run=running: len(list(stored.stored())) >= at or run.poll() is not None
        )
        running.send_signal(signal.SIGKILL)
        running.wait(harness.DEADLINE)
        with opened(data, bundle) as workspace:
            if "shop" in [row.name for row in workspace.galleries.rows()]:
                assert rows(workspace, "shop") == rows(source)
                assert answers(workspace, "shop") == answers(source)
                return
            assert workspace.gallery.discard_orphans() >= photos
            assert list(stored.stored()) == []
    with opened(data, bundle) as workspace:
        workspace.importing.run(export, "shop")
        assert answers(workspace, "shop") == answers(source)


@pytest.mark.parametrize("room", [2_000, 100_000])
def test_an_import_that_finds_no_room_leaves_nothing(
    source: Workspace, export: Path, tmp_path: Path, bundle: Path, room: int
) -> None:
    with opened(tmp_path / "data", bundle) as other:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))  # of photos the first; then of the database
        try:
            with pytest.raises((DiskFull, DatabaseUnavailable)):
                other.importing.run(export, "shop")
            with pytest.raises(DiskFull):
                source.exporting.run("default", tmp_path / "x.whichone")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        assert [row.name for row in other.galleries.rows()] == ["default"]
        assert list(other.photos.stored()) == []
        assert [entry.name for entry in tmp_path.iterdir()] == ["data"]
        other.importing.run(export, "shop")
        assert answers(other, "shop") == answers(source)
