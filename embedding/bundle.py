"""A model on disk: a folder with a manifest, ONNX files, and the sha256 of each.

manifest.json  model.onnx  [model.int8.onnx  distractors.npz  labels.json]  NOTICE

BundleError                 invalid_bundle
├── BundleNotFound          bundle_not_found    no such folder, or no manifest in it
├── BundleInvalid           invalid_bundle      a manifest, or a model, that is not what it must be
└── BundleCorrupt           bundle_corrupt      a file that is missing or not the one that was shipped
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from embedding.errors import WhichoneError
from embedding.manifest import DISTRACTORS, MANIFEST, Device, Manifest, Precision

__all__ = [
    "SHIPPED",
    "Bundle",
    "BundleCorrupt",
    "BundleError",
    "BundleInvalid",
    "BundleNotFound",
    "Manifest",
    "write_manifest",
]

SHIPPED = Path(__file__).parent / "bundles" / "default"
"""The folder of the bundle that comes with the package."""


class BundleError(WhichoneError):
    """A bundle cannot be used."""

    code = "invalid_bundle"


class BundleNotFound(BundleError):
    """There is no bundle in that folder."""

    code = "bundle_not_found"


class BundleInvalid(BundleError):
    """A manifest or a model is not what it must be."""

    code = "invalid_bundle"


class BundleCorrupt(BundleError):
    """A file is missing, or is not the one whose sha256 the manifest holds."""

    code = "bundle_corrupt"


class Bundle:
    """An opened bundle. Make one with `Bundle.open`.

    Attributes:
        folder: where it is.
        manifest: what it says of itself. sha256: of the manifest's bytes, which hold the sha256 of every
        other file: the identity of the bundle.
    """

    def __init__(self, folder: Path, manifest: Manifest, sha256: str) -> None:
        self.folder = folder
        self.manifest = manifest
        self.sha256 = sha256

    @classmethod
    def open(cls, folder: Path | None = None, *, verify: bool = True) -> Bundle:
        """Read a bundle's manifest, and check every file it names against its sha256.

        Args:
            folder: the bundle; None for the one that comes with the package.
            verify: False skips the hashes (not the presence) of the files.

        Raises:
            BundleNotFound: no folder, or no manifest in it.
            BundleInvalid: the manifest is not valid, or names a model whose sha256 it does not hold.
            BundleCorrupt: a file is missing or differs.
        """
        folder = SHIPPED if folder is None else folder
        raw = _read_manifest(folder)
        manifest = _parse_manifest(folder, raw)
        bundle = cls(folder, manifest, hashlib.sha256(raw).hexdigest())
        bundle._check_files(verify)
        return bundle

    @property
    def id(self) -> str:
        """``name@version``, for people; two bundles may share it, never their `sha256`."""
        return self.manifest.id

    def model_path(self, precision: Precision) -> Path:
        """The ONNX file of a precision.

        Raises:
            BundleInvalid: the bundle has none of that precision.
        """
        name = self.manifest.models.get(precision)
        if name is None:
            raise BundleInvalid(
                f"The bundle {self.id} has no {precision} model; it has {', '.join(self.manifest.models)}.",
                precision=precision,
            )
        return self.folder / name

    def default_precision(self, device: Device) -> Precision:
        """The precision that measured best on a device; one that the manifest does not name runs as the CPU."""
        return self.manifest.precision.get(device, self.manifest.precision["cpu"])

    def distractors(self) -> NDArray[np.float32]:
        """Embeddings of photos that show nothing anyone would enrol.

        Returns:
            (n, dim) float32 unit rows; n is 0 when the bundle ships none.

        Raises:
            BundleCorrupt: the file is not a table of that width with finite, non-zero rows.
        """
        return self._unit_rows("embeddings", (self.manifest.dim,))

    def distractor_views(self) -> NDArray[np.float32]:
        """Embeddings of v simulated re-photographs of each of the distractors.

        Returns:
            (n, v, dim) float32 unit rows; n is 0 when the bundle ships none.

        Raises:
            BundleCorrupt: see `distractors`.
        """
        return self._unit_rows("views", (-1, self.manifest.dim))

    def _unit_rows(self, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if DISTRACTORS not in self.manifest.files:
            return np.zeros((0, *(max(side, 0) for side in shape)), np.float32)
        try:
            # Opened here: NumPy leaves the file open when it is no archive.
            with (self.folder / DISTRACTORS).open("rb") as file:
                rows = np.asarray(np.load(file, allow_pickle=False)[name], dtype=np.float32)
            rows = rows.reshape(len(rows), *shape)
        except (OSError, ValueError, LookupError, TypeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            raise _corrupt(self.folder, DISTRACTORS) from error
        lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
        if not np.all((lengths > 0) & np.isfinite(lengths)):
            raise _corrupt(self.folder, DISTRACTORS)
        return np.asarray(rows / lengths, dtype=np.float32)

    def _check_files(self, verify: bool) -> None:
        unlisted = set(self.manifest.models.values()) - set(self.manifest.files)
        if unlisted:
            raise BundleInvalid(
                f"The manifest of {self.folder} holds no sha256 of {', '.join(sorted(unlisted))}.",
                folder=str(self.folder),
            )
        for name, expected in self.manifest.files.items():
            path = self.folder / name
            if not path.is_file() or (verify and _sha256(path) != expected):
                raise _corrupt(self.folder, name)


def write_manifest(folder: Path, manifest: Manifest) -> Bundle:
    """Finish a bundle: compute the sha256 of every file in ``folder`` and write ``manifest.json``.

    ``manifest.files`` is replaced. The same files and the same manifest give the same bytes. Sub-folders
    are refused.

    Raises:
        BundleInvalid: a model that the manifest names is not there, or a name is not a plain file name.
    """
    paths = sorted(path for path in folder.iterdir() if path.name != MANIFEST)
    files = {path.name: _sha256(path) for path in paths if path.is_file()}
    if len(files) < len(paths):
        raise BundleInvalid(f"The bundle {folder} may hold plain files only.", folder=str(folder))
    body = manifest.model_dump(mode="json") | {"files": files}
    raw = (json.dumps(body, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()
    _parse_manifest(folder, raw)
    (folder / MANIFEST).write_bytes(raw)
    return Bundle.open(folder, verify=False)


def _read_manifest(folder: Path) -> bytes:
    try:
        return (folder / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise BundleNotFound(f"There is no bundle in {folder}: it holds no {MANIFEST}.", folder=str(folder)) from None


def _parse_manifest(folder: Path, raw: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise BundleInvalid(
            f"The manifest of {folder} is not valid: {where}: {first['msg']} (faults: {error.error_count()}).",
            folder=str(folder),
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _corrupt(folder: Path, name: str) -> BundleCorrupt:
    return BundleCorrupt(
        f"The bundle's file {name} is missing or not the one that its manifest describes; "
        f"copy or install the bundle in {folder} again.",
        file=name,
        folder=str(folder),
    )
