"""What a bundle says of the network that it was made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from embedding.bundle import BundleInvalid
from embedding.manifest import Manifest, Precision
from embedding.preprocess import PreprocessSpec
from training.export.onnx_graph import OUTPUT, SCORES
from training.recipes.mistakes import sentence
from training.run.trained import Trained
from training.run.versions import versions

__all__ = ["Draft", "Wanted", "checked_manifest", "manifest_of"]


@dataclass(frozen=True)
class Wanted:
    """What a bundle is to be.

    Attributes:
        name, version, license: of the bundle; the licence as an SPDX expression.
        views: that are embedded and averaged (`embedding.views`); None: as the recipe says.
        scores: whether it also gives class scores; None: as the recipe says.
        photos: list of photos to compare with, see `training.export.material`; None for those that packages ship.
        distractors: list of photos of things that nobody enrols; None: see there.
        half: whether weights are stored as float16; they still compute in float32.
        int8: whether there is an int8 model, too.
        any_size: whether the graph must take photos of other sizes; False exports one that takes its own size alone.
    """

    name: str
    version: str
    license: str
    views: tuple[str, ...] | None = None
    scores: bool | None = None
    photos: str | None = None
    distractors: str | None = None
    half: bool = False
    int8: bool = False
    any_size: bool = True


@dataclass(frozen=True)
class Draft:
    """What is known of a bundle that is being made.

    Attributes:
        trained: of which it is made.
        wanted: what it is to be.
        with_scores: whether it gives class scores.
        models: precision -> file.
        temperature: of the scores.
        origins: what photos it was compared on, and the like.
        metrics: measured so far.
    """

    trained: Trained
    wanted: Wanted
    with_scores: bool
    models: dict[Precision, str]
    temperature: float = 1.0
    origins: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)


def manifest_of(draft: Draft) -> Manifest:
    """The manifest, files apart.

    Raises:
        BundleInvalid: name, version, licence or views cannot be used.
    """
    trained, wanted = draft.trained, draft.wanted
    checkpoint, recipe = trained.checkpoint, trained.recipe
    return checked_manifest(
        name=wanted.name,
        version=wanted.version,
        license=wanted.license,
        backbone=recipe.network.backbone.name,
        dim=trained.learner.network.dim,
        outputs=(OUTPUT, SCORES) if draft.with_scores else (OUTPUT,),
        preprocess=trained.preprocess,
        views=recipe.export.views if wanted.views is None else wanted.views,
        models=draft.models,
        precision={"cpu": "float32", "cuda": "float32"},
        temperature=draft.temperature,
        recipe={
            "training": dict(checkpoint.recipe),
            "stage": recipe.stages[checkpoint.stage].name,
            "steps": checkpoint.position.total,
            "photos": sum(checkpoint.counts),
            "labels": len(checkpoint.classes),
            "photos_sha256": checkpoint.data,
            "trained_with": dict(checkpoint.versions),
            "exported_with": versions(),
            "photo_size": "any" if wanted.any_size else _sides(trained.preprocess),
            "weights_stored_as": "float16" if wanted.half else "float32",
            **draft.origins,
        },
        metrics={"validation": _validation(trained), **draft.metrics},
    )


def checked_manifest(**fields: Any) -> Manifest:
    """A manifest of these fields.

    Raises:
        BundleInvalid: the first that cannot be used.
    """
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        raise BundleInvalid(f"The bundle's manifest would not be valid: {sentence(error, Manifest)}.") from error


def _sides(spec: PreprocessSpec) -> int | list[int]:
    """Side of the photos, or height and width."""
    return spec.crop if spec.width is None else list(spec.size)


def _validation(trained: Trained) -> dict[str, Any]:
    """Metrics of the epoch that the checkpoint holds."""
    history = trained.checkpoint.history
    return dict(history[-1].get("metrics", {})) if history else {}
