"""A trained network as a bundle.

checkpoint -> network without train-only heads -> ONNX, compared with torch -> float16 weights, int8
           -> class scores' temperature -> background -> manifest and model card
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from embedding.bundle import Bundle, write_manifest
from embedding.embedder import Embedder
from embedding.manifest import Precision
from embedding.preprocess import PreprocessSpec, preprocess
from training.errors import RecipeInvalid
from training.export.background import write_background
from training.export.checkpoint_manifest import Draft, Wanted, manifest_of
from training.export.held_out import fit_scores
from training.export.material import Material, gather
from training.export.model_card import model_card, notice
from training.export.onnx_graph import OUTPUT, SCORES, Parity, check_parity, export_graph, store_weights_as_float16
from training.export.quantize import check_quantized, quantize
from training.export.whole_folder import whole_folder
from training.network.embedder import PhotoEmbedder
from training.run.trained import load_trained

__all__ = ["LABELS", "Wanted", "export_checkpoint"]

MODEL, INT8, LABELS, CARD = "model.onnx", "model.int8.onnx", "labels.json", "MODEL_CARD.md"


def export_checkpoint(checkpoint: Path, out: Path, wanted: Wanted) -> Bundle:
    """Write a bundle of a checkpoint's network into `out`, whole or not at all.

    Args:
        checkpoint: of `training.run`.
        out: a folder that is not there yet, or is empty.
        wanted: what it is to be.

    Raises:
        CheckpointInvalid, RecipeInvalid: the checkpoint cannot be read; its network gives no scores and they are asked
            for; its graph takes photos of one size and any size is asked for.
        ParityError: the graph does not compute what the network does.
        BundleInvalid: name, version, licence or views cannot be used.
        OutputRefused: `out` holds something.
        PhotosUnusable, RunFailed: a list or a photo cannot be used.
    """
    trained = load_trained(checkpoint)
    with_scores = trained.recipe.export.scores if wanted.scores is None else wanted.scores
    if with_scores and trained.recipe.data.new_labels:
        raise RecipeInvalid("Class scores would name turned photos as labels (data.new_labels); export without scores.")
    network = cast(PhotoEmbedder, trained.embedder(with_scores=with_scores))
    wanted = replace(wanted, any_size=wanted.any_size and network.network.backbone.size_in_graph)
    draft = Draft(trained, wanted, with_scores, {"float32": MODEL})
    manifest_of(draft)  # what is wrong with the words is told before the work
    with whole_folder(out) as folder:
        material = gather(trained, wanted.photos, wanted.distractors)
        draft = _with_models(folder, draft, network, material)
        if with_scores:
            draft = _with_scores(folder, draft, material)
        manifest = manifest_of(draft)
        (folder / "NOTICE").write_text(notice(trained, manifest.name), encoding="utf-8")
        (folder / CARD).write_text(model_card(manifest), encoding="utf-8")
        write_background(folder, Embedder(write_manifest(folder, manifest)), material.background)
        write_manifest(folder, manifest)
    return Bundle.open(out)


def _with_models(folder: Path, draft: Draft, network: PhotoEmbedder, material: Material) -> Draft:
    spec, wanted = draft.trained.preprocess, draft.wanted
    if not wanted.any_size:
        network.network.backbone.fix_size(*spec.size)
    compared = _batch(material.compared, spec)
    models: dict[Precision, str] = {"float32": MODEL}
    with tempfile.TemporaryDirectory() as scratch:
        full = Path(scratch) / MODEL
        outputs = (OUTPUT, SCORES) if draft.with_scores else (OUTPUT,)
        export_graph(network, full, size=spec.size, outputs=outputs, any_size=wanted.any_size)
        figures: dict[str, Any] = {
            "parity_photos": len(compared),
            "float32_graph": _exact(network, full, compared).as_json(),
        }
        if wanted.any_size:
            _check_other_size(draft, network, full, material.compared[:2])
        if wanted.half:
            store_weights_as_float16(full, folder / MODEL)
            stored = check_parity(network, folder / MODEL, compared, min_cosine=0.9999, max_abs_difference=5e-3)
            figures["stored_graph"] = stored.as_json()
        else:
            (folder / MODEL).write_bytes(full.read_bytes())
        if wanted.int8:
            models["int8"] = INT8
            quantize(full, folder / INT8, [preprocess(photo, spec) for photo in material.ranges])
            figures["int8_graph"] = check_quantized(full, folder / INT8, compared)
    origins = {"compared_on": material.origin, "background": material.background_origin}
    return replace(draft, models=models, origins=origins, metrics={**draft.metrics, **figures})


def _batch(photos: Sequence[Image.Image], spec: PreprocessSpec) -> NDArray[np.float32]:
    return np.stack([preprocess(photo, spec) for photo in photos])


def _exact(network: nn.Module, path: Path, batch: NDArray[np.float32]) -> Parity:
    return check_parity(network, path, batch, min_cosine=0.999999, max_abs_difference=1e-4)


def _check_other_size(draft: Draft, network: nn.Module, path: Path, photos: Sequence[Image.Image]) -> None:
    """That the graph takes photos of another size, by 32 pixels: most networks halve a photo five times."""
    side = draft.trained.preprocess.crop + 32
    larger = draft.trained.preprocess.model_copy(update={"mode": "squash", "resize": side, "crop": side, "width": None})
    try:
        _exact(network, path, _batch(photos, larger))
    except Exception as error:  # torch's and ONNX Runtime's share no base but this
        raise RecipeInvalid(
            f"The graph of {draft.trained.recipe.network.backbone.name} does not take photos of {side} pixels "
            f"({str(error).splitlines()[0][:200].rstrip('.')}); export it for its own size alone (--fixed-size)."
        ) from error


def _with_scores(folder: Path, draft: Draft, material: Material) -> Draft:
    labels = json.dumps(draft.trained.classes.labels, ensure_ascii=False, indent=0)
    (folder / LABELS).write_text(f"{labels}\n", encoding="utf-8")
    temperature, figures = fit_scores(draft.trained, folder / MODEL, material.held_out)
    return replace(draft, temperature=temperature, metrics={**draft.metrics, "scores": figures})
