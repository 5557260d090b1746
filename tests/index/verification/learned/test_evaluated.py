"""An evaluation compares pipelines whose verifiers differ, each on its own local features."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from embedding.bundle import Bundle
from embedding.embedder import Embedder
from embedding.rephotograph import rephotograph
from index.evaluation.manifest import load_manifest
from index.evaluation.protocol import evaluate
from index.pipeline import Pipeline, Verification
from index.verification import LocalFeatures, LocalFeaturesMissing, verifier_named
from tests.index.verification.conftest import poster

LEARNED = Pipeline(verification=Verification(mode="on", verifier="xfeat"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    lines = ["path,label,is_known,role"]
    for seed in range(5):
        poster(seed).save(tmp_path / f"{seed}.png")
        rephotograph(poster(seed), seed=seed).save(tmp_path / f"{seed}-again.png")
        if seed < 3:
            rephotograph(poster(seed), seed=seed + 9).save(tmp_path / f"{seed}-other.png")
            lines += [f"{seed}.png,{seed},,gallery", f"{seed}-again.png,{seed},1,query"]
            lines += [f"{seed}-other.png,{seed},1,calibrate"]
        else:
            lines += [f"{seed}.png,,0,calibrate", f"{seed}-again.png,,0,query"]
    path = tmp_path / "manifest.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_each_pipeline_has_its_own_features(photos: Path, folders: Path, tmp_path: Path) -> None:
    embedder = Embedder(Bundle.open(), threads=1)
    cache = tmp_path / "kept.npz"
    verifiers = partial(verifier_named, folder=folders, threads=1)
    run = evaluate(load_manifest(photos), embedder, {"xfeat": LEARNED}, bootstrap=0, cache=cache, verifiers=verifiers)
    assert [system.name for system in run.systems][:2] == ["Whichone", "xfeat"]
    assert "verification.verifier = xfeat" in run.systems[1].how
    assert {LocalFeatures.from_bytes(data).method for data in run.local.values()} == {"rootsift"}
    assert cache.exists()
    assert (tmp_path / "kept-xfeat.npz").exists()
    with pytest.raises(LocalFeaturesMissing, match="WHICHONE_LOCAL_FEATURES"):
        evaluate(load_manifest(photos), embedder, {"xfeat": LEARNED}, bootstrap=0)
