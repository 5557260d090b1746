"""Every format and colour mode that is read, made for real with Pillow and compared by value."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, features
from PIL.PngImagePlugin import PngInfo
from scenes import Save, scene

from embedding.box import Box
from embedding.image_errors import UnsupportedFormat
from embedding.images import decode

LOSSLESS = [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {"lossless": True})]
LOSSY = [("JPEG", {"quality": 95}), ("JPEG", {"progressive": True, "quality": 95}), ("WEBP", {"quality": 95})]


def distance(left: Image.Image, right: Image.Image) -> float:
    """Mean absolute difference of two pictures of one size, in levels of 255."""
    assert left.size == right.size
    return float(np.abs(np.asarray(left, np.float64) - np.asarray(right, np.float64)).mean())


@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
def test_lossless_formats_give_the_same_pixels(
    kind: str, options: dict[str, Any], photo: Image.Image, save: Save
) -> None:
    got = decode(save(photo, kind, **options))
    assert got.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(got), np.asarray(photo))


@pytest.mark.parametrize(("kind", "options"), LOSSY)
def test_lossy_formats_come_close(kind: str, options: dict[str, Any], photo: Image.Image, save: Save) -> None:
    got = decode(save(photo, kind, **options))
    assert got.mode == "RGB"
    assert distance(got, photo) < 3


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_avif(photo: Image.Image, save: Save) -> None:
    assert distance(decode(save(photo, "AVIF", quality=95)), photo) < 3


def test_heic(photo: Image.Image) -> None:
    heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    heif.from_pillow(photo).save(file, quality=95)
    assert distance(decode(file.getvalue()), photo) < 3


def test_heic_without_its_package_says_what_to_install(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    heif.from_pillow(photo).save(file)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # what Python does for a package that cannot be imported
    with pytest.raises(UnsupportedFormat, match=r"whichone\[heif\]"):
        decode(file.getvalue())


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_several_frames_the_first_is_read(kind: str, save: Save) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    first, second = Image.new("RGB", (40, 30), (200, 30, 30)), Image.new("RGB", (40, 30), (30, 30, 200))
    got = decode(save(first, kind, save_all=True, append_images=[second, second]))
    assert distance(got, first) < 4


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(kind: str, orientation: int, photo: Image.Image, save: Save) -> None:
    """Eight files that show the same scene to a person: each stored turned, with the tag that says so."""
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    stored = {
        1: photo,
        2: ImageOps.mirror(photo),
        3: photo.rotate(180),
        4: ImageOps.flip(photo),
        5: photo.transpose(Image.Transpose.TRANSPOSE),
        6: photo.transpose(Image.Transpose.ROTATE_90),
        7: photo.transpose(Image.Transpose.TRANSVERSE),
        8: photo.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    exif = Image.Exif()
    exif[0x010F] = "a maker, so that the tag is not the first"
    exif[0x0112] = orientation
    got = decode(save(stored, kind, exif=exif, **({} if kind in ("PNG", "TIFF") else {"quality": 95})))
    assert got.size == photo.size
    assert distance(got, photo) < 4
    assert not got.info
    assert ImageOps.exif_transpose(got).size == photo.size  # nothing is left for anyone to turn again


def test_heic_is_turned_by_its_own_property_alone(photo: Image.Image, save: Save) -> None:
    """libheif applies ``irot``; an EXIF tag beside it says the same again and must not turn the photo twice."""
    pytest.importorskip("pillow_heif").register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    data = save(photo, "HEIF", exif=exif, quality=95)
    if b"irot" in data:
        pytest.skip("this pillow-heif turns what it writes")
    assert distance(decode(data), photo) < 4


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_adobe_cmyk_is_not_a_negative(kind: str, photo: Image.Image, save: Save) -> None:
    """Pillow writes CMYK JPEGs as Adobe does, inverted and marked so."""
    data = save(photo.convert("CMYK"), kind, **({"quality": 95} if kind == "JPEG" else {}))
    assert (b"Adobe" in data) == (kind == "JPEG")
    assert distance(decode(data), photo) < 4


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_clipped(kind: str, save: Save) -> None:
    ramp = np.linspace(0, 65535, 64 * 16).round().astype(np.uint16).reshape(16, 64)
    got = np.asarray(decode(save(Image.fromarray(ramp), kind)))
    np.testing.assert_array_equal(got[..., 0], np.rint(ramp / 257).astype(np.uint8))
    np.testing.assert_array_equal(got[..., 0], got[..., 2])


def test_big_endian_sixteen_bit_tiff(save: Save) -> None:
    ramp = np.arange(0, 65536, 64, dtype=">u2").reshape(16, 64)
    head = b"MM\x00*\x00\x00\x00\x08"
    tags = [(256, 64), (257, 16), (258, 16), (259, 1), (262, 1), (277, 1), (278, 16), (279, ramp.nbytes)]
    start = 8 + 2 + 12 * (len(tags) + 1) + 4
    entries = sorted([*tags, (273, start)])
    table = len(entries).to_bytes(2) + b"".join(
        tag.to_bytes(2) + b"\x00\x04\x00\x00\x00\x01" + value.to_bytes(4) for tag, value in entries
    )
    got = np.asarray(decode(head + table + b"\x00" * 4 + ramp.tobytes()))
    np.testing.assert_array_equal(got[..., 1], np.rint(ramp / 257).astype(np.uint8))


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_float_tiff_is_scaled_by_its_range(white: float, save: Save) -> None:
    ramp = np.linspace(0, white, 32 * 32, dtype=np.float32).reshape(32, 32)
    got = np.asarray(decode(save(Image.fromarray(ramp), "TIFF")))
    assert np.abs(got[..., 0] - np.linspace(0, 255, 32 * 32).reshape(32, 32)).max() <= 0.51


@pytest.mark.parametrize("value", [-1.0, 1e9, float("nan"), float("inf")])
def test_float_tiff_beyond_any_photo_is_refused(value: float, save: Save) -> None:
    values = np.full((16, 16), 0.5, np.float32)
    values[3, 4] = value
    with pytest.raises(UnsupportedFormat, match="range"):
        decode(save(Image.fromarray(values), "TIFF"))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_transparency_is_laid_on_white(mode: str, kind: str, save: Save) -> None:
    image = Image.new(mode, (20, 20), (0, 0, 0, 0) if mode == "RGBA" else (0, 0))
    image.paste((0, 0, 0, 128) if mode == "RGBA" else (0, 128), (10, 0, 20, 20))
    got = np.asarray(decode(save(image, kind)))
    assert (got[:, :10] == 255).all()
    assert (got[:, 10:] == 127).all()


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_transparent_palette_is_laid_on_white(kind: str, save: Save) -> None:
    image = Image.new("P", (20, 20), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (10, 0, 20, 20))
    got = np.asarray(decode(save(image, kind, transparency=0)))
    assert (got[:, :10] == 255).all()
    np.testing.assert_array_equal(got[5, 15], [200, 100, 50])


def test_a_transparent_colour_without_alpha_is_laid_on_white(save: Save) -> None:
    image = Image.new("RGB", (20, 20), (1, 2, 3))
    image.paste((9, 9, 9), (10, 0, 20, 20))
    got = np.asarray(decode(save(image, "PNG", transparency=(1, 2, 3))))
    assert (got[:, :10] == 255).all()
    assert (got[:, 10:] == 9).all()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_one_bit_is_black_and_white(kind: str, save: Save) -> None:
    image = Image.new("1", (24, 24), 0)
    image.paste(1, (12, 0, 24, 24))
    got = np.asarray(decode(save(image, kind)))
    assert (got[:, :12] == 0).all()
    assert (got[:, 12:] == 255).all()


def test_a_large_jpeg_is_decoded_reduced_only_where_twice_the_side_remains(save: Save) -> None:
    data = save(scene(1600, 800), "JPEG", quality=95)
    assert decode(data).size == (1600, 800)
    assert decode(data, min_side_needed=401).size == (1600, 800)
    assert decode(data, min_side_needed=200).size == (800, 400)
    assert decode(data, min_side_needed=100).size == (400, 200)
    assert decode(data, min_side_needed=20).size == (200, 100)
    assert distance(decode(data, min_side_needed=100), scene(400, 200)) < 3


def test_a_reduced_progressive_jpeg_on_its_side(save: Save) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = scene(801, 1603).transpose(Image.Transpose.ROTATE_90)
    got = decode(save(stored, "JPEG", exif=exif, progressive=True, quality=95), min_side_needed=100)
    assert got.size == (201, 401)
    assert distance(got, scene(201, 401)) < 4


def test_the_size_of_the_box_decides_the_scale(save: Save) -> None:
    image = scene(1600, 800)
    data = save(image, "JPEG", quality=95)
    small = decode(data, box=Box(100, 100, 300, 300), min_side_needed=100)
    assert small.size == (200, 200)
    assert distance(small, image.crop((100, 100, 300, 300))) < 3
    large = decode(data, box=Box(0, 0, 0.5, 1), min_side_needed=100)
    assert large.size == (200, 200)
    assert distance(large, image.crop((0, 0, 800, 800)).resize((200, 200))) < 3


@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG"])
def test_a_box_counts_in_the_upright_photo(kind: str, photo: Image.Image, save: Save) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = photo.transpose(Image.Transpose.ROTATE_90)
    options = {"quality": 95} if kind == "JPEG" else {}
    got = decode(save(stored, kind, exif=exif, **options), box=Box(50, 10, 96, 40))
    assert distance(got, photo.crop((50, 10, 96, 40))) < 4


def test_metadata_never_reaches_the_decoder(photo: Image.Image, save: Save) -> None:
    """A text chunk that grows a thousandfold is dropped unread, and the photo is still a photo."""
    info = PngInfo()
    info.add_text("bomb", "x" * 50_000_000, zip=True)
    data = save(photo, "PNG", pnginfo=info)
    assert len(data) < 200_000
    np.testing.assert_array_equal(np.asarray(decode(data)), np.asarray(photo))


def test_bytes_after_the_end_of_a_jpeg_do_not_matter(photo: Image.Image, save: Save) -> None:
    data = save(photo, "JPEG", quality=95)
    assert decode(data + b"\xff\xda\x00\x02 a film behind the photo " * 500).tobytes() == decode(data).tobytes()
