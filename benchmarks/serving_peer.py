"""A service as one would write it in an afternoon: the same embeddings in ONNX, a FAISS index, FastAPI.

`benchmarks.serving` starts it beside Whichone's server, with `python -m benchmarks.serving_peer MODEL SIDE PORT`. Of
what it leaves out: limits, durability, unknown things, verification, calibration, keys.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated

import faiss
import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, File, Form, UploadFile
from numpy.typing import NDArray
from PIL import Image

model, side, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
index: faiss.Index | None = None
labels: list[str] = []
app = FastAPI()


def embed(data: bytes) -> NDArray[np.float32]:
    image = Image.open(io.BytesIO(data)).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    values = (np.asarray(image, np.float32) / 255 - 0.5) / 0.5
    row = session.run(["embedding"], {"image": values.transpose(2, 0, 1)[None]})[0]
    return np.ascontiguousarray(row / np.linalg.norm(row, axis=1, keepdims=True))


@app.post("/index", status_code=201)
def add(label: Annotated[str, Form()], images: Annotated[list[UploadFile], File()]) -> dict[str, int]:
    global index  # noqa: PLW0603  as one would write it in an afternoon
    for image in images:
        row = embed(image.file.read())
        if index is None:
            index = faiss.IndexFlatIP(row.shape[1])
        index.add(row)
        labels.append(label)
    return {"items": len(labels)}


@app.post("/recognize")
def recognize(image: Annotated[UploadFile, File()]) -> dict[str, object]:
    if index is None:
        return {"verdict": "unknown"}
    similarity, number = (found[0] for found in index.search(embed(image.file.read()), 5))
    known = bool(similarity[0] > 0.5)
    nearest = [{"label": labels[at], "score": float(value)} for value, at in zip(similarity, number, strict=True)]
    return {"verdict": "known" if known else "unknown", "candidates": nearest}


@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"status": "ok"}


uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
