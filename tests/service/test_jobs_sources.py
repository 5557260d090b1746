"""What an import reads: zips from strangers, folders and CSVs beneath a root."""

from __future__ import annotations

import json
import os
import stat
import struct
import warnings
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.jobs import archive
from service.jobs.archive import ArchiveLimits, ArchiveSource
from service.jobs.errors import ArchiveInvalid, EntryRefused, ImportPathRefused, NoPhotos
from service.jobs.files import CsvSource, FileLimits, FilesSource, FolderSource, beneath
from service.jobs.listing import ListedPhoto, Listing, Refusal, Showing, read_listing, readable, write_listing

LIMITS = ArchiveLimits(photo_bytes=1000, total_bytes=10_000_000, metadata_bytes=100)
EACH_ITS_OWN = Showing()


def packed(path: Path, entries: dict[str | zipfile.ZipInfo, bytes] | list[tuple[str, bytes]], **options: int) -> Path:
    """A zip of these entries."""
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", **options) as file:
        warnings.simplefilter("ignore")  # of names that come twice
        for name, data in entries.items() if isinstance(entries, dict) else entries:
            file.writestr(name, data)
    return path


def listed(path: Path, showing: Showing = EACH_ITS_OWN) -> Listing:
    source = ArchiveSource(path, "sent.zip", LIMITS)
    try:
        return source.list(showing)
    finally:
        source.close()


def refusals(listing: Listing) -> dict[str, str]:
    return {photo.name: photo.refusal.message for photo in listing.photos if photo.refusal is not None}


def fine(listing: Listing) -> list[tuple[str, str | None]]:
    return [(photo.name, photo.label) for photo in listing.photos if photo.refusal is None]


# ---------------------------------------------------------------- zips


def test_the_first_folder_is_the_label(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"cup/1.jpg": b"1", "cup/more/2.PNG": b"2", "hat/": b"", "hat\\3.jpg": b"3"})
    assert fine(listed(path)) == [("cup/1.jpg", "cup"), ("cup/more/2.PNG", "cup"), ("hat/3.jpg", "hat")]
    assert {label for _, label in fine(listed(path, Showing(distractors=True)))} == {None}
    assert {label for _, label in fine(listed(path, Showing(label="mug")))} == {"mug"}


