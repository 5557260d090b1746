"""The photos of a gallery as one adaptation sees them: labels' photos, distractors, and queries, ready to be compared.

Nothing here is the truth: vectors come from the index when first asked for, and are kept while nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from index.adaptation import Adaptation, AdaptedQuery
from index.distractors import Distractors, mean_top_k
from index.engines import Selection, VectorIndex
from index.items import ItemTable
from index.ranking import LabelPhotos

__all__ = ["Space"]

Floats = NDArray[np.float64]

_MOST_ROWS = 50_000
"""Photos kept in memory over all labels: 200 MB at 512 dimensions."""

_Lengths = tuple[Floats, float]
"""Of a label's adapted photos (n,), and of their mean (`LabelPhotos`)."""


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
        self._lengths: dict[str, _Lengths] = {}
        self._to_measure: list[str] | None = None
        self._kept: dict[str, LabelPhotos] = {}
        self._rows = 0
        self._penalties: dict[str, Floats] = {}
        self._strange: tuple[NDArray[np.float32], Floats] | None = None

    def adapts_as(self, adaptation: Adaptation | None) -> bool:
        """Whether this is what a space with `adaptation` would be."""
        return adaptation is None if self.adaptation is None else self.adaptation.same_as(adaptation)

    def query(self, embedding: NDArray[np.float32]) -> AdaptedQuery:
        """An embedding of the bundle (d,) as this space compares it."""
        return AdaptedQuery.plain(embedding) if self.adaptation is None else self.adaptation.query(embedding)

    def probes(self, embedding: NDArray[np.float32], seen: AdaptedQuery) -> NDArray[np.float32]:
        """What to search the index for, (1 or 2, d): the embedding, and the same as the adaptation weighs it."""
        return embedding[None] if self.adaptation is None else np.stack([embedding, seen.probe])

    def fetch(self, labels: Iterable[str]) -> None:
        """Have the photos of labels at hand, which all have some, by one request to the index: an engine on a server
        takes about as long for the photos of a hundred labels as for those of one."""
        if self._penalized:
            self.strangers()  # forgets photos with penalties of other distractors
        for label, numbers, rows in self._rows_of([label for label in labels if label not in self._kept]):
            self._keep(label, numbers, rows)

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
        return self.some_of(photos, within.among(photos.numbers))

    def some_of(self, photos: LabelPhotos, chosen: NDArray[np.bool_]) -> LabelPhotos:
        """Some of a label's photos, by their places (n,), as if they were all."""
        if chosen.all():
            return photos
        vectors = photos.vectors[chosen]
        penalties = None if photos.penalties is None else photos.penalties[chosen]
        if self.adaptation is None or len(vectors) == 0:
            return LabelPhotos(photos.label, photos.numbers[chosen], vectors, penalties)
        units, lengths = self.adaptation.measured(vectors)
        return LabelPhotos(photos.label, photos.numbers[chosen], vectors, penalties, lengths, _mean_length(units))

    def enrolled(self, photo: NDArray[np.float32]) -> LabelPhotos:
        """A label without a name whose one photo (d,) was photographed as queries are."""
        if self.adaptation is None:
            return LabelPhotos("", np.array([-1]), photo[None].astype(np.float64))
        wide, centres = photo.astype(np.float64), self.adaptation.centres
        if centres is not None:  # to the gallery's side
            wide = wide - centres.queries + centres.gallery
        _, lengths = self.adaptation.measured(wide[None])
        return LabelPhotos("", np.array([-1]), wide[None], None, lengths, 1.0)

    def measure(self, most: int) -> int:
        """Adapt photos of labels that nobody has asked about yet, for the lengths that questions need of them.

        A question to a gallery of a million photos would adapt a thousand of them, which is most of what it would take.
        For one thread at a time, between changes.

        Args:
            most: photos at a time, or those of one label.

        Returns:
            how many labels were looked at; 0 when there is no further one.
        """
        if self.adaptation is None:
            return 0
        if self._to_measure is None:
            self._to_measure = sorted(self._table.labels(), reverse=True)
        looked, missing = 0, []
        while self._to_measure and most > 0:
            label = self._to_measure.pop()
            looked += 1
            photos = 0 if label in self._lengths else len(self._table.of_label(label))
            if photos:
                missing.append(label)
                most -= photos
        for label, _, rows in self._rows_of(missing):
            self._measured(self.adaptation, label, rows)
        return looked

    def measured(self, label: str) -> bool:
        """Whether questions need not adapt the photos of a label any more."""
        return self.adaptation is None or label in self._lengths

    def forget(self, label: str) -> None:
        """Call when a photo of `label` comes, changes or goes."""
        self._penalties.pop(label, None)
        self._lengths.pop(label, None)
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

    def to_strangers(self, query: AdaptedQuery) -> Floats:
        """Cosine of a query of this space to each distractor, (m,)."""
        # einsum, not BLAS: its threads would take longer to meet than this little work takes.
        return np.asarray(np.einsum("md,d->m", self.strangers(), query.unit), np.float64)

    def item_penalties(self, label: str) -> Floats:
        """The penalty of each photo of a label: its mean top-5 cosine to the distractors, (n,); 0 without any."""
        strangers = self.strangers()
        kept = self._penalties.get(label)
        if kept is None:
            vectors = self.photos(label).vectors
            adapted = vectors if self.adaptation is None else self.adaptation.apply(vectors)
            kept = self._penalties[label] = mean_top_k(adapted, strangers)
        return kept

    def _rows_of(self, labels: Sequence[str]) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.float32]]]:
        """Labels with the numbers (n,) and embeddings (n, d) of their photos, by one request to the index."""
        if not labels:
            return
        numbers = [self._table.of_label(label) for label in labels]
        rows = self._index.reconstruct(np.concatenate(numbers))
        yield from zip(labels, numbers, np.split(rows, np.cumsum([len(own) for own in numbers])[:-1]), strict=True)

    def _keep(self, label: str, numbers: NDArray[np.int64], rows: NDArray[np.float32]) -> LabelPhotos:
        vectors = rows.astype(np.float64)
        if self.adaptation is None:
            photos = LabelPhotos(label, numbers, vectors, self._penalties_of(vectors))
        else:
            known = self._lengths.get(label)
            lengths, mean_length = known or self._measured(self.adaptation, label, rows)
            adapted = self.adaptation.apply(rows) if self._penalized else vectors
            photos = LabelPhotos(label, numbers, vectors, self._penalties_of(adapted), lengths, mean_length)
        if self._rows + len(numbers) > _MOST_ROWS:
            self._forget_all()
        self._kept[label] = photos
        self._rows += len(numbers)
        return photos

    def _measured(self, adaptation: Adaptation, label: str, rows: NDArray[np.float32]) -> _Lengths:
        # All photos of a label at once, always: BLAS may round a row differently in a product of another size.
        units, lengths = adaptation.measured(rows)
        measured = self._lengths[label] = (lengths, _mean_length(units))
        return measured

    def _penalties_of(self, adapted: Floats) -> Floats | None:
        return mean_top_k(adapted, self.strangers()) if self._penalized else None

    def _forget_all(self) -> None:
        self._kept.clear()
        self._penalties.clear()
        self._rows = 0

    def _as_queries(self, vectors: NDArray[np.float32]) -> Floats:
        if self.adaptation is None or len(vectors) == 0:
            return vectors.astype(np.float64)
        return self.adaptation.apply_to_queries(vectors)


def _mean_length(units: Floats) -> float:
    return float(np.linalg.norm(units.mean(axis=0)))
