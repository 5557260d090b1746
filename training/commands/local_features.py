"""`whichone export-local-features`: what the verb does; the options are `cli`'s."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console

from index.verification.learned import LearnedManifest
from training.local_features.export import Request, export_local_features

__all__ = ["Request", "export"]


def export(request: Request, out: Path, *, as_json: bool = False) -> LearnedManifest:
    """Make a folder of learned local features, and tell on stdout what it is and how near it is to the networks.

    Raises:
        WhichoneError: see `training.local_features.export.export_local_features`.
    """
    console = Console(file=sys.stderr, highlight=False)
    with console.status(f"exporting {request.method}") if console.is_terminal else console:
        manifest = export_local_features(request, out)
    facts = {"folder": str(out), "features_method": manifest.features_method, **manifest.model_dump(mode="json")}
    print(json.dumps(facts, ensure_ascii=False) if as_json else _sentences(manifest, out))
    return manifest


def _sentences(manifest: LearnedManifest, out: Path) -> str:
    extractor = manifest.parity["extractor"]
    lines = [
        f"{manifest.method} in {out}: {', '.join(sorted(manifest.files))}; weights: {manifest.license}",
        f"the extractor's graph is the network: smallest cosine {extractor['min_cosine']:.6f} over "
        f"{extractor['features']} features",
    ]
    if "matcher" in manifest.parity:
        matcher = manifest.parity["matcher"]
        lines.append(f"the matcher's graph finds {matcher['same']:.1%} of its {matcher['pairs']} pairs")
    lines.append(f"to use it: WHICHONE_LOCAL_FEATURES={out.parent} WHICHONE_VERIFIER={manifest.method}")
    return "\n".join(lines)
