"""What every verifier can do, and the verifiers there are."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, get_args

from PIL import Image

from embedding.manifest import Device
from index.pipeline import VerifierName
from index.verification.errors import LocalFeaturesMissing, UnknownVerifier
from index.verification.features import LocalFeatures
from index.verification.geometry import Match, agreeing
from index.verification.learned import LearnedVerifier
from index.verification.matching import alike
from index.verification.rootsift import METHOD, extract_rootsift

__all__ = ["RootSiftVerifier", "Verifier", "verifier_named"]


class Verifier(Protocol):
    """Says how much two photos have in common, place by place."""

    name: str

    @property
    def method(self) -> str:
        """What its features carry as their method."""
        ...

    def extract(self, image: Image.Image) -> LocalFeatures:
        """The features of an upright RGB photo; few or none without texture."""
        ...

    def match(self, query: LocalFeatures, gallery: LocalFeatures) -> Match:
        """What two photos have in common. Raises FeaturesMismatch for features by another method."""
        ...


class RootSiftVerifier:
    """RootSIFT, mutual nearest neighbours, MAGSAC++: no model, any thing with a printed or a rough surface."""

    name: str = METHOD
    method: str = METHOD

    def extract(self, image: Image.Image) -> LocalFeatures:
        return extract_rootsift(image)

    def match(self, query: LocalFeatures, gallery: LocalFeatures) -> Match:
        return agreeing(query, gallery, alike(query, gallery))


_NAMES: tuple[str, ...] = get_args(VerifierName)


def verifier_named(
    name: str, folder: Path | None = None, *, device: Device = "cpu", threads: int | None = None
) -> Verifier:
    """A verifier by its name.

    Args:
        folder: holds a folder for each learned method, under its name; `rootsift` needs none.
        device: where networks run.
        threads: of a network, on the CPU.

    Raises:
        UnknownVerifier: none has the name; the message tells those there are.
        LocalFeaturesMissing: a learned one, and no folder is given, or nothing of it is there.
        LocalFeaturesInvalid: the files there cannot be used.
        DeviceUnavailable: the device is not there.
    """
    if name == METHOD:
        return RootSiftVerifier()
    if name not in _NAMES:
        there = ", ".join(sorted(_NAMES))
        raise UnknownVerifier(f"there is no verifier {name!r}; there is {there}", name=name, existing=sorted(_NAMES))
    if folder is None:
        raise LocalFeaturesMissing(
            f"the verifier {name!r} runs a network, and no folder is given that has it (WHICHONE_LOCAL_FEATURES); "
            f"`whichone export-local-features {name} FOLDER/{name}` makes one",
            verifier=name,
        )
    return LearnedVerifier(folder / name, name, device=device, threads=threads)
