"""Networks that find and describe local features, each as one graph of a fixed size: photo in, best features out.

DISK: Tyszkiewicz et al., NeurIPS 2020. ALIKED: Zhao et al., IEEE TIM 2023. XFeat: Potje et al., CVPR 2024. Networks are
kornia's. Here they are wrapped so that selecting and sampling become part of the graph, and their sizes constants.
"""

from __future__ import annotations

from typing import cast

import torch
from kornia.feature import ALIKED, DISK
from kornia.feature.hardnet import HardNet
from kornia.feature.xfeat import InterpolateSparse2d, XFeatModel
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["AlikedExtractor", "DiskExtractor", "Extractor", "HardNetDescriber", "XFeatExtractor"]

_BORDER = 5
"""Pixels along the photo's edge where nothing is taken: what lies there is the edge's, not the thing's."""

_NOWHERE = -1e9


class Extractor(nn.Module):
    """Takes a photo (1, 3, s, s), values 0 to 1, and what part of it is photo, (2,) int64: columns and rows from the
    first; gives points (k, 2), x and y in pixels from the middle of the first pixel; scores (k,), best first;
    descriptors (k, d), unit vectors. Scores at or below the threshold mark what is no feature.

    Args:
        size: s, a multiple of 32.
        most: k.
    """

    descriptor_length: int
    threshold: float
    radius = 2  # no other feature so many pixels around, in x and in y

    def __init__(self, size: int, most: int) -> None:
        super().__init__()
        self.size, self.most = size, most

    def forward(self, image: Tensor, extent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features, scores = self.dense(image)
        values, points = self._best(scores, extent)
        refined = self.refined(scores, points)
        return refined, values, self.describe(features, refined)

    def dense(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """A map that descriptors are taken from, (1, c, h, w), and the score of each pixel, (s, s)."""
        raise NotImplementedError

    def refined(self, scores: Tensor, points: Tensor) -> Tensor:
        """Points (k, 2) to fractions of a pixel; as they are, unless a method has a way."""
        del scores
        return points

    def describe(self, features: Tensor, points: Tensor) -> Tensor:
        """Descriptors (k, d) at points (k, 2)."""
        raise NotImplementedError

    def _best(self, scores: Tensor, extent: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (k,) and places (k, 2) of the highest maxima."""
        peaks = scores == functional.max_pool2d(scores[None, None], 2 * self.radius + 1, 1, self.radius)[0, 0]
        along = torch.arange(self.size)
        inside_x = (along >= _BORDER) & (along < extent[0] - _BORDER)
        inside_y = (along >= _BORDER) & (along < extent[1] - _BORDER)
        allowed = peaks & inside_x[None, :] & inside_y[:, None]
        flat = torch.where(allowed, scores, torch.full_like(scores, _NOWHERE)).reshape(-1)
        values, places = torch.topk(flat, self.most)
        rows = torch.div(places, self.size, rounding_mode="floor")
        return values, torch.stack([places - rows * self.size, rows], dim=1).to(scores.dtype)


class XFeatExtractor(Extractor):
    """XFeat, sparse."""

    descriptor_length = 64
    threshold = 0.0

    def __init__(self, size: int, most: int) -> None:
        super().__init__(size, most)
        self.network = XFeatModel()
        self._smooth, self._linear = InterpolateSparse2d("bicubic"), InterpolateSparse2d("bilinear")

    def dense(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features, logits, reliability = self.network(image)
        cells = self.size // 8
        keypoints = functional.softmax(logits, 1)[0, :64].permute(1, 2, 0).reshape(cells, cells, 8, 8)
        heat = keypoints.permute(0, 2, 1, 3).reshape(self.size, self.size)
        along = torch.arange(self.size, dtype=heat.dtype)
        everywhere = torch.stack(torch.meshgrid(along, along, indexing="xy"), -1).reshape(1, -1, 2)
        trusted = self._linear(reliability, everywhere, self.size, self.size).reshape(self.size, self.size)
        # The published detector takes maxima of the heat alone that exceed 0.05, and sorts by the product.
        peaks = heat == functional.max_pool2d(heat[None, None], 5, 1, 2)[0, 0]
        scores = torch.where(peaks & (heat > 0.05), heat * trusted, torch.full_like(heat, _NOWHERE))
        return functional.normalize(features, dim=1), scores

    def describe(self, features: Tensor, points: Tensor) -> Tensor:
        return functional.normalize(self._smooth(features, points[None], self.size, self.size)[0], dim=-1)


class DiskExtractor(Extractor):
    """DISK with its default U-Net."""

    descriptor_length = 128
    threshold = 0.0

    def __init__(self, size: int, most: int) -> None:
        super().__init__(size, most)
        self.network = DISK()

    def dense(self, image: Tensor) -> tuple[Tensor, Tensor]:
        scores, features = self.network.heatmap_and_dense_descriptors(image)
        return features, scores[0, 0]

    def describe(self, features: Tensor, points: Tensor) -> Tensor:
        places = (points[:, 1] * self.size + points[:, 0]).to(torch.int64)
        return functional.normalize(features[0].reshape(self.descriptor_length, -1)[:, places].T, dim=-1)


class AlikedExtractor(Extractor):
    """ALIKED-N(16): deformable convolutions, written out as gathers, and descriptors sampled where they say."""

    descriptor_length = 128
    threshold = 0.01

    def __init__(self, size: int, most: int) -> None:
        super().__init__(size, most)
        self.network = ALIKED("aliked-n16", nms_radius=self.radius)

    def dense(self, image: Tensor) -> tuple[Tensor, Tensor]:
        features, scores = self.network.extract_dense_map(image)
        return features, scores[0, 0]

    def refined(self, scores: Tensor, points: Tensor) -> Tensor:
        """The mean of the places around each point, by how much they score (the paper's section III-C)."""
        around = torch.arange(-self.radius, self.radius + 1)
        dy, dx = (grid.reshape(-1) for grid in torch.meshgrid(around, around, indexing="ij"))
        centres = (points[:, 1] * self.size + points[:, 0]).to(torch.int64)
        # A place that is no feature may lie at the very edge; its neighbours do not matter, but must exist.
        places = (centres[:, None] + (dy * self.size + dx)[None]).clamp(0, self.size**2 - 1)
        weights = functional.softmax(scores.reshape(-1)[places] / self.network.dkd.temperature, dim=1)
        return points + weights @ torch.stack([dx, dy], 1).to(weights.dtype)

    def describe(self, features: Tensor, points: Tensor) -> Tensor:
        descriptors, _ = self.network.desc_head(features, [points / (self.size - 1) * 2 - 1])
        return cast(Tensor, descriptors[0])


class HardNetDescriber(nn.Module):
    """HardNet (Mishchuk et al., NeurIPS 2017): grey patches (n, 1, 32, 32) to unit vectors (n, 128)."""

    descriptor_length = 128
    threshold = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.network = HardNet(pretrained=False)

    def forward(self, patches: Tensor) -> Tensor:
        return cast(Tensor, self.network(patches))
