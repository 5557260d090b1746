"""LIO's first task: which places of the map look like places of other photos of the label."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["pseudo_masks", "released_groups"]


def pseudo_masks(features: Tensor, group: int) -> Tensor:
    """(n, places): how well each place of a photo is found again in the others of its group.

    The mean over the others of the largest inner product with any of their places, by channel: every photo takes its
    turn. Source: Zhou et al., Look-into-Object, CVPR 2020, equations 1 and 2, and `get_mask` of JDAI-CV/LIO,
    classification/utils/rela/rela_cal.py.

    Args:
        features: (n, places, c), groups one after another.
        group: photos in one.
    """
    grouped = features.view(-1, group, *features.shape[1:])
    inner = torch.einsum("gisc,gjtc->gijst", grouped, grouped) / features.shape[2]
    best = inner.amax(4)  # (groups, photo, other, places)
    itself = torch.eye(group, dtype=torch.bool, device=features.device)[None, :, :, None]
    return best.masked_fill(itself, 0).sum(2).div(group - 1).flatten(0, 1)


def released_groups(photos: int, group: int) -> Tensor:
    """(photos,): the order of photos in which the release cuts groups: all first photos, then all second ones, so on.

    It joins photos in that order and then takes `group` neighbours for a group, whose labels therefore differ.
    """
    return torch.arange(photos).view(-1, group).T.flatten()
