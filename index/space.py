"""The photos of a gallery as one adaptation sees them: labels' photos, distractors, and queries, ready to be compared.

Nothing here is the truth: vectors come from the index when first asked for, and are kept while nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from index.adaptation import Adaptation
from index.distractors import Distractors, mean_top_k
from index.engines import Selection, VectorIndex
from index.items import ItemTable
from index.ranking import LabelPhotos

__all__ = ["Space"]

Floats = NDArray[np.float64]

_MOST_ROWS = 50_000
"""Photos kept in memory over all labels: 200 MB at 512 dimensions."""


class Space:
    """One view on the vectors of a gallery.

    Threads may ask side by side: at worst two fetch the same label.

    Args:
        index: the vectors as the bundle made them.
        table: which of them are which label's.
        distractors: for penalties.
        adaptation: None leaves vectors as they are.
        penalized: give labels' photos their penalties, for a ranking that subtracts them.
    """

    def __init__(
        self,
        index: VectorIndex,
        table: ItemTable,
        distractors: Distractors,
        adaptation: Adaptation | None = None,
        *,
        penalized: bool = False,
    ) -> None:
        self.adaptation = adaptation
        self._penalized = penalized
        self._index = index
        self._table = table
        self._distractors = distractors
        self._kept: dict[str, LabelPhotos] = {}
        self._rows = 0
        self._penalties: dict[str, Floats] = {}
        self._strange: tuple[NDArray[np.float32], Floats] | None = None

    def query(self, embedding: NDArray[np.float32]) -> Floats:
        """An embedding of the bundle (d,) in this space, (d,) of unit length."""
        if self.adaptation is None:
            return embedding.astype(np.float64)
        return np.asarray(self.adaptation.apply_to_queries(embedding[None])[0], np.float64)

    def probes(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """What to search the index for, (1 or 2, d): the embedding, and the same as the adaptation weighs it."""
        if self.adaptation is None:
            return embedding[None]
        return np.stack([embedding, self.adaptation.probe(embedding)])

    def fetch(self, labels: Iterable[str]) -> None:
        """Have the photos of labels at hand, which all have some, by one request to the index: an engine on a server
        takes about as long for the photos of a hundred labels as for those of one."""
        if self._penalized:
            self.strangers()  # forgets photos with penalties of other distractors
        missing = [label for label in labels if label not in self._kept]
        if len(missing) < 2:
            return
        numbers = [self._table.of_label(label) for label in missing]
        rows = self._index.reconstruct(np.concatenate(numbers))
        parts = np.split(rows, np.cumsum([len(own) for own in numbers])[:-1])
        for label, own, part in zip(missing, numbers, parts, strict=True):
            self._keep(label, own, part.copy())

    def photos(self, label: str) -> LabelPhotos:
        """The photos of a label that has some."""
        if self._penalized:
            self.strangers()  # forgets photos with penalties of other distractors
        kept = self._kept.get(label)
        if kept is not None:
            return kept
        numbers = self._table.of_label(label)
        return self._keep(label, numbers, self._index.reconstruct(numbers))

    def photos_within(self, label: str, within: Selection) -> LabelPhotos:
        """Those of a label's photos that are selected; there may be none."""
        photos = self.photos(label)
        chosen = within.among(photos.numbers)
        if chosen.all():
            return photos
        penalties = None if photos.penalties is None else photos.penalties[chosen]
        return LabelPhotos(label, photos.numbers[chosen], photos.vectors[chosen], penalties)

    def forget(self, label: str) -> None:
        """Call when a photo of `label` comes, changes or goes."""
        self._penalties.pop(label, None)
        gone = self._kept.pop(label, None)
        if gone is not None:
            self._rows -= len(gone.numbers)

    def strangers(self) -> Floats:
        """The distractors, (m, d)."""
        matrix = self._distractors.matrix()
        if self._strange is None or self._strange[0] is not matrix:
            self._strange = (matrix, self._as_queries(matrix))
            self._forget_all()  # penalties were those of other distractors
        return self._strange[1]

    def to_strangers(self, query: Floats) -> Floats:
        """Cosine of a query (d,), of this space, to each distractor, (m,)."""
        # einsum, not BLAS: its threads would take longer to meet than this little work takes.
        return np.asarray(np.einsum("md,d->m", self.strangers(), query), np.float64)

    def item_penalties(self, label: str) -> Floats:
        """The penalty of each photo of a label: its mean top-5 cosine to the distractors, (n,); 0 without any."""
        strangers = self.strangers()
        kept = self._penalties.get(label)
        if kept is None:
            kept = self._penalties[label] = mean_top_k(self.photos(label).vectors, strangers)
        return kept

    def _keep(self, label: str, numbers: NDArray[np.int64], rows: NDArray[np.float32]) -> LabelPhotos:
        # All photos of a label at once, always: BLAS may round a row differently in a product of another size.
        vectors = rows.astype(np.float64) if self.adaptation is None else self.adaptation.apply(rows)
        penalties = mean_top_k(vectors, self.strangers()) if self._penalized else None
        photos = LabelPhotos(label, numbers, vectors, penalties)
        if self._rows + len(numbers) > _MOST_ROWS:
            self._forget_all()
        self._kept[label] = photos
        self._rows += len(numbers)
        return photos

    def _forget_all(self) -> None:
        self._kept.clear()
        self._penalties.clear()
        self._rows = 0

    def _as_queries(self, vectors: NDArray[np.float32]) -> Floats:
        if self.adaptation is None or len(vectors) == 0:
            return vectors.astype(np.float64)
        return self.adaptation.apply_to_queries(vectors)
