"""Several bundles as one, whose cosines are the weighted mean of theirs.

bundles -> one input for all -> one graph, compared with every member run alone -> fewer numbers, where wanted
        -> background -> manifest
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnx

from embedding.bundle import SHIPPED, Bundle, write_manifest
from embedding.embedder import Embedder
from embedding.manifest import Manifest
from embedding.preprocess import PreprocessSpec
from training.export.background import write_background
from training.export.checkpoint_manifest import checked_manifest
from training.export.joined_check import Photos, check_joined, photos_of
from training.export.joined_graph import Member, join_graphs
from training.export.joined_input import Front, MembersDiffer, joined_input
from training.export.onnx_graph import OUTPUT, SCORES, store_weights_as_float16
from training.export.reduced import reduce_dim
from training.export.whole_folder import refuse_taken, whole_folder

__all__ = ["Joining", "join_bundles"]

MODEL, LABELS = "model.onnx", "labels.json"
SAME_FOR_ANY_PART = frozenset({"upright", "mirrored", "close"})
"""Views that give a photo to the bundle's own preprocessing, so that what each member cuts out of it stays right."""


@dataclass(frozen=True)
class Joining:
    """What a bundle of bundles is to be.

    Attributes:
        name, version: of the bundle.
        license: SPDX expression; None: those of the members, joined by AND.
        weights: of the members' cosines, above 0, in their order; None: all the same.
        dim: of the embedding; None: the sum of the members'. Fewer are found on `photos`.
        photos: list (`training.data.listing.read_listing`) to compare on and to find `dim` on; None compares on photos
            that packages ship.
        half: whether weights are stored as float16; they still compute in float32.
    """

    name: str
    version: str = "1"
    license: str | None = None
    weights: tuple[float, ...] | None = None
    dim: int | None = None
    photos: str | None = None
    half: bool = True


@dataclass(frozen=True)
class _Plan:
    """The members, and how they come together."""

    bundles: tuple[Bundle, ...]
    fronts: tuple[Front, ...]
    shares: tuple[float, ...]
    preprocess: PreprocessSpec
    size: tuple[int, int] | None
    labels: tuple[str, ...] | None

    @property
    def dim(self) -> int:
        return sum(bundle.manifest.dim for bundle in self.bundles)


def join_bundles(folders: Sequence[Path | str], out: Path, wanted: Joining) -> Bundle:
    """Write one bundle of several into `out`, whole or not at all.

    Each member's network, at float32, gets a photo as its own bundle would prepare it, as near as the graph can; how
    near stands in the manifest. Class scores are given where every member gives them for the same labels: the
    logarithm of the plain mean of their probabilities, each with its temperature.

    Args:
        folders: of the members, two or more; `default` is the one that ships.
        out: a folder that is not there yet, or is empty.
        wanted: what it is to be.

    Raises:
        BundleError: a member cannot be used, or name, version or licence cannot.
        MembersDiffer: no one input serves them, or their views differ; too few members; weights that are none.
        GraphsDoNotJoin: a member's graph cannot be part of another.
        ParityError: the joined graph does not compute what the members do.
        OutputRefused: `out` holds something.
        PhotosUnusable, RunFailed: a list or a photo cannot be used.
    """
    plan = _plan([_opened(folder) for folder in folders], wanted)
    _manifest(plan, wanted, {})  # what is wrong with the words is told before the work
    refuse_taken(out)
    photos = photos_of(wanted.photos, wanted.dim, plan.dim)
    with whole_folder(out) as folder:
        figures = _write_model(plan, wanted, folder / MODEL, photos)
        manifest = _manifest(plan, wanted, figures)
        if plan.labels is not None:
            shutil.copyfile(plan.bundles[0].folder / LABELS, folder / LABELS)
        (folder / "NOTICE").write_text(_notice(plan, manifest), encoding="utf-8")
        write_background(folder, Embedder(write_manifest(folder, manifest)), photos.background)
        write_manifest(folder, manifest)
    return Bundle.open(out)


def _opened(folder: Path | str) -> Bundle:
    return Bundle.open(SHIPPED if str(folder) == "default" else Path(folder))


def _plan(bundles: Sequence[Bundle], wanted: Joining) -> _Plan:
    if len(bundles) < 2:
        raise MembersDiffer(f"Joining takes two bundles or more, not {len(bundles)}.")
    manifests = [bundle.manifest for bundle in bundles]
    preprocess, fronts = joined_input([manifest.preprocess for manifest in manifests])
    _check_views(manifests, same=not any(front.fixes_size for front in fronts))
    models = [onnx.load(bundle.model_path("float32"), load_external_data=False) for bundle in bundles]
    fixed = any(front.fixes_size for front in fronts) or any(_takes_one_size(model) for model in models)
    return _Plan(
        tuple(bundles),
        fronts,
        _shares(wanted.weights, len(bundles)),
        preprocess,
        preprocess.size if fixed else None,
        _labels(bundles),
    )


