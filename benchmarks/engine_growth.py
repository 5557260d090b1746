"""How latency and memory grow with a gallery, as a picture: `python -m benchmarks.engine_growth ROWS.json PICTURE.png`.

The rows are those of `benchmarks.engines --items 1000 10000 100000 --json ROWS.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PANELS = (
    ("p50_ms", "one query, median (ms)"),
    ("bytes_per_item", "searched, bytes an item"),
    ("build_s", "built in (s)"),
)


def plot_growth(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw a line an engine, ours solid and peers dashed, over the number of items."""
    figure, axes = plt.subplots(1, len(PANELS), figsize=(16, 5), layout="constrained")
    names = list(dict.fromkeys(row["engine"] for row in rows if "lists=" not in row["engine"]))
    for axis, (key, title) in zip(axes, PANELS, strict=True):
        for place, name in enumerate(names):
            mine = sorted((row for row in rows if row["engine"] == name and key in row), key=lambda row: row["items"])
            peer = any(row["peer"] for row in mine)
            line = {"linestyle": "--" if peer else "-", "marker": "o", "markersize": 4, "color": f"C{place % 10}"}
            axis.plot([row["items"] for row in mine], [row[key] for row in mine], label=name, **line)
        axis.set(xscale="log", yscale="log", xlabel="items", title=title)
        axis.grid(visible=True, which="both", alpha=0.2)
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="outside right center")
    figure.suptitle("recall@10 of 0.99 where an engine can look further or less far; 512 dimensions, clustered")
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    plot_growth(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["rows"], Path(sys.argv[2]))
