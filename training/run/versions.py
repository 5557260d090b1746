"""What made a run: versions of the code and of what it stands on, and what photos it saw."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import embedding
import index
import training
from training.data.listing import TrainingPhoto
from training.errors import PhotosUnusable

__all__ = ["fingerprint", "versions"]

PACKAGES = ("whichone", "accelerate", "numpy", "pillow", "timm", "torch", "torchvision")


def versions() -> dict[str, str]:
    """Names and versions; `source` is the SHA-256 of the Python files of the three packages that training runs."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        **{name: version(name) for name in PACKAGES},
        "source": _source(),
    }


def fingerprint(photos: Iterable[TrainingPhoto]) -> str:
    """SHA-256 of the sorted names, labels, parts, boxes and sizes of the photos: the same wherever their tree lies.

    Sizes, not contents: reading a million photos would take longer than the first epoch.

    Raises:
        PhotosUnusable: a file is not there.
    """
    lines = sorted(
        f"{one.name}\0{one.label}\0{one.part}\0{one.box or ''}\0{one.weight}\0{_size(one)}\n" for one in photos
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _size(photo: TrainingPhoto) -> int:
    try:
        return photo.path.stat().st_size
    except OSError as error:
        raise PhotosUnusable(
            f"{photo.where}: {photo.path} cannot be read: {error.strerror}", file=str(photo.path)
        ) from error


def _source() -> str:
    folders = [Path(path) for package in (embedding, index, training) for path in package.__path__]
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder.parent).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
