"""Which photographs the demo enrols, and which it asks about. Only files that installed packages ship."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embedding.errors import InputError, WhichoneError
from index.evaluation.protocols.photo_lists import SUFFIXES, photos_below

__all__ = ["DemoNeedsExtra", "DemoPhoto", "DemoSet", "PhotosFolderInvalid", "from_folder", "shipped"]

# One photo a label. Together these are all real photographs of 150 pixels and more that the two packages ship. They
# were parted by eye before anything was asked: things, places and documents are enrolled, and what nobody would give a
# name to (textures, a moonscape, pictures from the microscope) are the strangers.
GALLERY = {
    "astronaut": "skimage/astronaut.png",
    "camera-man": "skimage/camera.png",
    "cat-chelsea": "skimage/chelsea.png",
    "clock": "skimage/clock_motion.png",
    "coffee-cup": "skimage/coffee.png",
    "coin-collection": "skimage/coins.png",
    "dahlia": "sklearn/flower.jpg",
    "handwriting": "skimage/text.png",
    "hubble-deep-field": "skimage/hubble_deep_field.jpg",
    "motorcycle": "skimage/motorcycle_left.png",
    "pagoda": "sklearn/china.jpg",
    "printed-page": "skimage/page.png",
    "retina": "skimage/retina.jpg",
    "rocket": "skimage/rocket.jpg",
}
SECOND_REAL_PHOTOS = {"motorcycle": "skimage/motorcycle_right.png"}
STRANGERS = {
    "brick-wall": "skimage/brick.png",
    "cell": "skimage/cell.png",
    "grass": "skimage/grass.png",
    "gravel": "skimage/gravel.png",
    "moon": "skimage/moon.png",
    "stained-tissue": "skimage/ihc.png",
}
FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}
PACKAGES = {"skimage": "scikit-image", "sklearn": "scikit-learn"}

LABELS_FOR_STRANGERS = 6
"""From so many labels on, one in six is left out of the gallery and asked about as a stranger."""


class DemoNeedsExtra(WhichoneError):
    """The demo's photographs come with packages that are not installed."""

    code = "demo_needs_extra"


class PhotosFolderInvalid(InputError):
    """A folder of photos that does not have one sub-folder a label."""

    code = "photos_folder_invalid"


@dataclass(frozen=True)
class DemoPhoto:
    """A real photograph on disk, what it shows, and a name for it that can be a file's."""

    label: str
    path: Path
    name: str


@dataclass(frozen=True)
class DemoSet:
    """The photographs of one demo.

    Attributes:
        gallery: enrolled.
        held_out: real photos of enrolled things that are not enrolled themselves.
        only_one: enrolled photos whose label has no second real photo: queries of them can only be simulated.
        strangers: photos of things that are not enrolled.
        remarks: what a reader must know about how the set was made.
    """

    gallery: tuple[DemoPhoto, ...]
    held_out: tuple[DemoPhoto, ...]
    only_one: tuple[DemoPhoto, ...]
    strangers: tuple[DemoPhoto, ...]
    remarks: tuple[str, ...]


def shipped() -> DemoSet:
    """The photographs that scikit-image and scikit-learn ship.

    Raises:
        DemoNeedsExtra: one of the packages, or one of its photographs, is not there.
    """
    gallery = _photos(GALLERY)
    return DemoSet(
        gallery=gallery,
        held_out=_photos(SECOND_REAL_PHOTOS),
        only_one=gallery,
        strangers=_photos(STRANGERS),
        remarks=(
            f"Real: the {len(GALLERY)} enrolled photographs, one a label; the motorcycle's second photograph, taken "
            f"from another place; the {len(STRANGERS)} strangers' originals. All ship with scikit-image or -learn.",
            "Simulated: every other query. It is one of these photographs as if printed, laid on a table and "
            "photographed anew: perspective, crop, rotation, light, blur, noise, background, JPEG.",
        ),
    )


def _photos(files: dict[str, str]) -> tuple[DemoPhoto, ...]:
    return tuple(DemoPhoto(label, _locate(name), label) for label, name in files.items())


def _locate(name: str) -> Path:
    module, file = name.split("/", 1)
    # The package is looked up, not imported: importing scikit-learn takes longer than the whole demo's search.
    spec = importlib.util.find_spec(module)
    path = Path(spec.origin).parent / FOLDERS[module] / file if spec and spec.origin else None
    if path is None or not path.is_file():
        raise DemoNeedsExtra(
            f"the demo's photographs ship with {PACKAGES[module]}, which is not installed or lacks {file}: "
            "pip install 'whichone[demo]', or show it your own photos: whichone demo --photos FOLDER",
            package=PACKAGES[module],
            file=file,
        )
    return path


def from_folder(folder: Path) -> DemoSet:
    """A demo of somebody's own photos: one sub-folder a label.

    Of a label with two photos or more, the last by name is held out as a real query. From six labels on, every
    sixth is left out altogether: its photos are the strangers.

    Raises:
        PhotosFolderInvalid: no such folder, or no sub-folder with photos in it.
    """
    by_label = _by_label(folder)
    names = sorted(by_label)
    left_out = names[LABELS_FOR_STRANGERS - 1 :: LABELS_FOR_STRANGERS]
    gallery: list[DemoPhoto] = []
    held_out: list[DemoPhoto] = []
    only_one: list[DemoPhoto] = []
    for name in names:
        if name in left_out:
            continue
        photos = by_label[name]
        if len(photos) == 1:
            gallery.append(photos[0])
            only_one.append(photos[0])
        else:
            gallery += photos[:-1]
            held_out.append(photos[-1])
    strangers = [photo for name in left_out for photo in by_label[name][:3]]
    remarks = _remarks(folder, held_out, only_one, left_out)
    return DemoSet(tuple(gallery), tuple(held_out), tuple(only_one), tuple(strangers), remarks)


def _by_label(folder: Path) -> dict[str, list[DemoPhoto]]:
    if not folder.is_dir():
        raise PhotosFolderInvalid(f"{folder} is no folder; --photos takes one with a sub-folder for each label")
    by_label: dict[str, list[DemoPhoto]] = {}
    for sub in sorted(path for path in folder.iterdir() if path.is_dir()):
        photos = photos_below(sub)
        if photos:
            by_label[sub.name] = [DemoPhoto(sub.name, path, f"{sub.name}-{path.stem}") for path in photos]
    if not by_label:
        raise PhotosFolderInvalid(
            f"{folder} has no sub-folder with photos ({', '.join(sorted(SUFFIXES))}); "
            "make one sub-folder for each thing, named as it is to be called"
        )
    return by_label


def _remarks(
    folder: Path, held_out: Sequence[DemoPhoto], only_one: Sequence[DemoPhoto], left_out: Sequence[str]
) -> tuple[str, ...]:
    remarks = [f"Real: all photos of {folder} that are enrolled, and {len(held_out)} held out as queries, one a label."]
    if only_one:
        remarks.append(
            f"Simulated: the queries of {len(only_one)} label(s) with a single photo, made from that very photo "
            "(perspective, crop, rotation, light, blur, noise, background, JPEG): easier than a real second photo."
        )
    if left_out:
        remarks.append(f"Left out of the gallery, to be asked about as strangers: {', '.join(left_out)}.")
    else:
        remarks.append(
            f"No strangers: with fewer than {LABELS_FOR_STRANGERS} labels none is left out, so this says nothing "
            "about photos of unknown things."
        )
    return tuple(remarks)
