"""What the report's template shows, in the words and units that people read."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

from PIL import Image

from embedding.images import decode
from index.evaluation.manifest import Photo
from index.evaluation.mistakes import KINDS, Mistake, matched, worst_mistakes
from index.evaluation.plots import draw_all
from index.evaluation.result import Evaluation, System, shown
from index.evaluation.scoring import COMPARED, METRICS, Metric
from index.evaluation.wording import format_cost, format_difference, format_figure
from index.verification.drawing import draw_match

__all__ = ["page"]

THUMBNAIL = 168
"""Longest side of a photo in the report, in pixels."""

MATCH_HEIGHT = 200
"""Of a drawn match, in pixels."""

_IN_GROUPS = ("top_1", "gap", "auroc", "false_accepts", "accepted_right")
_COMPARED = tuple(metric for metric in METRICS if metric.key in COMPARED)


def page(evaluation: Evaluation) -> dict[str, Any]:
    """Everything that the template names."""
    systems = shown(evaluation)
    return {
        "evaluation": evaluation,
        "counts": evaluation.counts(),
        "systems": systems,
        "rows": [_row(systems, metric) for metric in METRICS],
        "compared": [metric.title for metric in _COMPARED],
        "comparison": [_comparison(system) for system in evaluation.systems],
        "groups": _group_rows(evaluation, systems),
        "plots": _plots(evaluation),
        "sheets": _sheets(evaluation),
        "choices": [_choice(choice) for choice in evaluation.ours.tuning.get("choices", ())],
        "calibration": json.dumps(evaluation.calibration, indent=1, ensure_ascii=False),
    }


# ---------------------------------------------------------------- tables


def _row(systems: tuple[System, ...], metric: Metric) -> dict[str, Any]:
    figures = [system.figures[metric.key] for system in systems]
    values = [figure.value for figure in figures if figure.value == figure.value]
    best = (max(values) if metric.higher_is_better else min(values)) if values else None
    # The share of ambiguous verdicts is no contest, and a tie has no winner.
    contest = len(set(values)) > 1 and metric.key != "ambiguous"
    cells = [{"text": format_figure(figure, metric), "best": contest and figure.value == best} for figure in figures]
    arrow = "" if metric.key == "ambiguous" else ("↑" if metric.higher_is_better else "↓")
    return {"title": metric.title, "meaning": metric.meaning, "arrow": arrow, "cells": cells}


def _comparison(system: System) -> dict[str, Any]:
    """One row of the comparison: each figure, and below it the difference to the first system."""
    cells = []
    for metric in _COMPARED:
        difference = system.differences.get(metric.key)
        reading = difference.reading(higher_is_better=metric.higher_is_better) if difference else ""
        cells.append(
            {
                "text": format_figure(system.figures[metric.key], metric, interval=False),
                "difference": format_difference(difference, metric) if difference else "",
                "reading": reading,
                "class": {"better": "better", "worse": "worse"}.get(reading, "same"),
            }
        )
    [false_accepts] = [metric for metric in METRICS if metric.key == "false_accepts"]
    return {
        "name": system.name,
        "how": system.how,
        "cells": cells,
        "false_accepts": format_figure(system.figures["false_accepts"], false_accepts, interval=False),
        "cost": format_cost(system),
    }


def _group_rows(evaluation: Evaluation, systems: tuple[System, ...]) -> list[dict[str, Any]]:
    metrics = [metric for metric in METRICS if metric.key in _IN_GROUPS]
    return [
        {
            "value": value or "(empty)",
            "n": f"{figures.n_known} + {figures.n_unknown}",
            "first": system is systems[0],
            "system": system.name,
            "cells": [format_figure(figures[metric.key], metric, interval=False) for metric in metrics],
            "heads": [metric.title for metric in metrics],
        }
        for value in evaluation.ours.groups
        for system in systems
        for figures in [system.groups[value]]
    ]


def _choice(choice: dict[str, Any]) -> str:
    """What the gallery chose about one part, and why, as a sentence."""
    used = "used" if choice["used"] else "not used"
    if choice["without"] is not None and choice["with_"] is not None:
        why = (
            f"asking {choice['queries']} queries, {100 * choice['without']:.1f} % were right without it, "
            f"{100 * choice['with_']:.1f} % with it"
        )
    else:
        why = {
            "on": "the configuration says so",
            "off": "the configuration says so",
            "measured": "the gallery's photos do not lend themselves to it",
        }.get(choice["why"], "the gallery is too small to tell")
    part = f"ranking by {choice['form']}" if choice["form"] else choice["part"]
    return f"{part.capitalize()} is {used}: {why}."


# ---------------------------------------------------------------- pictures


def _plots(evaluation: Evaluation) -> list[dict[str, str]]:
    return [
        {"title": plot.title, "class": "wide" if plot.wide else "", "meaning": plot.meaning, "data": _base64(data)}
        for plot, data in draw_all(evaluation)
    ]


def _sheets(evaluation: Evaluation) -> list[dict[str, Any]]:
    worst = worst_mistakes(evaluation)
    return [
        {
            "title": kind.title,
            "meaning": kind.meaning,
            "total": worst[kind.key][0],
            "mistakes": [_card(evaluation, mistake) for mistake in worst[kind.key][1]],
        }
        for kind in KINDS
    ]


def _card(evaluation: Evaluation, mistake: Mistake) -> dict[str, Any]:
    others = [("also", photo) for photo in mistake.others[:2]]
    if mistake.own is not None and mistake.own != mistake.evidence:
        others.append(("right label", mistake.own))
    return {
        "query": _thumbnail(mistake.query),
        "evidence": _thumbnail(mistake.evidence) if mistake.evidence else None,
        "name": mistake.query.name,
        "evidence_name": mistake.evidence.name if mistake.evidence else "",
        "others": [{"what": what, "name": photo.name, "data": _thumbnail(photo)} for what, photo in others],
        "match": _match(evaluation, mistake),
        "right": mistake.own is None and mistake.query.known,
        "truth": " or ".join(filter(None, (mistake.query.label, *mistake.query.also))) or "(unnamed)",
        "known": mistake.query.known,
        "answer": mistake.answer,
    }


def _match(evaluation: Evaluation, mistake: Mistake) -> dict[str, Any] | None:
    """Query and evidence side by side, with lines between what they have in common, and how much that is."""
    if mistake.evidence is None or not mistake.inliers:
        return None
    match = matched(evaluation, mistake.query, mistake.evidence)
    if match is None:
        return None
    query, evidence = (decode(photo.path.read_bytes()) for photo in (mistake.query, mistake.evidence))
    picture = draw_match(query, evidence, match, height=MATCH_HEIGHT)
    return {"data": _jpeg(picture), "inliers": len(match.query_points)}


def _thumbnail(photo: Photo) -> str:
    image = decode(photo.path.read_bytes())
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return _jpeg(image)


def _jpeg(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=82)
    return _base64(buffer.getvalue())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
