"""Queries with known answers that a gallery can ask itself, so that it learns without anybody labelling anything.

- A photo of a label that has others is a *known* query: it is asked about with itself left out (leave one out).
- A simulated re-photograph of a label's only photo is a known query too: nothing is left out.
- Every one of these is also an *unknown* query when its whole label is left out (leave label out): the other labels of
  the gallery look like what a stranger of the same kind will meet. That teaches more than photos from elsewhere do.
- A photo that several labels hold is asked about without the others of them: they do not show another thing.
- A gallery with too few labels for that asks about its own distractors, and then about the bundle's background photos.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from index.calibration import Evidence, Samples
from index.labelled import LabelledQueries
from index.pipeline import Ranking
from index.ranking import NEIGHBOURS, SAME_PHOTO, LabelPhotos, RankedLabel, rank_labels
from index.recognizer import Ranked, Recognizer
from index.space import Space
from index.verification import LocalFeatures

__all__ = ["MOST_ITEMS", "MOST_VIEWED_ITEMS", "VIEWS", "Asked", "Simulation", "samples_of"]

VIEWS = 2
"""Simulated re-photographs of an enrolled photo."""

MOST_VIEWED_ITEMS = 256
"""Photos of a gallery that get them: a sample is enough to calibrate on, and they take time."""

MOST_ITEMS = 1000
"""Items that are asked about; more would take longer and say the same."""

_SAME_THING = 0.95
"""A background photo as similar as this to an item is taken for the same photo, and left aside."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The answer to one query of which the right one is known.

    Attributes:
        thing: what the query shows.
        ranked: what the gallery made of it; at least one label.
        label: the right one; None when the gallery does not have it.
    """

    thing: str
    ranked: Ranked
    label: str | None

    @property
    def known(self) -> bool:
        return self.label is not None

    @property
    def right(self) -> bool:
        return self.label is not None and self.ranked.labels[0].label == self.label


def samples_of(asked: Sequence[Asked]) -> Samples:
    """What calibration needs to know of them."""
    evidence = [query.ranked.best_evidence() for query in asked]
    return Samples(
        Evidence.join(evidence),
        known=np.array([query.known for query in asked], np.bool_),
        right=np.array([query.right for query in asked], np.bool_),
        things=np.array([zlib.crc32(query.thing.encode()) for query in asked], np.int64),
    )


class Simulation:
    """Asks a gallery about its own photos and others.

    Args:
        recognizer: the gallery; it must not change meanwhile.
        space_of: the space in which a query of each label is asked. An adaptation that was fitted on a label's own
            photos would make them look easier than new photos of it will be.
        ranking: how labels are scored; as the pipeline says unless given.
    """

    def __init__(
        self, recognizer: Recognizer, space_of: Callable[[str], Space], ranking: Ranking | None = None
    ) -> None:
        self._recognizer = recognizer
        self._space_of = space_of
        # Not the gallery's own: what it chose before must not weigh when it chooses anew.
        self._ranking = ranking or recognizer.pipeline.ranking

    def items(self, numbers: Iterable[int], *, views: bool = True, verify: bool = False) -> list[Asked]:
        """Leave-one-out and leave-label-out queries from some items and their views.

        Args:
            views: ask about the simulated re-photographs of labels' only photos.
            verify: look at local features, too. Views have none, so they are left out then.
        """
        return [asked for number in numbers for asked in self._about_item(number, views and not verify, verify)]

    def labelled(
        self,
        queries: LabelledQueries,
        space_of: Callable[[str], Space],
        *,
        verify: bool = False,
        without_label: bool = False,
    ) -> list[Asked]:
        """Real queries, each asked in the space for its label, which the gallery may not have.

        Args:
            without_label: only those whose label the gallery has, with that label left out: as unknown queries.
        """
        held = self._recognizer.labels()
        local = queries.local or [None] * len(queries.labels)
        asked = []
        for embedding, label, features in zip(queries.embeddings, queries.labels, local, strict=True):
            if without_label and label not in held:
                continue
            leaving_out = frozenset({label}) if without_label else frozenset()
            neighbours = NEIGHBOURS + sum(held[name] for name in leaving_out)
            ranked = self._rank(embedding, space_of(label), neighbours=neighbours, leaving_out=leaving_out)
            if verify:
                ranked = self._recognizer.verify(ranked, features)
            if ranked.labels:
                known = label in held and not without_label
                asked.append(Asked(label, ranked, label if known else None))
        return asked

    def distractors(self, space: Space) -> list[Asked]:
        """Distractors as unknown queries; a distractor must not count as resembling itself."""
        matrix = self._recognizer.distractors.matrix()
        asked = []
        for at in range(min(len(matrix), MOST_ITEMS)):
            ranked = self._rank(matrix[at], space, among_distractors=at)
            if ranked.labels:
                asked.append(Asked(f"stranger {at}", ranked, None))
        return asked

    def background(self, space: Space) -> list[Asked]:
        """The bundle's photos as unknown queries."""
        ranks = ((at, self._rank(photo, space)) for at, (photo, _) in self._background())
        return [Asked(f"stranger {at}", ranked, None) for at, ranked in ranks if ranked.labels]

    def background_as_known(self, space: Space) -> list[Asked]:
        """Views of the bundle's photos as known queries, each photo enrolled for the moment as a label of its own."""
        asked = []
        for at, (photo, views) in self._background():
            enrolled = space.enrolled(photo)
            for view in views:
                ranked = self._rank(view, space)
                asked.append(Asked(f"stranger {at}", self._with_label(view, ranked, enrolled, space), ""))
        return asked

    def _background(self) -> Iterable[tuple[int, tuple[NDArray[np.float32], NDArray[np.float32]]]]:
        """The bundle's photos and views, but for those that the gallery itself holds."""
        recognizer = self._recognizer
        background = recognizer.background
        photos = list(enumerate(zip(background.photos, background.views, strict=True)))
        if len(recognizer) == 0 or not photos:
            return photos
        nearest, _ = recognizer.index.search(background.photos, 1)
        return [photo for photo, similarity in zip(photos, nearest[:, 0], strict=True) if similarity < _SAME_THING]

    def _about_item(self, number: int, views: bool, verify: bool) -> list[Asked]:
        recognizer = self._recognizer
        label = recognizer.table.label(number)
        space = self._space_of(label)
        photos = space.photos(label)
        embedding = recognizer.index.reconstruct(np.array([number]))[0]
        same = self._holding(embedding) | {label}
        local = recognizer.features.get(number) if verify else None
        if len(photos.numbers) > 1:
            rest = space.some_of(photos, photos.numbers != number)
            return self._with_and_without(embedding, rest, same, space, local)
        asked = self._without(embedding, label, same, space, local)
        for view in recognizer.views.get(number, ()) if views else ():
            asked += self._with_and_without(view, photos, same, space, None)
        return asked

    def _holding(self, photo: NDArray[np.float32]) -> frozenset[str]:
        """The labels that hold this very photo."""
        recognizer = self._recognizer
        similarities, numbers = recognizer.index.search(photo[None], min(NEIGHBOURS, len(recognizer)))
        return frozenset(recognizer.table.labels_of(numbers[similarities >= SAME_PHOTO].tolist()))

    def _with_and_without(
        self,
        query: NDArray[np.float32],
        own: LabelPhotos,
        same: frozenset[str],
        space: Space,
        local: LocalFeatures | None,
    ) -> list[Asked]:
        """A query once with `own` as its label's photos (a known query), once without the label (an unknown one).

        Args:
            same: labels that show the same thing, the query's own among them.
        """
        others = self._others(query, same, space)
        with_own = self._with_label(query, others, own, space)
        known = Asked(own.label, self._recognizer.verify(with_own, local), own.label)
        return [known, *self._unknown(own.label, others, local)]

    def _without(
        self,
        query: NDArray[np.float32],
        label: str,
        same: frozenset[str],
        space: Space,
        local: LocalFeatures | None,
    ) -> list[Asked]:
        return self._unknown(label, self._others(query, same, space), local)

    def _unknown(self, thing: str, others: Ranked, local: LocalFeatures | None) -> list[Asked]:
        return [Asked(thing, self._recognizer.verify(others, local), None)] if others.labels else []

    def _others(self, query: NDArray[np.float32], same: frozenset[str], space: Space) -> Ranked:
        """Rank every label but those of `same`."""
        own = sum(len(space.photos(label).numbers) for label in same)
        ranked = self._rank(query, space, neighbours=NEIGHBOURS + own, leaving_out=same)
        return replace(ranked, holders=frozenset())

    def _rank(
        self,
        query: NDArray[np.float32],
        space: Space,
        *,
        neighbours: int = NEIGHBOURS,
        leaving_out: frozenset[str] = frozenset(),
        among_distractors: int | None = None,
    ) -> Ranked:
        return self._recognizer.rank(
            query,
            space=space,
            ranking=self._ranking,
            neighbours=neighbours,
            leaving_out=leaving_out,
            among_distractors=among_distractors,
        )

    def _with_label(self, query: NDArray[np.float32], others: Ranked, own: LabelPhotos, space: Space) -> Ranked:
        seen = space.query(query)
        entries: list[RankedLabel] = [
            *others.labels,
            *rank_labels(seen.direction, [own], self._ranking, offset=seen.offset),
        ]
        return replace(others, labels=sorted(entries, key=lambda entry: (-entry.score, entry.label)))
