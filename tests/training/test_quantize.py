from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from embedding.preprocess import preprocess  # noqa: E402
from training.export.default_bundle import PREPROCESS, embedding_model  # noqa: E402
from training.export.onnx_graph import INPUT, OUTPUT, export_graph  # noqa: E402
from training.export.package_photos import load_package_photos  # noqa: E402
from training.export.quantize import quantize  # noqa: E402


@pytest.mark.slow
# ONNX Runtime's quantiser calls functions of onnx and NumPy that are going away.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_int8_is_small_and_near(tmp_path: Path) -> None:
    export_graph(embedding_model(), tmp_path / "model.onnx", size=PREPROCESS.crop)
    photos = [preprocess(photo, PREPROCESS) for photo in load_package_photos()]
    quantize(tmp_path / "model.onnx", tmp_path / "int8.onnx", photos)
    assert (tmp_path / "int8.onnx").stat().st_size < 0.3 * (tmp_path / "model.onnx").stat().st_size
    full, small = (
        np.concatenate([session.run([OUTPUT], {INPUT: photo[None]})[0] for photo in photos])
        for session in (
            onnxruntime.InferenceSession(str(tmp_path / name), providers=["CPUExecutionProvider"])
            for name in ("model.onnx", "int8.onnx")
        )
    )
    # Activations of 8 bits cost this network a good deal: see docs/adr/0002-default-bundle.md.
    assert np.einsum("nd,nd->n", full, small).mean() > 0.88
    # Still the same picture's embedding: nearer to its own than to any other picture's.
    assert (np.argmax(small @ full.T, axis=1) == np.arange(len(photos))).all()
