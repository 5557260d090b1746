"""Blobs at every scale, in a graph of fixed sizes: maxima of the Hessian's determinant over place and scale.

Lindeberg, Feature detection with automatic scale selection, IJCV 1998; Mikolajczyk and Schmid, Scale and affine
invariant interest point detectors, IJCV 2004. As kornia's ScaleSpaceDetector; but that gathers as many blobs as there
are and keeps away from the square's edge; here a fixed number is selected, away from the photo's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.local_features.scale_space import LEVELS, SIGMA, octaves

__all__ = ["HessianDetector"]

_WITHIN = 3.0  # sigmas around a blob that must be photo: nothing further moves its response
_MOST_OFFSET = 0.6  # of a sample: a maximum that lies further is another sample's
_SINGULAR = 1e-7

_NOWHERE = -1e9

_HERE, _SLOPE, _CURVE = torch.tensor([[0.0, 1.0, 0.0], [-0.5, 0.0, 0.5], [1.0, -2.0, 1.0]])
_SECOND = torch.stack([torch.outer(_HERE, _CURVE), torch.outer(_SLOPE, _SLOPE), torch.outer(_CURVE, _HERE)])


def _along(scale: Tensor, y: Tensor, x: Tensor) -> Tensor:
    return torch.einsum("i,j,k->ijk", scale, y, x).reshape(27)


_GRADIENT = torch.stack([_along(_SLOPE, _HERE, _HERE), _along(_HERE, _SLOPE, _HERE), _along(_HERE, _HERE, _SLOPE)])
_CROSS = _along(_SLOPE, _SLOPE, _HERE), _along(_SLOPE, _HERE, _SLOPE), _along(_HERE, _SLOPE, _SLOPE)
_HESSIAN = torch.stack(
    [
        *(_along(_CURVE, _HERE, _HERE), _CROSS[0], _CROSS[1]),
        *(_CROSS[0], _along(_HERE, _CURVE, _HERE), _CROSS[2]),
        *(_CROSS[1], _CROSS[2], _along(_HERE, _HERE, _CURVE)),
    ]
)


class HessianDetector(nn.Module):
    """Takes a grey photo (1, 1, s, s), values 0 to 1, and what part of it is photo, (2,) int64: columns and rows from
    the first; gives points (k, 2), x and y in pixels from the middle of the first pixel; sigmas (k,) in pixels;
    responses (k,), strongest first, below 0 where there are no more blobs.

    Args:
        size: s.
        most: k.
    """

    def __init__(self, size: int, most: int) -> None:
        super().__init__()
        self.size, self.most = size, most

    def forward(self, grey: Tensor, extent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = [self._blobs(levels, extent) for levels in octaves(grey, self.size)]
        points, sigmas, responses = (torch.cat(parts) for parts in zip(*found, strict=True))
        best, order = torch.topk(responses, self.most)
        return points[order], sigmas[order], best

    def _blobs(self, levels: Tensor, extent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of one octave, (levels + 2, side, side); the first and the last level are only compared with."""
        side = int(levels.shape[-1])
        sigmas = SIGMA * 2 ** (torch.arange(LEVELS + 2) / LEVELS)
        responses = _responses(levels, sigmas)
        peaks = responses == functional.max_pool3d(responses[None, None], 3, 1, 1)[0, 0]
        step = (self.size - 1) / (side - 1)
        allowed = peaks & _inside(sigmas, (extent - 1) / step, side)
        searched = torch.where(allowed, responses, torch.full_like(responses, _NOWHERE))[1:-1].reshape(-1)
        values, places = torch.topk(searched, min(self.most, LEVELS * side**2))
        places = places + side**2
        level = torch.div(places, side**2, rounding_mode="floor")
        row = torch.div(places, side, rounding_mode="floor") - level * side
        whole = torch.stack([level, row, places - (level * side + row) * side], dim=1)
        exact = whole + _offsets(responses.reshape(-1), places, side)
        return exact[:, [2, 1]] * step, SIGMA * step * 2 ** (exact[:, 0] / LEVELS), values


def _responses(levels: Tensor, sigmas: Tensor) -> Tensor:
    """Determinants of the Hessian, (levels, side, side), such as are alike whatever a blob's size."""
    padded = functional.pad(levels[:, None], (1, 1, 1, 1), mode="replicate")
    xx, xy, yy = functional.conv2d(padded, _SECOND[:, None]).unbind(1)
    return (xx * yy - xy * xy) * sigmas[:, None, None] ** 4


def _inside(sigmas: Tensor, last: Tensor, side: int) -> Tensor:
    """Which samples (levels, side, side) have nothing but photo around them.

    Args:
        last: (2,): the photo's last column and row, in pixels of the octave.
    """
    reach = (_WITHIN * sigmas + 1)[:, None]  # one more for the derivatives
    along = torch.arange(side)[None]
    inside_x, inside_y = ((along >= reach) & (along <= last[axis] - reach) for axis in (0, 1))
    return inside_x[:, None, :] & inside_y[:, :, None]


def _offsets(responses: Tensor, places: Tensor, side: int) -> Tensor:
    """How far from its sample each maximum lies, (k, 3): scale, y, x, in samples; by a quadratic through the 27 samples
    around (Brown and Lowe, BMVC 2002, section 3).

    Args:
        responses: of all samples, flat.
        places: (k,) in `responses`.
    """
    near = torch.arange(-1, 2)
    shifts = ((near[:, None, None] * side + near[:, None]) * side + near).reshape(27)
    # A place that is no blob may lie at the very edge; its neighbours do not matter, but must exist.
    around = responses[(places[:, None] + shifts).clamp(0, (LEVELS + 2) * side**2 - 1)]
    slope, curves = around @ _GRADIENT.T, around @ _HESSIAN.T
    a, b, c = curves.reshape(-1, 3, 3).unbind(1)
    # The inverse's columns, but for the determinant: ONNX has no solver.
    columns = torch.stack([torch.linalg.cross(b, c), torch.linalg.cross(c, a), torch.linalg.cross(a, b)], dim=1)
    determinant = (a * columns[:, 0]).sum(1, keepdim=True)
    sound = determinant.abs() > _SINGULAR * curves.abs().amax(1, keepdim=True) ** 3
    divisor = torch.where(sound, determinant, torch.ones_like(determinant))
    offsets = -(slope[:, :, None] * columns).sum(1) / divisor
    return torch.where(sound, offsets, torch.zeros_like(offsets)).clamp(-_MOST_OFFSET, _MOST_OFFSET)
