"""LIO's second task: how far, and in which direction, each place of the object lies from its most telling place."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["SpatialContext"]


class SpatialContext(nn.Module):
    """Structure map (n, d, s, s) and mask (n, s, s) -> the loss of each place (n, s, s), before any mask.

    The anchor is the place within the mask (above its mean) whose channels have the largest mean. A predictor sees the
    anchor and a place and tells the distance, in sides of the map, and the angle, in turns; the loss is the squared
    error of the distance and the variance-like spread of the angle's error, which does not change when the photo is
    turned. Source: Zhou et al., Look-into-Object, CVPR 2020, section 3.3, and JDAI-CV/LIO,
    classification/models/coord_predict.py.

    Args:
        dim: channels of the structure map.
        skip_anchor: leave the anchor out of the mean angle. The release compares there a prediction set to 0 with an
            angle of atan2(0, 0), which it maps to 0.5: a constant that moves the mean of all other places.
    """

    def __init__(self, dim: int, *, skip_anchor: bool) -> None:
        super().__init__()
        self.predictor = nn.Sequential(nn.Linear(2 * dim, 2), nn.ReLU())
        self.skip_anchor = skip_anchor

    def forward(self, structure: Tensor, mask: Tensor) -> Tensor:
        side = structure.shape[2]
        places = structure.flatten(2).transpose(1, 2)  # (n, s^2, d)
        anchor = _anchors(places, above_mean(mask).flatten(1))
        predicted = self._predict(places, anchor)
        distance, angle = _polar(anchor, side)
        is_anchor = nn.functional.one_hot(anchor, side**2).bool()
        gap = predicted[..., 1] - angle
        gap = torch.where(gap < 0, gap + 1, gap)
        if self.skip_anchor:
            mean = gap.masked_fill(is_anchor, 0).sum(1, keepdim=True) / (side**2 - 1)
            turned = (gap - mean).masked_fill(is_anchor, 0)
        else:
            turned = gap - gap.mean(1, keepdim=True)
        return ((predicted[..., 0] - distance).square() + turned.square()).view(-1, side, side)

    def _predict(self, places: Tensor, anchor: Tensor) -> Tensor:
        """(n, s^2, 2), at the anchor 0."""
        at_anchor = places[torch.arange(len(places), device=places.device), anchor]
        pairs = torch.cat([at_anchor[:, None].expand_as(places), places], dim=2)
        is_anchor = nn.functional.one_hot(anchor, places.shape[1]).bool()
        predicted: Tensor = self.predictor(pairs)
        return predicted.masked_fill(is_anchor[..., None], 0)


def above_mean(mask: Tensor) -> Tensor:
    """(n, s, s) -> 1 where a photo's mask is above its own mean, 0 elsewhere."""
    return (mask > mask.mean((1, 2), keepdim=True)).float()


def _anchors(places: Tensor, inside: Tensor) -> Tensor:
    """(n,): the place with the largest mean channel, places outside the mask counting 0."""
    return (places * inside[..., None]).mean(2).argmax(1)


def _polar(anchor: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """(n, s^2) each: distance from the anchor in sides of the map, and angle, from -pi..pi to 0..1."""
    place = torch.arange(side**2, device=anchor.device)
    down = (place // side - (anchor // side)[:, None]) / side
    right = (place % side - (anchor % side)[:, None]) / side
    return torch.hypot(down, right), (torch.atan2(right, down) / math.pi + 1) / 2
