"""Drawn characters asked of a server: `python -m benchmarks.served_omniglot reports/trained-omniglot/bundle-0`

A server with that bundle, over HTTP: the gallery's drawings enrolled, validation queries told as feedback, calibrated
to a budget of 5 %, and every test query of the open set asked. What `benchmarks.trained_omniglot` computes in its own
process must come out here, too.
"""

from __future__ import annotations

import csv
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import typer
from rich.progress import track

from benchmarks.serving import KEY, free_port, running

FAR_BUDGET = 0.05


def main(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    data: Annotated[Path, typer.Option(help="The omniglot folder.")] = Path("../shared/data/omniglot"),
) -> None:
    """Print what the server answered."""
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch:
        settings = {"data": scratch, "bundle": bundle.resolve(), "admin_key": KEY, "port": port, "log_level": "warning"}
        with (
            running(["service"], port, settings),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": KEY}, timeout=600) as client,
        ):
            _enrol(client, data)
            for row in track(_rows(data / "openset_queries_val.csv"), "telling", transient=True):
                said = {"label": row["label"]} if row["is_known"] == "1" else {"unknown": "true"}
                _checked(client.post("/feedback", files={"image": _photo(data, row)}, data=said))
            calibrated = _checked(client.post("/galleries/default/calibrate", json={"far_budget": FAR_BUDGET})).json()
            typer.echo(f"threshold {calibrated['threshold']:.3f}")
            queries = _rows(data / "openset_queries_test.csv")
            answers = [
                _checked(client.post("/recognize", files={"image": _photo(data, row)})).json()
                for row in track(queries, "asking", transient=True)
            ]
    _print(queries, answers)


def _enrol(client: httpx.Client, data: Path) -> None:
    drawings = defaultdict(list)
    for row in _rows(data / "openset_gallery.csv"):
        drawings[row["label"]].append(row)
    for label, rows in track(drawings.items(), "enrolling", transient=True):
        _checked(client.post("/index", files=[("images", _photo(data, row)) for row in rows], data={"label": label}))


def _print(queries: list[dict[str, str]], answers: list[dict[str, object]]) -> None:
    known = np.array([row["is_known"] == "1" for row in queries])
    accepted = np.array([answer["verdict"] == "known" for answer in answers])
    best = [answer["candidates"][0]["label"] for answer in answers]  # type: ignore[index]
    right = np.array([label == row["label"] for label, row in zip(best, queries, strict=True)])
    typer.echo(f"{known.sum()} known, best candidate right: {right[known].mean():.3f}")
    typer.echo(f"  answered as known, and right: {(accepted & right)[known].mean():.3f}")
    typer.echo(f"  answered as known, and wrong: {(accepted & ~right)[known].mean():.3f}")
    typer.echo(f"{(~known).sum()} strangers, answered as known: {accepted[~known].mean():.3f}")


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise SystemExit(f"{answer.request.url.path}: {answer.status_code} {answer.text[:500]}")
    return answer


def _photo(data: Path, row: dict[str, str]) -> tuple[str, bytes, str]:
    return Path(row["path"]).name, (data / row["path"]).read_bytes(), "image/png"


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    typer.run(main)
