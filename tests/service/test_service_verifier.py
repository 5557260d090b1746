"""A server whose verifier runs a network: its gallery is extracted anew after a change of the verifier."""

from __future__ import annotations

import hashlib
from pathlib import Path

import harness
import pytest
from onnx import TensorProto, helper

from index.verification import FeaturesMismatch, LocalFeaturesMissing
from index.verification.features import LocalFeatures
from index.verification.learned import EXTRACTOR, MANIFEST, LearnedManifest
from service.errors import InvalidSetting
from service.settings import Settings
from service.workspace import Workspace, open_workspace


def settings_of(tmp_path: Path, bundle: Path, **more: object) -> Settings:
    return Settings.load(
        {}, data=tmp_path / "data", bundle=bundle, threads=1, local_features=tmp_path / "local-features", **more
    )


@pytest.fixture
def hardnet(tmp_path: Path) -> LearnedManifest:
    """A describer of patches: each pixel's brightness over the length of all."""
    folder = tmp_path / "local-features" / "hardnet"
    folder.mkdir(parents=True)
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("AveragePool", ["patches"], ["small"], kernel_shape=[4, 4], strides=[4, 4]),
            node("Flatten", ["small"], ["rows"]),
            node("LpNormalization", ["rows"], ["descriptors"], axis=1, p=2),
        ],
        "brightness",
        [helper.make_tensor_value_info("patches", TensorProto.FLOAT, ["n", 1, 32, 32])],
        [helper.make_tensor_value_info("descriptors", TensorProto.FLOAT, ["n", 64])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (folder / EXTRACTOR).write_bytes(model.SerializeToString())
    manifest = LearnedManifest(
        method="hardnet",
        extractor="hardnet",
        takes="patches",
        size=320,
        most=100,
        descriptor_length=64,
        steps=256.0,
        threshold=0.0,
        ratio=0.95,
        license="Apache-2.0",
        files={EXTRACTOR: hashlib.sha256((folder / EXTRACTOR).read_bytes()).hexdigest()},
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return manifest


def methods(workspace: Workspace) -> set[str]:
    held = workspace.galleries.replica("default").inspect(lambda state: state.recognizer.features)
    features = [held.get(number) for number in held.numbers().tolist()]
    return {one.method for one in features if isinstance(one, LocalFeatures)}


def test_another_verifier_s_features_are_extracted_anew(tmp_path: Path, bundle: Path, hardnet: LearnedManifest) -> None:
    with open_workspace(settings_of(tmp_path, bundle)) as workspace:
        for thing in range(3):
            workspace.enrol(f"thing {thing}", [harness.jpeg(thing), harness.jpeg(thing, (192, 144))])
        assert methods(workspace) == {"rootsift"}
        assert workspace.gallery.sizes("default").without_features == 0
    with open_workspace(settings_of(tmp_path, bundle, verifier="hardnet", verification="on")) as workspace:
        assert workspace.gallery.sizes("default").without_features == 6
        workspace.galleries.learning.calibrate("default")
        with pytest.raises(FeaturesMismatch, match="whichone index refresh"):
            workspace.recognize(harness.again(1))
        assert workspace.feature_refresh.run("default").items == 6
        assert workspace.feature_refresh.run("default").items == 0
        assert workspace.gallery.sizes("default").without_features == 0
        assert methods(workspace) == {hardnet.features_method}
        workspace.galleries.learning.calibrate("default")
        workspace.enrol("thing 9", [harness.jpeg(9)])
        assert methods(workspace) == {hardnet.features_method}
        assert workspace.recognize(harness.again(1)).answer.verdict.candidates


def test_a_verifier_that_is_not_there_stops_the_start(tmp_path: Path, bundle: Path) -> None:
    with (
        pytest.raises(LocalFeaturesMissing, match=r"export-local-features disk .*local-features/disk"),
        open_workspace(settings_of(tmp_path, bundle, verifier="disk")) as workspace,
    ):
        workspace.start()
    with pytest.raises(InvalidSetting, match="WHICHONE_VERIFIER cannot be used: Input should be 'rootsift', 'aliked'"):
        settings_of(tmp_path, bundle, verifier="orb")


def test_costly_pairs_are_few_and_never_cut_short(tmp_path: Path, bundle: Path) -> None:
    plain = settings_of(tmp_path, bundle, verifier="xfeat").pipeline.verification
    costly = settings_of(tmp_path, bundle, verifier="disk-lightglue").pipeline.verification
    assert (plain.verifier, plain.photos, costly.verifier, costly.photos) == ("xfeat", 24, "disk-lightglue", 6)
    assert costly.budget_ms / costly.photos >= 1000
