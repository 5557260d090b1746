"""From a file to the photo, or the region of it, that augmentation begins with."""

from __future__ import annotations

from typing import Literal

from PIL import Image
from pydantic import Field

from embedding.box import Box
from embedding.errors import WhichoneError
from embedding.images import ImageLimits, decode
from training.data.listing import TrainingPhoto
from training.data.posed import posed
from training.errors import RunFailed
from training.spec import Spec

__all__ = ["LIMITS", "PhotosSpec", "read_photo"]

LIMITS = ImageLimits(max_bytes=200 * 2**20, max_pixels=178_956_970, max_seconds=60.0)
"""One's own photos: whatever the decoder takes."""


class PhotosSpec(Spec):
    """How photos are read.

    Attributes:
        box_margin: what is kept around a photo's box, as a share of the box's width and height; no more than there is.
        shrink_to: pixels of the shorter side of what is kept in memory and augmented; larger photos are scaled down to
            it. None leaves them as they are. At least what the steps' smallest crop needs, or detail is lost.
        cache_mb: memory for decoded photos of one set, in MiB, in each process that trains; its workers share it. The
            first ones of the list are kept. 0 keeps none.
        unreadable: `fail` ends the run at a photo that cannot be read; `skip` takes another photo of its label in its
            place and counts it.
    """

    box_margin: float = Field(default=0.0, ge=0, le=10)
    shrink_to: int | None = Field(default=None, ge=8)
    cache_mb: int = Field(default=0, ge=0)
    unreadable: Literal["fail", "skip"] = "fail"


def read_photo(photo: TrainingPhoto, spec: PhotosSpec) -> Image.Image:
    """Decoded, upright, RGB, cut to its box, shrunk, in its pose. The same pixels whether it is kept or read anew.

    Raises:
        RunFailed: it cannot be read; the message names it.
    """
    try:
        return posed(_shrunk(_region(photo, photo.path.read_bytes(), spec), spec.shrink_to), photo.pose)
    except WhichoneError as error:
        raise RunFailed(_says(photo, error.message), photo=str(photo.path)) from error
    except OSError as error:
        raise RunFailed(_says(photo, error.strerror or str(error)), photo=str(photo.path)) from error


def _says(photo: TrainingPhoto, why: str) -> str:
    return (
        f"{photo.path} ({photo.where}) cannot be read: {why.rstrip('.')}; mend it, take it out of the list, or set the "
        "recipe's unreadable to skip"
    )


def _region(photo: TrainingPhoto, data: bytes, spec: PhotosSpec) -> Image.Image:
    if photo.box is None or not spec.box_margin:
        return decode(data, limits=LIMITS, box=photo.box, min_side_needed=spec.shrink_to)
    # The margin ends at the photo's edges, which are not known before it is decoded.
    whole = decode(data, limits=LIMITS)
    return whole.crop(_widened(photo.box, whole.size, spec.box_margin))


def _widened(box: Box, size: tuple[int, int], margin: float) -> tuple[int, int, int, int]:
    left, top, right, bottom = box.to_pixels(*size)
    across, down = round(margin * (right - left)), round(margin * (bottom - top))
    return max(0, left - across), max(0, top - down), min(size[0], right + across), min(size[1], bottom + down)


def _shrunk(image: Image.Image, side: int | None) -> Image.Image:
    if side is None or min(image.size) <= side:
        return image
    scale = side / min(image.size)
    size = (max(side, round(image.width * scale)), max(side, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=None)
