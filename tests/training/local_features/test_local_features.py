"""Learned local features exported: graphs against the networks that kornia publishes, with random weights in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the training extra")
pytest.importorskip("kornia", reason="needs the extra local-features")

import torch
from torch import Tensor

from embedding.rephotograph import rephotograph
from index.verification import verifier_named
from index.verification.learned.photo_features import letterboxed
from training.errors import RecipeInvalid
from training.export.onnx_graph import ParityError
from training.export.package_photos import PACKAGE_PHOTOS, load_package_photos
from training.export.whole_folder import OutputRefused
from training.local_features.export import Request, export_local_features
from training.local_features.extractors import Extractor, XFeatExtractor
from training.local_features.graphs import check_extraction
from training.local_features.matcher import LIGHT, Matcher
from training.local_features.methods import METHODS
from training.local_features.weights import fill, read_tensors
from training.weights import WeightsMismatch, WeightsUnavailable

pytestmark = pytest.mark.torch

SIZE = 96


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def random_weights(name: str, folder: Path) -> Path:
    """Of the network that finds features: nothing learned, but steep enough to tell pixels apart."""
    torch.manual_seed(0)
    network = METHODS[name].build(SIZE, 8).network
    if name == "xfeat":
        network.keypoint_head[3].weight.data *= 100
    path = folder / f"{name}.pth"
    torch.save(network.state_dict(), path)
    return path


def random_matcher(folder: Path) -> Path:
    torch.manual_seed(1)
    path = folder / "matcher.pth"
    # Under the names of the published file.
    tensors = Matcher(dict(LIGHT)).network.state_dict()
    torch.save({f"matcher.{_older(name)}": value for name, value in tensors.items()}, path)
    return path


def _older(name: str) -> str:
    parts = name.split(".")
    return ".".join([parts[2], parts[1], *parts[3:]]) if parts[0] == "transformers" else name


@pytest.mark.parametrize("name", ["xfeat", "disk", pytest.param("aliked", marks=pytest.mark.slow), "hardnet"])
def test_a_folder_is_made_and_opened(tmp_path: Path, name: str) -> None:
    request = Request(name, weights=random_weights(name, tmp_path), size=SIZE, most=40)
    manifest = export_local_features(request, tmp_path / "out" / name)
    assert manifest.parity["extractor"]["min_cosine"] > 0.999
    assert manifest.license == "LicenseRef-unstated"
    assert "sha256" in manifest.made_of["weights"]
    verifier = verifier_named(name, tmp_path / "out", threads=1)
    [photo] = load_package_photos(PACKAGE_PHOTOS[:1])
    features = verifier.extract(photo)
    assert 0 < len(features) <= 40
    assert verifier.match(features, features).inliers >= 4


def test_a_folder_with_a_matcher(tmp_path: Path) -> None:
    request = Request(
        "xfeat-lightglue",
        weights=random_weights("xfeat", tmp_path),
        matcher_weights=random_matcher(tmp_path),
        size=SIZE,
        most=40,
        layers=1,
        license="MIT",
    )
    manifest = export_local_features(request, tmp_path / "out" / "xfeat-lightglue")
    assert (manifest.license, manifest.made_of["layers"]) == ("MIT", "1")
    assert manifest.parity["matcher"]["max_difference"] < 0.01
    verifier = verifier_named("xfeat-lightglue", tmp_path / "out", threads=1)
    [photo] = load_package_photos(PACKAGE_PHOTOS[:1])
    verifier.match(verifier.extract(photo), verifier.extract(rephotograph(photo, seed=0)))
    with pytest.raises(OutputRefused):
        export_local_features(request, tmp_path / "out" / "xfeat-lightglue")


def test_the_matcher_is_kornia_s(tmp_path: Path) -> None:
    """Written out, it finds the pairs and the confidences that kornia's own way through the same weights does."""
    matcher = Matcher(dict(LIGHT))
    fill(matcher.network, read_tensors(random_matcher(tmp_path)), "random")
    matcher.eval()
    random = np.random.default_rng(0)
    points = [random.uniform(0, 100, (1, n, 2)).astype(np.float32) for n in (30, 20)]
    descriptors = [random.normal(size=(1, n, 64)).astype(np.float32) for n in (30, 20)]
    # kornia normalises by the size that it is told, here of a square.
    theirs = {
        f"image{which}": {
            "keypoints": torch.from_numpy(points[which]),
            "descriptors": torch.from_numpy(descriptors[which]),
            "image_size": torch.tensor([[100.0, 100.0]]),
        }
        for which in (0, 1)
    }
    ours = [part for which in (0, 1) for part in ((points[which] - 50) / 50, descriptors[which])]
    with torch.inference_mode():
        expected = matcher.network(theirs)
        partners, confidences = matcher(*(torch.from_numpy(part) for part in ours))
    assert confidences.numpy() == pytest.approx(expected["matching_scores0"][0].numpy(), abs=1e-5)
    mutual = confidences > 0
    assert mutual.sum() > 5
    likely = expected["log_assignment"][0, :-1, :-1] if "log_assignment" in expected else None
    if likely is not None:
        assert torch.equal(partners[mutual], likely.argmax(1)[mutual])


