"""From an embedding to a score a class."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from training.errors import RecipeInvalid
from training.spec import Spec

__all__ = ["ClassifierSpec", "LinearClassifier", "LinearClassifierSpec", "NoClassifierSpec", "StripesClassifier",
           "StripesClassifierSpec"]  # fmt: skip

Rate = Annotated[float, Field(ge=0, lt=1)]


class NoClassifierSpec(Spec):
    """None: the losses have class weights of their own, or need none."""

    kind: Literal["none"] = "none"

    def build(self, dim: int, stripes: int | None, classes: int) -> None:  # noqa: ARG002
        return None


class LinearClassifierSpec(Spec):
    """`LinearClassifier`.

    Attributes:
        dropout: of the embedding.
        bias: DCL as released has none.
    """

    kind: Literal["linear"] = "linear"
    dropout: Rate = 0.0
    bias: bool = True

    def build(self, dim: int, stripes: int | None, classes: int) -> LinearClassifier:  # noqa: ARG002
        return LinearClassifier(dim, classes, self.dropout, bias=self.bias)


class StripesClassifierSpec(Spec):
    """`StripesClassifier`, for a neck of stripes.

    Attributes:
        dropout: of each stripe's embedding, and of the whole.
    """

    kind: Literal["stripes"] = "stripes"
    dropout: Rate = 0.5

    def build(self, dim: int, stripes: int | None, classes: int) -> StripesClassifier:
        if stripes is None:
            raise RecipeInvalid("A classifier of stripes needs a neck of stripes; this network's neck has none.")
        return StripesClassifier(dim, stripes, classes, self.dropout)


class LinearClassifier(nn.Module):
    """(n, d) -> logits (n, classes)."""

    def __init__(self, dim: int, classes: int, dropout: float, *, bias: bool = True) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Dropout(dropout), nn.Linear(dim, classes, bias=bias))

    def forward(self, embedding: Tensor) -> Tensor:
        logits: Tensor = self.layers(embedding)
        return logits


class StripesClassifier(nn.Module):
    """A classifier a stripe, and one of all stripes that does not train what lies below it.

    Source: `PCBRingHead2` of ducha-aiki/whale-identification-2018, arch.py: `local_clf_list`, `total_clf`.
    """

    def __init__(self, dim: int, stripes: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.total = LinearClassifier(dim, classes, dropout)
        self.each = nn.ModuleList(LinearClassifier(dim // stripes, classes, dropout) for _ in range(stripes))

    def forward(self, embedding: Tensor) -> Tensor:
        """(n, d) -> logits of the whole, (n, classes); no gradient reaches the embedding."""
        logits: Tensor = self.total(embedding.detach())
        return logits

    def part_logits(self, parts: Tensor) -> Tensor:
        """(n, s, d / s) -> (n, s, classes)."""
        return torch.stack([head(parts[:, at]) for at, head in enumerate(self.each)], dim=1)


ClassifierSpec = Annotated[NoClassifierSpec | LinearClassifierSpec | StripesClassifierSpec, Field(discriminator="kind")]
