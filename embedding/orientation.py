"""Which way up a photo is: the one EXIF tag that matters here, and its undoing.

Pillow's own EXIF reader loads every tag, which a crafted file can make cost far more memory than the file
has bytes. This one reads a single number from the first directory and nothing else.
"""

from __future__ import annotations

import struct

from PIL import Image

__all__ = ["exif_orientation", "turn_upright"]

_ORIENTATION = 0x0112
_SHORT = 3

# EXIF 2.32, 4.6.4 A: how the stored rows and columns must be turned to be upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def exif_orientation(exif: bytes) -> int:
    """The orientation 1..8 in an EXIF block, with or without its head; 1 where there is none."""
    block = exif.removeprefix(b"Exif\x00\x00")
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(order + "I", block, 4)
        (entries,) = struct.unpack_from(order + "H", block, directory)
        for index in range(entries):
            tag, kind, count, value = struct.unpack_from(order + "HHIH", block, directory + 2 + 12 * index)
            if tag == _ORIENTATION:
                return value if kind == _SHORT and count == 1 and 1 <= value <= 8 else 1
    except struct.error:
        return 1  # a broken block says nothing about the pixels, which are whole
    return 1


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """The photo as a person sees it. ``orientation`` 1 gives the same object back."""
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)
