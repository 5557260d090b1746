"""What a folder of learned local features holds: networks as ONNX files, and how to feed them.

manifest.json   this document
extractor.onnx  a photo to points, scores and descriptors; or patches to descriptors
matcher.onnx    two photos' points and descriptors to pairs; not in every folder
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from index.verification.errors import LocalFeaturesInvalid, LocalFeaturesMissing
from index.verification.features import most_features

__all__ = ["EXTRACTOR", "MANIFEST", "MATCHER", "LearnedManifest", "open_manifest"]

MANIFEST, EXTRACTOR, MATCHER = "manifest.json", "extractor.onnx", "matcher.onnx"

_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class LearnedManifest(BaseModel):
    """Attributes:
    method: name of the verifier.
    extractor: which network finds or describes features: the first part of the method's name, seven letters at most.
    takes: `photo`: a square, grey where the photo leaves it empty. `patches`: 32 x 32 around keypoints of SIFT.
    size: side of the square in pixels; for patches, the longer side at which keypoints are looked for.
    most: features of a photo; what a photo's bytes have room for at the most.
    descriptor_length: values of a descriptor.
    steps: a value v of a descriptor is kept as 128 + round(v * steps), within 1 to 255.
    threshold: features must score more.
    ratio: of nearest neighbours, where there is no matcher (`index.verification.matching`).
    confidence: that the matcher must have in a pair, where there is one.
    license: of the weights, as an SPDX expression.
    made_of: the weights and the packages that made the files.
    parity: how near the files are to the networks.
    files: name -> sha256, the manifest apart.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    method: str
    extractor: Annotated[str, Field(pattern="^[a-z]{1,7}$")]
    takes: Literal["photo", "patches"]
    size: Annotated[int, Field(ge=64, le=4096)]
    most: Annotated[int, Field(ge=1)]
    descriptor_length: Annotated[int, Field(ge=1, le=128)]
    steps: Annotated[float, Field(gt=0)]
    threshold: float
    ratio: Annotated[float, Field(gt=0, le=1)] = 1.0
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    license: str
    made_of: dict[str, str] = {}
    parity: dict[str, Any] = {}
    files: dict[str, _Sha256]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not {EXTRACTOR} <= set(self.files) <= {EXTRACTOR, MATCHER}:
            raise ValueError(f"files are {EXTRACTOR} and, maybe, {MATCHER}; came {', '.join(self.files) or 'none'}")
        room = most_features(self.descriptor_length)
        if self.most > room:
            raise ValueError(f"most is {self.most}; with {self.descriptor_length} values each, {room} have room")
        return self

    @property
    def features_method(self) -> str:
        """What the features carry as their method: only those of the same network, fed alike, can be compared.
        The matcher has no part in it: another one needs no new features."""
        parts = (self.files[EXTRACTOR], self.takes, self.size, self.steps)
        return f"{self.extractor}:{hashlib.sha256(repr(parts).encode()).hexdigest()[:8]}"


def open_manifest(folder: Path, method: str) -> LearnedManifest:
    """Read a folder's manifest and check every file of it.

    Raises:
        LocalFeaturesMissing: there is no such folder, or no manifest in it.
        LocalFeaturesInvalid: the manifest cannot be used, is another method's, or a file is not as it says.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise LocalFeaturesMissing(
            f"the verifier {method!r} is not in {folder}: there is no {MANIFEST}; "
            f"`whichone export-local-features {method} {folder}` makes it",
            verifier=method,
            folder=str(folder),
        )
    try:
        manifest = LearnedManifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise LocalFeaturesInvalid(f"{path}: {place}: {first['msg']}", file=str(path)) from error
    if manifest.method != method:
        raise LocalFeaturesInvalid(f"{path} is of {manifest.method!r}, {method!r} was asked for", file=str(path))
    for name, sha256 in manifest.files.items():
        _check_file(folder / name, sha256)
    return manifest


def _check_file(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise LocalFeaturesInvalid(f"{path} is missing", file=str(path))
    with path.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != sha256:
        raise LocalFeaturesInvalid(
            f"{path} is not the file that {MANIFEST} describes: its sha256 is {got[:12]}, not {sha256[:12]}",
            file=str(path),
        )
