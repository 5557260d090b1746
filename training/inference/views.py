"""Several looks at a photo, and the mean of what a classifier says of each.

The looks themselves are the views of `embedding.views`, under the same names, where those have them: `ten-crop` for the
AliProducts winner, `scales:...` with `mirrored`. What is here alone is the protocol that draws crops by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from embedding.preprocess import PreprocessSpec, preprocess
from embedding.views import Look, looks
from training.data.chance import numbers
from training.inference.temperature import probabilities

__all__ = ["VIPRIORS_SIDES", "Scorer", "mean_probabilities", "two_crops", "view_probabilities"]

Scorer: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.floating]]
"""Preprocessed photos (n, 3, h, w) of any size -> class scores (n, classes)."""

VIPRIORS_SIDES = (224, 320, 380, 448)
"""Sides of the input that the VIPriors runner-up tests at."""

_CENTRE = 256 / 224
_LEAST_AREA, _MOST_AREA = 0.8, 1.0


def view_probabilities(
    image: Image.Image, views: Sequence[str], spec: PreprocessSpec, scorer: Scorer, temperature: float = 1.0
) -> NDArray[np.float64]:
    """The mean of the class probabilities over the looks of some views, (classes,).

    Args:
        image: RGB.
        views: names that `embedding.views` knows; `ten-crop` is ten looks.
        spec: the network's preprocessing.
        scorer: the network.
        temperature: see `training.inference.temperature`.

    Raises:
        ValueError: a name is none, or a scale cannot be.
    """
    return mean_probabilities(looks(image, views, spec), scorer, temperature)


def mean_probabilities(seen: Sequence[Look], scorer: Scorer, temperature: float = 1.0) -> NDArray[np.float64]:
    """The mean of the class probabilities over looks, (classes,); each look is a call, for their sizes may differ."""
    rows = [probabilities(scorer(preprocess(look.image, look.spec)[None]), temperature)[0] for look in seen]
    return np.asarray(np.mean(rows, axis=0), np.float64)


def two_crops(
    image: Image.Image, spec: PreprocessSpec, *, seed: int, sides: Sequence[int] = VIPRIORS_SIDES
) -> list[Look]:
    """At each size a central crop and one drawn by chance, and the mirrored twin of each: 4 looks a size.

    The central one: shorter side scaled to 8/7 of the input's side, then its middle. The drawn one: a region of 80 to
    100 % of the area and of the photo's own shape, squeezed into the input. Source: the runner-up of the VIPriors 2020
    image classification challenge, which names the crops and the four sizes; that the twins count as looks of their own
    is our reading of its "eight results", two crops of four sizes.

    Args:
        image: RGB.
        spec: the network's preprocessing, of which numbers and filter are taken.
        seed: of the draws: the same photo and seed give the same looks.
        sides: of the input, in pixels.
    """
    return [
        Look(picture, look.spec)
        for side in sides
        for look in (_central(image, spec, side), _drawn(image, spec, side, seed))
        for picture in (look.image, ImageOps.mirror(look.image))
    ]


def _central(image: Image.Image, spec: PreprocessSpec, side: int) -> Look:
    return Look(image, _resized(spec, "shorter_side_crop", round(side * _CENTRE), side))


def _drawn(image: Image.Image, spec: PreprocessSpec, side: int, seed: int) -> Look:
    random = numbers(seed, "crop", side)
    part = float(np.sqrt(random.uniform(_LEAST_AREA, _MOST_AREA)))
    wide, high = max(1, round(image.width * part)), max(1, round(image.height * part))
    left, top = int(random.integers(image.width - wide + 1)), int(random.integers(image.height - high + 1))
    return Look(image.crop((left, top, left + wide, top + high)), _resized(spec, "squash", side, side))


def _resized(spec: PreprocessSpec, mode: str, resize: int, crop: int) -> PreprocessSpec:
    # Built, not copied: the sizes are checked again.
    return PreprocessSpec.model_validate(spec.model_dump() | {"mode": mode, "resize": resize, "crop": crop})
