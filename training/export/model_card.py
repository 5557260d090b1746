"""A bundle's papers: where its weights come from, and what a person should know before using it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embedding.manifest import DISTRACTORS, Manifest
from embedding.preprocess import PreprocessSpec
from training.run.trained import Trained

__all__ = ["model_card", "notice"]


def notice(trained: Trained, name: str) -> str:
    """What NOTICE says of a bundle made of a trained network."""
    backbone = trained.recipe.network.backbone
    start = f"weights from {backbone.weights}" if backbone.weights else "random weights"
    return f"""\
The bundle {name}

Its models hold a network trained with Whichone by the recipe {trained.recipe.name!r}. The backbone is {backbone.name},
built by timm (Apache License 2.0), and started from {start}. The licence of weights that it started from,
and the rights in the photos that it was trained on, go on applying.

{DISTRACTORS} holds embeddings of photographs. It holds no photographs.
"""


def model_card(manifest: Manifest) -> str:
    """What a bundle is, for people: Markdown, from the manifest alone.

    Source of the headings: Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
    """
    recipe, spec = manifest.recipe, manifest.preprocess
    training = recipe.get("training", {})
    return f"""\
# {manifest.id}

{training.get("description", "")}

- Backbone: {manifest.backbone}; embeddings of {manifest.dim} numbers; pixels of a photo: {_photo(spec)}.
- Licence: {manifest.license}
- Gives: {", ".join(manifest.outputs)}; views: {", ".join(manifest.views)}
- Models: {", ".join(f"{name} ({precision})" for precision, name in manifest.models.items())}

## Intended use

Telling things apart that look like those it was trained on, in a Whichone gallery. Class scores, where there are any,
are of the training's labels alone; divide them by the temperature, {manifest.temperature:.4g}, before a softmax.

## Training

Recipe {training.get("name")}, stage {recipe.get("stage")}, after {recipe.get("steps")} steps:
{recipe.get("photos")} photos of {recipe.get("labels")} labels. The manifest holds the whole recipe.

## Measured

{_table(manifest.metrics)}

## Limits

The figures are of this training's own validation photos. A gallery of other things should be measured by itself
(`whichone evaluate`) before anyone relies on it; thresholds and confidences are the gallery's, not the model's.
"""


def _photo(spec: PreprocessSpec) -> str:
    high, wide = spec.size
    return f"{high} x {wide} ({spec.mode}{', grey' if spec.grey else ''})"


def _table(metrics: Mapping[str, Any]) -> str:
    rows = [f"| {name} | {_number(value)} |" for name, value in _flat(metrics, "")]
    return "\n".join(["| what | value |", "| --- | --- |", *rows]) if rows else "Nothing."


def _flat(metrics: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in metrics.items():
        found += _flat(value, f"{prefix}{name}, ") if isinstance(value, Mapping) else [(f"{prefix}{name}", value)]
    return found


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
