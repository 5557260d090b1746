"""Photos as a bundle's model sees them, embedded once: what adapting learns from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embedding.embedder import Embedder
from embedding.rephotograph import rephotograph
from index.evaluation.kept import Embeddings
from training.data.listing import TrainingPhoto
from training.data.reading import PhotosSpec, read_photo

__all__ = ["Features", "embed_listing"]

Vectors: TypeAlias = NDArray[np.float32]
Progress: TypeAlias = Callable[[str, int, int], None]

_AT_ONCE = 16
_SAVED_EVERY = 40


@dataclass(frozen=True)
class Features:
    """n photos.

    Attributes:
        names: as listed.
        labels: empty for a photo that shows nothing with a label.
        vectors: (n, d) unit rows.
        views: (n, v, d) of simulated re-photographs of each.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    vectors: Vectors
    views: Vectors

    def __len__(self) -> int:
        return len(self.names)

    def at(self, places: Sequence[int] | NDArray[np.intp]) -> Features:
        """Those at some places, in that order."""
        chosen = [int(place) for place in places]
        return Features(
            tuple(self.names[at] for at in chosen),
            tuple(self.labels[at] for at in chosen),
            self.vectors[chosen],
            self.views[chosen],
        )

    def places(self) -> dict[str, list[int]]:
        """Label -> places of its photos, labels sorted, photos in their order; without the empty label."""
        found: dict[str, list[int]] = {label: [] for label in sorted(set(self.labels) - {""})}
        for at, label in enumerate(self.labels):
            if label:
                found[label].append(at)
        return found


def embed_listing(
    photos: Sequence[TrainingPhoto],
    embedder: Embedder,
    *,
    views: int,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Features:
    """Embed every photo, and `views` simulated re-photographs of each.

    Args:
        photos: as listed; of those with a box, the region.
        embedder: of the bundle to adapt.
        views: of each photo; 0 for none.
        cache: file in which vectors are kept from run to run; what is in it is not computed again.
        progress: told what is done.

    Raises:
        RunFailed: a photo cannot be read.
        ManifestInvalid: the cache is no such file.
    """
    model = f"{embedder.bundle.sha256}/{embedder.precision}/views={views}"
    kept = Embeddings.load(cache, model) if cache else Embeddings(model)
    keys = [_key(photo) for photo in photos]
    todo = {
        key: photo
        for key, photo in zip(keys, photos, strict=True)
        if key not in kept.own or (views and key not in kept.views)
    }
    for number, batch in enumerate(_batches(list(todo.items())), 1):
        _embed(batch, embedder, views, kept)
        if progress:
            progress("embedding photos", min(number * _AT_ONCE, len(todo)), len(todo))
        if cache and number % _SAVED_EVERY == 0:
            kept.save(cache)
    if cache and todo:
        kept.save(cache)
    empty = np.zeros((len(photos), 0, embedder.dim), np.float32)
    return Features(
        tuple(photo.name for photo in photos),
        tuple(photo.label for photo in photos),
        np.stack([kept.own[key] for key in keys]) if keys else np.zeros((0, embedder.dim), np.float32),
        np.stack([kept.views[key] for key in keys]) if views and keys else empty,
    )


def _embed(batch: Sequence[tuple[str, TrainingPhoto]], embedder: Embedder, views: int, kept: Embeddings) -> None:
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda pair: read_photo(pair[1], PhotosSpec()), batch))
        seen = list(pool.map(lambda pair: _views(pair[0][0], pair[1], views), zip(batch, images, strict=True)))
    own = embedder.embed(images)
    flat = embedder.embed([view for some in seen for view in some]).reshape(len(batch), views, embedder.dim)
    for (key, _), vector, rows in zip(batch, own, flat, strict=True):
        kept.own[key] = vector
        if views:
            kept.views[key] = rows


def _views(key: str, image: Image.Image, views: int) -> list[Image.Image]:
    first = int(key[:8], 16)
    return [rephotograph(image, seed=first + number) for number in range(views)]


def _key(photo: TrainingPhoto) -> str:
    """Of the photo's bytes, and of the region if there is one."""
    digest = hashlib.sha256(photo.path.read_bytes())
    if photo.box is not None:
        digest.update(str(photo.box).encode())
    return digest.hexdigest()


def _batches(
    pairs: Sequence[tuple[str, TrainingPhoto]],
) -> Iterator[Sequence[tuple[str, TrainingPhoto]]]:
    for start in range(0, len(pairs), _AT_ONCE):
        yield pairs[start : start + _AT_ONCE]