def test_bytes_are_read_in_any_order_and_bounded(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a/1.jpg": b"one", "a/2.jpg": bytes(5000)}, compression=zipfile.ZIP_DEFLATED)
    source = ArchiveSource(path, "sent.zip", LIMITS)
    one, two = source.list(EACH_ITS_OWN).photos
    assert [len(source.read(photo)) for photo in (two, one, two)] == [1001, 3, 1001]  # one more than may be
    source.close()


def test_names_that_lead_out_or_come_twice(tmp_path: Path) -> None:
    names = ["/etc/cup.jpg", "../cup/1.jpg", "cup/../../1.jpg", "C:/cup/1.jpg", "..\\cup\\1.jpg", "cup/1.jpg"]
    path = packed(tmp_path / "a.zip", [(name, b"x") for name in [*names, "cup/1.jpg", "cup//1.jpg"]])
    found = listed(path)
    assert fine(found) == [("cup/1.jpg", "cup")]
    told = [photo.refusal.message for photo in found.photos if photo.refusal is not None]
    assert sum("leads out" in message for message in told) == 5
    assert sum("same name" in message for message in told) == 2


def test_links_passwords_archives_and_strange_packing(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("cup/link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    pipe = zipfile.ZipInfo("cup/pipe.jpg")
    pipe.external_attr = (stat.S_IFIFO | 0o600) << 16
    squeezed = zipfile.ZipInfo("cup/squeezed.jpg")
    squeezed.compress_type = zipfile.ZIP_LZMA
    path = packed(
        tmp_path / "a.zip",
        {
            "cup/good.jpg": b"x",
            link: b"/etc/passwd",
            pipe: b"",
            squeezed: b"x",
            "cup/in.zip": b"PK",
            "cup/more.7z": b"",
        },
    )
    raw = bytearray(packed(tmp_path / "b.zip", {"cup/good.jpg": b"x", "cup/secret.jpg": b"x"}).read_bytes())
    at = raw.rindex(b"PK\x01\x02") + 8  # the flags of the last entry, in the directory
    raw[at] |= 1
    (tmp_path / "b.zip").write_bytes(raw)
    found = refusals(listed(path))
    assert found.keys() == {"cup/link.jpg", "cup/pipe.jpg", "cup/squeezed.jpg", "cup/in.zip", "cup/more.7z"}
    assert "link" in found["cup/link.jpg"]
    assert "deflate" in found["cup/squeezed.jpg"]
    assert "archives in archives" in found["cup/in.zip"]
    assert refusals(listed(tmp_path / "b.zip")) == {"cup/secret.jpg": "it is encrypted; pack it without a password"}


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = packed(tmp_path / "a.zip", {"a/1.jpg": bytes(2**21), "a/2.jpg": b"2"}, compression=zipfile.ZIP_DEFLATED)
    assert "times its size" in refusals(listed(bomb))["a/1.jpg"]
    large = packed(tmp_path / "b.zip", {f"a/{n}.jpg": bytes(2**21) for n in range(5)}, compression=8)
    with pytest.raises(ArchiveInvalid, match="10485760 bytes unpacked"):
        listed(large)
    monkeypatch.setattr(archive, "MOST_ENTRIES", 3)
    with pytest.raises(ArchiveInvalid, match="4 entries; up to 3"):
        listed(packed(tmp_path / "c.zip", {f"a/{n}.jpg": b"" for n in range(4)}))
    monkeypatch.setattr(archive, "MOST_DIRECTORY", 500)  # what a directory of ten million entries would be
    with pytest.raises(ArchiveInvalid, match="cannot be read as a zip"):
        listed(packed(tmp_path / "d.zip", {f"a/{n:0200}.jpg": b"" for n in range(3)}))


def test_an_entry_that_is_not_what_it_says(tmp_path: Path) -> None:
    """Its size in the directory is smaller than what it unpacks to; the next one's checksum is wrong."""
    raw = bytearray(packed(tmp_path / "a.zip", {"a/1.jpg": b"0123456789", "a/2.jpg": b"abc"}).read_bytes())
    first = raw.index(b"PK\x01\x02")
    second = raw.index(b"PK\x01\x02", first + 1)
    raw[first + 24 : first + 28] = struct.pack("<I", 4)
    raw[second + 16 : second + 20] = struct.pack("<I", 7)
    (tmp_path / "a.zip").write_bytes(raw)
    source = ArchiveSource(tmp_path / "a.zip", "sent.zip", LIMITS)
    for photo in source.list(EACH_ITS_OWN).photos:
        with pytest.raises(EntryRefused, match="damaged"):
            source.read(photo)
    source.close()


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x05\x06" + bytes(10)])
def test_no_zip(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(ArchiveInvalid, match=r"sent\.zip cannot be read as a zip"):
        listed(tmp_path / "a.zip")


def test_a_zip_that_was_cut_short(tmp_path: Path) -> None:
    whole = packed(tmp_path / "a.zip", {f"a/{n}.jpg": b"x" * 100 for n in range(5)}).read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArchiveInvalid, match="cut short"):
        listed(tmp_path / "a.zip")


def test_what_is_no_photo_is_counted_or_told(tmp_path: Path) -> None:
    names = ["cup/1.jpg", "cup/read.me", "__MACOSX/cup/._1.jpg", "cup/.hidden.jpg", "loose.jpg"]
    found = listed(packed(tmp_path / "a.zip", dict.fromkeys(names, b"x")))
    assert fine(found) == [("cup/1.jpg", "cup")]
    assert found.ignored == 3
    assert "nobody says what it shows" in refusals(found)["loose.jpg"]
    with pytest.raises(NoPhotos, match=r"looked for \.avif"):
        listed(packed(tmp_path / "b.zip", {"cup/notes.txt": b"x"}))


def test_one_folder_around_all_labels_is_not_taken_for_the_label(tmp_path: Path) -> None:
    wrapped = packed(tmp_path / "a.zip", {"photos/cup/1.jpg": b"", "photos/hat/2.jpg": b""})
    with pytest.raises(ArchiveInvalid, match="pack from inside"):
        listed(wrapped)
    assert len(fine(listed(wrapped, Showing(label="things")))) == 2
    assert fine(listed(packed(tmp_path / "b.zip", {"cup/front/1.jpg": b""}))) == [("cup/front/1.jpg", "cup")]


def test_names_in_utf8_that_do_not_say_so(tmp_path: Path) -> None:
    raw = packed(tmp_path / "a.zip", {"caff_/1.jpg": b"x"}).read_bytes()
    (tmp_path / "a.zip").write_bytes(raw.replace(b"caff_/1.jpg", "caf\u00e9/1.jpg".encode()))
    assert fine(listed(tmp_path / "a.zip")) == [("caf\u00e9/1.jpg", "caf\u00e9")]


def test_a_table_in_the_archive(tmp_path: Path) -> None:
    table = (
        "\ufeffpath,label,external_id,metadata\n"
        'a/1.jpg,cup,sku-1,"{""size"": 3}"\n'
        "a/2.jpg, hat ,,\n"
        "a/none.jpg,hat,,\n"
        "../1.jpg,hat,,\n"
        "a/3.jpg,,,\n"
        "a/3.jpg,hat,,[1]\n"
        "a/3.jpg,hat\n"
    )
    entries = {"set/items.csv": table.encode(), **{f"set/a/{n}.jpg": b"" for n in (1, 2, 3, 4)}, "set/x.txt": b""}
    found = listed(packed(tmp_path / "a.zip", entries))
    one, two = (photo for photo in found.photos if photo.refusal is None)
    assert (one.name, one.label, one.external_id, one.metadata) == ("a/1.jpg", "cup", "sku-1", {"size": 3})
    assert (two.name, two.label, two.external_id, two.metadata) == ("a/2.jpg", "hat", None, None)
    told = [photo.refusal.message for photo in found.photos if photo.refusal is not None]
    for message, words in zip(
        told, ["no such photo", "no such photo", "'label': it is", "JSON obj", "fields"], strict=True
    ):
        assert words in message
        assert "items.csv, line" in message
    assert found.ignored == 2  # the text, and the photo that the table does not name
    with pytest.raises(ArchiveInvalid, match="several tables"):
        listed(packed(tmp_path / "b.zip", {"items.csv": b"", "labels.csv": b""}))
    with pytest.raises(NoPhotos, match="no column 'label'; came path"):
        listed(packed(tmp_path / "c.zip", {"items.csv": b"path\na.jpg\n", "a.jpg": b""}))
    squeezed = packed(tmp_path / "e.zip", {"items.csv": b"path,label\n", "a.jpg": b""}, compression=zipfile.ZIP_BZIP2)
    with pytest.raises(ArchiveInvalid, match="deflate"):
        listed(squeezed)
    with pytest.raises(NoPhotos, match="UTF-8"):
        listed(packed(tmp_path / "d.zip", {"items.csv": b"path,label\n\xff,x\n"}))


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12),
    cut=st.floats(0, 1),
)
def test_whatever_a_zip_holds_no_other_error_comes(
    tmp_path: Path, changes: list[tuple[float, int]], cut: float
) -> None:
    entries = {"a/1.jpg": b"0123456789" * 20, "items.csv": b"path,label\na/1.jpg,x\nb.jpg,y\n", "b.jpg": b"xyz"}
    raw = bytearray(packed(tmp_path / "a.zip", entries, compression=zipfile.ZIP_DEFLATED).read_bytes())
    for where, byte in changes:
        raw[int(where * len(raw))] = byte
    (tmp_path / "a.zip").write_bytes(raw if cut > 0.3 else raw[: int(cut * 3 * len(raw))])
    try:
        source = ArchiveSource(tmp_path / "a.zip", "sent.zip", LIMITS)
    except ArchiveInvalid:
        return
    try:
        for photo in source.list(EACH_ITS_OWN).photos:
            if photo.refusal is None:
                with suppress(EntryRefused):
                    assert len(source.read(photo)) <= LIMITS.photo_bytes + 1
    except (ArchiveInvalid, NoPhotos):
        pass
    finally:
        source.close()


# ---------------------------------------------------------------- folders and CSVs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An import root with links of every kind, and secrets beside it."""
    outside = tmp_path / "outside"
    root = tmp_path / "root"
    for folder in (outside, root / "shop" / "cup", root / "shop" / "hat" / "more", root / "shop" / ".git"):
        folder.mkdir(parents=True)
    (outside / "secret.jpg").write_bytes(b"secret")
    for name in ("cup/1.jpg", "hat/more/2.png", "hat/notes.txt", ".git/3.jpg", "loose.jpg", "cup/.hidden.jpg"):
        (root / "shop" / name).write_bytes(name.encode())
    (root / "shop" / "cup" / "out.jpg").symlink_to(outside / "secret.jpg")
    (root / "shop" / "cup" / "in.jpg").symlink_to(root / "shop" / "hat" / "more" / "2.png")
    (root / "shop" / "away").symlink_to(outside)
    (root / "away").symlink_to(outside)
    return root


def limits(root: Path | None) -> FileLimits:
    return FileLimits(photo_bytes=1000, metadata_bytes=100, root=root)


def test_a_folder_beneath_the_root(root: Path) -> None:
    source = FolderSource(beneath(root, "shop"), "shop", limits(root))
    found = source.list(EACH_ITS_OWN)
    assert fine(found) == [("shop/cup/1.jpg", "cup"), ("shop/cup/in.jpg", "cup"), ("shop/hat/more/2.png", "hat")]
    assert refusals(found).keys() == {"shop/away", "shop/cup/out.jpg", "shop/loose.jpg"}  # and no name from outside
    assert found.ignored == 1
    photos = [photo for photo in found.photos if photo.refusal is None]
    assert [source.read(photo) for photo in photos] == [b"cup/1.jpg", b"hat/more/2.png", b"hat/more/2.png"]


def test_a_file_that_becomes_a_link_after_it_was_listed(root: Path, tmp_path: Path) -> None:
    source = FolderSource(beneath(root, "shop"), "shop", limits(root))
    [photo, *_] = source.list(EACH_ITS_OWN).photos[1:]
    path = root / "shop" / "cup" / "1.jpg"
    assert photo.place == str(path)
    path.unlink()
    path.symlink_to(tmp_path / "outside" / "secret.jpg")
    with pytest.raises(EntryRefused, match="outside"):
        source.read(photo)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(EntryRefused, match="no file"):  # and does not wait for a writer
        source.read(photo)
    path.unlink()
    with pytest.raises(EntryRefused, match=r"shop/cup/1\.jpg cannot be read: No such file"):
        source.read(photo)


@pytest.mark.parametrize(
    "named", ["", "/etc", "..", "shop/../../outside", "a\0b", "away", "nowhere", "\ud800", "x" * 5000]
)
def test_paths_that_are_not_beneath_the_root(root: Path, named: str) -> None:
    with pytest.raises(ImportPathRefused):
        beneath(root, named)


def test_a_csv_beneath_the_root(root: Path, tmp_path: Path) -> None:
    lines = ["path,label", "cup/1.jpg,cup", "../../outside/secret.jpg,x", f"{tmp_path}/outside/secret.jpg,x"]
    (root / "shop" / "list.csv").write_text("\n".join([*lines, "away/secret.jpg,x", "hat/notes.txt,x", "no.jpg,x"]))
    source = CsvSource(beneath(root, "shop/list.csv"), "shop/list.csv", limits(root))
    found = source.list(EACH_ITS_OWN)
    assert fine(found) == [("cup/1.jpg", "cup"), ("no.jpg", "x")]
    assert ["outside" in message for message in refusals(found).values()] == [True, True, True, False]
    with pytest.raises(EntryRefused, match=r"no\.jpg cannot be read"):
        source.read(found.photos[-1])


def test_on_a_command_line_everything_may_be_named(root: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"path,label\n{root}/shop/hat/notes.txt,hat\noutside/secret.jpg,x\n")
    source = CsvSource(tmp_path / "list.csv", "list.csv", limits(None))
    assert [source.read(photo) for photo in source.list(EACH_ITS_OWN).photos] == [b"hat/notes.txt", b"secret"]
    single = FilesSource([tmp_path / "list.csv"], limits(None))
    assert fine(single.list(Showing(label="x"))) == [(str(tmp_path / "list.csv"), "x")]
    with pytest.raises(NoPhotos, match="what does it show"):
        single.list(EACH_ITS_OWN)
    with pytest.raises(NoPhotos, match="exclude each other"):
        Showing(label="x", distractors=True)


# ---------------------------------------------------------------- the listing


@given(
    st.lists(
        st.builds(
            ListedPhoto,
            name=st.text(),
            place=st.text(alphabet=st.characters(min_codepoint=1)),
            label=st.none() | st.text(),
            external_id=st.none() | st.text(),
            metadata=st.none() | st.dictionaries(st.text(), st.integers() | st.text() | st.none()),
            refusal=st.none() | st.builds(Refusal, code=st.text(), message=st.text()),
        ),
        max_size=5,
    ),
    st.integers(0, 5),
)
@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_listing_comes_back_as_it_was(tmp_path: Path, photos: list[ListedPhoto], start: int) -> None:
    write_listing(tmp_path / "listing.jsonl", Listing(photos))
    assert list(read_listing(tmp_path / "listing.jsonl", start)) == photos[start:]


@given(st.text(max_size=2000))
@settings(deadline=None, derandomize=True)
def test_a_report_takes_every_name(text: str) -> None:
    kept = readable(text)
    assert len(kept) <= 300
    assert "\0" not in kept
    json.loads(json.dumps(kept.encode().decode()))  # no half of a surrogate pair
    assert "\n" not in kept


def test_memory_stays_bounded_by_what_a_photo_may_have(tmp_path: Path) -> None:
    """`zipfile` unpacks no more of a deflated entry than it is asked for; LZMA would, and is refused."""
    path = tmp_path / "a.zip"
    packed(path, {"a/1.jpg": bytes(2**20)}, compression=zipfile.ZIP_DEFLATED)
    source = ArchiveSource(path, "sent.zip", LIMITS)
    [photo] = source.list(EACH_ITS_OWN).photos
    assert len(source.read(photo)) == LIMITS.photo_bytes + 1
    source.close()
