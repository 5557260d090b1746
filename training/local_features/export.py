"""A folder of learned local features, for `index.verification.learned`: networks as ONNX and how to feed them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
from kornia.feature import OriNet
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from embedding.rephotograph import rephotograph
from index.verification.features import most_features
from index.verification.learned import EXTRACTOR, MANIFEST, MATCHER, LearnedManifest
from index.verification.learned.patch_features import SIDE
from index.verification.learned.photo_features import letterboxed
from training.errors import RecipeInvalid
from training.export.package_photos import load_package_photos
from training.export.whole_folder import whole_folder
from training.local_features.extractors import HardNetDescriber
from training.local_features.graphs import (
    check_descriptions,
    check_extraction,
    check_pairing,
    export_small,
    run_both,
)
from training.local_features.hessaffnet import HessAffNetExtractor
from training.local_features.matcher import Matcher
from training.local_features.methods import METHODS, Method
from training.local_features.weights import fill, read_tensors, weights_file

__all__ = ["Request", "export_local_features"]

STEPS = 256.0
"""Few of 64 or 128 values of unit length lie beyond 127 / 256."""

CONFIDENCE = 0.1
"""That LightGlue must have in a pair: its authors' own choice."""

_COMPARED = 3  # photos; those of the packages that come first
_MADE_WITH = ("kornia", "onnx", "torch")


@dataclass(frozen=True)
class Request:
    """What is wanted.

    Attributes:
        method: name of the verifier.
        weights, matcher_weights: files; None: from the packages that have them.
        shape_weights, orientation_weights: files of AffNet and of OriNet, for `hessaffnet` alone; without the second
            the dominant gradient says which way a patch is turned.
        size: side of the square that a photo is shrunk into, a multiple of 32; for patches, of the longer side.
        most: features of a photo; None: as many as have room.
        layers: of the matcher; fewer are faster. None for all.
        license: of the weights; None: the packages'.
    """

    method: str
    weights: Path | None = None
    matcher_weights: Path | None = None
    shape_weights: Path | None = None
    orientation_weights: Path | None = None
    size: int = 384
    most: int | None = None
    layers: int | None = None
    license: str | None = None


@dataclass
class _Draft:
    """What is known of a folder that is being made."""

    folder: Path
    request: Request
    method: Method
    most: int
    made_of: dict[str, str] = field(default_factory=dict)
    parity: dict[str, Any] = field(default_factory=dict)
    photos: list[Image.Image] = field(default_factory=load_package_photos)


def export_local_features(request: Request, out: Path) -> LearnedManifest:
    """Write the folder of a method, whole or not at all.

    Raises:
        RecipeInvalid: there is no such method, size, or number of layers or features.
        WeightsUnavailable, WeightsMismatch: the weights cannot be had, or are another network's.
        ParityError: a graph does not compute what its network does.
        OutputRefused: `out` holds something, or cannot be written.
    """
    method = _checked(request)
    with whole_folder(out) as folder:
        draft = _Draft(folder, request, method, request.most or most_features(method.network.descriptor_length))
        del draft.photos[_COMPARED:]
        network = _export_extractor(draft)
        if method.matcher is not None:
            _export_matcher(draft, network)
        manifest = _manifest(draft)
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return manifest


def _checked(request: Request) -> Method:
    if request.method not in METHODS:
        raise RecipeInvalid(
            f"There are no local features {request.method!r}; there are {', '.join(METHODS)}.", method=request.method
        )
    method = METHODS[request.method]
    if request.size % 32 or not 64 <= request.size <= 2048:
        raise RecipeInvalid(f"size is {request.size}; it must be a multiple of 32 from 64 to 2048.", size=request.size)
    room = most_features(method.network.descriptor_length)
    if request.most is not None and not 1 <= request.most <= room:
        raise RecipeInvalid(f"most is {request.most}; a photo has room for 1 to {room} features.", most=request.most)
    layers = 0 if method.matcher is None else method.matcher.get("n_layers", 9)
    if request.layers is not None and not 1 <= request.layers <= layers:
        has = f"the matcher has {layers}" if layers else f"{request.method} has no matcher"
        raise RecipeInvalid(f"layers is {request.layers}, but {has}.", layers=request.layers)
    if method.matcher is None and request.matcher_weights is not None:
        raise RecipeInvalid(
            f"{request.method} has no matcher: --matcher-weights goes with a method whose name ends in lightglue.",
            method=request.method,
        )
    if not method.shaped and (request.shape_weights or request.orientation_weights):
        raise RecipeInvalid(
            f"{request.method} has no networks for shape and orientation: --shape-weights and --orientation-weights go "
            "with hessaffnet.",
            method=request.method,
        )
    return method


