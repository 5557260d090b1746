"""Errors of the index: generations on disk, engines, and calibration."""

from __future__ import annotations

from embedding.errors import InputError, WhichoneError

__all__ = [
    "DimensionMismatch",
    "GalleryError",
    "GenerationCorrupt",
    "GenerationMismatch",
    "GenerationNotFound",
    "NotCalibratable",
    "ReadOnlyIndex",
]


class GalleryError(WhichoneError):
    """Base of what can go wrong with a gallery's index."""

    code = "gallery_error"


class DimensionMismatch(GalleryError):
    """Vectors of one width were given to an index of another."""

    code = "dimension_mismatch"


class ReadOnlyIndex(GalleryError):
    """A memory-mapped index was asked to change; changes belong in an overlay."""

    code = "read_only_index"


class GenerationNotFound(GalleryError):
    """A generation was asked for that is not on disk."""

    code = "generation_not_found"


class GenerationCorrupt(GalleryError):
    """A file of a generation is missing, or is not the file that its manifest describes."""

    code = "generation_corrupt"


class GenerationMismatch(GalleryError):
    """A generation was made by another bundle, or with another dimension."""

    code = "generation_mismatch"


class NotCalibratable(InputError):
    """There is nothing to learn a calibration from."""

    code = "not_calibratable"
