"""Learned verifiers on graphs drawn by hand: the way from a photo to a match is the real one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageChops

from index.verification import (
    FeaturesMismatch,
    LearnedVerifier,
    LocalFeatures,
    LocalFeaturesInvalid,
    LocalFeaturesMissing,
    RootSiftVerifier,
    UnknownVerifier,
    verifier_named,
)
from index.verification.learned import EXTRACTOR, MANIFEST, LearnedManifest
from index.verification.learned.photo_features import letterboxed
from tests.index.verification.conftest import poster
from tests.index.verification.learned.conftest import LENGTH, MOST, write_manifest, write_matcher

METHODS = ("xfeat", "xfeat-lightglue", "hardnet")


@pytest.mark.parametrize("name", METHODS)
def test_the_same_poster_shifted_agrees_and_another_does_not(folders: Path, name: str) -> None:
    verifier = verifier_named(name, folders, threads=1)
    shifted = ImageChops.offset(poster(1), 16, 10)
    first, again, other = (verifier.extract(photo) for photo in (poster(1), shifted, poster(2)))
    match = verifier.match(again, first)
    assert match.inliers >= 12
    assert match.homography is not None
    # Sixteen pixels of 320 to the left, ten of 240 up.
    apart = match.gallery_points - match.query_points
    assert np.median(apart, axis=0) == pytest.approx((-16 / 320, -10 / 240), abs=0.01)
    assert verifier.match(other, first).inliers < match.inliers / 2


@pytest.mark.parametrize("name", METHODS)
def test_features_fit_their_bytes_and_come_back(folders: Path, name: str) -> None:
    verifier = verifier_named(name, folders, threads=1)
    features = verifier.extract(poster(3))
    assert 0 < len(features) <= MOST
    assert features.method == verifier.method
    assert features.descriptors.shape[1] == LENGTH
    back = LocalFeatures.from_bytes(features.to_bytes())
    assert np.array_equal(back.descriptors, features.descriptors)
    assert back.to_bytes() == verifier.extract(poster(3)).to_bytes()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("size", [(40, 30), (1, 300), (300, 2)])
def test_blank_and_narrow_photos_have_no_features(folders: Path, name: str, size: tuple[int, int]) -> None:
    verifier = verifier_named(name, folders, threads=1)
    nothing = verifier.extract(Image.new("RGB", size, (90, 120, 30)))
    assert len(nothing) == 0
    something = verifier.extract(poster(1))
    assert verifier.match(nothing, something).inliers == 0
    assert verifier.match(something, nothing).inliers == 0


def test_another_matcher_needs_no_new_features_another_extractor_does(folders: Path) -> None:
    plain, glued, patches = (verifier_named(name, folders, threads=1) for name in METHODS)
    assert plain.method == glued.method != patches.method
    assert glued.match(plain.extract(poster(1)), glued.extract(poster(1))).inliers > 20
    for verifier in (plain, glued):
        with pytest.raises(FeaturesMismatch, match="whichone index refresh"):
            verifier.match(RootSiftVerifier().extract(poster(1)), verifier.extract(poster(1)))


def test_the_method_of_features_names_network_and_how_it_is_fed(folders: Path) -> None:
    before = verifier_named("xfeat", folders).method
    assert before.startswith("xfeat:")
    assert len(before) <= 16  # what the header of features has room for
    write_manifest(folders / "xfeat", "xfeat", steps=100.0)
    assert verifier_named("xfeat", folders).method != before


def test_the_letterbox_holds_the_photo_and_its_mean_colour() -> None:
    photo = poster(4, (200, 100))
    pixels, (width, height) = letterboxed(photo, 64)
    assert pixels.shape == (1, 3, 64, 64)
    assert pixels.dtype == np.float32
    assert (width, height) == (64, 32)
    inside, outside = pixels[0, :, :32], pixels[0, :, 32:]
    assert np.ptp(outside.reshape(3, -1), axis=1) == pytest.approx(0)
    assert outside[:, 0, 0] == pytest.approx(inside.mean(axis=(1, 2)), abs=1e-5)


def test_nothing_of_the_methods_is_there(folders: Path) -> None:
    with pytest.raises(LocalFeaturesMissing, match=r"WHICHONE_LOCAL_FEATURES.*export-local-features disk FOLDER/disk"):
        verifier_named("disk")
    with pytest.raises(LocalFeaturesMissing, match="whichone export-local-features disk "):
        verifier_named("disk", folders)
    with pytest.raises(UnknownVerifier, match=r"no verifier 'orb'; there is aliked, .*rootsift"):
        verifier_named("orb", folders)


def test_a_changed_file_is_refused(folders: Path) -> None:
    path = folders / "xfeat" / EXTRACTOR
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(LocalFeaturesInvalid, match=r"is not the file that manifest\.json describes"):
        verifier_named("xfeat", folders)
    path.unlink()
    with pytest.raises(LocalFeaturesInvalid, match=r"extractor\.onnx is missing"):
        verifier_named("xfeat", folders)


def test_a_file_that_is_no_network_is_refused(folders: Path) -> None:
    path = folders / "xfeat" / EXTRACTOR
    path.write_bytes(b"no network")
    write_manifest(folders / "xfeat", "xfeat")
    with pytest.raises(LocalFeaturesInvalid, match=r"ONNX Runtime cannot load extractor\.onnx"):
        verifier_named("xfeat", folders)
    write_matcher(path)
    write_manifest(folders / "xfeat", "xfeat")
    with pytest.raises(LocalFeaturesInvalid, match="it should take extent, image"):
        verifier_named("xfeat", folders)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "format: Input should be 1"),
        ({"most": 5000}, "most is 5000; with 16 values each"),
        ({"steps": 0}, "steps: Input should be greater than 0"),
        ({"extractor": "../../etc"}, "extractor: String should match"),
        ({"files": {"../evil.onnx": hashlib.sha256(b"").hexdigest()}}, "files are extractor.onnx and"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"method": "disk"}, "is of 'disk', 'xfeat' was asked for"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(folders: Path, change: dict[str, object], words: str) -> None:
    path = folders / "xfeat" / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}), encoding="utf-8")
    with pytest.raises(LocalFeaturesInvalid, match=words):
        LearnedVerifier(folders / "xfeat", "xfeat")


def test_a_manifest_is_what_it_was_after_writing(folders: Path) -> None:
    manifest = write_manifest(folders / "xfeat", "xfeat")
    assert LearnedManifest.model_validate_json((folders / "xfeat" / MANIFEST).read_bytes()) == manifest
