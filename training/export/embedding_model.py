"""The network that a bundle holds: backbone, pooling, projection, unit length; or several of them side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["EmbeddingModel", "SideBySide", "classifier_projection"]


class EmbeddingModel(nn.Module):
    """Preprocessed photos (n, 3, h, w) -> embeddings (n, d) of unit length.

    Args:
        backbone: a timm model; its `forward_features` gives the map.
        pooling: (n, c, h, w) -> (n, c).
        projection: (d, c), rows orthonormal.
    """

    backbone: nn.Module
    pooling: nn.Module

    def __init__(self, backbone: nn.Module, pooling: nn.Module, projection: Tensor) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        # A 1x1 convolution, not a matrix product: runtimes compute it photo by photo, so that a photo's embedding
        # does not depend, in its last digits, on what else is in the batch.
        self.projection = nn.Conv2d(projection.shape[1], projection.shape[0], kernel_size=1, bias=False)
        self.projection.weight.data = projection[:, :, None, None].clone()

    def forward(self, image: Tensor) -> Tensor:
        features = self.backbone.forward_features(image)  # type: ignore[operator]
        pooled = self.pooling(features)[:, :, None, None]
        projected: Tensor = self.projection(pooled).flatten(1)
        return functional.normalize(projected, dim=1)


class SideBySide(nn.Module):
    """Several networks that look at the same photo: their embeddings one after the other, of unit length together, so
    that a cosine is the mean of theirs.

    Args:
        members: each gives unit embeddings.
    """

    members: nn.ModuleList

    def __init__(self, *members: EmbeddingModel) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, image: Tensor) -> Tensor:
        return functional.normalize(torch.cat([member(image) for member in self.members], dim=1), dim=1)


def classifier_projection(classifier: nn.Linear, dim: int) -> Tensor:
    """The `dim` directions in which a classifier tells its classes apart best, (dim, c), orthonormal.

    They are the right singular vectors of the centred class weights: no photos are needed to find them, so a bundle
    can be made again from the weights alone. Signs are fixed so that the largest entry of each row is positive.

    Raises:
        ValueError: `dim` is more than the weights' rank allows.
    """
    weights = classifier.weight.detach().double()
    if dim > min(weights.shape) - 1:
        raise ValueError(f"{dim} directions were asked for; a classifier of {tuple(weights.shape)} gives fewer")
    directions = torch.linalg.svd(weights - weights.mean(0), full_matrices=False)[2][:dim]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    unit_rows: Tensor = (directions * largest.sign()).float()
    return unit_rows
