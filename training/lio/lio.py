"""Look into object: a network learns what the object of a label is, and how its places lie to each other."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from training.batch import Batch, Outputs
from training.errors import RecipeInvalid
from training.lio.object_extent import pseudo_masks, released_groups
from training.lio.spatial_context import SpatialContext, above_mean
from training.network.network import Network
from training.spec import Spec

__all__ = ["Lio", "LioSpec"]


class LioSpec(Spec):
    """`Lio`, with the release's weights.

    `mode: faithful` computes what the release computes; `corrected` does not repeat three of its mistakes:

    1. groups: the release cuts its joined photos so that a group holds photos of different labels; corrected, a group
       holds one label;
    2. targets: its pseudo mask carries gradients, so that the network may fit the target to the prediction; corrected,
       it is a constant;
    3. anchor: see `SpatialContext`; corrected, the anchor is left out of the mean angle.

    Two more are nobody's wish and are in neither: labels with fewer photos than a group stop the release (the sampler
    repeats photos), and its labels start at 1.

    Its classification loss, the mean over first photos plus the mean over the others, is the objective's
    `cross_entropy`; at a weight of 2 it is as large, every photo weighing the same.

    Attributes:
        mode: see above.
        cells: side of the map on which both tasks work; 7 for photos of 448 pixels, whose map of 14 is halved.
        structure: channels of the structure map; None: half of the network's, as the release has.
        extent_weight, context_weight: of the two tasks.
    """

    kind: Literal["lio"] = "lio"
    mode: Literal["corrected", "faithful"] = "corrected"
    cells: Annotated[int, Field(ge=2, le=32)] = 7
    structure: Annotated[int, Field(ge=1)] | None = None
    extent_weight: Annotated[float, Field(ge=0)] = 0.1
    context_weight: Annotated[float, Field(ge=0)] = 0.1

    def build(self, classes: int, channels: int) -> Lio:  # noqa: ARG002
        """Make the heads for a map of so many channels."""
        return Lio(self, channels)


class Lio(nn.Module):
    """The heads that only training has: a mask of the object, and a structure map whose places know their places.

    Source: Zhou et al., Look-into-Object: Self-supervised Structure Modeling for Object Recognition, CVPR 2020, and
    JDAI-CV/LIO, classification/models/scl_module.py and utils/train_util_index.py.

    Args:
        spec: what it is made by.
        channels: of the network's map.
    """

    def __init__(self, spec: LioSpec, channels: int) -> None:
        super().__init__()
        self.spec = spec
        structure = spec.structure or channels // 2
        self.mask = nn.Sequential(nn.ReLU(), nn.Conv2d(channels, 1, kernel_size=1))
        self.structure = nn.Sequential(nn.ReLU(), nn.Conv2d(channels, structure, kernel_size=1), nn.ReLU())
        self.context = SpatialContext(structure, skip_anchor=spec.mode == "corrected")

    def forward(self, network: Network, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:  # noqa: ARG002
        """The terms to add to the objective, weighted: `lio_extent`, `lio_context`.

        Args:
            network: not used.
            outputs: of the batch's photos.
            batch: photos in groups of one label.

        Raises:
            RecipeInvalid: photos do not stand in groups of two or more, or the map is coarser than the cells.
        """
        if batch.group is None or batch.group < 2:
            raise RecipeInvalid(
                "LIO compares photos of a label; take the sampler that puts each beside its companions."
            )
        with torch.autocast(batch.images.device.type, enabled=False):
            features = self._pooled(outputs.features.float())
            mask = self.mask(features)[:, 0]
            return {
                "lio_extent": self.spec.extent_weight * self._extent(features, mask, batch.group),
                "lio_context": self.spec.context_weight * self._context(features, mask, batch.group),
            }

    def _pooled(self, features: Tensor) -> Tensor:
        """To cells x cells; on a map of 14 x 14 the pooling is the release's AvgPool2d(2)."""
        cells = self.spec.cells
        if min(features.shape[2:]) < cells:
            raise RecipeInvalid(
                f"LIO of {cells} x {cells} places needs a map at least as fine, and photos of this size give "
                f"{features.shape[2]} x {features.shape[3]}; take larger photos or fewer cells."
            )
        pooled: Tensor = functional.adaptive_avg_pool2d(features, cells)
        return pooled

    def _extent(self, features: Tensor, mask: Tensor, group: int) -> Tensor:
        places, flat = features.flatten(2).transpose(1, 2), mask.flatten(1)
        if self.spec.mode == "faithful":
            order = released_groups(len(places), group).to(places.device)
            places, flat = places[order], flat[order]
        else:
            places = places.detach()
        loss: Tensor = functional.mse_loss(flat, pseudo_masks(places, group))
        return loss

    def _context(self, features: Tensor, mask: Tensor, group: int) -> Tensor:
        each: Tensor = self.context(self.structure(features), mask) * above_mean(mask)
        first = torch.arange(len(each), device=each.device) % group == 0
        return each[first].mean() + each[~first].mean()  # the release: photos, and their companions
