"""Bundles on disk: identity, verification, path safety."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenes import MakeBundle

from embedding.bundle import Bundle, BundleCorrupt, BundleInvalid, BundleNotFound, write_manifest


def rewrite(folder: Path, **fields: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_written_bundle_opens(make_bundle: MakeBundle) -> None:
    made = make_bundle()
    bundle = Bundle.open(made.folder)
    assert bundle.id == "tiny@1"
    assert set(bundle.manifest.files) == {"model.onnx", "NOTICE"}
    raw = (bundle.folder / "manifest.json").read_bytes()
    assert bundle.sha256 == made.sha256 == hashlib.sha256(raw).hexdigest()
    assert bundle.model_path("float32").name == "model.onnx"
    assert bundle.default_precision("cuda") == "float32"


def test_writing_twice_gives_the_same_identity(make_bundle: MakeBundle) -> None:
    first, second = make_bundle(), make_bundle()
    assert first.sha256 == second.sha256
    assert write_manifest(first.folder, first.manifest).sha256 == first.sha256
    assert make_bundle(version="2").sha256 != first.sha256


@pytest.mark.parametrize("name", ["model.onnx", "NOTICE"])
def test_a_changed_or_missing_file_is_named(name: str, make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    path = bundle.folder / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with pytest.raises(BundleCorrupt, match=name) as changed:
        Bundle.open(bundle.folder)
    Bundle.open(bundle.folder, verify=False)
    path.unlink()
    with pytest.raises(BundleCorrupt) as missing:
        Bundle.open(bundle.folder, verify=False)
    assert changed.value.message == missing.value.message
    assert changed.value.details["file"] == name


@pytest.mark.parametrize(
    "name", ["../model.onnx", "/etc/passwd", "a/b.onnx", "..", ".hidden", "", "a\\b", "a\x00b", "x\n", "n" * 200]
)
def test_a_name_never_leads_out_of_the_folder(name: str, make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    rewrite(bundle.folder, files=bundle.manifest.files | {name: "0" * 64})
    with pytest.raises(BundleInvalid, match="files"):
        Bundle.open(bundle.folder)
    rewrite(bundle.folder, files=bundle.manifest.files, models={"float32": name})
    with pytest.raises(BundleInvalid, match="models"):
        Bundle.open(bundle.folder)


@pytest.mark.parametrize(
    "fields",
    [
        {"format": "whichone-bundle/2"},
        {"dim": 0},
        {"outputs": ["scores"]},
        {"precision": {"cpu": "int8"}},
        {"precision": {"cuda": "float32"}},
        {"models": {}},
        {"models": {"int4": "model.onnx"}},
        {"views": []},
        {"files": {"model.onnx": "abc"}},
        {"files": {}},
        {"unknown_field": 1},
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(fields: dict[str, Any], make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    rewrite(bundle.folder, **fields)
    with pytest.raises(BundleInvalid) as caught:
        Bundle.open(bundle.folder)
    assert caught.value.code == "invalid_bundle"


def test_what_is_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFound, match=r"manifest\.json"):
        Bundle.open(tmp_path)
    with pytest.raises(BundleNotFound):
        Bundle.open(tmp_path / "nowhere")
    for raw in (b"", b"not json", b"[]", b"\xff\xfe"):
        (tmp_path / "manifest.json").write_bytes(raw)
        with pytest.raises(BundleInvalid):
            Bundle.open(tmp_path)


def test_distractors_come_as_unit_rows(make_bundle: MakeBundle) -> None:
    assert make_bundle().distractors().shape == (0, 16)
    rows = np.random.RandomState(0).randn(5, 16).astype(np.float16)
    got = make_bundle(distractors=rows).distractors()
    assert got.dtype == np.float32
    expected = rows.astype(np.float64) / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert make_bundle(distractors=np.zeros((0, 16), np.float32)).distractors().shape == (0, 16)


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was loaded",))


@pytest.mark.parametrize(
    "rows",
    [
        np.ones((3, 15)),
        np.zeros((3, 16)),
        np.full((3, 16), np.nan),
        np.ones(16),
        np.array([_Bomb()], dtype=object),
    ],
    ids=["width", "zero", "nan", "one row", "pickle"],
)
def test_distractors_that_are_no_embeddings_are_refused(rows: Any, make_bundle: MakeBundle) -> None:
    bundle = make_bundle(distractors=rows)
    with pytest.raises(BundleCorrupt, match=r"distractors\.npz"):
        bundle.distractors()


def test_distractors_that_are_no_npz_are_refused(make_bundle: MakeBundle) -> None:
    bundle = make_bundle(distractors=np.ones((1, 16)))
    npy = io.BytesIO()
    np.save(npy, np.ones((1, 16)))
    for raw in (b"", b"PK\x03\x04 no", pickle.dumps([1]), npy.getvalue()):
        (bundle.folder / "distractors.npz").write_bytes(raw)
        with pytest.raises(BundleCorrupt):
            bundle.distractors()


def test_a_bundle_holds_plain_files_only(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    (bundle.folder / "sub").mkdir()
    with pytest.raises(BundleInvalid, match="plain files"):
        write_manifest(bundle.folder, bundle.manifest)


def test_a_precision_that_is_not_there_is_named(make_bundle: MakeBundle) -> None:
    with pytest.raises(BundleInvalid, match="no int8 model; it has float32"):
        make_bundle().model_path("int8")
