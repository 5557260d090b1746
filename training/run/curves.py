"""curves.png: how a run went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from index.evaluation.plots.panel import COLOURS, png
from training.run.files import write_whole
from training.run.metrics import METRICS

__all__ = ["draw_curves"]

Lines = Sequence[Mapping[str, Any]]


def draw_curves(lines: Lines, path: Path) -> None:
    """Losses, learning rate and metrics over the steps of a run.

    Args:
        lines: of log.jsonl.
        path: of the PNG.

    Raises:
        RunFailed: it cannot be written.
    """
    steps = [line for line in lines if line["kind"] == "steps"]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    if not steps:
        return

    def draw(axes: Sequence[Axes]) -> None:
        losses = list(dict.fromkeys(name for line in steps for name in line["losses"]))
        for name, colour in zip(losses, cycle(COLOURS), strict=False):
            _line(
                axes[0],
                [(line["step"], line["losses"][name]) for line in steps if name in line["losses"]],
                name,
                colour,
            )
        axes[0].set(title="loss", xlabel="step", yscale="log" if _all_positive(steps) else "linear")
        _line(axes[1], [(line["step"], line["lr"]) for line in steps], "highest of the groups", COLOURS[0])
        axes[1].set(title="learning rate", xlabel="step")
        measured = [name for name in METRICS if any(name in line["metrics"] for line in epochs)]
        for at, (name, colour) in enumerate(zip(measured, cycle(COLOURS), strict=False)):
            points = [(line["step"], line["metrics"][name]) for line in epochs if name in line["metrics"]]
            _line(axes[2], points, name, colour, style=("-", "--", ":", "-.")[at // len(COLOURS) % 4])
        axes[2].set(title="validation", xlabel="step", ylim=(0, 1.02))
        for panel in axes:
            if panel.get_legend_handles_labels()[0]:
                panel.legend(fontsize=6, frameon=False)

    content = png(draw, panels=3)
    write_whole(path, lambda file: file.write(content))


def _line(axes: Axes, points: Sequence[tuple[float, float]], label: str, colour: str, style: str = "-") -> None:
    axes.plot(
        [x for x, _ in points], [y for _, y in points], style, color=colour, label=label, lw=1.4, marker=".", ms=3
    )


def _all_positive(steps: Lines) -> bool:
    return all(value > 0 for line in steps for value in line["losses"].values())
