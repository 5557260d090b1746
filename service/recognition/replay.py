"""A receipt against the gallery it was given by: in the same state, if that is still there, or as it stands now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from index.engines import Selection
from index.errors import DimensionMismatch
from index.generation import open_recognizer, read_generation
from index.receipt import About, Receipt, differences, replay
from service.gallery.filtering import select_items
from service.gallery.galleries import Galleries
from service.gallery.model import Model
from service.gallery.replica import State
from service.photo_embedding import EmbeddedQuery

__all__ = ["Replayed", "ReplayService"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a gallery says to a receipt.

    Attributes:
        same_state: whether it is as it was; else it has moved on, and another verdict proves nothing.
        where: `live`, or `generation N`.
        receipt: the one that it gives.
        differences: from the one that it gave.
    """

    same_state: bool
    where: str
    receipt: Receipt
    differences: list[str]


class ReplayService:
    """Thread-safe."""

    def __init__(self, galleries: Galleries, model: Model) -> None:
        self._galleries = galleries
        self._model = model

    def replay(self, receipt: Receipt, query: EmbeddedQuery | None = None) -> Replayed:
        """Ask the receipt's gallery again.

        Args:
            query: the photo itself; without it, the receipt's embedding is asked about, and what verification found is
                taken from the receipt.

        Raises:
            UnknownGallery, BundleMismatch, GenerationCorrupt, GenerationMismatch.
            DimensionMismatch: the receipt is of another model.
        """
        if len(receipt.vector) != self._model.dim:
            raise DimensionMismatch(
                f"the receipt's embedding has {len(receipt.vector)} numbers, those of {self._model.id} have "
                f"{self._model.dim}",
                expected=self._model.dim,
            )

        def ask(state: State, within: Selection | None) -> Receipt:
            about = receipt.about.model_copy(
                update={
                    "change": state.change,
                    "generation": state.generation,
                    "pinned": state.pinned is not None,
                    "model": self._model.id,
                    "model_sha256": self._model.sha256,
                }
            )
            if query is None:
                return replay(state.recognizer, receipt, about=about, within=within)
            return replay(
                state.recognizer,
                receipt,
                about=about,
                embedding=query.embedding,
                local=query.local,
                defect=query.defect,
                within=within,
            )

        same_state, where, now = self._at(receipt.about, ask)
        return Replayed(same_state, where, now, differences(receipt, now))

    def _at(self, about: About, look: Callable[[State, Selection | None], T]) -> tuple[bool, str, T]:
        """Look at the gallery as it was, live or in a generation on disk; else as it is."""
        wanted = about.filter
        replica = self._galleries.replica(about.gallery)
        live = replica.inspect_within(wanted, lambda state, within: (state.change, look(state, within)))
        if live[0] == about.change:
            return True, "live", live[1]
        # Generations hold no metadata: what it was then is gone.
        number = None if wanted is not None and wanted.where else self._generation(about)
        if number is None:
            return False, "live", live[1]
        state = self._opened(about.gallery, number)
        table = state.recognizer.table
        within = None if wanted is None else select_items(table, wanted, None, gallery=about.gallery)
        return True, f"generation {number}", look(state, within)

    def _generation(self, about: About) -> int | None:
        """The generation on disk that holds exactly what the gallery answered from."""
        root = self._galleries.root(about.gallery)
        for number in reversed(self._galleries.generations(about.gallery)):
            written_at = read_generation(root, number).manifest.change
            if about.pinned:
                holds = number == about.generation
            else:
                # To publish a generation is itself a change, which leaves what it holds as it is.
                just_published = number == about.generation and written_at + 1 == about.change
                holds = written_at == about.change or just_published
            if holds:
                return number
        return None

    def _opened(self, gallery: str, number: int) -> State:
        model, row = self._model, self._galleries.row(gallery)
        recognizer, generation = open_recognizer(
            self._galleries.root(gallery),
            number,
            bundle_sha256=model.sha256,
            background=model.background,
            far_budget=row.far_budget,
            pipeline=model.pipeline_for(row.unknown_share),
            verifier=model.verifier,
        )
        return State(recognizer, generation.manifest.change, number, None)
