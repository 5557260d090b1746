"""The frame of the margin losses: cosines to class weights that the loss owns, and a softmax over them."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.batch import Batch, Outputs
from training.losses.angular import CosineClassifier
from training.losses.loss import Loss

__all__ = ["MarginLoss", "Scorer"]


class MarginLoss(Loss):
    """Cross-entropy of scaled cosines, the true class's made harder by a margin.

    Attributes:
        classifier: owns the class weights; they are trained with the network and saved with the loss.
        scale: by which cosines are multiplied, (); saved only by a loss that finds its own.
    """

    scale: Tensor

    def __init__(self, classifier: CosineClassifier, scale: float, *, finds_scale: bool = False) -> None:
        super().__init__()
        self.classifier = classifier
        self.register_buffer("scale", torch.tensor(float(scale)), persistent=finds_scale)

    @abstractmethod
    def logits(self, cosines: Tensor, embedding: Tensor, labels: Tensor) -> Tensor:
        """(n, classes) scaled cosines with the margin, from cosines (n, classes) and embeddings (n, d), all float32."""

    def photo_weights(self, labels: Tensor) -> Tensor | None:  # noqa: ARG002
        """(n,) weights of photos by their class; None where all classes weigh the same."""
        return None

    def judge(self, outputs: Outputs, batch: Batch) -> tuple[Tensor, Tensor | None]:
        embedding = outputs.embedding.float()
        logits = self.logits(self.classifier(embedding), embedding, batch.labels)
        return functional.cross_entropy(logits, batch.labels, reduction="none"), self.photo_weights(batch.labels)

    def scores(self, embedding: Tensor) -> Tensor:
        """Embeddings (n, d), of any length -> (n, classes): scaled cosines without a margin."""
        scores: Tensor = self.scorer()(embedding)
        return scores

    def scorer(self) -> Scorer:
        """`scores` as a module that shares the class weights, for export."""
        return Scorer(self.classifier, self.scale)


class Scorer(nn.Module):
    """Embeddings (n, d) -> scaled cosines (n, classes)."""

    scale: Tensor

    def __init__(self, classifier: CosineClassifier, scale: Tensor) -> None:
        super().__init__()
        self.classifier = classifier
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, embedding: Tensor) -> Tensor:
        scores: Tensor = self.scale * self.classifier(embedding)
        return scores
