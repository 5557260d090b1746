"""Photos of a manifest to vectors, each photo once, optionally kept on disk between runs."""

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
from embedding.rephotograph import rephotograph
from index.evaluation.manifest import ManifestInvalid, Photo, PhotosUnreadable

__all__ = ["Embeddings", "Progress", "embed_photos"]

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

Vectors: TypeAlias = NDArray[np.float32]

BATCH = 16


@dataclass
class Embeddings:
    """Vectors by the photo's sha256: its own, and those of its simulated re-photographs.

    Attributes:
        model: what made them (bundle, precision); vectors of another model are never mixed in.
        own: sha256 -> (d,) float32 unit vector.
        views: sha256 -> (v, d) float32; only of photos that were asked for with views.
    """

    model: str
    own: dict[str, Vectors] = field(default_factory=dict)
    views: dict[str, Vectors] = field(default_factory=dict)

    def of(self, photos: Sequence[Photo], dim: int) -> Vectors:
        """(n, d) in the photos' order."""
        return np.stack([self.own[photo.sha256] for photo in photos]) if photos else np.empty((0, dim), np.float32)

    @classmethod
    def load(cls, path: Path, model: str) -> Embeddings:
        """What an earlier run kept; empty when there is no file or another model made it.

        Raises:
            ManifestInvalid: the file is there and is not such a file.
        """
        if not path.exists():
            return cls(model)
        try:
            with np.load(path, allow_pickle=False) as file:
                if str(file["model"]) != model:
                    return cls(model)
                own = dict(zip(file["own_sha256"].tolist(), file["own"], strict=True))
                views = dict(zip(file["views_sha256"].tolist(), file["views"], strict=True))
        except (OSError, ValueError, KeyError) as error:
            message = f"{path}: not a file of kept embeddings ({error}); name another, or delete it"
            raise ManifestInvalid(message, file=str(path)) from error
        return cls(model, own, views)

    def save(self, path: Path) -> None:
        """Write everything, replacing the file in one step."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial.npz")
        np.savez(
            partial,
            model=np.array(self.model),
            own_sha256=np.array(list(self.own)),
            own=np.array(list(self.own.values())),
            views_sha256=np.array(list(self.views)),
            views=np.array(list(self.views.values())),
        )
        partial.replace(path)


def embed_photos(
    plain: Sequence[Photo],
    with_views: Sequence[Photo],
    embedder: Embedder,
    *,
    views: int,
    limits: ImageLimits | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Embeddings:
    """Embed every photo once; of `with_views`, also `views` simulated re-photographs each.

    After the first photo that cannot be decoded nothing more is embedded, but all the others are looked at, so
    that one run names every bad photo. What was embedded until then is kept in `cache`.

    Raises:
        PhotosUnreadable: lists all photos that cannot be read or decoded.
    """
    model = f"{embedder.bundle.sha256}/{embedder.precision}/views={views}"
    found = Embeddings.load(cache, model) if cache else Embeddings(model)
    wanted = {photo.sha256: photo for photo in [*plain, *with_views]}
    viewed = {photo.sha256 for photo in with_views} if views else set()
    todo = [
        photo for key, photo in wanted.items() if key not in found.own or (key in viewed and key not in found.views)
    ]
    work = _Work(embedder, limits or ImageLimits(), found, viewed, views)
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
    problems: list[tuple[str, str]] = field(default_factory=list)

    def decode(self, photo: Photo) -> Image.Image | tuple[str, str]:
        try:
            return self.embedder.decode(photo.path.read_bytes(), limits=self.limits)
        except WhichoneError as error:
            return str(photo.path), error.message
        except OSError as error:
            return str(photo.path), error.strerror or str(error)

    def take(self, batch: Sequence[Photo], decoded: Sequence[Image.Image | tuple[str, str]]) -> None:
        self.problems += [one for one in decoded if isinstance(one, tuple)]
        if self.problems:
            return
        images = [one for one in decoded if not isinstance(one, tuple)]
        for photo, vector in zip(batch, self.embedder.embed(images), strict=True):
            self.found.own[photo.sha256] = vector
        for photo, image in zip(batch, images, strict=True):
            if photo.sha256 in self.viewed:
                self.found.views[photo.sha256] = self._views(photo, image)

    def _views(self, photo: Photo, image: Image.Image) -> Vectors:
        first = int(photo.sha256[:8], 16)
        return self.embedder.embed([rephotograph(image, seed=first + i) for i in range(self.views)])


def _batches(photos: Sequence[Photo]) -> Iterator[list[Photo]]:
    remaining = iter(photos)
    while batch := list(itertools.islice(remaining, BATCH)):
        yield batch
