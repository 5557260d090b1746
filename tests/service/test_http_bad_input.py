"""Every bad input is answered with a problem: a stable code, and a sentence that says what would do."""

from __future__ import annotations

import base64
import io
import json
import socket
import struct
import zlib
from typing import Any

import harness
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image


def png_bomb() -> bytes:
    """20,000 x 20,000 pixels in a few hundred bytes of header and some compressed zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(2501 * 20_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiny_png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    return file.getvalue()


def animated_gif() -> bytes:
    file = io.BytesIO()
    frames = [Image.open(io.BytesIO(harness.jpeg(seed))) for seed in (1, 2)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


PHOTOS = {
    "empty": (b"", 422, "empty_image"),
    "text": (b"this is no picture, whatever its name says", 422, "not_an_image"),
    "truncated": (harness.jpeg(1)[:1500], 422, "truncated_image"),
    "bomb": (png_bomb(), 413, "too_many_pixels"),
    "one pixel": (tiny_png(), 422, "image_too_small"),
    "pdf": (b"%PDF-1.7 and so on", 415, "unsupported_format"),
    "too many bytes": (b"\xff\xd8\xff" + bytes(600_000), 413, "image_too_large"),
}


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"]) == (status, code), body
    assert body["status"] == status
    assert body["type"] == f"urn:whichone:problem:{code}"
    assert body["title"]
    assert len(body["detail"]) > 15
    assert body["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return body


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_that_is_none(server: harness.Server, gallery: str, name: str) -> None:
    data, status, code = PHOTOS[name]
    refused(server.post("/recognize", files={"image": ("photo.jpg", data)}), status, code)
    body = {"image_base64": base64.b64encode(data).decode()}
    refused(server.post("/recognize", json=body), status, code)
    query = {"gallery": gallery}
    added = server.post("/index", params=query, data={"label": "x"}, files={"images": ("photo.jpg", data)})
    assert refused(added, status, code)["field"] == "images[0]"
    refused(server.get("/index", params=query), 404, "unknown_gallery")  # nothing came into being


def test_the_first_frame_of_an_animation_is_a_photo(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "beans", animated_gif())
    assert server.best(gallery, animated_gif()) == "beans"


def test_photos_that_show_nothing_are_kept_out_of_a_gallery(server: harness.Server, gallery: str) -> None:
    query = {"gallery": gallery}
    for photo, defect in ((harness.grey(), "blank"), (harness.jpeg(1, (160, 20)), "tiny")):
        answer = server.post("/index", params=query, data={"label": "x"}, files={"images": ("photo.jpg", photo)})
        body = refused(answer, 422, "unusable_photo")
        assert (body["field"], body["defect"]) == ("images[0]", defect)
        distractor = server.post("/index/distractors", params=query, files={"images": ("photo.jpg", photo)})
        assert distractor.status_code == 201  # it is none of the gallery, which is all that a distractor says
    [item] = server.add(gallery, "blurred", harness.blurred(1))
    assert not item["duplicate"]


def test_a_question_that_shows_nothing_is_never_answered_with_a_label(server: harness.Server, gallery: str) -> None:
    for seed in range(12):
        server.add(gallery, f"label {seed}", harness.jpeg(seed))
    server.add(gallery, "blurred", harness.blurred(1))
    for photo, words in (
        (harness.grey(), "one colour"),
        (harness.jpeg(1, (160, 20)), "160 x 20 pixels"),
        (harness.blurred(1), "blurred"),  # the very photo that is enrolled
    ):
        body = server.ask(gallery, photo)
        assert (body["verdict"], body["reason"], body["label"]) == ("unknown", "unusable_photo", None)
        assert words in body["explanation"]
        assert len(body["candidates"]) == 5
        assert body["confidence"] == body["candidates"][0]["confidence"]


def test_a_wrong_field_name_is_named(server: harness.Server) -> None:
    body = refused(server.post("/recognize", files={"photo": ("p.jpg", harness.jpeg(1))}), 422, "missing_field")
    assert body["detail"] == "field `image` is missing; got `photo`"
    assert body["field"] == "image"
    more = server.post("/recognize", files={"image": ("p.jpg", harness.jpeg(1))}, data={"topk": "3"})
    assert "`topk`" in refused(more, 422, "unknown_field")["detail"]
    text = server.post("/recognize", data={"image": "photo.jpg"}, files={"x": b""})
    assert "unknown" in refused(text, 422, "unknown_field")["detail"]
    label = server.post("/index", files={"images": ("p.jpg", harness.jpeg(1))})
    assert refused(label, 422, "missing_field")["field"] == "label"


@pytest.mark.parametrize("path", ["/recognize", "/index", "/index/distractors"])
def test_a_body_that_is_no_form(server: harness.Server, path: str) -> None:
    refused(server.post(path), 415, "unsupported_body")
    refused(server.post(path, content=harness.jpeg(1), headers={"content-type": "image/jpeg"}), 415, "unsupported_body")
    form = {"content-type": "multipart/form-data; boundary=x"}
    refused(server.post(path, content=b"", headers=form), 422, "missing_field")
    broken = b"--x\r\nContent-Disposition: form-data\r\n\r\nabc"
    refused(server.post(path, content=broken, headers=form), 400, "malformed_body")
    refused(server.post(path, content=b"", headers={"content-type": "multipart/form-data"}), 400, "malformed_body")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed_body"),
        (b"{", 400, "malformed_body"),
        (b"[]", 400, "malformed_body"),
        (b"\xff\xfe", 400, "malformed_body"),
        (b"[" * 100_000, 400, "malformed_body"),
        (b"{}", 422, "missing_field"),
        (b'{"image": "x"}', 422, "unknown_field"),
        (b'{"image_base64": 1}', 422, "invalid_field"),
        (b'{"image_base64": "***"}', 422, "invalid_field"),
        (b'{"image_base64": "\xc3\xa9"}', 422, "invalid_field"),
        (b'{"image_base64": "AAAA", "top_k": true}', 422, "invalid_field"),
        (b'{"image_base64": "AAAA", "box": {"x": 1}}', 422, "invalid_field"),
    ],
)
def test_json_that_is_not_as_it_should_be(server: harness.Server, body: bytes, status: int, code: str) -> None:
    answer = server.post("/recognize", content=body, headers={"content-type": "application/json"})
    refused(answer, status, code)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"box": "0,0,5000,5000"}, "box_outside_photo"),
        ({"box": "1,2,3"}, "invalid_box"),
        ({"box": "left"}, "invalid_box"),
        ({"box": "nan,0,1,1"}, "invalid_box"),
        ({"top_k": "0"}, "invalid_field"),
        ({"top_k": "101"}, "invalid_field"),
        ({"top_k": "9" * 4000}, "invalid_field"),
        ({"top_k": "many"}, "invalid_field"),
        ({"explain": "perhaps"}, "invalid_field"),
        ({"search": "outside"}, "invalid_field"),
    ],
)
def test_options_out_of_range(server: harness.Server, gallery: str, fields: dict[str, str], code: str) -> None:
    server.add(gallery, "beans", harness.jpeg(1))
    files = {"image": ("p.jpg", harness.jpeg(1))}
    refused(server.post("/recognize", params={"gallery": gallery}, files=files, data=fields), 422, code)


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("x" * 10_000, "invalid_label"),
        ("x" * 201, "invalid_label"),
        ("   ", "invalid_label"),
        ("a\x00b", "invalid_label"),
        ("a\nb", "invalid_label"),
        ("x" * 100_000, "field_too_large"),
    ],
)
def test_labels_that_are_none(server: harness.Server, gallery: str, label: str, code: str) -> None:
    files = {"images": ("p.jpg", harness.jpeg(1))}
    answer = server.post("/index", params={"gallery": gallery}, data={"label": label}, files=files)
    refused(answer, 413 if code == "field_too_large" else 422, code)


@pytest.mark.parametrize(
    "metadata",
    [
        "not JSON",
        "[1]",
        '"text"',
        "{'a': 1}",
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        '{"a":' * 9 + "1" + "}" * 9,
        '{"a":' + "[" * 5000 + "]" * 5000 + "}",
        '{"a": ' + "1" * 5000 + "}",
    ],
)
def test_metadata_that_is_none(server: harness.Server, gallery: str, metadata: str) -> None:
    files = {"images": ("p.jpg", harness.jpeg(1))}
    data = {"label": "beans", "metadata": metadata}
    answer = server.post("/index", params={"gallery": gallery}, data=data, files=files)
    assert refused(answer, 422, "invalid_metadata")["field"] == "metadata"


def test_metadata_may_be_large_but_not_that_large(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "beans", harness.jpeg(1), metadata=json.dumps({"a": "x" * 16_000}))
    files = {"images": ("p.jpg", harness.jpeg(2))}
    data = {"label": "beans", "metadata": json.dumps({"a": "x" * 17_000})}
    refused(server.post("/index", params={"gallery": gallery}, data=data, files=files), 413, "field_too_large")


def test_an_unknown_gallery_names_those_that_exist(server: harness.Server, gallery: str) -> None:
    server.add(gallery, "beans", harness.jpeg(1))
    files = {"image": ("p.jpg", harness.jpeg(1))}
    body = refused(server.post("/recognize", params={"gallery": "nowhere"}, files=files), 404, "unknown_gallery")
    assert gallery in body["existing"]
    assert "default" in body["detail"]
    for name in ("Upper", "-x", "a/b", "x" * 65, "", "a b", "ü"):
        answer = server.post("/recognize", params={"gallery": name}, files=files)
        refused(answer, 422, "invalid_gallery_name")


def test_the_empty_default_gallery_says_unknown(server: harness.Server) -> None:
    body = server.ask("default", harness.jpeg(1))
    assert (body["verdict"], body["reason"], body["label"], body["candidates"]) == (
        "unknown",
        "empty_gallery",
        None,
        [],
    )
    refused(server.post("/galleries/default/calibrate"), 409, "empty_gallery")


def test_paths_methods_and_parameters_that_are_not_there(server: harness.Server, gallery: str) -> None:
    refused(server.get("/nothing"), 404, "unknown_path")
    refused(server.client.put("/index"), 405, "method_not_allowed")
    near = refused(server.get("/index", params={"galery": "x"}), 422, "unknown_field")
    assert "did you mean `gallery`" in near["detail"]
    refused(server.get("/index", params={"limit": "0"}), 422, "invalid_field")
    refused(server.get("/index", params={"limit": "many"}), 422, "invalid_field")
    refused(server.get("/index", params={"kind": "dog"}), 422, "invalid_field")
    refused(server.get("/index", params={"after": "xyz"}), 422, "invalid_field")
    server.add(gallery, "beans", harness.jpeg(1))
    query = {"gallery": gallery}
    refused(server.client.patch("/labels/tea", params=query, json={"label": "x"}), 404, "unknown_label")
    refused(server.client.delete("/labels/tea", params=query), 404, "unknown_label")
    refused(server.client.patch("/labels/beans", params=query, json={"name": "x"}), 422, "invalid_field")
    json_type = {"content-type": "application/json"}
    broken = server.client.patch("/labels/beans", params=query, content=b"{", headers=json_type)
    refused(broken, 400, "malformed_body")
    for aims in ({"far_budget": 2}, {"unknown_share": 0}, {"unknown_share": 1}, {"unknown_share": "few"}):
        refused(server.post(f"/galleries/{gallery}/calibrate", json=aims), 422, "invalid_field")
    refused(server.post(f"/galleries/{gallery}/rollback", json={"generation": 7}), 404, "generation_not_found")


def test_more_photos_than_a_request_carries(server: harness.Server, gallery: str) -> None:
    for count in (5, 30):
        files = [("images", ("p.jpg", harness.jpeg(seed))) for seed in range(count)]
        answer = server.post("/index", params={"gallery": gallery}, data={"label": "x"}, files=files)
        assert refused(answer, 413, "too_many_images")["limit"] == 4


def test_more_bytes_than_a_request_carries(server: harness.Server) -> None:
    files = {"image": ("p.jpg", bytes(2_500_000))}
    assert refused(server.post("/recognize", files=files), 413, "request_too_large")["limit"] == 2_000_000

    def chunks() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="p"\r\n\r\n'
        for _ in range(30):
            yield bytes(100_000)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    refused(server.post("/recognize", content=chunks(), headers=headers), 413, "request_too_large")
    query = {"content-type": "application/json"}
    answer = server.client.patch("/labels/x", content=b" " * 2_500_000, headers=query)
    refused(answer, 413, "request_too_large")


def test_a_body_that_stops_coming_is_given_up(server: harness.Server) -> None:
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port or 80), timeout=30) as connection:
        connection.sendall(
            b"POST /recognize HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x"
        )
        assert b" 408 " in connection.recv(4096)


def test_the_server_is_well_after_all_of_this(server: harness.Server) -> None:
    assert server.get("/healthz").json() == {"status": "ok"}
    assert server.get("/readyz").json()["status"] == "ready"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300), kind=st.sampled_from(["application/json", "multipart/form-data; boundary=a"]))
def test_no_bytes_bring_a_500(server: harness.Server, body: bytes, kind: str) -> None:
    for path in ("/recognize", "/index"):
        answer = server.post(path, content=body, headers={"content-type": kind})
        assert 400 <= answer.status_code < 500
        assert answer.headers["content-type"] == "application/problem+json"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(label=st.text(max_size=250), metadata=st.text(max_size=60), external_id=st.text(max_size=210))
def test_no_text_brings_a_500(
    server: harness.Server, gallery: str, label: str, metadata: str, external_id: str
) -> None:
    fields = {"label": label, "metadata": metadata, "external_id": external_id}
    data = {name: text.encode(errors="surrogatepass") for name, text in fields.items()}
    files = {"images": ("p.jpg", harness.jpeg(1))}
    answer = server.post("/index", params={"gallery": gallery}, data=data, files=files)
    assert answer.status_code == 201 or 400 <= answer.status_code < 500, answer.text
