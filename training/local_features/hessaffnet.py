"""Hessian-AffNet-HardNet: blobs, the affine shape that a network sees in each, and a descriptor of what lies in it.

Mishkin, Radenović and Matas, Repeatability is not enough: learning affine regions via discriminability, ECCV 2018.
"""

from __future__ import annotations

import torch
from kornia.color import rgb_to_grayscale
from kornia.feature import LAFAffNetShapeEstimator, PatchDominantGradientOrientation
from kornia.feature.hardnet import HardNet
from torch import Tensor, nn

from index.verification.learned.patch_features import SIDE
from training.local_features.affine_patches import AffinePatches
from training.local_features.extractors import Extractor
from training.local_features.hessian import HessianDetector

__all__ = ["HessAffNetExtractor"]

_REACH = 6.0
"""Half a patch's side in sigmas of its blob, as kornia's detector has it; SIFT describes as much."""

_LEAST_AREA = 1e-6
"""Of a shape before its area is made 1: from a thinner one the circle is better."""


class HessAffNetExtractor(Extractor):
    """Blobs by the Hessian, described by HardNet (`network`) in the shape that AffNet gives (`shape`) and the direction
    that `orientation` does: patches (k, 1, 32, 32) to radians (k,), the dominant gradient's or OriNet's.
    """

    descriptor_length = 128
    threshold = (16 / 3 / 255) ** 2
    """The authors' for brightness from 0 to 255 is 28.4."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(size, most)
        self.network = HardNet(pretrained=False)
        self.shape = LAFAffNetShapeEstimator(pretrained=False)
        self.orientation: nn.Module = PatchDominantGradientOrientation(SIDE)
        self._detector = HessianDetector(size, most)
        self._patches = AffinePatches(size)

    def forward(self, image: Tensor, extent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        grey = rgb_to_grayscale(image)
        points, sigmas, responses = self._detector(grey, extent)
        return points, responses, self.described(grey, extent, points, sigmas)

    def described(self, grey: Tensor, extent: Tensor, points: Tensor, sigmas: Tensor) -> Tensor:
        """Descriptors (k, 128) of blobs: points (k, 2) and sigmas (k,) in pixels of the photo (1, 1, s, s)."""
        stacked = self._patches.stacked(grey)
        frames = _REACH * sigmas[:, None, None] * torch.eye(2)
        frames = frames @ self._shapes(self._patches(stacked, points, frames, extent))
        frames = frames @ _turns(self.orientation(self._patches(stacked, points, frames, extent)))
        descriptors: Tensor = self.network(self._patches(stacked, points, frames, extent))
        return descriptors

    def _shapes(self, patches: Tensor) -> Tensor:
        """Matrices (k, 2, 2) of determinant 1, zero in their upper right: shapes alone, not turned."""
        mean, deviation = patches.mean((1, 2, 3), keepdim=True), patches.std((1, 2, 3), keepdim=True)
        values = self.shape.features((patches - mean) / (deviation + 1e-6)).reshape(-1, 3)
        a, b, c = 1 + values[:, 0], values[:, 1], 1 + values[:, 2]
        shapes = torch.stack([a, torch.zeros_like(a), b, c], dim=1).reshape(-1, 2, 2)
        area = (a * c)[:, None, None]
        sound = area > _LEAST_AREA
        return torch.where(sound, shapes / torch.sqrt(torch.where(sound, area, torch.ones_like(area))), torch.eye(2))


def _turns(radians: Tensor) -> Tensor:
    """Matrices (k, 2, 2) that turn by angles (k,), counter-clockwise as one sees it: y grows downwards."""
    cosine, sine = torch.cos(radians), torch.sin(radians)
    return torch.stack([cosine, sine, -sine, cosine], dim=1).reshape(-1, 2, 2)
