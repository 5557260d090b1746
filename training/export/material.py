"""The photos that an export looks at: to compare, to measure ranges by, to find the temperature with, as background."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from index.evaluation.protocols.chance import drawn
from training.data.listing import TrainingPhoto, read_listing
from training.data.reading import read_photo
from training.errors import PhotosUnusable
from training.export.package_photos import load_package_photos
from training.run.trained import Trained
from training.run.versions import fingerprint

__all__ = ["Material", "gather"]

COMPARED, RANGES, BACKGROUND, HELD_OUT = 32, 128, 100, 2000
"""How many photos at most."""


@dataclass(frozen=True)
class Material:
    """Photos by what they are for.

    Attributes:
        origin: of the first two, for the manifest.
        compared: RGB, on which the graph must agree with the network.
        ranges: RGB, training photos where they are given; int8 takes the ranges of activations from them.
        background: RGB, showing nothing that anyone would enrol.
        background_origin: of these.
        held_out: photos that were not trained on, as listed.
    """

    origin: str
    compared: Sequence[Image.Image]
    ranges: Sequence[Image.Image]
    background: Sequence[Image.Image]
    background_origin: str
    held_out: Sequence[TrainingPhoto] = ()


def gather(trained: Trained, photos: str | Path | None, distractors: str | Path | None) -> Material:
    """Read what an export needs.

    Args:
        trained: the network, whose recipe tells which photos of its list were not trained on.
        photos: see `training.data.listing.read_listing`; None for the photos that packages ship.
        distractors: likewise; None for those of `photos` without a label, or without any for those of the packages.

    Raises:
        PhotosUnusable, RunFailed: a list or a photo cannot be used.
    """
    shipped = load_package_photos()
    listed = [] if photos is None else read_listing(photos)
    strangers = [one for one in listed if not one.label] if distractors is None else read_listing(distractors)
    background = _read(trained, _one_a_label(strangers), BACKGROUND) or shipped
    background_origin = "photos that packages ship"
    if strangers:
        background_origin = (
            "the list's photos without a label" if distractors is None else f"the list {Path(distractors).name}"
        )
    if photos is None:
        return Material("photos that packages ship", shipped, shipped, background, background_origin)
    training, held_out, origin = _parted(trained, listed)
    seen = _read(trained, training, RANGES)
    return Material(origin, seen[:COMPARED], seen, background, background_origin, _some(held_out, HELD_OUT))


def _parted(trained: Trained, listed: Sequence[TrainingPhoto]) -> tuple[list[TrainingPhoto], list[TrainingPhoto], str]:
    """Photos to measure with, photos that were not trained on, and a word on the list."""
    labelled = [one for one in listed if one.label and one.part != "test"]
    if not labelled:
        raise PhotosUnusable("The list for the export has no photo with a label outside of its part test")
    try:
        split = trained.recipe.data.parted(listed)
    except PhotosUnusable:
        split = None
    if split and fingerprint([*split.training, *split.validation]) == trained.checkpoint.data:
        seen = [one for one in split.training if one.pose == "as_it_is"]
        return seen, list(split.validation), "the photos of the training"
    # Of another list only what it calls val is known to be held out.
    return labelled, [one for one in listed if one.part == "val"], "another list than the training's"


def _one_a_label(strangers: Sequence[TrainingPhoto]) -> list[TrainingPhoto]:
    """No two of one thing, as far as the list tells: statistics take each for a thing of its own."""
    labelled = {one.label: one for one in reversed(strangers) if one.label}
    return [one for one in strangers if not one.label or labelled[one.label] is one]


def _some(photos: Sequence[TrainingPhoto], most: int) -> list[TrainingPhoto]:
    names = set(drawn((one.name for one in photos), 0)[:most])
    return [one for one in photos if one.name in names]


def _read(trained: Trained, photos: Sequence[TrainingPhoto], most: int) -> list[Image.Image]:
    return [read_photo(one, trained.recipe.data.photos) for one in _some(photos, most)[:most]]
