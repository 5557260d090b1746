"""A multipart body becomes a file as it comes, however it is cut; whatever is no such body is told."""

from __future__ import annotations

import uuid
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedding.errors import WhichoneError
from service.errors import FieldInvalid, FieldMissing, FieldTooLarge, FieldUnknown, MalformedBody
from service.jobs.upload import Upload

TYPE = "multipart/form-data; boundary=xyz"
ARCHIVE = b'Content-Disposition: form-data; name="archive"; filename="caf\xc3\xa9.zip"\r\nContent-Type: application/zip'
TEXT = b'Content-Disposition: form-data; name="distractors"'


def body(*parts: tuple[bytes, bytes]) -> bytes:
    return b"".join(b"--xyz\r\n" + head + b"\r\n\r\n" + data + b"\r\n" for head, data in parts) + b"--xyz--\r\n"


def parse(folder: Path, *chunks: bytes, content_type: str = TYPE) -> tuple[Upload, bytes]:
    target = folder / uuid.uuid4().hex
    with Upload(content_type, target) as upload:
        for chunk in chunks:
            upload.write(chunk)
        upload.finish()
    return upload, target.read_bytes()


@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=300) | st.just(b"\r\n--xy\r\n--xyz"[:-1]), size=st.integers(1, 40))
def test_however_it_is_cut(tmp_path: Path, data: bytes, size: int) -> None:
    if b"\r\n--xyz" in data:
        return
    whole = body((TEXT, b"true"), (ARCHIVE, data))
    upload, written = parse(tmp_path, *(whole[at : at + size] for at in range(0, len(whole), size)))
    assert (written, upload.name, upload.texts) == (data, "caf\u00e9.zip", {"distractors": "true"})


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8))
def test_whatever_comes_no_other_error_does(tmp_path: Path, changes: list[tuple[float, int]]) -> None:
    raw = bytearray(body((TEXT, b"true"), (ARCHIVE, b"PK and so on")))
    for where, byte in changes:
        raw[int(where * len(raw))] = byte
    with suppress(WhichoneError):
        parse(tmp_path, bytes(raw))


@pytest.mark.parametrize(
    ("sent", "error", "words"),
    [
        (body((TEXT, b"true")), FieldMissing, "`archive` is missing; got `distractors`"),
        (body((ARCHIVE, b"x"), (ARCHIVE, b"y")), FieldInvalid, "came twice"),
        (body((ARCHIVE.replace(b"archive", b"photos"), b"x")), FieldUnknown, "`photos` is unknown here"),
        (body((b'Content-Disposition: form-data; name="archive"', b"x")), FieldInvalid, "curl: -F archive=@"),
        (body((TEXT + b'; filename="a"', b"x")), FieldInvalid, "came as a file"),
        (body((TEXT, b"x" * 2000)), FieldTooLarge, "1024 bytes"),
        (body((ARCHIVE, b"x" * 100))[:-40], MalformedBody, "ends before its last boundary"),
        (b"no multipart", MalformedBody, "cannot be read"),
        (b"", MalformedBody, "ends before"),
    ],
)
def test_what_is_no_such_form(tmp_path: Path, sent: bytes, error: type[WhichoneError], words: str) -> None:
    with pytest.raises(error, match=words.replace("(", r"\(")):
        parse(tmp_path, sent)


@pytest.mark.parametrize("content_type", ["multipart/form-data", f"multipart/form-data; boundary={'x' * 500}"])
def test_no_usable_boundary(tmp_path: Path, content_type: str) -> None:
    with pytest.raises(MalformedBody):
        parse(tmp_path, body((ARCHIVE, b"x")), content_type=content_type)