def test_best_features_are_the_highest_maxima_inside_the_photo() -> None:
    extractor = XFeatExtractor(64, 30)
    scores = torch.from_numpy(np.random.default_rng(0).random((64, 64)).astype(np.float32))
    values, points = extractor._best(scores, torch.tensor([50, 40]))
    expected = []
    for y in range(5, 35):
        for x in range(5, 45):
            window = scores[y - 2 : y + 3, x - 2 : x + 3]
            if scores[y, x] == window.max():
                expected.append((float(scores[y, x]), x, y))
    expected.sort(reverse=True)
    assert [(float(v), int(x), int(y)) for v, (x, y) in zip(values, points, strict=True)][: len(expected)] == expected[
        :30
    ]


def test_a_graph_that_finds_others_is_refused(tmp_path: Path) -> None:
    class Elsewhere(Extractor):
        def forward(self, image: Tensor, extent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            points, scores, descriptors = network(image, extent)
            return points + 1, scores, descriptors

    request = Request("xfeat", weights=random_weights("xfeat", tmp_path), size=SIZE, most=10)
    export_local_features(request, tmp_path / "out")
    network = XFeatExtractor(SIZE, 10)
    fill(network.network, read_tensors(tmp_path / "xfeat.pth"), "xfeat.pth")
    network.eval()
    [photo] = load_package_photos(PACKAGE_PHOTOS[:1])
    pixels, extent = letterboxed(photo, SIZE)
    inputs = {"image": pixels, "extent": np.array(extent, np.int64)}
    graph = tmp_path / "out" / "extractor.onnx"
    assert check_extraction(network, graph, [inputs], 0.0)["shared"] == 1
    with pytest.raises(ParityError, match="are the network's"):
        check_extraction(Elsewhere(SIZE, 10), graph, [inputs], 0.0)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request("orb"), "no local features 'orb'; there are aliked"),
        (Request("xfeat", size=100), "size is 100; it must be a multiple of 32"),
        (Request("xfeat", most=5000), "most is 5000; a photo has room for 1 to 792"),
        (Request("xfeat", layers=3), "layers is 3, but xfeat has no matcher"),
        (Request("xfeat", matcher_weights=Path("w.pt")), "xfeat has no matcher: --matcher-weights goes with"),
        (Request("disk-lightglue", layers=10), "layers is 10, but the matcher has 9"),
    ],
)
def test_a_request_that_cannot_be_met(tmp_path: Path, request_: Request, words: str) -> None:
    with pytest.raises(RecipeInvalid, match=words):
        export_local_features(request_, tmp_path / "out")


def test_weights_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnavailable, match="No package is known that has these weights; give a file with --w"):
        export_local_features(Request("hardnet"), tmp_path / "out")
    with pytest.raises(WeightsUnavailable, match="There is no file of weights"):
        export_local_features(Request("xfeat", weights=tmp_path / "none.pth"), tmp_path / "out")
    wrong = random_weights("hardnet", tmp_path)
    with pytest.raises(WeightsMismatch, match="weights of another network"):
        export_local_features(Request("xfeat", weights=wrong, size=SIZE), tmp_path / "out")
    torch.save(print, tmp_path / "code.pth")
    with pytest.raises(WeightsMismatch, match="cannot be read as weights"):
        export_local_features(Request("xfeat", weights=tmp_path / "code.pth", size=SIZE), tmp_path / "out")
    assert not (tmp_path / "out").exists()
