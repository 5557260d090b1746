"""The report's plots, as PNG bytes. The only place that imports matplotlib."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from index.evaluation import metrics
from index.evaluation.result import Evaluation, System

__all__ = ["gap_curve", "histograms", "reliability", "roc"]

INK, GRID = "#1d2433", "#d9dee8"
COLOURS = ("#0b6e99", "#c2571a", "#5b7f2b", "#7a4fa3")
RIGHT, WRONG, UNKNOWN = "#2b7a4b", "#c98a04", "#b3261e"
Place = Literal["lower left", "upper left", "upper center"]
SIZE = (4.6, 3.6)
"""Inches a panel."""


def roc(evaluation: Evaluation) -> bytes:
    """Known and right accepted against unknown accepted, for every threshold; the lower axis is log."""

    def draw(axes: Sequence[Axes]) -> None:
        for system, colour in zip(evaluation.systems, COLOURS, strict=False):
            known, right, confidence = _columns(system)
            negative = confidence[~known]
            fpr, tpr, _ = metrics.roc_curve(confidence[known & right], negative)
            if np.isnan(fpr).any() or np.isnan(tpr).any():
                continue
            floor = 0.5 / len(negative)  # 0 has no place on a log axis: it stands half a query from it
            area = system.figures["auroc"].value
            axes[0].step(
                np.maximum(fpr, floor),
                tpr,
                where="post",
                color=colour,
                label=f"{system.name}, AUROC {area:.3f}",
            )
        axes[0].axvline(evaluation.far_budget, color=INK, lw=0.8, ls=":", label="FAR budget")
        axes[0].set(xscale="log", xlabel="unknown accepted", ylabel="known and right accepted", ylim=(0, 1.01))
        _legend(axes[0], "upper left")

    return _png(draw)


def gap_curve(evaluation: Evaluation) -> bytes:
    """Precision over recall, answers taken from most to least confident; GAP is about the area below."""

    def draw(axes: Sequence[Axes]) -> None:
        for system, colour in zip(evaluation.systems, COLOURS, strict=False):
            known, right, confidence = _columns(system)
            if not known.any():
                continue
            precision, recall = metrics.precision_recall(confidence, right, int(known.sum()))
            axes[0].plot(recall, precision, color=colour, label=f"{system.name}, GAP {system.figures['gap'].value:.3f}")
        axes[0].set(xlabel="recall", ylabel="precision", xlim=(0, 1.01), ylim=(0, 1.02))
        _legend(axes[0], "lower left")

    return _png(draw)


def reliability(evaluation: Evaluation) -> bytes:
    """Share of right answers against stated confidence: on the diagonal, confidence means what it says."""

    def draw(axes: Sequence[Axes]) -> None:
        axes[0].plot([0, 1], [0, 1], color=INK, lw=0.8, ls=":", label="as stated")
        for system, colour in zip(evaluation.systems, COLOURS, strict=False):
            _, right, confidence = _columns(system)
            stated, share, _ = metrics.reliability(np.clip(confidence, 0, 1), right)
            error = system.figures["ece"].value
            axes[0].plot(stated, share, "o-", color=colour, ms=4, label=f"{system.name}, error {100 * error:.1f} %")
        axes[0].set(xlabel="confidence", ylabel="share right", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        _legend(axes[0], "upper left")

    return _png(draw)


def histograms(evaluation: Evaluation) -> bytes:
    """Confidence of known and right, known and wrong, and unknown queries, a panel a system."""

    def draw(axes: Sequence[Axes]) -> None:
        for panel, system in zip(axes, evaluation.systems, strict=True):
            known, right, confidence = _columns(system)
            parts = (
                ("known, right", RIGHT, known & right),
                ("known, wrong", WRONG, known & ~right),
                ("unknown", UNKNOWN, ~known),
            )
            edges = np.linspace(min(0.0, confidence.min(initial=0)), 1, 41).tolist()
            for name, colour, chosen in parts:
                if chosen.any():
                    share = np.full(int(chosen.sum()), 1 / chosen.sum())
                    label = f"{name} ({int(chosen.sum())})"
                    panel.hist(confidence[chosen], edges, weights=share, histtype="stepfilled", color=colour, alpha=0.2)
                    panel.hist(
                        confidence[chosen], edges, weights=share, histtype="step", color=colour, lw=1.4, label=label
                    )
            panel.axvline(system.answers.threshold, color=INK, lw=0.8, ls=":", label="threshold")
            panel.set(xlabel="confidence", ylabel="share of each kind", title=system.name)
            _legend(panel, "upper center")

    return _png(draw, panels=len(evaluation.systems))


def _columns(system: System) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    answers = system.answers
    return answers.known, answers.right, answers.confidence


def _legend(axes: Axes, place: Place) -> None:
    axes.legend(loc=place, fontsize=8, frameon=True, framealpha=0.85, edgecolor="none")


def _png(draw: Callable[[Sequence[Axes]], None], panels: int = 1) -> bytes:
    # A Figure of its own with the Agg canvas: pyplot's global state and display back ends stay out of it.
    figure = Figure(figsize=(SIZE[0] * panels, SIZE[1]), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    axes = [figure.add_subplot(1, panels, i + 1) for i in range(panels)]
    for panel in axes:
        panel.grid(color=GRID, lw=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    draw(axes)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
