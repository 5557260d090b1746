"""The moving average of weights, which often recognises better than the weights themselves."""

from __future__ import annotations

from pydantic import Field
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.spec import Spec

__all__ = ["Ema"]


class Ema(Spec):
    """Exponential moving average: Polyak & Juditsky (1992); in this form Tarvainen & Valpola, "Mean teachers" (2017).

    Attributes:
        decay: share of the old average that stays at each step.
        after_steps: steps before averaging begins; until then the average is the weights, so that a short run is not
            judged by its random beginning.
    """

    decay: float = Field(default=0.999, gt=0, lt=1)
    after_steps: int = Field(default=0, ge=0)

    def build(self, network: nn.Module) -> AveragedModel:
        """An average that begins as a copy of the network; buffers (norms' statistics) are averaged, too."""
        return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(self.decay), use_buffers=True)  # type: ignore[no-untyped-call]

    def update(self, average: AveragedModel, network: nn.Module, step: int) -> None:
        """After optimiser step `step`, counted from 0."""
        if step < self.after_steps:
            # `n_averaged` 0 makes the update a copy.
            average.n_averaged.zero_()
        average.update_parameters(network)
