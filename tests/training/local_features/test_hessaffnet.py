"""Hessian-AffNet-HardNet exported: blobs, shapes and patches against kornia's own, with random weights in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the training extra")
pytest.importorskip("kornia", reason="needs the extra local-features")

import torch
from kornia.feature import (
    BlobHessian,
    HardNet,
    LAFAffNetShapeEstimator,
    LAFOrienter,
    OriNet,
    ScaleSpaceDetector,
    extract_patches_from_pyramid,
)
from torch import Tensor, nn

from index.verification import verifier_named
from index.verification.learned.photo_features import letterboxed
from tests.index.verification.conftest import poster
from training.errors import RecipeInvalid
from training.local_features.export import Request, export_local_features
from training.local_features.hessaffnet import HessAffNetExtractor
from training.local_features.hessian import HessianDetector
from training.weights import WeightsMismatch, WeightsUnavailable

pytestmark = pytest.mark.torch

SIZE, MOST = 192, 150


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def saved(network: nn.Module, folder: Path, *, without: str = "nothing") -> Path:
    """As the authors published theirs."""
    path = folder / f"{type(network).__name__}.pth"
    tensors = {name: value for name, value in network.state_dict().items() if without not in name}
    torch.save({"epoch": 1, "state_dict": tensors}, path)
    return path


def random_networks() -> tuple[HardNet, LAFAffNetShapeEstimator, OriNet]:
    """Nothing learned: shapes are nearly circles."""
    torch.manual_seed(0)
    return HardNet(False).eval(), LAFAffNetShapeEstimator(False).eval(), OriNet(False).eval()


def request_of(folder: Path, *, oriented: bool = False) -> Request:
    hardnet, affnet, orinet = random_networks()
    return Request(
        "hessaffnet",
        weights=saved(hardnet, folder, without="num_batches_tracked"),
        shape_weights=saved(affnet, folder),
        orientation_weights=saved(orinet, folder) if oriented else None,
        size=SIZE,
        most=MOST,
    )


def grey_of(photo: Image.Image) -> Tensor:
    return torch.from_numpy(letterboxed(photo.convert("L"), SIZE)[0][:, :1])


def warped(photo: Image.Image) -> Image.Image:
    """Turned by a third of a right angle and seen from the side."""
    turned = photo.rotate(30, Image.Resampling.BICUBIC, fillcolor=(245, 240, 230))
    sideways = (1.2, 0.1, -40, 0.05, 1, -10)
    return turned.transform(photo.size, Image.Transform.AFFINE, sideways, Image.Resampling.BICUBIC)


@pytest.mark.parametrize("oriented", [False, True])
def test_a_folder_is_made_and_its_verifier_knows_a_poster_again(tmp_path: Path, oriented: bool) -> None:
    manifest = export_local_features(request_of(tmp_path, oriented=oriented), tmp_path / "out" / "hessaffnet")
    parity = manifest.parity["extractor"]
    assert parity["features"] > 100
    assert parity["shared"] >= 0.98
    assert parity["min_cosine"] >= 0.999
    assert (manifest.takes, manifest.extractor, manifest.license) == ("photo", "hessaff", "LicenseRef-unstated")
    assert manifest.made_of["shape"].startswith("LAFAffNetShapeEstimator.pth, sha256 ")
    assert manifest.made_of["orientation"].startswith("OriNet.pth, sha256 " if oriented else "the dominant gradient")

    verifier = verifier_named("hessaffnet", tmp_path / "out", threads=1)
    assert len(verifier.extract(Image.new("RGB", (40, 30), (90, 120, 30)))) == 0
    seen = verifier.extract(poster(1))
    assert 50 < len(seen) <= MOST
    assert verifier.match(seen, seen).inliers > 50
    if not oriented:  # nothing says that OriNet's random weights turn with the photo
        photos = [warped(poster(1)), poster(1).rotate(90, expand=True), poster(2), poster(3), poster(4)]
        inliers = [verifier.match(verifier.extract(photo), seen).inliers for photo in photos]
        assert min(inliers[:2]) > 3 * max(5, *inliers[2:])


def test_blobs_are_those_of_kornia_s_detector() -> None:
    grey = grey_of(poster(5, (SIZE, SIZE)))
    with torch.inference_mode():
        frames, _ = ScaleSpaceDetector(60, 6.0, resp_module=BlobHessian("diff")).eval()(grey)
        points, sigmas, responses = HessianDetector(SIZE, 400)(grey, torch.tensor([SIZE, SIZE]))
    assert torch.all(responses[1:] <= responses[:-1])
    theirs = frames[0][frames[0, :, 0, 0] > 0]
    assert len(theirs) > 50
    apart = (theirs[:, None, :, 2] - points[None]).norm(dim=2)
    alike = (theirs[:, None, 0, 0] / (6 * sigmas[None])).log2().abs()
    found = ((apart < 0.5 * sigmas[None]) & (alike < 0.2)).any(dim=1)
    assert found.float().mean() > 0.95


def test_a_blob_is_found_where_it_lies_and_as_large_as_it_is() -> None:
    along = torch.arange(SIZE, dtype=torch.float32)
    for x, y, sigma in [(90.3, 70.6, 3.0), (100.0, 91.25, 7.0)]:
        blob = torch.exp(-((along[None] - x) ** 2 + (along[:, None] - y) ** 2) / (2 * sigma**2))
        with torch.inference_mode():
            points, sigmas, responses = HessianDetector(SIZE, 10)(blob[None, None], torch.tensor([SIZE, SIZE]))
        assert points[0].tolist() == pytest.approx([x, y], abs=0.15)
        assert float(sigmas[0]) == pytest.approx(sigma, rel=0.1)
        # A blob of height 1, looked at by its own sigma: 1 / 16 (Lindeberg, section 5).
        assert float(responses[0]) == pytest.approx(1 / 16, rel=0.15)


def test_nothing_is_found_where_the_photo_ends() -> None:
    grey, extent = grey_of(poster(6, (SIZE, 100))), torch.tensor([SIZE, 100])
    with torch.inference_mode():
        points, sigmas, responses = HessianDetector(SIZE, 400)(grey, extent)
    kept = responses > HessAffNetExtractor.threshold
    assert kept.sum() > 20
    room = torch.minimum(points, extent - 1 - points).amin(dim=1)
    # As far as a blob's place and size were known before they were refined.
    assert torch.all(room[kept] > 2.5 * sigmas[kept])


@pytest.mark.parametrize("oriented", [False, True])
def test_descriptors_are_kornia_s(oriented: bool) -> None:
    hardnet, affnet, orinet = random_networks()
    # Shapes that are no circles, directions that differ.
    affnet.features[19].weight.data *= 8
    affnet.features[19].bias.data = torch.tensor([0.3, -0.4, -0.2])
    orinet.features[19].weight.data *= 20
    extractor = HessAffNetExtractor(SIZE, 20)
    extractor.network, extractor.shape = hardnet, affnet
    if oriented:
        extractor.orientation = orinet
    random = np.random.default_rng(0)
    points = torch.from_numpy(random.uniform(5, SIZE - 5, (40, 2)).astype(np.float32))
    sigmas = torch.from_numpy(2 ** random.uniform(0, 4.5, 40).astype(np.float32))
    grey = grey_of(poster(7, (SIZE, SIZE)))
    with torch.inference_mode():
        ours = extractor.described(grey, torch.tensor([SIZE, SIZE]), points, sigmas)
        frames = torch.cat([6 * sigmas[:, None, None] * torch.eye(2), points[:, :, None]], dim=2)[None]
        frames = LAFOrienter(32, angle_detector=orinet if oriented else None)(affnet(frames, grey), grey)
        theirs = hardnet(extract_patches_from_pyramid(grey, frames, 32)[0])
        upright = hardnet(extract_patches_from_pyramid(grey, affnet(frames, grey), 32)[0])
    assert float((ours * theirs).sum(1).min()) > 0.9999
    # Random weights do tell patches apart so finely.
    assert float((ours * upright).sum(1).median()) < 0.9999


def test_files_that_are_missing_or_another_network_s(tmp_path: Path) -> None:
    request, out = request_of(tmp_path, oriented=True), tmp_path / "out"
    hardnet, affnet, orinet = request.weights, request.shape_weights, request.orientation_weights
    for given, error, words in [
        ({"weights": None}, WeightsUnavailable, "No package is known .* give a file with --weights"),
        ({"shape_weights": None}, WeightsUnavailable, "No package is known .* give a file with --shape-weights"),
        ({"orientation_weights": tmp_path / "none.pth"}, WeightsUnavailable, r"no file of weights at .*none\.pth"),
        ({"weights": affnet}, WeightsMismatch, r"LAFAffNetShapeEstimator\.pth: features\.0\.weight has shape \(16,"),
        ({"shape_weights": hardnet}, WeightsMismatch, r"HardNet\.pth: features\.0\.weight has shape \(32,"),
        ({"shape_weights": orinet}, WeightsMismatch, r"OriNet\.pth: features\.19\.weight has shape \(2,"),
        ({"orientation_weights": affnet}, WeightsMismatch, r"features\.19\.weight has shape \(3,"),
    ]:
        wanted = {"weights": hardnet, "shape_weights": affnet, "orientation_weights": orinet} | given
        with pytest.raises(error, match=words):
            export_local_features(Request("hessaffnet", size=SIZE, **wanted), out)
    for given in ({"shape_weights": affnet}, {"orientation_weights": orinet}):
        with pytest.raises(RecipeInvalid, match="hardnet has no networks for shape and orientation: --shape-weights"):
            export_local_features(Request("hardnet", weights=hardnet, **given), out)
    assert not out.exists()
