"""Errors of verification: local features in bytes or on disk, and verifiers by name."""

from __future__ import annotations

from embedding.errors import InputError
from index.errors import GalleryError

__all__ = [
    "FeatureFileCorrupt",
    "FeaturesCorrupt",
    "FeaturesMismatch",
    "LocalFeaturesInvalid",
    "LocalFeaturesMissing",
    "UnknownVerifier",
]


class FeaturesCorrupt(GalleryError, ValueError):
    """Bytes that should be a photo's local features are not."""

    code = "features_corrupt"


class FeaturesMismatch(GalleryError, ValueError):
    """Local features of two methods cannot be compared."""

    code = "features_mismatch"


class FeatureFileCorrupt(GalleryError, ValueError):
    """A file of local features is not what its header and its table say."""

    code = "feature_file_corrupt"


class UnknownVerifier(InputError, ValueError):
    """A verifier was asked for by a name that none has."""

    code = "unknown_verifier"


class LocalFeaturesMissing(GalleryError, ValueError):
    """A verifier runs a network whose files are not there, or nobody said where."""

    code = "local_features_missing"


class LocalFeaturesInvalid(GalleryError, ValueError):
    """A folder of learned local features is not what its manifest says, or cannot be run."""

    code = "local_features_invalid"
