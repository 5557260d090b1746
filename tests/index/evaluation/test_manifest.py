"""Manifests: what is read, and what is refused with file, line and column."""

from __future__ import annotations

import pytest

from index.evaluation.manifest import (
    ManifestInvalid,
    PhotosOverlap,
    PhotosUnreadable,
    fingerprint,
    load_manifest,
    load_parts,
)


@pytest.fixture
def write(tmp_path):
    def _write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


def test_one_file_with_roles(write, tmp_path):
    path = write(
        "sub/all.csv",
        "path,label,is_known,role,colour\n"
        "a.jpg,cup,,gallery,red\n"
        "b.jpg,cup,1,query,red\n"
        'c.jpg,"a, b",0,query,blue\n'
        "d.jpg,,0,calibrate,\n"
        "e.jpg,,,distractor,\n",
    )
    manifest = load_manifest(path)
    assert [photo.name for photo in manifest.gallery] == ["a.jpg"]
    assert [(photo.label, photo.known) for photo in manifest.queries] == [("cup", True), ("a, b", False)]
    assert manifest.queries[0].path == tmp_path / "sub" / "b.jpg"
    assert manifest.queries[1].groups == {"colour": "blue"}
    assert (len(manifest.calibrate), len(manifest.distractors)) == (1, 1)
    assert manifest.labels == {"cup"}


def test_files_by_role_and_known_looked_up_in_the_gallery(write):
    gallery = write("g.csv", "\ufeffpath,label\ng.jpg,cup\n")
    queries = write("q/q.csv", "path,label\nq1.jpg,cup\nq2.jpg,hat\n")
    manifest = load_parts(gallery, queries)
    assert [photo.known for photo in manifest.queries] == [True, False]
    assert manifest.queries[0].path.parent == queries.parent


BAD = [
    ("path,label\na.jpg,cup\n", r"line 1: no column 'role'"),
    ("path,lable,role\na.jpg,cup,gallery\n", r"no column 'label'.*did you mean 'lable'"),
    ("path,label,role\na.jpg,cup,galery\n", r"line 2, column 'role': came 'galery'.*did you mean gallery"),
    ("path,label,role\n,cup,gallery\n", r"line 2, column 'path'"),
    ("path,label,role\na.jpg,,gallery\n", r"line 2, column 'label'"),
    (
        "path,label,role,is_known\na.jpg,cup,gallery,\nb.jpg,cup,query,maybe\n",
        r"line 3, column 'is_known': came 'maybe'",
    ),
    (
        "path,label,role,is_known\na.jpg,cup,gallery,\nb.jpg,cap,query,1\n",
        r"line 3.*'cap'.*did you mean 'cup'",
    ),
    (
        "path,label,role,is_known\na.jpg,cup,gallery,\nb.jpg,cup,query,0\n",
        r"line 3.*'is_known'.*the gallery has",
    ),
    ("path,label,role\na.jpg,cup,gallery,extra\n", r"line 2: more fields"),
    ("path,label,role\na.jpg,cup\n", r"line 2: fewer fields"),
    ("path,label,role\na.jpg,cup,gallery\n", r"no photo with role 'query'"),
    ("path,label,role\na.jpg,cup,query\n", r"no photo with role 'gallery'"),
    ("", r"line 1: no column 'path'; came nothing"),
    (b"path,label,role\n\xff\xfe.jpg,cup,gallery\n", r"cannot be read as a UTF-8 CSV"),
    ('path,label,role\n"a.jpg,cup,gallery\n', r"cannot be read as a UTF-8 CSV"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_what_is_wrong_is_named(write, text, message):
    path = write("bad.csv", text)
    with pytest.raises(ManifestInvalid, match=message) as caught:
        load_manifest(path)
    assert "bad.csv" in caught.value.message or "no photo with role" in caught.value.message


def test_an_absent_file(tmp_path):
    with pytest.raises(ManifestInvalid, match="no such file"):
        load_manifest(tmp_path / "none.csv")


def photos(write, **contents):
    for name, content in contents.items():
        write(f"{name}.jpg", content)


def test_unreadable_photos_are_listed_all_at_once(write, tmp_path):
    photos(write, g="g")
    (tmp_path / "folder.jpg").mkdir()
    path = write(
        "m.csv",
        "path,label,role\ng.jpg,cup,gallery\nx.jpg,cup,query\ny.jpg,cup,query\nfolder.jpg,cup,query\n",
    )
    with pytest.raises(PhotosUnreadable) as caught:
        fingerprint(load_manifest(path))
    assert len(caught.value.details["photos"]) == 3
    assert all(name in caught.value.message for name in ("x.jpg", "y.jpg", "folder.jpg"))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("gallery", "query"),
        ("gallery", "calibrate"),
        ("calibrate", "query"),
        ("distractor", "query"),
        ("gallery", "distractor"),
    ],
)
def test_one_photo_for_two_ends_is_refused_by_content(write, first, second):
    photos(write, g="gallery", q="query", one="the same", two="the same")
    path = write(
        "m.csv",
        f"path,label,role\ng.jpg,cup,gallery\nq.jpg,cup,query\none.jpg,cup,{first}\ntwo.jpg,cup,{second}\n",
    )
    with pytest.raises(PhotosOverlap, match=r"1 photo\(s\)") as caught:
        fingerprint(load_manifest(path))
    assert "one.jpg" in caught.value.message
    assert "two.jpg" in caught.value.message


def test_the_same_photo_twice_in_one_role_is_no_leak(write):
    photos(write, g="g", h="g", q="q")
    path = write("m.csv", "path,label,role\ng.jpg,cup,gallery\nh.jpg,cup,gallery\nq.jpg,cup,query\n")
    hashed = fingerprint(load_manifest(path))
    assert hashed.gallery[0].sha256 == hashed.gallery[1].sha256 != hashed.queries[0].sha256
