"""The views of a photo: several looks at it, whose embeddings are averaged. A bundle's manifest says which.

upright         the photo as the bundle's preprocessing takes it
mirrored        the same, left and right exchanged
whole           all of the photo squeezed into the model's input, whatever its shape
close           its central 62 %, of width and of height
ten-crop        a square at each corner and in the centre, and their mirrored twins (Krizhevsky et al., ImageNet
                Classification with Deep Convolutional Neural Networks, 2012, section 4.1); where the preprocessing
                squashes photos before it cuts, parts of the photo's own shape, which become squares
scales:A,B,...  the photo once for each factor, at so many times the usual size of the model's input

Each look costs one run of the model; one at scale S about S x S of a run. All looks weigh the same in the mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from PIL import Image, ImageOps

from embedding.preprocess import PreprocessSpec

__all__ = ["Look", "check_view", "looks", "side_needed"]

_CLOSE = 0.62
"""Part of each side that `close` keeps."""

_CORNER = 224 / 256
"""Side of a ten-crop square as a part of the photo's shorter side, where the preprocessing does not say one."""

_SCALES = "scales:"
_LEAST_SCALE, _MOST_SCALE, _MOST_SCALES = 0.25, 4.0, 8


class Look(NamedTuple):
    """One picture that a view makes of a photo, and how it goes into the model."""

    image: Image.Image
    spec: PreprocessSpec


def looks(image: Image.Image, views: Sequence[str], spec: PreprocessSpec) -> list[Look]:
    """What the model is to see of a photo: the looks of all views, in their order.

    As many for every photo, the n-th always with the same preprocessing, so that the n-th looks of many photos fit one
    call of the model.

    Args:
        image: RGB.
        views: names as `check_view` accepts them.
        spec: the bundle's preprocessing.

    Raises:
        ValueError: a name that is none, or a scale at which the input would be too small or too large.
    """
    return [look for view in views for look in _looks(image, view, spec)]


def check_view(view: str) -> str:
    """The name of a view, unchanged.

    Raises:
        ValueError: it is none; tells which there are.
    """
    if view.startswith(_SCALES):
        _scales_of(view)
    elif view not in _PLAIN:
        raise ValueError(
            f"there is no view {view!r}; there are {', '.join(_PLAIN)}, and scales such as scales:0.7,1,1.4"
        )
    return view


def side_needed(views: Sequence[str], spec: PreprocessSpec) -> int:
    """What a photo's shorter side must have, in pixels, for no look to be scaled up."""
    return max(_side_needed(view, spec) for view in views)


def _looks(image: Image.Image, view: str, spec: PreprocessSpec) -> list[Look]:
    check_view(view)
    if view.startswith(_SCALES):
        return [Look(image, _scaled(spec, scale)) for scale in _scales_of(view)]
    return _PLAIN[view](image, spec)


def _side_needed(view: str, spec: PreprocessSpec) -> int:
    check_view(view)
    if view == "whole":
        return max(spec.size)
    if view == "close":
        return math.ceil(spec.side_needed / _CLOSE)
    if view == "ten-crop":
        return math.ceil(max(spec.size) / _corner(spec))
    if view.startswith(_SCALES):
        return max(_scaled(spec, scale).side_needed for scale in _scales_of(view))
    return spec.side_needed


def _upright(image: Image.Image, spec: PreprocessSpec) -> list[Look]:
    return [Look(image, spec)]


def _mirrored(image: Image.Image, spec: PreprocessSpec) -> list[Look]:
    return [Look(ImageOps.mirror(image), spec)]


def _whole(image: Image.Image, spec: PreprocessSpec) -> list[Look]:
    return [Look(image, _squeezed(spec))]


def _close(image: Image.Image, spec: PreprocessSpec) -> list[Look]:
    wide, high = max(1, round(image.width * _CLOSE)), max(1, round(image.height * _CLOSE))
    left, top = (image.width - wide) // 2, (image.height - high) // 2
    return [Look(image.crop((left, top, left + wide, top + high)), spec)]


def _ten_crop(image: Image.Image, spec: PreprocessSpec) -> list[Look]:
    """Corners first, then the centre; each followed by its twin."""
    sides = image.size if spec.mode == "squash_crop" else (min(image.size),) * 2
    wide, high = (max(1, round(side * _corner(spec))) for side in sides)
    right, bottom = image.width - wide, image.height - high
    places = [(0, 0), (right, 0), (0, bottom), (right, bottom), (right // 2, bottom // 2)]
    squares = [image.crop((x, y, x + wide, y + high)) for x, y in places]
    # What is a square already is only brought to size: a second central cut would lose the corners again.
    return [Look(seen, _squeezed(spec)) for square in squares for seen in (square, ImageOps.mirror(square))]


_PLAIN: dict[str, Callable[[Image.Image, PreprocessSpec], list[Look]]] = {
    "upright": _upright,
    "mirrored": _mirrored,
    "whole": _whole,
    "close": _close,
    "ten-crop": _ten_crop,
}


def _corner(spec: PreprocessSpec) -> float:
    return spec.crop / spec.resize if spec.crop < spec.resize else _CORNER


def _squeezed(spec: PreprocessSpec) -> PreprocessSpec:
    return spec.model_copy(update={"mode": "squash", "resize": spec.crop})


def _scaled(spec: PreprocessSpec, scale: float) -> PreprocessSpec:
    sizes = {"crop": spec.crop, "resize": spec.resize, "width": spec.width}
    scaled = {name: round(side * scale) for name, side in sizes.items() if side is not None}
    # Built, not copied: the sizes are checked again.
    return PreprocessSpec.model_validate(spec.model_dump() | scaled)


def _scales_of(view: str) -> list[float]:
    try:
        scales = [float(part) for part in view.removeprefix(_SCALES).split(",")]
    except ValueError:
        scales = []
    usable = all(_LEAST_SCALE <= scale <= _MOST_SCALE for scale in scales)  # NaN is not
    if not 1 <= len(scales) <= _MOST_SCALES or not usable:
        raise ValueError(
            f"the view {view!r} is not {_SCALES} and 1 to {_MOST_SCALES} factors from {_LEAST_SCALE:g} to "
            f"{_MOST_SCALE:g}, such as scales:0.7,1,1.4"
        )
    return scales