def _export_extractor(draft: _Draft) -> nn.Module:
    request = draft.request
    network = draft.method.build(request.size, draft.most)
    path, draft.made_of["weights"] = weights_file(request.weights, draft.method.weights, "--weights")
    # Parameters lie under `network` in every wrapper: what is around it has none, but for shapes and directions.
    fill(cast(nn.Module, network.network), read_tensors(path), path.name)
    if isinstance(network, HessAffNetExtractor):
        _fill_shapes(draft, network)
    network.eval().requires_grad_(False)
    target = draft.folder / EXTRACTOR
    if isinstance(network, HardNetDescriber):
        patches = _some_patches(draft.photos)
        free = {"patches": {0: "n"}, "descriptors": {0: "n"}}
        export_small(network, target, {"patches": patches[:2]}, ["descriptors"], free)
        draft.parity["extractor"] = check_descriptions(network, target, patches)
    else:
        inputs = [_inputs(photo, request.size) for photo in draft.photos]
        export_small(network, target, inputs[0], ["points", "scores", "descriptors"], {})
        draft.parity["extractor"] = check_extraction(network, target, inputs, draft.method.network.threshold)
    return network


def _fill_shapes(draft: _Draft, network: HessAffNetExtractor) -> None:
    request = draft.request
    path, draft.made_of["shape"] = weights_file(request.shape_weights, None, "--shape-weights")
    fill(network.shape, read_tensors(path), path.name)
    draft.made_of["orientation"] = "the dominant gradient"
    if request.orientation_weights is not None:
        network.orientation = OriNet(pretrained=False)
        path, draft.made_of["orientation"] = weights_file(request.orientation_weights, None, "--orientation-weights")
        fill(network.orientation, read_tensors(path), path.name)


def _export_matcher(draft: _Draft, extractor: nn.Module) -> None:
    request = draft.request
    matcher = Matcher(dict(draft.method.matcher or {}), request.layers)
    path, draft.made_of["matcher"] = weights_file(
        request.matcher_weights, draft.method.matcher_weights, "--matcher-weights"
    )
    fill(matcher.network, read_tensors(path), path.name)
    matcher.eval().requires_grad_(False)
    draft.made_of["layers"] = str(matcher.layers)
    pairs = [_pair(draft, extractor, photo) for photo in draft.photos]
    free = {name: {1: "m" if name.endswith("0") else "n"} for name in pairs[0]}
    target = draft.folder / MATCHER
    export_small(
        matcher, target, pairs[0], ["partners", "confidences"], {**free, "partners": {0: "m"}, "confidences": {0: "m"}}
    )
    draft.parity["matcher"] = check_pairing(matcher, target, pairs)


def _manifest(draft: _Draft) -> LearnedManifest:
    request, method = draft.request, draft.method
    stated = request.license or (
        "LicenseRef-unstated" if request.weights or request.matcher_weights else method.license
    )
    return LearnedManifest(
        method=request.method,
        extractor=request.method.partition("-")[0][:7],
        takes=method.takes,
        size=request.size,
        most=draft.most,
        descriptor_length=method.network.descriptor_length,
        steps=STEPS,
        threshold=method.network.threshold,
        ratio=method.ratio if method.matcher is None else 1.0,
        confidence=0.0 if method.matcher is None else CONFIDENCE,
        license=stated,
        made_of={**draft.made_of, **{name: version(name) for name in _MADE_WITH}},
        parity=draft.parity,
        files={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(draft.folder.iterdir())},
    )


def _inputs(photo: Image.Image, size: int) -> dict[str, NDArray[Any]]:
    pixels, extent = letterboxed(photo, size)
    return {"image": pixels, "extent": np.array(extent, np.int64)}


def _pair(draft: _Draft, extractor: nn.Module, photo: Image.Image) -> dict[str, NDArray[Any]]:
    """A photo and a snapshot of it as the matcher takes them, of unlike many features."""
    pair: dict[str, NDArray[Any]] = {}
    for which, image in enumerate((photo, rephotograph(photo, seed=1))):
        size = draft.request.size
        _, (points, _, descriptors) = run_both(extractor, draft.folder / EXTRACTOR, _inputs(image, size))
        some = slice(len(points) - 5 * which)
        pair[f"points{which}"] = ((points[some] - size / 2) / (size / 2))[None].astype(np.float32)
        pair[f"descriptors{which}"] = descriptors[some][None]
    return pair


def _some_patches(photos: list[Image.Image]) -> NDArray[np.float32]:
    """Tiles of photos, (n, 1, 32, 32)."""
    grey = [np.asarray(photo.convert("L").resize((256, 256)), np.float32) for photo in photos]
    tiles = np.stack(grey).reshape(-1, 256 // SIDE, SIDE, 256 // SIDE, SIDE).transpose(0, 1, 3, 2, 4)
    return np.ascontiguousarray(tiles.reshape(-1, 1, SIDE, SIDE))