def _check_views(manifests: Sequence[Manifest], *, same: bool) -> None:
    views = manifests[0].views
    for manifest in manifests:
        if manifest.views != views:
            raise MembersDiffer(
                f"{manifests[0].id} averages the views {', '.join(views)}, {manifest.id} "
                f"{', '.join(manifest.views)}; export them with the same."
            )
    refused = sorted(set(views) - SAME_FOR_ANY_PART)
    if refused and not same:
        raise MembersDiffer(
            f"The members see different parts or sizes of a photo, and with those the view {refused[0]} would not be "
            f"theirs; there are {', '.join(sorted(SAME_FOR_ANY_PART))}, or members of one preprocessing."
        )


def _takes_one_size(model: onnx.ModelProto) -> bool:
    return any(side.HasField("dim_value") for side in model.graph.input[0].type.tensor_type.shape.dim[2:])


def _shares(weights: tuple[float, ...] | None, members: int) -> tuple[float, ...]:
    given = (1.0,) * members if weights is None else weights
    if len(given) != members or not all(math.isfinite(one) and one > 0 for one in given):
        raise MembersDiffer(
            f"The weights {', '.join(f'{one:g}' for one in given)} are not {members} numbers above 0, one a bundle.",
            weights=[f"{one:g}" for one in given],
        )
    return tuple(one / sum(given) for one in given)


def _labels(bundles: Sequence[Bundle]) -> tuple[str, ...] | None:
    """The members' classes, where all give scores for the same ones in the same order."""
    found = set()
    for bundle in bundles:
        if SCORES not in bundle.manifest.outputs or LABELS not in bundle.manifest.files:
            return None
        found.add(tuple(json.loads((bundle.folder / LABELS).read_text(encoding="utf-8"))))
    return found.pop() if len(found) == 1 else None


def _write_model(plan: _Plan, wanted: Joining, target: Path, photos: Photos) -> dict[str, Any]:
    """The graph, compared with the members as it was made and as it is stored."""
    joined = join_graphs(
        [
            Member(
                onnx.load(bundle.model_path("float32")), front, bundle.manifest.dim, share, bundle.manifest.temperature
            )
            for bundle, front, share in zip(plan.bundles, plan.fronts, plan.shares, strict=True)
        ],
        size=plan.size,
        with_scores=plan.labels is not None,
    )
    with tempfile.TemporaryDirectory() as scratch:
        full, stored = Path(scratch) / "full.onnx", Path(scratch) / "stored.onnx"
        full.write_bytes(joined.SerializeToString(deterministic=True))
        pairs = list(zip(plan.bundles, plan.fronts, strict=True))
        spec = plan.preprocess
        figures: dict[str, Any] = {"parity_photos": len(photos.compared)}
        figures["float32_graph"] = check_joined(full, spec, pairs, photos.compared, scores=plan.labels is not None)
        if wanted.half:
            store_weights_as_float16(full, stored)
            figures["stored_graph"] = check_joined(
                stored, spec, pairs, photos.compared, scores=plan.labels is not None, stored=True
            )
        chosen = stored if wanted.half else full
        if wanted.dim is None:
            shutil.copyfile(chosen, target)
        else:
            figures["reduced"] = reduce_dim(chosen, target, wanted.dim, spec, photos)
    return figures


def _manifest(plan: _Plan, wanted: Joining, figures: dict[str, Any]) -> Manifest:
    manifests = [bundle.manifest for bundle in plan.bundles]
    licenses = list(dict.fromkeys(manifest.license for manifest in manifests))
    return checked_manifest(
        name=wanted.name,
        version=wanted.version,
        license=wanted.license or " AND ".join(f"({one})" if " " in one else one for one in licenses),
        backbone=" + ".join(manifest.backbone for manifest in manifests),
        dim=wanted.dim or plan.dim,
        outputs=(OUTPUT,) if plan.labels is None else (OUTPUT, SCORES),
        preprocess=plan.preprocess,
        views=manifests[0].views,
        models={"float32": MODEL},
        precision={"cpu": "float32", "cuda": "float32"},
        recipe={
            "joined_from": [
                {
                    "bundle": bundle.id,
                    "sha256": bundle.sha256,
                    "share": share,
                    "input": str(front),
                    "preprocess": bundle.manifest.preprocess.as_json(),
                    "temperature": bundle.manifest.temperature,
                    "made": bundle.manifest.recipe,
                }
                for bundle, front, share in zip(plan.bundles, plan.fronts, plan.shares, strict=True)
            ],
            "photo_size": "any" if plan.size is None else list(plan.size),
            "weights_stored_as": "float16" if wanted.half else "as the members have them",
            "made_with": {name: version(name) for name in ("onnx", "onnxruntime")},
        },
        metrics=figures,
    )


def _notice(plan: _Plan, manifest: Manifest) -> str:
    start = (
        f"The bundle {manifest.name}\n\nIts model holds those of {len(plan.bundles)} bundles, whose notices follow.\n"
    )
    parts = [start]
    for bundle in plan.bundles:
        path = bundle.folder / "NOTICE"
        said = path.read_text(encoding="utf-8").strip() if path.is_file() else f"Licence: {bundle.manifest.license}"
        parts.append(f"--- {bundle.id}\n\n{said}\n")
    return "\n".join(parts)
