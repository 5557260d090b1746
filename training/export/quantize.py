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

from training.export.onnx_graph import INPUT

__all__ = ["quantize"]


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
