"""What kind of file some bytes are, by their first bytes; names and content types are never asked."""

from __future__ import annotations

from typing import Literal

from embedding.image_errors import NotAnImage, UnsupportedFormat

__all__ = ["READ_HERE", "Kind", "sniff"]

Kind = Literal["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF"]

READ_HERE = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC"

_STARTS: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
)
_KNOWN_BUT_NOT_READ = (
    (b"%PDF-", "a PDF document"),
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (b"IIU\x00", "a camera's raw file"),
    (b"<svg", "an SVG drawing"),
)
_HEIF_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_GENERIC_BRANDS = frozenset((b"mif1", b"msf1", b"miaf"))


def sniff(data: bytes) -> Kind:
    """The format of a picture, from its content.

    Raises:
        UnsupportedFormat: a kind of file that is recognised and not read here.
        NotAnImage: anything else.
    """
    for start, kind in _STARTS:
        if data.startswith(start):
            return kind
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _iso_media(data)
    for start, name in _KNOWN_BUT_NOT_READ:
        if data.startswith(start):
            raise UnsupportedFormat(f"This is {name}, which is not read here; send {READ_HERE}.", kind=name)
    raise NotAnImage(f"These {len(data)} bytes are no picture (they begin {data[:12]!r}); send {READ_HERE}.")


def _iso_media(data: bytes) -> Kind:
    """HEIC, AVIF and MP4 share one container; its brands tell them apart (ISO/IEC 14496-12, 4.3)."""
    end = min(int.from_bytes(data[:4]), len(data), 4096)
    major = data[8:12]
    brands = {major} if major not in _GENERIC_BRANDS else {data[at : at + 4] for at in range(8, end, 4)}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & (_HEIF_BRANDS | _GENERIC_BRANDS):
        return "HEIF"
    raise UnsupportedFormat(
        f"This is a video or another ISO media file (brand {major!r}), not a photo; send {READ_HERE}.",
        kind="ISO media",
    )
