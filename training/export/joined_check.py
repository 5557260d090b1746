"""Whether a joined graph computes what its members compute alone, on photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.special import softmax

from embedding.bundle import Bundle
from embedding.preprocess import PreprocessSpec, preprocess
from index.evaluation.protocols.chance import drawn
from training.data.listing import read_listing
from training.data.reading import PhotosSpec, read_photo
from training.errors import PhotosUnusable
from training.export.joined_input import Front
from training.export.onnx_graph import OUTPUT, SCORES, ParityError, run_graph
from training.export.package_photos import load_package_photos

__all__ = ["Photos", "check_joined", "photos_of"]

COMPARED, FITTED = 32, 4000
"""How many photos at most."""

SAME_INPUT, CUT_INPUT, SCALED_INPUT = 0.99999, 0.999, 0.9
"""Smallest cosine allowed between a member's part of the joined embedding and its own: where its input is the joined
one; cut out of that (Pillow rounds to 8 bits a little differently); scaled once more, where nothing else would do."""

STORED = 0.999
"""The same for the first two, where weights are rounded to float16."""

SAME_PROBABILITY, STORED_PROBABILITY = 1e-3, 2e-2
"""How far a class's probability may be off where no member's input is scaled."""


@dataclass(frozen=True)
class Photos:
    """RGB photos by what they are for.

    Attributes:
        compared: on which graphs must agree.
        fitted: on which directions are found; none of `compared`.
        background: that show nothing anyone would enrol.
        origin: of the first two, for the manifest.
    """

    compared: Sequence[Image.Image]
    fitted: Sequence[Image.Image]
    background: Sequence[Image.Image]
    origin: str


def photos_of(source: str | None, dim: int | None, width: int) -> Photos:
    """Read what joining needs.

    Args:
        source: see `training.data.listing.read_listing`; its part test is left alone. None: photos that packages ship.
        dim: numbers that an embedding is to have, None for all `width`.
        width: numbers that the members' embeddings have together.

    Raises:
        PhotosUnusable, RunFailed: a list or a photo cannot be used, or there are too few to find `dim` directions on.
    """
    shipped = load_package_photos()
    if dim is not None and not 1 <= dim < width:
        raise PhotosUnusable(f"{dim} numbers are asked for; the members have {width} together: give fewer than those")
    listed = [] if source is None else [one for one in read_listing(source) if one.part != "test"]
    if dim is not None and len(listed) < dim + COMPARED:
        raise PhotosUnusable(
            f"{dim} directions are found on {dim + COMPARED} photos at least, and there are {len(listed)}; list more, "
            "ask for fewer numbers, or leave all in"
        )
    if source is None:
        return Photos(shipped, (), shipped, "photos that packages ship")
    order = drawn((one.name for one in listed), 0)
    by_name = {one.name: one for one in listed}
    wanted = order[: COMPARED + (FITTED if dim else 0)]
    read = [read_photo(by_name[name], PhotosSpec()) for name in wanted]
    return Photos(read[:COMPARED], read[COMPARED:], shipped, f"the list {Path(source).name}")


def check_joined(
    path: Path,
    spec: PreprocessSpec,
    members: Sequence[tuple[Bundle, Front]],
    photos: Sequence[Image.Image],
    *,
    scores: bool,
    stored: bool = False,
) -> dict[str, Any]:
    """Compare a joined graph with its members, each with its own preprocessing and file.

    Args:
        path: the joined graph, its embedding the members' one after the other.
        spec: its preprocessing.
        members: bundle and what makes its input.
        photos: RGB.
        scores: whether it gives scores.
        stored: whether weights were rounded since the members had them.

    Raises:
        ParityError: a member's part is further from the member than its input explains.
    """
    got = run_graph(path, _batch(photos, spec))
    figures: dict[str, Any] = {}
    expected, at = [], 0
    for number, (bundle, front) in enumerate(members):
        alone = run_graph(bundle.model_path("float32"), _batch(photos, bundle.manifest.preprocess))
        part = got[OUTPUT][:, at : at + bundle.manifest.dim]
        at += bundle.manifest.dim
        figures[f"{number}: {bundle.id}"] = _cosines(part, alone[OUTPUT], bundle.id, _allowed(front, stored))
        if scores:
            expected.append(softmax(alone[SCORES] / bundle.manifest.temperature, axis=1))
    if scores:
        exact = all(front.exact for _, front in members)
        allowed = (STORED_PROBABILITY if stored else SAME_PROBABILITY) if exact else None
        figures["max_probability_difference"] = _difference(got[SCORES], np.mean(expected, axis=0), allowed)
    return figures


def _batch(photos: Sequence[Image.Image], spec: PreprocessSpec) -> NDArray[np.float32]:
    return np.stack([preprocess(photo, spec) for photo in photos])


def _allowed(front: Front, stored: bool) -> float:
    if not front.exact:
        return SCALED_INPUT
    limit = CUT_INPUT if front.cuts else SAME_INPUT
    return min(limit, STORED) if stored else limit


def _cosines(part: NDArray[np.float32], alone: NDArray[np.float32], name: str, allowed: float) -> dict[str, float]:
    lengths = np.linalg.norm(part, axis=1) * np.linalg.norm(alone, axis=1)
    cosines = np.einsum("nd,nd->n", part, alone, dtype=np.float64) / lengths
    if not cosines.min() >= allowed:  # NaN fails as well
        raise ParityError(
            f"{name}: in the joined graph its embedding is as far as {cosines.min():.5f} (cosine) from its own "
            f"(allowed {allowed}); join bundles of nearer sizes, or export it for the size of the others.",
            member=name,
            min_cosine=float(cosines.min()),
        )
    return {"min_cosine": float(cosines.min()), "mean_cosine": float(cosines.mean())}


def _difference(scores: NDArray[np.float32], expected: NDArray[np.float32], allowed: float | None) -> float:
    difference = float(np.abs(softmax(scores, axis=1) - expected).max())
    if allowed is not None and not difference <= allowed:
        raise ParityError(
            f"The joined class probabilities are off by {difference:.1e} (allowed {allowed})", difference=difference
        )
    return difference
