"""Photos of a manifest to vectors, and to local features where they are wanted, each photo once, optionally kept on
disk between runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from embedding.embedder import Embedder
from embedding.errors import WhichoneError
from embedding.images import ImageLimits
from embedding.quality import defect_of
from embedding.rephotograph import rephotograph
from index.evaluation.kept import Embeddings
from index.evaluation.manifest import Photo, PhotosUnreadable
from index.verification import Verifier

__all__ = ["Embeddings", "Progress", "embed_photos"]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

Vectors: TypeAlias = NDArray[np.float32]

BATCH = 16


def embed_photos(
    plain: Sequence[Photo],
    with_views: Sequence[Photo],
    embedder: Embedder,
    *,
    views: int,
    with_local: Sequence[Photo] = (),
    with_defects: Sequence[Photo] = (),
    verifier: Verifier | None = None,
    limits: ImageLimits | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Embeddings:
    """Embed every photo once; of `with_views`, also `views` simulated re-photographs each.

    After the first photo that cannot be decoded nothing more is embedded, but all the others are looked at, so
    that one run names every bad photo. What was embedded until then is kept in `cache`.

    Args:
        with_local: photos whose local features are extracted, too.
        verifier: extracts them; needed when there are such photos.
        with_defects: photos that are judged: can they be used at all?

    Raises:
        PhotosUnreadable: lists all photos that cannot be read or decoded.
    """
    model = f"{embedder.bundle.sha256}/{embedder.precision}/views={views}"
    method = verifier.method if verifier else ""
    found = Embeddings.load(cache, model, method) if cache else Embeddings(model, method)
    work = _Work(
        embedder,
        limits or ImageLimits(),
        found,
        viewed={photo.sha256 for photo in with_views} if views else set(),
        views=views,
        local={photo.sha256 for photo in with_local} if verifier else set(),
        verifier=verifier,
        judged={photo.sha256 for photo in with_defects},
    )
    todo = [photo for photo in {one.sha256: one for one in [*plain, *with_views]}.values() if work.lacks(photo)]
    done = 0
    with ThreadPoolExecutor() as pool:
        for batch in _batches(todo):
            work.take(batch, list(pool.map(work.decode, batch)))
            done += len(batch)
            if progress:
                progress("embedding photos", done, len(todo))
    if cache and todo:
        found.save(cache)
    if work.problems:
        raise PhotosUnreadable(work.problems)
    return found


@dataclass
class _Work:
    embedder: Embedder
    limits: ImageLimits
    found: Embeddings
    viewed: set[str]
    views: int
    local: set[str]
    verifier: Verifier | None
    judged: set[str]
    problems: list[tuple[str, str]] = field(default_factory=list)

    def lacks(self, photo: Photo) -> bool:
        key, found = photo.sha256, self.found
        return (
            key not in found.own
            or (key in self.viewed and key not in found.views)
            or (key in self.local and key not in found.local)
            or (key in self.judged and key not in found.defects)
        )

    def decode(self, photo: Photo) -> Image.Image | tuple[str, str]:
        try:
            image = self.embedder.decode(photo.path.read_bytes(), limits=self.limits)
        except WhichoneError as error:
            return str(photo.path), error.message
        except OSError as error:
            return str(photo.path), error.strerror or str(error)
        # From the very pixels that are embedded, as the server does; here, where photos are worked on side by side.
        if self.verifier and photo.sha256 in self.local and photo.sha256 not in self.found.local:
            self.found.local[photo.sha256] = self.verifier.extract(image).to_bytes()
        if photo.sha256 in self.judged:
            self.found.defects[photo.sha256] = defect_of(image)
        return image

    def take(self, batch: Sequence[Photo], decoded: Sequence[Image.Image | tuple[str, str]]) -> None:
        self.problems += [one for one in decoded if isinstance(one, tuple)]
        if self.problems:
            return
        pairs = [(photo, one) for photo, one in zip(batch, decoded, strict=True) if not isinstance(one, tuple)]
        fresh = [(photo, image) for photo, image in pairs if photo.sha256 not in self.found.own]
        for (photo, _), vector in zip(fresh, self.embedder.embed([image for _, image in fresh]), strict=True):
            self.found.own[photo.sha256] = vector
        for photo, image in pairs:
            if photo.sha256 in self.viewed and photo.sha256 not in self.found.views:
                self.found.views[photo.sha256] = self._views(photo, image)

    def _views(self, photo: Photo, image: Image.Image) -> Vectors:
        first = int(photo.sha256[:8], 16)
        return self.embedder.embed([rephotograph(image, seed=first + i) for i in range(self.views)])


def _batches(photos: Sequence[Photo]) -> Iterator[list[Photo]]:
    remaining = iter(photos)
    while batch := list(itertools.islice(remaining, BATCH)):
        yield batch
