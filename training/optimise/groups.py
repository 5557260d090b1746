"""Which parameter learns how fast: factors for the backbone, its blocks, the heads and the losses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import timm.models
from pydantic import Field
from torch import nn

from training.spec import Spec

__all__ = ["Rates", "block_depths", "parameter_groups"]

BACKBONE = "network.backbone."
LOSSES = "objective."


class Rates(Spec):
    """Factors of the optimiser's rate.

    Attributes:
        backbone: of every weight of the backbone.
        early: a further factor, of the first half of the backbone's blocks (fastai's three layer groups).
        block_decay: a further factor for each block between a weight and the backbone's end: ELECTRA's and BEiT's
            layer-wise decay (Clark et al., ICLR 2020, appendix A).
        heads: of what is neither in the backbone nor in a loss: neck, classifiers, heads of companions.
        losses: of what losses learn: class centres, ArcFace's class weights.
    """

    backbone: float = Field(default=1.0, gt=0)
    early: float = Field(default=1.0, gt=0)
    block_decay: float = Field(default=1.0, gt=0, le=1)
    heads: float = Field(default=1.0, gt=0)
    losses: float = Field(default=1.0, gt=0)

    def factor(self, name: str, depths: Mapping[str, int]) -> float:
        """Of one parameter.

        Args:
            name: within the learner: `network.backbone. ...`, `objective. ...`.
            depths: see `block_depths`.
        """
        if name.startswith(LOSSES):
            return self.losses
        if not name.startswith(BACKBONE):
            return self.heads
        deepest = max(depths.values(), default=0)
        depth = depths.get(name, deepest)
        early = self.early if 2 * depth < deepest else 1.0
        return self.backbone * early * self.block_decay ** (deepest - depth)


def block_depths(learner: nn.Module) -> dict[str, int]:
    """Name of each of the backbone's parameters -> number of its block, from 0 at the photo's side.

    Blocks are timm's own (`group_matcher`); a backbone without them is one block.
    """
    for prefix, module in learner.named_modules():
        if prefix.startswith(BACKBONE.rstrip(".")) and hasattr(module, "group_matcher"):
            matcher = module.group_matcher(coarse=False)
            found: dict[str, int] = timm.models.group_parameters(module, matcher, reverse=True)
            return {f"{prefix}.{name}": depth for name, depth in found.items()}
    return {}


def parameter_groups(
    named: Iterable[tuple[str, nn.Parameter]],
    depths: Mapping[str, int],
    rates: Rates,
    *,
    lr: float,
    weight_decay: float,
    decay_norms: bool,
) -> list[dict[str, Any]]:
    """Groups for a torch optimiser, in a fixed order; parameters that need no gradient are left out.

    Args:
        named: of the learner, see `Rates.factor`.
        depths: see `block_depths`.
        rates: factors.
        lr: of a parameter whose factor is 1.
        weight_decay: of every parameter,
        decay_norms: but for those with fewer than two dimensions (norms, biases, GeM's p) where this is false.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in named:
        if parameter.requires_grad:
            decay = weight_decay if decay_norms or parameter.ndim > 1 else 0.0
            groups.setdefault((rates.factor(name, depths), decay), []).append(parameter)
    return [
        {"params": groups[key], "lr": lr * key[0], "initial_lr": lr * key[0], "weight_decay": key[1]}
        for key in sorted(groups, reverse=True)
    ]
