"""Verification: how many local features of a query and of a gallery photo fit one view of the same thing."""

from index.verification.distinctive import distinctive_inliers
from index.verification.drawing import draw_match
from index.verification.errors import (
    FeatureFileCorrupt,
    FeaturesCorrupt,
    FeaturesMismatch,
    LocalFeaturesInvalid,
    LocalFeaturesMissing,
    UnknownVerifier,
)
from index.verification.features import LocalFeatures
from index.verification.geometry import Match
from index.verification.learned import LearnedVerifier
from index.verification.protocol import RootSiftVerifier, Verifier, verifier_named
from index.verification.shortlist import verify_shortlist
from index.verification.store import FeatureFile

__all__ = [
    "FeatureFile",
    "FeatureFileCorrupt",
    "FeaturesCorrupt",
    "FeaturesMismatch",
    "LearnedVerifier",
    "LocalFeatures",
    "LocalFeaturesInvalid",
    "LocalFeaturesMissing",
    "Match",
    "RootSiftVerifier",
    "UnknownVerifier",
    "Verifier",
    "distinctive_inliers",
    "draw_match",
    "verifier_named",
    "verify_shortlist",
]
