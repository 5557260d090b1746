"""Verifiers that run networks: features by XFeat, DISK, ALIKED, HardNet or Hessian-AffNet-HardNet, pairs by nearest
neighbours or LightGlue.

Their files are made once with `whichone export-local-features`, which needs torch; here only ONNX Runtime is.
"""

from index.verification.learned.manifest import EXTRACTOR, MANIFEST, MATCHER, LearnedManifest
from index.verification.learned.verifier import LearnedVerifier

__all__ = ["EXTRACTOR", "MANIFEST", "MATCHER", "LearnedManifest", "LearnedVerifier"]
