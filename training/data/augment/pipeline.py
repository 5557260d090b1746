"""An ordered list of steps, and at its end the normalisation that serving has."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from embedding.preprocess import PreprocessSpec, preprocess
from training.data.augment.affine import Affine
from training.data.augment.auto import AutoAugment, RandAugment
from training.data.augment.colour import ColourJitter, Greyscale
from training.data.augment.cutout import Cutout
from training.data.augment.elastic import Elastic
from training.data.augment.flip import Flip
from training.data.augment.random_crop import RandomCrop
from training.data.augment.random_resized_crop import RandomResizedCrop
from training.data.augment.rephotographed import Rephotographed
from training.data.augment.resize import Resize
from training.data.augment.rotation import Rotation

__all__ = ["AugmentSpec", "Augmentation", "StepSpec"]

StepSpec: TypeAlias = Annotated[
    RandomResizedCrop
    | Resize
    | RandomCrop
    | Flip
    | Rotation
    | Affine
    | Elastic
    | AutoAugment
    | RandAugment
    | Cutout
    | ColourJitter
    | Greyscale
    | Rephotographed,
    Field(discriminator="kind"),
]

AugmentSpec: TypeAlias = tuple[StepSpec, ...]
"""Steps in the order in which they are applied; none: the photo as it is served."""


class Augmentation:
    """From an RGB photo to a network's input, by chance.

    Where the steps leave a square photo, that is the input's size, whatever `canvas` says; where they leave any other
    shape, or nothing was cut or scaled, `canvas` has the last word, as in serving. The numbers are always those of
    `embedding.preprocess`.

    Args:
        steps: in order.
        canvas: how the network is served.
    """

    def __init__(self, steps: AugmentSpec, canvas: PreprocessSpec) -> None:
        self._steps = [step.build(canvas) for step in steps]
        side: int | None = None
        for step in steps:
            side = step.side_after(side, canvas)
        self._last = canvas if side is None else _as_it_is(canvas, side)
        self.side = self._last.crop

    def __call__(self, image: Image.Image) -> NDArray[np.float32]:
        """(3, side, side). Draws from torch's own generator: see `training.data.chance.seeded`."""
        for step in self._steps:
            image = step(image)
        return preprocess(image, self._last)


def _as_it_is(canvas: PreprocessSpec, side: int) -> PreprocessSpec:
    """The same numbers, nothing scaled: a resize to its own size is none."""
    return canvas.model_copy(update={"mode": "squash", "resize": side, "crop": side, "width": None})
