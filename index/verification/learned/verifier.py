"""A verifier whose features, and maybe whose pairs, a network makes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PIL import Image

from embedding.bundle import BundleInvalid
from embedding.manifest import Device
from embedding.session import Session, open_session
from index.verification.errors import LocalFeaturesInvalid
from index.verification.features import LocalFeatures
from index.verification.geometry import Match, agreeing
from index.verification.learned.manifest import EXTRACTOR, MATCHER, LearnedManifest, open_manifest
from index.verification.learned.pairing import paired
from index.verification.learned.patch_features import extract_from_patches
from index.verification.learned.photo_features import extract_from_photo
from index.verification.matching import alike

__all__ = ["LearnedVerifier"]

_TAKES = {"photo": extract_from_photo, "patches": extract_from_patches}
_NEEDS = {"photo": {"image", "extent"}, "patches": {"patches"}}


class LearnedVerifier:
    """Runs a folder that `whichone export-local-features` wrote. Thread-safe.

    Args:
        folder: with manifest.json.
        name: the method that must be in it.
        device: ``cpu`` or ``cuda``; never anything else than asked.
        threads: of one call, on the CPU; None leaves it to ONNX Runtime.

    Raises:
        LocalFeaturesMissing, LocalFeaturesInvalid: see `open_manifest`; or a graph that cannot be run.
        DeviceUnavailable: the device is not there.
    """

    def __init__(self, folder: Path, name: str, *, device: Device = "cpu", threads: int | None = None) -> None:
        self.name = name
        self.manifest: LearnedManifest = open_manifest(folder, name)
        opened = partial(_opened, device=device, threads=threads)
        self._extractor = opened(folder / EXTRACTOR, needs=_NEEDS[self.manifest.takes])
        self._matcher: Session | None = None
        if MATCHER in self.manifest.files:
            self._matcher = opened(folder / MATCHER, needs={"points0", "descriptors0", "points1", "descriptors1"})

    @property
    def method(self) -> str:
        """Of its features."""
        return self.manifest.features_method

    def extract(self, image: Image.Image) -> LocalFeatures:
        return _TAKES[self.manifest.takes](image, self._extractor, self.manifest)

    def match(self, query: LocalFeatures, gallery: LocalFeatures) -> Match:
        if self._matcher is None:
            return agreeing(query, gallery, alike(query, gallery, ratio=self.manifest.ratio))
        return agreeing(query, gallery, paired(query, gallery, self._matcher, self.manifest))


def _opened(path: Path, *, needs: set[str], device: Device, threads: int | None) -> Session:
    try:
        session = open_session(path, device, threads)
    except BundleInvalid as error:
        raise LocalFeaturesInvalid(error.message, file=str(path)) from error
    came = {given.name for given in session.get_inputs()}
    if came != needs:
        raise LocalFeaturesInvalid(
            f"{path} takes {', '.join(sorted(came))}; it should take {', '.join(sorted(needs))}", file=str(path)
        )
    return session
