"""Bytes from strangers -> an upright RGB photo, within limits of bytes, pixels, frames and time.

    bytes -> kind by content -> size by header -> limits -> decoder -> RGB on white -> upright -> box

What each limit can promise:

- bytes and pixels are checked before a decoder sees anything (for TIFF, AVIF and HEIC: before it decodes). So memory
  is bounded, beside the file itself: 4 to 10 bytes a pixel were measured, for WebP, whose library keeps several
  copies, up to 17; 4 more for a photo that must be turned.
- frames: the first of an animation or of a TIFF's pages is decoded, the others never.
- time: decoding runs in the caller's thread, which nothing can stop from outside. The clock is looked at
  whenever a decoder asks for more of the file, which JPEG, PNG, GIF, BMP and plain TIFF do every few
  kilobytes. WebP, AVIF, HEIC and compressed TIFF are decoded in one call of their library; there, the pixel
  limit is the bound (a few seconds at the default 64 million pixels on one ordinary core).
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import (
    BmpImagePlugin,  # noqa: F401  (importing a plugin registers it; no others are ever looked for)
    GifImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
    features,
)

from embedding.box import Box
from embedding.colours import to_rgb
from embedding.containers import pixels_of
from embedding.errors import WhichoneError
from embedding.image_errors import (
    BoxOutsidePhoto,
    DecodeTimeout,
    EmptyImage,
    ImageError,
    ImageTooLarge,
    ImageTooSmall,
    InvalidBox,
    NotAnImage,
    TooManyPixels,
    TruncatedImage,
    UnsupportedFormat,
)
from embedding.orientation import exif_orientation, turn_upright
from embedding.signatures import Kind, sniff

__all__ = [
    "Box",
    "BoxOutsidePhoto",
    "DecodeTimeout",
    "EmptyImage",
    "ImageError",
    "ImageLimits",
    "ImageTooLarge",
    "ImageTooSmall",
    "InvalidBox",
    "NotAnImage",
    "TooManyPixels",
    "TruncatedImage",
    "UnsupportedFormat",
    "decode",
]

_PILLOW_REFUSES = 178_956_970  # twice Image.MAX_IMAGE_PIXELS: beyond this Pillow itself raises
_READ_AT_ONCE = 16 * 1024
_TILE_SIDES = (322, 323)  # TIFF tags


@dataclass(frozen=True)
class ImageLimits:
    """How much one photo may cost.

    Attributes:
        max_bytes: size of the file.
        max_pixels: width times height in its header; at most 178,956,970, where Pillow itself stops.
        min_side: shortest side of the photo, and of a box, in pixels.
        max_seconds: time to decode (see the module's page for what that can promise).
    """

    max_bytes: int = 20 * 2**20
    max_pixels: int = 64_000_000
    min_side: int = 8
    max_seconds: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.max_pixels <= _PILLOW_REFUSES:
            raise ValueError(f"max_pixels is {self.max_pixels}; it must be 1 to {_PILLOW_REFUSES}")


_DEFAULT_LIMITS = ImageLimits()


def decode(
    data: bytes,
    *,
    limits: ImageLimits = _DEFAULT_LIMITS,
    box: Box | None = None,
    min_side_needed: int | None = None,
) -> Image.Image:
    """Read a photo: upright, RGB, 8 bits a channel, cut to ``box``.

    Args:
        data: a JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC file; recognised by content.
        limits: what it may cost.
        box: the region to keep, in coordinates of the upright photo at full size.
        min_side_needed: what will be needed of the shorter side, in pixels. A JPEG (its box, if there is one) with
            more than twice that is decoded at 1/2, 1/4 or 1/8 of its size: two to three times quicker, and after the
            resize to come nearly the same. (EfficientNet-Lite2 at 297 pixels, 25 finely detailed photos of 1,392 to
            4,872 pixels: cosine to the embedding of the full decoding at least 0.997; on average 0.9997 at 1/2 and
            1/4, 0.998 at 1/8.)

    Raises:
        EmptyImage, NotAnImage, UnsupportedFormat, TruncatedImage, ImageTooLarge, TooManyPixels,
        ImageTooSmall, DecodeTimeout: see `embedding.image_errors`; all are `ImageError`. BoxOutsidePhoto:
        the box reaches over the photo's edge.
    """
    _check_bytes(data, limits)
    kind = sniff(data)
    pixels = pixels_of(kind, data)
    if pixels.size is not None:
        _check_size(pixels.size, limits)
    with _as_image_errors(kind):
        image = _open(kind, _ClockedReader(pixels.payload, limits.max_seconds))
        _check_size(image.size, limits)
        _check_tiles(image, limits)
        orientation = exif_orientation(pixels.exif or _exif_of(kind, image))
        stored, scale = image.size, 1
        if kind == "JPEG" and min_side_needed is not None:
            scale = _reduce(image, _region(box, _upright(stored, orientation), limits), min_side_needed)
        image.load()
        if scale == 1:
            stored = image.size  # Pillow turns a TIFF upright as it loads
        region = _region(box, _upright(stored, orientation), limits)
        photo = turn_upright(to_rgb(image), orientation)
    photo.info.clear()  # what it said of orientation or transparency is no longer true
    return photo if box is None else _cut(photo, region, scale)


def _check_bytes(data: bytes, limits: ImageLimits) -> None:
    if not data:
        raise EmptyImage("The photo is empty: no bytes came; send the file's content.")
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(
            f"The photo has {len(data):,} bytes; at most {limits.max_bytes:,} are accepted: send it smaller.",
            bytes=len(data),
            max_bytes=limits.max_bytes,
        )


def _check_size(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise TooManyPixels(
            f"The photo is {width} x {height} pixels; at most {limits.max_pixels:,} in all are accepted: "
            "send it smaller.",
            width=width,
            height=height,
            max_pixels=limits.max_pixels,
        )
    if min(width, height) < limits.min_side:
        raise ImageTooSmall(
            f"The photo is {width} x {height} pixels; each side needs at least {limits.min_side}.",
            width=width,
            height=height,
            min_side=limits.min_side,
        )


def _check_tiles(image: Image.Image, limits: ImageLimits) -> None:
    """A small TIFF may name enormous tiles, and the decoder allocates a whole one."""
    tags = getattr(image, "tag_v2", None) or {}
    across, down = (tags.get(tag) for tag in _TILE_SIDES)
    if isinstance(across, int) and isinstance(down, int) and across * down > limits.max_pixels:
        raise TooManyPixels(
            f"The TIFF has tiles of {across} x {down} pixels; at most {limits.max_pixels:,} are accepted.",
            max_pixels=limits.max_pixels,
        )


class _ClockedReader(io.BytesIO):
    """A file that refuses to be read once time is up, or once it was read several times over.

    The second catches directories whose entries all point at the same bytes.
    """

    def __init__(self, data: bytes, max_seconds: float) -> None:
        super().__init__(data)
        self._max_seconds = max_seconds
        self._deadline = time.monotonic() + max_seconds
        self._left = 4 * len(data) + 2**20

    def read(self, size: int | None = -1, /) -> bytes:
        if time.monotonic() >= self._deadline:
            raise DecodeTimeout(
                f"Decoding the photo took over {self._max_seconds:g} s; send it smaller, or as a plain JPEG.",
                max_seconds=self._max_seconds,
            )
        got = super().read(size)
        self._left -= len(got)
        if self._left < 0:
            raise TruncatedImage("The photo's parts overlap each other: the file is damaged. Save it anew.")
        return got


def _open(kind: Kind, reader: _ClockedReader) -> Image.Image:
    """The header, by the one decoder that its content asks for."""
    if kind == "HEIF":
        return _open_heif(reader)
    if kind == "AVIF" and not features.check("avif"):
        raise UnsupportedFormat(
            "This is an AVIF photo, and the Pillow installed here was built without AVIF; "
            "install Pillow 11.3 or later (pip install --upgrade pillow), or send a JPEG.",
            kind=kind,
        )
    image = Image.open(reader, formats=[kind])
    if hasattr(image, "decodermaxblock"):
        image.decodermaxblock = _READ_AT_ONCE
    return image


def _open_heif(reader: _ClockedReader) -> Image.Image:
    try:
        from pillow_heif import HeifImageFile  # noqa: PLC0415  (an extra: only those who need it pay for it)
    except ImportError:
        raise UnsupportedFormat(
            "This is a HEIC photo, and reading those needs a package that is not installed here; "
            "pip install 'whichone[heif]', or send a JPEG.",
            kind="HEIF",
        ) from None
    image: Image.Image = HeifImageFile(reader)  # type: ignore[no-untyped-call]
    return image


@contextmanager
def _as_image_errors(kind: Kind) -> Iterator[None]:
    """Pillow's plugins raise nearly anything on damaged bytes; to a caller it all means one thing."""
    try:
        yield
    except WhichoneError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixels(f"The {kind} photo has too many pixels ({error}); send it smaller.", kind=kind) from error
    except Exception as error:
        raise TruncatedImage(
            f"The {kind} photo is cut short, damaged, or of a variant that is not read here "
            f"({_reason(error)}); send the whole file again, or save it anew as JPEG or PNG.",
            kind=kind,
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "its header makes no sense"
    return (str(error).splitlines() or [type(error).__name__])[0][:120]


def _exif_of(kind: Kind, image: Image.Image) -> bytes:
    """EXIF where only the decoder knows it. TIFF is turned by Pillow as it loads, HEIC by libheif."""
    exif = image.info.get("exif") if kind in ("WEBP", "AVIF") else None
    return exif if isinstance(exif, bytes) else b""


def _upright(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return (size[1], size[0]) if orientation >= 5 else size


def _region(box: Box | None, size: tuple[int, int], limits: ImageLimits) -> tuple[int, int, int, int]:
    if box is None:
        return (0, 0, *size)
    left, top, right, bottom = box.to_pixels(*size)
    if min(right - left, bottom - top) < limits.min_side:
        raise ImageTooSmall(
            f"The box {box} covers {right - left} x {bottom - top} pixels; each side needs at least {limits.min_side}.",
            box=str(box),
            min_side=limits.min_side,
        )
    return left, top, right, bottom


def _reduce(image: Image.Image, region: tuple[int, int, int, int], min_side_needed: int) -> int:
    """Have a JPEG decoded at 1/8, 1/4 or 1/2 if its region keeps twice the side needed; gives the divisor."""
    left, top, right, bottom = region
    for scale in (8, 4, 2):
        if min(right - left, bottom - top) >= 2 * min_side_needed * scale:
            image.draft(None, (image.width // scale, image.height // scale))
            return scale
    return 1


def _cut(photo: Image.Image, region: tuple[int, int, int, int], scale: int) -> Image.Image:
    left, top, right, bottom = region
    return photo.crop(
        (
            left // scale,
            top // scale,
            min(-(-right // scale), photo.width),
            min(-(-bottom // scale), photo.height),
        )
    )
