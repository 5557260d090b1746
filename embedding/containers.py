"""The outer structure of picture files: what a decoder needs is kept, the rest never reaches it.

Metadata is where small files hide large costs (compressed text, colour profiles, EXIF directories that
overlap), so JPEG and PNG are rebuilt from the parts that carry pixels. Size, and the JPEG's number of
scans, are read on the way: before any decoder has seen a byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from embedding.image_errors import TruncatedImage, UnsupportedFormat
from embedding.signatures import Kind

__all__ = ["MAX_JPEG_SCANS", "Pixels", "pixels_of"]

MAX_JPEG_SCANS = 100
"""Ordinary progressive JPEGs have about 10. Each costs a pass over the whole photo, however few its bytes."""

_JPEG_FRAMES_READ = {0xC0, 0xC1, 0xC2}
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_KEPT_APPS = {0xE0, 0xEE}  # JFIF and Adobe: they say what the colours mean
_JPEG_DROPPED = (set(range(0xE0, 0xF0)) - _JPEG_KEPT_APPS) | {0xFE}
# In compressed data 0xFF is followed by 00 (a literal), D0..D7 (restart), FF (padding): else it is a marker.
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)

_PNG_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}


@dataclass(frozen=True)
class Pixels:
    """A file reduced to its pixels: bytes for the decoder, size in its header if read, and its EXIF block."""

    payload: bytes
    size: tuple[int, int] | None = None
    exif: bytes = b""


def pixels_of(kind: Kind, data: bytes) -> Pixels:
    """The part of a file that its decoder needs.

    Raises:
        TruncatedImage: the file ends before its picture begins, or its structure is broken.
        UnsupportedFormat: a JPEG of an uncommon process, or of more than `MAX_JPEG_SCANS` scans.
    """
    if kind == "JPEG":
        return _jpeg(data)
    if kind == "PNG":
        return _png(data)
    if kind == "WEBP":
        return Pixels(data, size=_webp_size(data))
    return Pixels(data)


def _broken(kind: str, what: str) -> TruncatedImage:
    return TruncatedImage(f"The {kind} photo is cut short or damaged: {what}. Send the whole file again.", kind=kind)


def _jpeg(data: bytes) -> Pixels:
    """Walk the marker segments (ITU-T T.81, annex B)."""
    kept = [data[:2]]
    size, exif, scans, at = None, b"", 0, 2
    while match := _JPEG_MARKER.search(data, at):
        marker, start = match[1][0], match.start()
        if marker == 0xD9:
            kept.append(b"\xff\xd9")
            break
        length = int.from_bytes(data[start + 2 : start + 4])
        end = start + 2 + length
        if length < 2 or end > len(data):
            raise _broken("JPEG", "a segment reaches past the end of the file")
        if marker in _JPEG_FRAMES:
            size = _jpeg_frame(marker, data[start + 4 : end])
        if marker == 0xE1 and not exif and data.startswith(b"Exif\x00\x00", start + 4):
            exif = data[start + 4 : end]
        if marker == 0xDA:
            scans += 1
            following = _JPEG_MARKER.search(data, end)
            end = following.start() if following else len(data)
        if marker not in _JPEG_DROPPED:
            kept.append(data[start:end])
        at = end
    if size is None or scans == 0:
        raise _broken("JPEG", "it ends before the picture begins")
    if scans > MAX_JPEG_SCANS:
        raise UnsupportedFormat(
            f"The JPEG photo has {scans} scans, more than {MAX_JPEG_SCANS}; save it as an ordinary JPEG.",
            scans=scans,
        )
    return Pixels(b"".join(kept), size=size, exif=exif)


def _jpeg_frame(marker: int, frame: bytes) -> tuple[int, int]:
    """Width and height from a frame header."""
    if len(frame) < 6:
        raise _broken("JPEG", "its frame header is too short")
    if marker not in _JPEG_FRAMES_READ or frame[0] != 8:
        raise UnsupportedFormat(
            f"The JPEG photo uses an uncommon process (marker {marker:#x}, {frame[0]} bits); "
            "save it as an ordinary 8-bit JPEG.",
            kind="JPEG",
        )
    return int.from_bytes(frame[3:5]), int.from_bytes(frame[1:3])


def _png(data: bytes) -> Pixels:
    """Walk the chunks (W3C PNG, 5.3). An animation's extra frames are dropped: its default image is read."""
    if data[12:16] != b"IHDR" or len(data) < 33:
        raise _broken("PNG", "it ends within its header")
    size = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    kept, exif, at = [data[:8]], b"", 8
    while at + 8 <= len(data):
        name, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4])
        if name in _PNG_KEPT:
            kept.append(data[at:end])
        elif name == b"eXIf" and not exif:
            exif = data[at + 8 : end - 4]
        at = end
        if name == b"IEND":
            break
    return Pixels(b"".join(kept), size=size, exif=exif)


def _webp_size(data: bytes) -> tuple[int, int]:
    """The canvas, from the first chunk (RFC 9649, 2.5 to 2.7): decoders may allocate it at once."""
    chunk = data[12:16]
    if chunk == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if chunk == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    if chunk == b"VP8 " and len(data) >= 30:
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    raise _broken("WebP", "it ends within its header")
