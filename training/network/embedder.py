"""The part of a network that a bundle holds."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, TypeVar, cast

from torch import Tensor, nn
from torch.nn import functional

from training.errors import RecipeInvalid

if TYPE_CHECKING:
    from training.network.network import Network

__all__ = ["PhotoEmbedder"]

Part = TypeVar("Part", bound=nn.Module)


class PhotoEmbedder(nn.Module):
    """Preprocessed photos (n, 3, h, w) -> embeddings (n, d) of unit length, float32; with scores, a pair of these and
    of (n, classes). In evaluation mode, and a copy: training goes on untouched.

    Args:
        network: what was trained.
        scorer: embedding before it has unit length -> scores.
        with_scores: whether scores are wanted.

    Raises:
        RecipeInvalid: scores are wanted and there is no scorer.
    """

    def __init__(self, network: Network, scorer: nn.Module | None, *, with_scores: bool) -> None:
        super().__init__()
        if with_scores and scorer is None:
            raise RecipeInvalid(
                "Class scores are asked for, but this network has no classifier and no loss gives any; "
                "leave the scores out, or train with one."
            )
        self.scorer = None if scorer is None else _photo_by_photo(copy.deepcopy(scorer))
        self.network = copy.deepcopy(network)
        self.network.classifier = None
        _photo_by_photo(self.network)
        self.eval()
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        embedding = self.network.embed(self.network.backbone(image))[1].float()
        unit = functional.normalize(embedding, dim=1)
        return unit if self.scorer is None else (unit, self.scorer(embedding))


class _PointwiseLinear(nn.Module):
    """A linear layer as a 1x1 convolution: runtimes compute that photo by photo, so that a photo's embedding does not
    depend, in its last digits, on what else is in the batch."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.conv = nn.Conv2d(layer.in_features, layer.out_features, kernel_size=1, bias=layer.bias is not None)
        self.conv.weight.data = layer.weight.data[:, :, None, None]
        if layer.bias is not None:
            self.conv.bias.data = layer.bias.data  # type: ignore[union-attr]

    def forward(self, vectors: Tensor) -> Tensor:
        mapped: Tensor = self.conv(vectors[:, :, None, None])
        return mapped.flatten(1)


def _photo_by_photo(module: Part) -> Part:
    """Replace the linear layers of everything but the backbone."""
    if isinstance(module, nn.Linear):
        return cast(Part, _PointwiseLinear(module))
    for name, child in module.named_children():
        if name != "backbone":
            setattr(module, name, _photo_by_photo(child))
    return module
