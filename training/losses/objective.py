"""What a run minimises: the weighted sum of losses."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from training.batch import Batch, Outputs
from training.losses.accuracy import AccuracyLossSpec
from training.losses.adacos import AdaCosSpec
from training.losses.adaface import AdaFaceSpec
from training.losses.arcface import ArcFaceSpec
from training.losses.center import CenterLossSpec
from training.losses.cosface import CosFaceSpec
from training.losses.cross_entropy import CrossEntropySpec
from training.losses.curricularface import CurricularFaceSpec
from training.losses.loss import Loss
from training.losses.margin import MarginLoss
from training.losses.partial_fc import PartialArcFaceSpec
from training.losses.ring import RingLossSpec
from training.losses.sub_centre import SubCentreArcFaceSpec
from training.losses.triplet import BatchHardTripletSpec
from training.spec import Spec

__all__ = ["LossSpec", "Objective", "ObjectiveSpec", "Term"]

LossSpec = Annotated[
    AccuracyLossSpec
    | AdaCosSpec
    | AdaFaceSpec
    | ArcFaceSpec
    | BatchHardTripletSpec
    | CenterLossSpec
    | CosFaceSpec
    | CrossEntropySpec
    | CurricularFaceSpec
    | PartialArcFaceSpec
    | RingLossSpec
    | SubCentreArcFaceSpec,
    Field(discriminator="kind"),
]


class Term(Spec):
    """A loss in the sum.

    Attributes:
        loss: which.
        weight: in the sum.
        when_mixed: what a loss of one label a photo does with a batch of mixed photos: `refuse` it, or `skip` the term
            for that batch, where a recipe mixes only some of its batches.
    """

    loss: LossSpec
    weight: Annotated[float, Field(gt=0)] = 1.0
    when_mixed: Literal["refuse", "skip"] = "refuse"


class ObjectiveSpec(Spec):
    """The terms of the sum, none of the same kind as another."""

    terms: Annotated[tuple[Term, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        kinds = [term.loss.kind for term in self.terms]
        if twice := sorted({kind for kind in kinds if kinds.count(kind) > 1}):
            raise ValueError(f"the objective names {', '.join(twice)} more than once; one term of a kind")
        return self

    def build(self, *, classes: int, dim: int, counts: Tensor) -> Objective:
        """Make the losses.

        Args:
            classes: how many the network tells apart.
            dim: length of its embedding.
            counts: (classes,) int64, photos of each in training.

        Raises:
            RecipeInvalid: a loss cannot be made for these.
        """
        return Objective(self, {t.loss.kind: t.loss.build(classes=classes, dim=dim, counts=counts) for t in self.terms})


class Objective(nn.Module):
    """Outputs and batch -> the sum, and each loss by name before its weight."""

    def __init__(self, spec: ObjectiveSpec, losses: dict[str, Loss]) -> None:
        super().__init__()
        self.terms = spec.terms
        self.losses = nn.ModuleDict(losses)

    def forward(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        values = {term.loss.kind: self._value(term, outputs, batch) for term in self.terms}
        total = sum((term.weight * values[term.loss.kind] for term in self.terms), outputs.embedding.new_zeros(()))
        return total.float(), {name: value.detach() for name, value in values.items()}

    def _value(self, term: Term, outputs: Outputs, batch: Batch) -> Tensor:
        loss: nn.Module = self.losses[term.loss.kind]
        if batch.mixed is not None and term.when_mixed == "skip" and not loss.takes_mixed:
            # Nought, but by way of every weight: processes that train together must agree on which weights took part.
            return sum((p.float().sum() for p in loss.parameters()), outputs.embedding.float().sum()) * 0.0
        value: Tensor = loss(outputs, batch)
        return value

    def margin_loss(self) -> MarginLoss | None:
        """The first loss that owns class weights, whose `scorer()` gives scores where there is no classifier."""
        return next((loss for loss in self.losses.values() if isinstance(loss, MarginLoss)), None)
