"""From a pooled vector to an embedding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field
from torch import nn

from training.errors import RecipeInvalid
from training.export.embedding_model import classifier_projection
from training.spec import Spec

__all__ = ["BatchNormLinearSpec", "LinearSpec", "MlpSpec", "NoNeckSpec", "SimpleNeckSpec"]

Dim = Annotated[int, Field(ge=1, le=8192)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Start = Literal["torch", "orthogonal", "classifier"]
"""A linear layer's first weights: torch's; orthonormal rows, which keep most angles between photos; or the directions
in which the backbone's own pretrained classifier tells its classes apart best (`classifier_projection`)."""


class NoNeckSpec(Spec):
    """The pooled vector is the embedding."""

    kind: Literal["none"] = "none"

    def width(self, channels: int) -> int:
        """Length of the embedding."""
        return channels

    def build(self, channels: int, classifier: nn.Module | None = None) -> nn.Module:  # noqa: ARG002
        return nn.Identity()


class LinearSpec(Spec):
    """A plain projection, such as the one of the bundle that ships.

    With `start: classifier` and average pooling it begins as the embedding of the bundle that ships.
    """

    kind: Literal["linear"] = "linear"
    dim: Dim = 512
    bias: bool = False
    start: Start = "torch"

    def width(self, channels: int) -> int:  # noqa: ARG002
        """Length of the embedding."""
        return self.dim

    def build(self, channels: int, classifier: nn.Module | None = None) -> nn.Module:
        return _linear(channels, self.dim, self.bias, self.start, classifier)


class BatchNormLinearSpec(Spec):
    """Linear -> BatchNorm -> PReLU with one slope; the embedding is taken after the PReLU.

    Source: psinger/kaggle-landmark-recognition-2020-1st-place, src/models.py, `option-D`. `dropout: 0.3` is its
    `option-F`; `activation: none` with `bias: false` its third choice.
    """

    kind: Literal["linear_bn_prelu"] = "linear_bn_prelu"
    dim: Dim = 512
    dropout: Rate = 0.0
    bias: bool = True
    activation: Literal["prelu", "none"] = "prelu"
    start: Start = "torch"

    def width(self, channels: int) -> int:  # noqa: ARG002
        """Length of the embedding."""
        return self.dim

    def build(self, channels: int, classifier: nn.Module | None = None) -> nn.Module:
        def layers() -> Iterator[nn.Module]:
            if self.dropout:
                yield nn.Dropout(self.dropout)
            yield _linear(channels, self.dim, self.bias, self.start, classifier)
            yield nn.BatchNorm1d(self.dim)
            if self.activation == "prelu":
                yield nn.PReLU()

        return nn.Sequential(*layers())


class MlpSpec(Spec):
    """BatchNorm -> Dropout -> Linear -> ReLU -> BatchNorm -> Dropout; the classifier follows.

    Source: the whale 7th place's first network, which is fastai's head with a vector of 2048. Rates: fastai's `ps`
    of 0.5 for the last layer, half of it before.
    """

    kind: Literal["mlp"] = "mlp"
    dim: Dim = 2048
    dropout_before: Rate = 0.25
    dropout_after: Rate = 0.5

    def width(self, channels: int) -> int:  # noqa: ARG002
        """Length of the embedding."""
        return self.dim

    def build(self, channels: int, classifier: nn.Module | None = None) -> nn.Module:  # noqa: ARG002
        return nn.Sequential(
            nn.BatchNorm1d(channels),
            nn.Dropout(self.dropout_before),
            nn.Linear(channels, self.dim),
            nn.ReLU(),
            nn.BatchNorm1d(self.dim),
            nn.Dropout(self.dropout_after),
        )


def _linear(channels: int, dim: int, bias: bool, start: Start, classifier: nn.Module | None) -> nn.Linear:
    layer = nn.Linear(channels, dim, bias=bias)
    if start == "orthogonal":
        nn.init.orthogonal_(layer.weight)
    if start == "classifier":
        if not isinstance(classifier, nn.Linear) or classifier.in_features != channels:
            raise RecipeInvalid(
                "A neck that starts from the backbone's classifier needs a linear one of pretrained weights, as wide "
                f"as what is pooled ({channels}); start it as `orthogonal`, or pool by the average."
            )
        if dim >= min(classifier.weight.shape):
            raise RecipeInvalid(
                f"A classifier of {tuple(classifier.weight.shape)} gives fewer than {dim} directions to start from."
            )
        layer.weight.data = classifier_projection(classifier, dim)
    return layer


SimpleNeckSpec = NoNeckSpec | LinearSpec | BatchNormLinearSpec | MlpSpec
"""Necks that take one pooled vector."""
