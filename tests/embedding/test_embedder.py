"""Real ONNX Runtime sessions on tiny real models."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image, ImageOps
from scenes import MakeBundle, Save, scene

from embedding.box import Box
from embedding.bundle import Bundle, BundleInvalid
from embedding.embedder import Embedder, EmbeddingInvalid
from embedding.errors import DeviceUnavailable
from embedding.preprocess import preprocess
from embedding.session import available_devices, open_session

SCENES = [scene(40 + 13 * seed, 90 - 7 * seed, seed) for seed in range(7)]


def reference(bundle: Bundle, images: list[Image.Image]) -> NDArray[Any]:
    """The same graph in NumPy: convolution by windows, ReLU6, average, matrix, unit length."""
    model = onnx.load(bundle.folder / "model.onnx")
    w = {entry.name: numpy_helper.to_array(entry).astype(np.float64) for entry in model.graph.initializer}
    x = np.stack([preprocess(image, bundle.manifest.preprocess) for image in images]).astype(np.float64)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::2, ::2]
    stem = np.clip(np.einsum("ncyxij,kcij->nkyx", windows, w["stem"]), 0, 6)
    pooled = np.einsum("nkyx,mk->nmyx", stem, w["wide"][:, :, 0, 0]).mean(axis=(2, 3))
    rows = pooled @ w["head"]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_vectors_are_what_the_graph_says(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    got = Embedder(bundle).embed(SCENES)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, reference(bundle, SCENES), atol=2e-6)


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_many_at_once_equal_one_by_one_to_the_bit(threads: int | None, make_bundle: MakeBundle) -> None:
    embedder = Embedder(make_bundle(), threads=threads)
    together = embedder.embed(SCENES)
    alone = np.concatenate([embedder.embed([image]) for image in SCENES])
    backwards = embedder.embed(SCENES[::-1])[::-1]
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together, backwards)
    np.testing.assert_array_equal(together[2:5], embedder.embed(SCENES[2:5]))


def test_no_photos_give_no_rows(make_bundle: MakeBundle) -> None:
    got = Embedder(make_bundle()).embed([])
    assert got.shape == (0, 16)
    assert got.dtype == np.float32


def test_one_embedder_serves_many_threads(make_bundle: MakeBundle) -> None:
    embedder = Embedder(make_bundle())
    expected = embedder.embed(SCENES)
    with ThreadPoolExecutor(8) as pool:
        for got in pool.map(lambda _: embedder.embed(SCENES), range(40)):
            np.testing.assert_array_equal(got, expected)


def test_views_are_averaged(make_bundle: MakeBundle) -> None:
    plain = Embedder(make_bundle())
    both = Embedder(make_bundle(views=("upright", "mirrored")))
    total = plain.embed(SCENES) + plain.embed([ImageOps.mirror(image) for image in SCENES])
    got = both.embed(SCENES)
    np.testing.assert_allclose(got, total / np.linalg.norm(total, axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(got, both.embed([ImageOps.mirror(image) for image in SCENES]), atol=1e-6)


@pytest.mark.parametrize("ending", ["long", "nan"])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_a_model_that_gives_no_unit_vectors_is_refused(ending: str, make_bundle: MakeBundle) -> None:
    with pytest.raises(EmbeddingInvalid, match="tiny@1") as caught:
        Embedder(make_bundle(ending=ending)).embed(SCENES)
    assert caught.value.code == "embedding_invalid"


def test_a_model_that_does_not_fit_its_manifest_is_refused_at_once(make_bundle: MakeBundle) -> None:
    with pytest.raises(BundleInvalid, match="gives 16 numbers, its manifest says 32"):
        Embedder(make_bundle(dim=32))


def test_a_file_that_is_no_model_is_refused(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    (bundle.folder / "model.onnx").write_bytes(b"no model")
    with pytest.raises(BundleInvalid, match=r"cannot load model\.onnx"):
        Embedder(bundle)


def test_a_graph_with_other_ends_is_refused(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    model = onnx.load(bundle.folder / "model.onnx")
    for node in model.graph.node:
        node.input[:] = ["pixels" if name == "image" else name for name in node.input]
    model.graph.input[0].name = "pixels"
    onnx.save(model, bundle.folder / "model.onnx")
    with pytest.raises(BundleInvalid, match="must take 'image'"):
        Embedder(bundle)


@pytest.mark.parametrize("precision", ["int8", "float64", ""])
def test_a_precision_the_bundle_lacks_is_refused(precision: str, make_bundle: MakeBundle) -> None:
    with pytest.raises(BundleInvalid, match="it has float32"):
        Embedder(make_bundle(), precision=precision)


def test_batches_have_a_size(make_bundle: MakeBundle) -> None:
    with pytest.raises(ValueError, match="batch_size"):
        Embedder(make_bundle(), batch_size=0)


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="CUDA is installed")
def test_a_gpu_that_is_not_there_is_an_error(make_bundle: MakeBundle) -> None:
    with pytest.raises(DeviceUnavailable, match=r"whichone\[gpu\]") as caught:
        Embedder(make_bundle(), device="cuda")
    assert caught.value.code == "device_unavailable"
    assert available_devices() == ("cpu",)


@pytest.mark.skipif("CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="no CUDA provider")
def test_the_gpu_agrees_with_the_cpu(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    got = Embedder(bundle, device="cuda", batch_size=3).embed(SCENES)
    np.testing.assert_allclose(got, Embedder(bundle).embed(SCENES), atol=1e-4)


def test_an_unknown_device_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceUnavailable, match="'tpu' is unknown; there are cpu, cuda"):
        open_session(tmp_path / "model.onnx", "tpu")  # type: ignore[arg-type]


def test_decode_reads_no_larger_than_the_model_can_use(make_bundle: MakeBundle, save: Save) -> None:
    embedder = Embedder(make_bundle())  # wants 36 pixels
    data = save(scene(1600, 1200), "JPEG", quality=95)
    assert embedder.decode(data).size == (200, 150)
    assert embedder.decode(data, box=Box(0, 0, 0.25, 0.25)).size == (100, 75)
    full = embedder.embed([scene(1600, 1200)])
    assert float(full[0] @ embedder.embed([embedder.decode(data)])[0]) > 0.999
