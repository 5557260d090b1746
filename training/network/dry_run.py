"""What a timm model's feature map needs, found without computing anything."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

__all__ = ["drop_idle", "dry_run"]


class _Features(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.model.forward_features(images)  # type: ignore[operator]
        return features


def dry_run(model: nn.Module, size: int) -> tuple[tuple[int, ...], frozenset[str]]:
    """The shape of a model's features for one photo, and the names of parameters that take no part in them.

    On torch's meta device, which knows shapes and gradients but holds no numbers.

    Args:
        model: a timm model in evaluation mode.
        size: side of the photo in pixels.
    """
    wrapped = _Features(model)
    with torch.inference_mode(False), torch.enable_grad():  # whatever the caller is at
        ghosts = {name: torch.empty_like(p, device="meta").requires_grad_() for name, p in wrapped.named_parameters()}
        buffers = {name: torch.empty_like(b, device="meta") for name, b in wrapped.named_buffers()}
        photo = torch.zeros(1, 3, size, size, device="meta")
        features = functional_call(wrapped, {**ghosts, **buffers}, (photo,))
        gradients = torch.autograd.grad(features.sum(), list(ghosts.values()), allow_unused=True)
    idle = [name for name, gradient in zip(ghosts, gradients, strict=True) if gradient is None]
    return tuple(features.shape), frozenset(name.removeprefix("model.") for name in idle)


def drop_idle(model: nn.Module, idle: frozenset[str], prefix: str = "") -> None:
    """Replace the modules whose every parameter is idle, such as classifiers, by nothing.

    They would cost memory (VGG16: 119 of its 134 million weights), and processes that train together would wait for
    gradients that never come.
    """
    for name, child in model.named_children():
        inside = {f"{prefix}{name}.{parameter}" for parameter, _ in child.named_parameters()}
        if inside and inside <= idle:
            setattr(model, name, nn.Identity())
        elif inside & idle:
            drop_idle(child, idle, f"{prefix}{name}.")
