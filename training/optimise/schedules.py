"""Learning rates over a stage, as pure functions of the step: nothing to save, so a resumed run cannot differ.

Each schedule gives a factor of the optimiser's own rate, of every parameter group alike.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from training.spec import Spec

__all__ = ["Constant", "Cosine", "Extent", "MultiStep", "OneCycle", "Schedule"]


@dataclass(frozen=True)
class Extent:
    """How long a stage is.

    Attributes:
        steps: optimiser steps in all, at least 1.
        steps_per_epoch: at least 1.
    """

    steps: int
    steps_per_epoch: int


class _Warming(Spec):
    """A schedule that begins with a linear warm-up.

    Attributes:
        warmup_epochs: how long; 0 for none. The rate is `warmup_start` before the first step and whole after it.
        warmup_start: share of the rate, 0..1.

    Source of the warm-up: Goyal et al., "Accurate, large minibatch SGD" (2017), section 2.2.
    """

    warmup_epochs: float = Field(default=0.0, ge=0)
    warmup_start: float = Field(default=0.0, ge=0, le=1)

    def factor(self, step: int, extent: Extent) -> float:
        """Of the rate at a step, counted from 0."""
        warmup = min(round(self.warmup_epochs * extent.steps_per_epoch), extent.steps)
        if step < warmup:
            return self.warmup_start + (1 - self.warmup_start) * (step + 1) / warmup
        return self._after_warmup(step, warmup, extent)

    def momentum(self, step: int, extent: Extent) -> float | None:  # noqa: ARG002
        """The optimiser's momentum at a step; None leaves it alone."""
        return None

    @abstractmethod
    def _after_warmup(self, step: int, warmup: int, extent: Extent) -> float: ...


class Constant(_Warming):
    """The same rate throughout."""

    kind: Literal["constant"] = "constant"

    def _after_warmup(self, step: int, warmup: int, extent: Extent) -> float:  # noqa: ARG002
        return 1.0


class Cosine(_Warming):
    """Half a cosine from the whole rate to `floor`: Loshchilov & Hutter, "SGDR" (ICLR 2017), one cycle.

    Attributes:
        floor: share of the rate at the end, 0..1.
    """

    kind: Literal["cosine"] = "cosine"
    floor: float = Field(default=0.0, ge=0, le=1)

    def _after_warmup(self, step: int, warmup: int, extent: Extent) -> float:
        progress = (step - warmup) / max(extent.steps - warmup, 1)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2


class MultiStep(_Warming):
    """The rate times `gamma` at each milestone.

    Attributes:
        milestones: in epochs, ascending.
        gamma: 0..1.
    """

    kind: Literal["multi_step"] = "multi_step"
    milestones: tuple[float, ...]
    gamma: float = Field(default=0.1, gt=0, le=1)

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if list(self.milestones) != sorted(set(self.milestones)) or min(self.milestones, default=1) <= 0:
            raise ValueError(f"milestones must be positive and ascending, not {self.milestones}")
        return self

    def _after_warmup(self, step: int, warmup: int, extent: Extent) -> float:  # noqa: ARG002
        passed = sum(step >= round(milestone * extent.steps_per_epoch) for milestone in self.milestones)
        return self.gamma**passed


class OneCycle(Spec):
    """Up from rate / `start` to the rate, down to rate / (`start` * `end`), by half cosines; momentum the other way.

    Source: Smith, "A disciplined approach to neural network hyper-parameters" (2018); shape and defaults as in fastai
    and `torch.optim.lr_scheduler.OneCycleLR`.

    Attributes:
        rise: share of the steps until the peak.
        start, end: divisors.
        momenta: highest and lowest (for Adam its first beta); None leaves the optimiser's.
    """

    kind: Literal["one_cycle"] = "one_cycle"
    rise: float = Field(default=0.3, gt=0, lt=1)
    start: float = Field(default=25.0, ge=1)
    end: float = Field(default=1e4, ge=1)
    momenta: tuple[float, float] | None = (0.95, 0.85)

    def factor(self, step: int, extent: Extent) -> float:
        """Of the rate at a step, counted from 0."""
        return self._curve(step, extent, 1 / self.start, 1.0, 1 / (self.start * self.end))

    def momentum(self, step: int, extent: Extent) -> float | None:
        """The optimiser's momentum at a step; None leaves it alone."""
        if self.momenta is None:
            return None
        high, low = self.momenta
        return self._curve(step, extent, high, low, high)

    def _curve(self, step: int, extent: Extent, first: float, middle: float, last: float) -> float:
        peak = self.rise * extent.steps - 1
        if step <= peak:
            return _between(first, middle, step / peak if peak > 0 else 1.0)
        return _between(middle, last, (step - peak) / max(extent.steps - 1 - peak, 1e-9))


Schedule = Annotated[Constant | Cosine | MultiStep | OneCycle, Field(discriminator="kind")]


def _between(first: float, last: float, progress: float) -> float:
    """From first to last along half a cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * min(progress, 1.0))) / 2
