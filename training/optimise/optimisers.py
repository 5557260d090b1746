"""SGD, Adam and AdamW: torch's own, with rates by parameter group and the linear-scaling rule."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import nn

from training.optimise.groups import Rates, block_depths, parameter_groups
from training.spec import Spec

__all__ = ["SGD", "Adam", "AdamW", "Optimiser", "set_rates"]


class _Optimiser(Spec):
    """What every optimiser has.

    Attributes:
        lr: highest learning rate; a schedule gives factors of it.
        lr_batch: the photos a step that `lr` is meant for: the rate used is lr * batch / lr_batch (linear scaling,
            Goyal et al. 2017, section 2.1). None: `lr` as it stands.
        weight_decay: L2 for SGD and Adam, decoupled for AdamW.
        decay_norms: whether norms and biases decay, too.
        rates: factors for parts of the network.
    """

    lr: float = Field(gt=0)
    lr_batch: int | None = Field(default=None, ge=1)
    weight_decay: float = Field(default=0.0, ge=0)
    decay_norms: bool = True
    rates: Rates = Rates()

    def lr_of(self, batch: int) -> float:
        """The rate for that many photos a step."""
        return self.lr if self.lr_batch is None else self.lr * batch / self.lr_batch

    def _groups(self, learner: nn.Module, batch: int) -> list[dict[str, Any]]:
        return parameter_groups(
            learner.named_parameters(),
            block_depths(learner),
            self.rates,
            lr=self.lr_of(batch),
            weight_decay=self.weight_decay,
            decay_norms=self.decay_norms,
        )


class SGD(_Optimiser):
    """Stochastic gradient descent with momentum, by default Nesterov's."""

    kind: Literal["sgd"] = "sgd"
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = True

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def build(self, learner: nn.Module, batch: int) -> torch.optim.Optimizer:
        """For all parameters that need a gradient.

        Args:
            learner: network, losses and companions.
            batch: photos a step, of all processes together.
        """
        return torch.optim.SGD(self._groups(learner, batch), momentum=self.momentum, nesterov=self.nesterov)


class Adam(_Optimiser):
    """Kingma & Ba, "Adam" (ICLR 2015)."""

    kind: Literal["adam"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)

    def build(self, learner: nn.Module, batch: int) -> torch.optim.Optimizer:
        """See `SGD.build`."""
        return torch.optim.Adam(self._groups(learner, batch), betas=self.betas)


class AdamW(_Optimiser):
    """Loshchilov & Hutter, "Decoupled weight decay regularization" (ICLR 2019)."""

    kind: Literal["adamw"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)

    def build(self, learner: nn.Module, batch: int) -> torch.optim.Optimizer:
        """See `SGD.build`."""
        return torch.optim.AdamW(self._groups(learner, batch), betas=self.betas)


Optimiser = Annotated[SGD | Adam | AdamW, Field(discriminator="kind")]


def set_rates(optimiser: torch.optim.Optimizer, factor: float, momentum: float | None) -> None:
    """Before a step: every group's rate as a factor of its own highest; momentum (Adam: first beta) where given."""
    for group in optimiser.param_groups:
        group["lr"] = group["initial_lr"] * factor
        if momentum is not None and "momentum" in group:
            group["momentum"] = momentum
        elif momentum is not None:
            group["betas"] = (momentum, group["betas"][1])
