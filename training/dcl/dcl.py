"""Destruction and construction learning: a network learns from whole photos and from shuffled ones."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from training.batch import Batch, Destroyed, Outputs
from training.dcl.region_confusion import Mode, RegionConfusion
from training.errors import RecipeInvalid
from training.network.network import Network
from training.spec import Spec

__all__ = ["Dcl", "DclSpec", "location_targets"]

Weight = Annotated[float, Field(ge=0)]


class DclSpec(Spec):
    """`Dcl`, with the release's weights.

    Attributes:
        cells: regions in a row; 7 for photos of 448 pixels.
        mode: how regions are shuffled; see `RegionConfusion`.
        reach: k of the paper's way.
        border: pixels cut off before shuffling: the release's 10, or 0.
        adversary: `class_and_state` tells 2C classes apart, whole and destroyed (`--cls_mul`, better on large data);
            `state` just whole from destroyed (`--cls_2`, which the release uses for products).
        class_weight: of the cross-entropy of destroyed photos. The release means over whole and destroyed together, so
            its sum has 0.5 here and a weight of 0.5 on the objective's `cross_entropy`.
        adversary_weight: of the adversary.
        location_weight: 1; 0.01 for rigid things (the release: cars, aircraft).
        seed: of the shuffling.
    """

    kind: Literal["dcl"] = "dcl"
    cells: Annotated[int, Field(ge=2, le=32)] = 7
    mode: Mode = "released"
    reach: Annotated[float, Field(gt=0)] = 2.0
    border: Annotated[int, Field(ge=0)] = 10
    adversary: Literal["class_and_state", "state"] = "class_and_state"
    class_weight: Weight = 0.5
    adversary_weight: Weight = 1.0
    location_weight: Weight = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0

    def build(self, classes: int, channels: int) -> Dcl:
        """Make the heads, for a network of so many classes and a map of so many channels."""
        return Dcl(self, classes, channels)


class Dcl(nn.Module):
    """The heads that only training has: an adversary that tells whole photos from destroyed ones, and a locator that
    tells where each region of the map came from.

    Source: Chen et al., CVPR 2019, sections 3.2 and 3.3, and JDAI-CV/DCL, models/LoadModel.py and
    utils/train_model.py. As released, and unlike its name, the adversary is trained with the network, not against it:
    no gradient is reversed. The locator gives one number a region and is judged by its absolute difference.

    Unlike the release, which stacks whole and destroyed photos into one batch, the network sees destroyed photos after
    the whole ones, so that its batch norms have the moments of each apart.

    Args:
        spec: what it is made by.
        classes: of the network's classifier.
        channels: of its map.
    """

    steps: Tensor

    def __init__(self, spec: DclSpec, classes: int, channels: int) -> None:
        super().__init__()
        self.spec, self.classes = spec, classes
        self.confuse = RegionConfusion(spec.cells, spec.mode, spec.reach, spec.border)
        self.adversary = nn.Linear(channels, 2 * classes if spec.adversary == "class_and_state" else 2, bias=False)
        self.locator = nn.Conv2d(channels, 1, kernel_size=1)
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, network: Network, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        """The terms to add to the objective, weighted: `dcl_class`, `dcl_adversary`, `dcl_location`.

        Destroyed photos are the batch's, or are made of its photos, by the seed and the number of steps made, which is
        saved: a resumed run destroys alike.

        Args:
            network: that gave the outputs; it is run on the destroyed photos, too.
            outputs: of the batch's photos.
            batch: one label a photo.

        Raises:
            RecipeInvalid: the batch is mixed, the network has no classifier, or photos or maps are too small for cells.
        """
        if batch.mixed is not None:
            raise RecipeInvalid("DCL takes one label a photo and this batch is mixed; take CutMix and MixUp out of it.")
        destroyed = batch.destroyed or self.confuse(batch.images, self._generator())
        ruined = network(destroyed.images)
        if ruined.logits is None:
            raise RecipeInvalid("DCL needs a network with a classifier, and this network has none.")
        with torch.autocast(batch.images.device.type, enabled=False):
            return {
                "dcl_class": self.spec.class_weight * functional.cross_entropy(ruined.logits.float(), batch.labels),
                "dcl_adversary": self.spec.adversary_weight * self._adversarial(outputs, ruined, batch.labels),
                "dcl_location": self.spec.location_weight * self._located(outputs, ruined, destroyed),
            }

    def scores(self, outputs: Outputs) -> Tensor:
        """The release's scores of classes for evaluation, (n, classes): the classifier's logits, and with an adversary
        of 2C classes both of a class's added. Source: JDAI-CV/DCL, utils/eval_model.py.

        Raises:
            RecipeInvalid: the network has no classifier.
        """
        if outputs.logits is None:
            raise RecipeInvalid("DCL needs a network with a classifier, and this network has none.")
        if self.spec.adversary == "state":
            return outputs.logits
        whole, ruined = self.adversary(_mean_map(outputs)).split(self.classes, dim=1)
        scores: Tensor = outputs.logits + whole + ruined
        return scores

    def _adversarial(self, whole: Outputs, ruined: Outputs, labels: Tensor) -> Tensor:
        logits = self.adversary(torch.cat([_mean_map(whole), _mean_map(ruined)]))
        if self.spec.adversary == "class_and_state":
            return functional.cross_entropy(logits, torch.cat([labels, labels + self.classes]))
        return functional.cross_entropy(logits, torch.cat([torch.ones_like(labels), torch.zeros_like(labels)]))

    def _located(self, whole: Outputs, ruined: Outputs, destroyed: Destroyed) -> Tensor:
        in_place = torch.arange(self.spec.cells**2, device=destroyed.positions.device).expand_as(destroyed.positions)
        targets = location_targets(torch.cat([in_place, destroyed.positions]), self.spec.cells)
        return functional.l1_loss(self._locate(torch.cat([whole.features, ruined.features]).float()), targets)

    def _locate(self, features: Tensor) -> Tensor:
        """Map (n, c, h, w) -> (n, cells^2) in (-1, 1). On a map of 14 x 14 that pools as the release's AvgPool2d(2)."""
        cells = self.spec.cells
        if min(features.shape[2:]) < cells:
            raise RecipeInvalid(
                f"DCL of {cells} x {cells} regions needs a map at least as fine, and photos of this size give "
                f"{features.shape[2]} x {features.shape[3]}; take larger photos or fewer cells."
            )
        return functional.adaptive_avg_pool2d(self.locator(features), cells).tanh().flatten(1)

    def _generator(self) -> torch.Generator:
        # Mixed into 32 bits, as torch's generator on the CPU ignores any higher ones.
        mixed = np.random.SeedSequence((self.spec.seed, int(self.steps))).generate_state(1)
        self.steps += 1
        return torch.Generator().manual_seed(int(mixed[0]))


def location_targets(positions: Tensor, cells: int) -> Tensor:
    """Numbers of cells -> (number - cells^2 // 2) / cells^2: for 7 cells, -0.4898 to 0.4898."""
    return (positions - cells**2 // 2) / cells**2


def _mean_map(outputs: Outputs) -> Tensor:
    return outputs.features.float().mean((2, 3))
