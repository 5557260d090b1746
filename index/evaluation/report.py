"""The report: one HTML file that holds everything, and the same figures as JSON."""

from __future__ import annotations

import base64
import importlib.util
import io
import json
from importlib import resources
from pathlib import Path
from typing import Any

from embedding.errors import WhichoneError
from embedding.images import decode
from index.evaluation.manifest import Photo
from index.evaluation.mistakes import KINDS, worst_mistakes
from index.evaluation.result import Evaluation
from index.evaluation.scoring import METRICS, Figure, Metric

__all__ = ["ReportNeedsExtra", "format_figure", "require_report_extra", "write_json", "write_report"]

THUMBNAIL = 168
"""Longest side of a photo in the report, in pixels."""

NEEDED = {"jinja2": "jinja2", "matplotlib": "matplotlib"}


class ReportNeedsExtra(WhichoneError):
    """The HTML report needs packages that are not installed."""

    code = "report_needs_extra"


def require_report_extra() -> None:
    """Stop early, before anything is computed, when the report could not be written.

    Raises:
        ReportNeedsExtra: says which packages are absent and how to install them.
    """
    absent = [package for module, package in NEEDED.items() if importlib.util.find_spec(module) is None]
    if absent:
        raise ReportNeedsExtra(
            f"the HTML report needs {' and '.join(absent)}: pip install 'whichone[evaluate]', "
            "or leave the report out with --no-report",
            packages=absent,
        )


def write_json(evaluation: Evaluation, path: Path) -> None:
    """Write everything the evaluation found, per query too, as strict JSON (undefined = null)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(evaluation.to_json(), ensure_ascii=False, allow_nan=False, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def write_report(evaluation: Evaluation, path: Path) -> None:
    """Write the HTML report: figures, plots and the worst mistakes, nothing loaded from elsewhere.

    Raises:
        ReportNeedsExtra: see `require_report_extra`.
    """
    require_report_extra()
    import jinja2  # noqa: PLC0415  (an extra: only the report needs it)

    source = resources.files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    text = environment.from_string(source).render(_context(evaluation))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def format_figure(figure: Figure, metric: Metric, *, interval: bool = True) -> str:
    """As people read it: per cent or three decimals, the 95 % interval behind it, n/a where undefined."""
    if figure.value != figure.value:
        return "n/a"
    text = f"{100 * figure.value:.1f} %" if metric.percent else f"{figure.value:.3f}"
    if not interval or figure.low != figure.low:
        return text
    if metric.percent:
        return f"{text} ({100 * figure.low:.1f} to {100 * figure.high:.1f})"
    return f"{text} ({figure.low:.3f} to {figure.high:.3f})"


# ---------------------------------------------------------------- what the template shows


def _context(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "evaluation": evaluation,
        "counts": evaluation.counts(),
        "rows": [_row(evaluation, metric) for metric in METRICS],
        "groups": _group_rows(evaluation),
        "plots": _plots(evaluation),
        "sheets": _sheets(evaluation),
        "calibration": json.dumps(evaluation.calibration, indent=1, ensure_ascii=False),
    }


def _row(evaluation: Evaluation, metric: Metric) -> dict[str, Any]:
    figures = [system.figures[metric.key] for system in evaluation.systems]
    values = [figure.value for figure in figures if figure.value == figure.value]
    best = (max(values) if metric.higher_is_better else min(values)) if values else None
    # The share of ambiguous verdicts is no contest, and a tie has no winner.
    contest = len(set(values)) > 1 and metric.key != "ambiguous"
    cells = [{"text": format_figure(figure, metric), "best": contest and figure.value == best} for figure in figures]
    arrow = "" if metric.key == "ambiguous" else ("↑" if metric.higher_is_better else "↓")
    return {"title": metric.title, "meaning": metric.meaning, "arrow": arrow, "cells": cells}


def _group_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    shown = [metric for metric in METRICS if metric.key in ("top_1", "gap", "auroc", "false_accepts", "accepted_right")]
    return [
        {
            "value": value or "(empty)",
            "n": f"{figures.n_known} + {figures.n_unknown}",
            "system": system.name,
            "cells": [format_figure(figures[metric.key], metric, interval=False) for metric in shown],
            "heads": [metric.title for metric in shown],
        }
        for value in evaluation.ours.groups
        for system in evaluation.systems
        for figures in [system.groups[value]]
    ]


def _plots(evaluation: Evaluation) -> list[dict[str, str]]:
    from index.evaluation import plots  # noqa: PLC0415  (needs matplotlib, which is an extra)

    drawn = (
        ("How well known and unknown part", plots.roc, ""),
        ("Precision over recall (GAP)", plots.gap_curve, ""),
        ("Does confidence mean what it says", plots.reliability, ""),
        ("Confidence by kind of query", plots.histograms, "wide"),
    )
    return [
        {
            "title": title,
            "class": wide,
            "meaning": (draw.__doc__ or "").strip(),
            "data": _base64(draw(evaluation)),
        }
        for title, draw, wide in drawn
    ]


def _sheets(evaluation: Evaluation) -> list[dict[str, Any]]:
    worst = worst_mistakes(evaluation)
    return [
        {
            "title": kind.title,
            "meaning": kind.meaning,
            "total": worst[kind.key][0],
            "mistakes": [
                {
                    "query": _thumbnail(mistake.query),
                    "evidence": _thumbnail(mistake.evidence) if mistake.evidence else None,
                    "name": mistake.query.name,
                    "evidence_name": mistake.evidence.name if mistake.evidence else "",
                    "truth": mistake.query.label or "(unnamed)",
                    "known": mistake.query.known,
                    "answer": mistake.answer,
                }
                for mistake in worst[kind.key][1]
            ],
        }
        for kind in KINDS
    ]


def _thumbnail(photo: Photo) -> str:
    image = decode(photo.path.read_bytes())
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=82)
    return _base64(buffer.getvalue())


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
