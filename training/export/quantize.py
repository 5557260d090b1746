"""float32 ONNX -> int8: static, per channel, quantise-dequantise format, ranges taken from photos."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from training.export.onnx_graph import INPUT, OUTPUT, ParityError, run_graph

__all__ = ["check_quantized", "quantize"]

LEAST_MEAN_COSINE = 0.85
"""Between an embedding in float32 and in int8. Below it the order of neighbours suffers visibly; the bundle that ships
would have 0.89, and ships no int8 for that."""


class _Photos(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, photos: Sequence[NDArray[np.float32]]) -> None:
        self._rest = iter(photos)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        photo = next(self._rest, None)
        return None if photo is None else {INPUT: photo[None]}


def quantize(source: Path, target: Path, photos: Sequence[NDArray[np.float32]]) -> None:
    """Write `source` as int8.

    Weights are symmetric int8 per output channel; activations are asymmetric uint8 with the ranges met on `photos`.
    Weights keep to 7 bits, so that processors that add pairs of products in 16 bits do not overflow and every
    processor gives the same result.

    Args:
        source: a float32 ONNX file.
        target: the file to write.
        photos: preprocessed, each (3, h, w).
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(target),
            _Photos(photos),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
    model = onnx.load(target)
    target.write_bytes(model.SerializeToString(deterministic=True))


def check_quantized(source: Path, quantized: Path, photos: NDArray[np.float32]) -> dict[str, float]:
    """How near int8 embeddings are to those of the float32 file, on preprocessed photos (n, 3, h, w).

    Raises:
        ParityError: the mean cosine is below `LEAST_MEAN_COSINE`.
    """
    exact, rough = run_graph(source, photos)[OUTPUT], run_graph(quantized, photos)[OUTPUT]
    cosines = np.einsum("nd,nd->n", exact, rough, dtype=np.float64)
    if not cosines.mean() >= LEAST_MEAN_COSINE:
        raise ParityError(
            f"{quantized.name}: int8 embeddings have a mean cosine of {cosines.mean():.3f} to those in float32 "
            f"(allowed {LEAST_MEAN_COSINE}); export without int8, or give more photos like those of the training.",
            mean_cosine=float(cosines.mean()),
        )
    return {"mean_cosine": float(cosines.mean()), "min_cosine": float(cosines.min())}
