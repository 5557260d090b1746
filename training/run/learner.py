"""Everything that learns, as one module: so that processes agree on it, and one file holds it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from training.batch import Batch
from training.losses.objective import Objective
from training.network.network import Network
from training.run.gathering import gathered_batch, gathered_outputs

__all__ = ["Learner"]


class Learner(nn.Module):
    """A batch -> its losses by name; `loss` is their weighted sum, the others are before their weights.

    Args:
        network: photos -> outputs.
        objective: outputs -> losses, of the photos of all processes together.
        companions: heads that only training has, each `(network, outputs, batch) -> losses`; of each process's own
            photos, as they look at feature maps.
    """

    network: Network
    objective: Objective

    def __init__(self, network: Network, objective: Objective, companions: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.network = network
        self.objective = objective
        self.companions = nn.ModuleDict(companions)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        outputs = self.network(batch.images)
        total, losses = self.objective(gathered_outputs(outputs), gathered_batch(batch))
        for companion in self.companions.values():
            terms: dict[str, Tensor] = companion(self.network, outputs, batch)
            total = total + sum(terms.values())
            losses |= {name: term.detach() for name, term in terms.items()}
        return {"loss": total, **losses}
