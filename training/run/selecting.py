"""Whether the metric that a recipe selects by is defined for its photos: known before the first step, not after the
last."""

from __future__ import annotations

from collections import Counter

from training.data.classes import Classes
from training.data.splits import Split
from training.errors import RecipeInvalid
from training.recipe import Recipe
from training.run.metrics import METRICS, MetricName

__all__ = ["check_select", "defined_metrics"]

HAVE_CLASSES = frozenset(
    {"adacos", "adaface", "arcface", "cosface", "curricularface", "partial_arcface", "sub_centre_arcface"}
)
"""Losses that own class weights, which score where the network has no classifier."""


def check_select(recipe: Recipe, split: Split, classes: Classes) -> None:
    """Raises: RecipeInvalid: there are validation photos, but they do not define the metric."""
    defined = defined_metrics(recipe, split, classes)
    if split.validation and recipe.select not in defined:
        raise RecipeInvalid(
            f"The recipe selects by {recipe.select}, which these {len(split.validation)} validation photos do not "
            f"define; they define {', '.join(defined) or 'no metric'}: set select, or another data.split"
        )


def defined_metrics(recipe: Recipe, split: Split, classes: Classes) -> list[MetricName]:
    """Those that the validation photos define for the network of the last stage."""
    labels = Counter(photo.label for photo in split.validation if photo.label)
    known = any(label in set(classes.labels) for label in labels)
    unknown = len(split.validation) > sum(labels[label] for label in labels if label in set(classes.labels))
    scored = recipe.network.classifier.kind != "none" or bool(recipe.stages[-1].losses & HAVE_CLASSES)
    views = {"knn": recipe.evaluation.gallery_per_label > 0, "classifier": scored}
    return [name for name in METRICS if _is_defined(name, labels, known=known, unknown=unknown, views=views)]


def _is_defined(name: MetricName, labels: Counter[str], *, known: bool, unknown: bool, views: dict[str, bool]) -> bool:
    view, _, figure = name.partition("_")
    if view not in views:
        return any(count > 1 for count in labels.values())
    return views[view] and known and (unknown or figure != "auroc")
