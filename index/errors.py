"""Errors of the index: generations on disk, engines, and calibration."""

from __future__ import annotations

from embedding.errors import InputError, WhichoneError

__all__ = [
    "DimensionMismatch",
    "DiskFull",
    "GalleryError",
    "GenerationCorrupt",
    "GenerationMismatch",
    "GenerationNotFound",
    "NotCalibratable",
    "ReadOnlyIndex",
    "RecallLost",
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


class RecallLost(GalleryError):
    """An engine finds less of what exact search finds than it did when its generation was made."""

    code = "recall_lost"


class DiskFull(GalleryError):
    """There is no room on the disk for what was to be written, or no leave to write so much."""

    code = "disk_full"


class NotCalibratable(InputError):
    """There is nothing to learn a calibration from."""

    code = "not_calibratable"
