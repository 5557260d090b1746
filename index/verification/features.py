"""The local features of one photo, in memory and as at most 64 kB of bytes.

header   34 bytes, little-endian: magic and version, name of the method, width, height, number of features,
         length of a descriptor, width and height of the small copy, CRC-32 of all that follows
points   n x 2 uint16: x and y in steps of 1/65535 of the photo's width and height
scales   n float16: diameter of the patch, as a fraction of the photo's longer side
angles   n uint16: direction of the patch, in steps of 1/65536 of a turn
rows     n x d uint8: the descriptors
copy     h x w x 3 uint8: the photo, small, for its colours
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from index.verification.colour import LONGER_SIDE
from index.verification.errors import FeaturesCorrupt

__all__ = ["MOST_BYTES", "LocalFeatures", "beginning", "most_features"]

MOST_BYTES = 64_000
"""The longest that the features of one photo may be, header included."""

_MAGIC = b"WLF1"
_HEADER = struct.Struct("<4s16sHHHHBBI")
_MOST_COPY = 3 * LONGER_SIDE**2
_POINT_STEPS = 65_535
_ANGLE_STEPS = 65_536
_BYTES_BESIDE_DESCRIPTOR = 8


def most_features(descriptor_length: int) -> int:
    """How many features with descriptors of so many bytes fit into `MOST_BYTES`."""
    return (MOST_BYTES - _HEADER.size - _MOST_COPY) // (descriptor_length + _BYTES_BESIDE_DESCRIPTOR)


def beginning(method: str) -> bytes:
    """What the bytes of every photo's features by this method begin with, and no others."""
    return _MAGIC + struct.pack("16s", method.encode("ascii"))


@dataclass(frozen=True, slots=True, eq=False)
class LocalFeatures:
    """Patches of one photo that would be found again in another photo of the same thing.

    Attributes:
        method: name of the verifier that extracted them; only features of one method can be compared.
        size: width and height, in pixels, of the photo as the extractor saw it.
        points: (n, 2) float32: centres: x and y as fractions of the upright photo's width and height;
            y grows downwards.
        scales: (n,) float32: diameters, as fractions of the photo's longer side.
        angles: (n,) float32: directions in turns, 0 to 1.
        descriptors: (n, d) uint8.
        copy: (h, w, 3) uint8, the photo at a longer side of 48 pixels; (0, 0, 3) for none.
    """

    method: str
    size: tuple[int, int]
    points: NDArray[np.float32]
    scales: NDArray[np.float32]
    angles: NDArray[np.float32]
    descriptors: NDArray[np.uint8]
    copy: NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 0, 3), np.uint8))

    def __len__(self) -> int:
        return len(self.points)

    def pixels(self) -> NDArray[np.float64]:
        """`points` in pixels of `size`, (n, 2)."""
        return self.points.astype(np.float64) * self.size

    def to_bytes(self) -> bytes:
        """The form in which they are kept. `from_bytes` gives back these features, positions rounded to a
        65,535th of a side, diameters to 1 in 2,000 and directions to a 65,536th of a turn."""
        body = b"".join(
            (
                np.rint(self.points * _POINT_STEPS).astype("<u2").tobytes(),
                self.scales.astype("<f2").tobytes(),
                (np.rint(self.angles * _ANGLE_STEPS).astype(np.int64) % _ANGLE_STEPS).astype("<u2").tobytes(),
                self.descriptors.tobytes(),
                self.copy.tobytes(),
            )
        )
        width, height = self.size
        n, length = self.descriptors.shape
        high, wide = self.copy.shape[:2]
        header = _HEADER.pack(
            _MAGIC, self.method.encode("ascii"), width, height, n, length, wide, high, zlib.crc32(body)
        )
        return header + body

    @classmethod
    def from_bytes(cls, data: bytes) -> LocalFeatures:
        """Read what `to_bytes` wrote.

        Raises:
            FeaturesCorrupt: it is something else, of another version, cut short, or changed on the way.
        """
        if len(data) < _HEADER.size or len(data) > MOST_BYTES:
            raise FeaturesCorrupt(
                f"{len(data)} bytes cannot be a photo's features, which take {_HEADER.size} to {MOST_BYTES}",
                bytes=len(data),
            )
        magic, method, width, height, n, length, wide, high, checksum = _HEADER.unpack_from(data)
        if magic != _MAGIC:
            raise FeaturesCorrupt(f"a photo's features begin with {_MAGIC!r}, these bytes with {magic!r}")
        body = memoryview(data)[_HEADER.size :]
        expected = n * (length + _BYTES_BESIDE_DESCRIPTOR) + 3 * wide * high
        if len(body) != expected:
            raise FeaturesCorrupt(
                f"the header says {n} features with descriptors of {length} bytes and a copy of {wide} x {high} "
                f"pixels, but {len(body)} bytes follow instead of {expected}",
                features=n,
                bytes=len(data),
            )
        if zlib.crc32(body) != checksum:
            raise FeaturesCorrupt(
                "a photo's features have been changed since they were written: their checksum differs"
            )
        name = _name(method)
        if width == 0 or height == 0 or length == 0:
            raise FeaturesCorrupt(f"a photo of {width} x {height} pixels, descriptors of {length} bytes: none may be 0")
        scales = np.frombuffer(body, "<f2", n, offset=4 * n).astype(np.float32)
        if not (np.isfinite(scales).all() and (scales >= 0).all()):
            raise FeaturesCorrupt("the diameter of a feature is negative or no number")
        return cls(
            method=name,
            size=(width, height),
            points=np.frombuffer(body, "<u2", 2 * n).reshape(n, 2).astype(np.float32) / np.float32(_POINT_STEPS),
            scales=scales,
            angles=np.frombuffer(body, "<u2", n, offset=6 * n).astype(np.float32) / np.float32(_ANGLE_STEPS),
            descriptors=np.frombuffer(body, np.uint8, n * length, offset=8 * n).reshape(n, length),
            copy=np.frombuffer(body, np.uint8, 3 * wide * high, offset=n * (8 + length)).reshape(high, wide, 3),
        )


def _name(padded: bytes) -> str:
    """The method's name without the zeros that fill its field."""
    name = padded.rstrip(b"\0")
    if not name or not name.isascii() or not name.decode("ascii").isprintable():
        raise FeaturesCorrupt(f"{name!r} is no name of a method")
    return name.decode("ascii")
