"""What is wrong with a list of photos, before hours are spent on it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from embedding.errors import WhichoneError
from embedding.images import decode
from embedding.quality import defect_of
from training.data.duplicates import Fingerprint, fingerprint, same_bytes, similar
from training.data.listing import TrainingPhoto
from training.data.reading import LIMITS

__all__ = ["Group", "Problem", "Report", "check_data"]

AT_ONCE = 256


@dataclass(frozen=True)
class Problem:
    """A photo and what is wrong with it.

    Attributes:
        name: as listed.
        where: "photos.csv, line 7".
        why: a sentence.
    """

    name: str
    where: str
    why: str


@dataclass(frozen=True)
class Group:
    """Photos that are the same picture.

    Attributes:
        names, labels, parts: of each, in the list's order.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    parts: tuple[str, ...]

    @property
    def across_labels(self) -> bool:
        """With the same bytes, one of the labels must be wrong."""
        return len(set(self.labels)) > 1

    @property
    def across_parts(self) -> bool:
        """A figure measured on one of them flatters."""
        return len(set(self.parts)) > 1


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        photos: how many are listed.
        counts: label -> part -> photos; the empty label stands for strangers, the empty part for none said.
        unreadable: photos that cannot be decoded, or whose box does not fit.
        unusable: photos that show nothing: blank, tiny or blurred.
        exact: the same bytes.
        near: nearly the same picture; of the same bytes, the first stands for all.
        one_photo: labels with one photo to train on.
    """

    photos: int
    counts: dict[str, dict[str, int]]
    unreadable: tuple[Problem, ...]
    unusable: tuple[Problem, ...]
    exact: tuple[Group, ...]
    near: tuple[Group, ...]
    one_photo: tuple[str, ...]

    @property
    def spoils(self) -> bool:
        """Whether training would stop, learn what is wrong, or be judged by what it has seen.

        Nearly the same pictures of two labels may be two things that look alike, such as two juices of one brand: they
        are for a person to look at.
        """
        wrong = any(group.across_labels or group.across_parts for group in self.exact)
        return bool(self.unreadable) or wrong or any(one.across_parts and not one.across_labels for one in self.near)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        document = asdict(self)
        for kind in ("exact", "near"):
            document[kind] = [
                {**asdict(group), "across_labels": group.across_labels, "across_parts": group.across_parts}
                for group in getattr(self, kind)
            ]
        return {"spoils": self.spoils, **document}


def check_data(photos: Sequence[TrainingPhoto], progress: Callable[[str, int, int], None] | None = None) -> Report:
    """Read every photo once and compare all with all; some 1.2 KiB of memory a photo.

    Args:
        photos: as listed.
        progress: called with what is being done, how much of it is done, and how much there is.
    """
    found: list[_Looked] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(photos), AT_ONCE):
            found += pool.map(_look, photos[start : start + AT_ONCE])
            if progress:
                progress("reading photos", len(found), len(photos))
    readable = [(photo, one.print) for photo, one in zip(photos, found, strict=True) if one.print]
    prints = [one for _, one in readable]

    def grouped(groups: Iterable[list[int]]) -> tuple[Group, ...]:
        return tuple(_group([readable[place][0] for place in places]) for places in groups)

    return Report(
        photos=len(photos),
        counts=_counts(photos),
        unreadable=tuple(one.unreadable for one in found if one.unreadable),
        unusable=tuple(one.unusable for one in found if one.unusable),
        exact=grouped(same_bytes(prints)),
        near=grouped(similar(prints)),
        one_photo=_with_one_photo(photos),
    )


@dataclass(frozen=True)
class _Looked:
    print: Fingerprint | None = None
    unreadable: Problem | None = None
    unusable: Problem | None = None


def _look(photo: TrainingPhoto) -> _Looked:
    try:
        data = photo.path.read_bytes()
        image = decode(data, limits=LIMITS, box=photo.box)
    except WhichoneError as error:
        return _Looked(unreadable=Problem(photo.name, photo.where, error.message))
    except OSError as error:
        return _Looked(unreadable=Problem(photo.name, photo.where, error.strerror or str(error)))
    defect = defect_of(image)
    region = str(photo.box) if photo.box else ""
    return _Looked(
        fingerprint(data, image, region),
        unusable=Problem(photo.name, photo.where, defect.sentence) if defect else None,
    )


def _group(photos: Sequence[TrainingPhoto]) -> Group:
    names, labels, parts = zip(*((one.name, one.label, one.part) for one in photos), strict=True)
    return Group(names, labels, parts)


def _counts(photos: Iterable[TrainingPhoto]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (label, part), count in sorted(Counter((one.label, one.part) for one in photos).items()):
        counts.setdefault(label, {})[part] = count
    return counts


def _with_one_photo(photos: Iterable[TrainingPhoto]) -> tuple[str, ...]:
    names: dict[str, set[str]] = {}
    for photo in photos:
        if photo.label and photo.part in ("train", ""):
            names.setdefault(photo.label, set()).add(photo.name)
    return tuple(sorted(label for label, own in names.items() if len(own) == 1))
