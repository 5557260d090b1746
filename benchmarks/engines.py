"""Search engines side by side, ours and other libraries': `python -m benchmarks.engines [--items N] [--json FILE]`.

One run, two threads (one for single queries, which is faster for all that can choose), unit vectors of 512 dimensions
in clusters (`benchmarks.engine_vectors`), or around real embeddings: `--embeddings FILE`, a .npy, or what an evaluation
keeps (`reports/quality-grocery-*.npz` after `python -m benchmarks.quality --only grocery`). Every engine that can look
further or less far does so as little as it takes on one half of the queries for recall@10 of 0.992, which is 0.99 and a
margin for the other half, of which the figures are. An engine that does not get there is shown at its furthest. Build
time is without that search for the least effort. The peers come with
`pip install --constraint constraints.txt --editable '.[peers,milvus-lite]'`; those that are not there are left out, and
that is said.

    recall10           mean share of the ten exact nearest that are among the ten found
    p50_ms, p95_ms     one query at a time
    batch_per_s        queries a second, 64 at a time
    bytes_per_item     what searches go through; of a peer its file
    kept_per_item      full vectors kept beside that, which stay on the disk until they are refined with
    open_s             from the file to the first answer
    add_per_s, delete_per_s   one at a time, each in force at once
    changed_p50_ms     one query at a time, after those
    layer_ms, layer_batch     what our layer adds to a FAISS search: milliseconds a query, times a batch; taken in turn
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import faiss
import numpy as np

from benchmarks.engine_growth import plot_growth
from benchmarks.engine_peers import THREADS, Contestant, Numbers, Vectors, peers
from benchmarks.engine_vectors import clustered, tiled
from index.engines import (
    FlatIndex,
    OverlayIndex,
    TrainedIndex,
    VectorIndex,
    build,
    open_index,
    parse_spec,
    recall,
    spec_text,
)
from index.engines.searcher import parameters
from index.engines.spec import HnswSpec, IvfSpec

K = 10
FLOOR = 0.99
MARGIN = 0.002
QUERIES = 8_000
PATIENCE_S = 6.0
CHANGES = 500
BLOCK = 20_000

OURS = (
    "flat",
    "flat,float16",
    "ivf",
    "ivf,sq8,refine",
    "ivf,pq=64,refine=24",
    "hnsw",
    "hnsw,sq8,refine",
    "hnsw,pca=256,sq8,refine",
)


class Ours:
    """One of our engines, changed through the overlay."""

    peer = False
    needs = "index"

    def __init__(self, text: str) -> None:
        self.name = text
        self.spec = parse_spec(text)
        self.effort = {"ivf": 1, "hnsw": 8}.get(self.spec.kind)

    def build(self, vectors: Vectors) -> None:
        starts = range(0, len(vectors), BLOCK)
        self.base: VectorIndex = build(
            self.spec,
            vectors.shape[1],
            ((np.arange(at, min(at + BLOCK, len(vectors))), vectors[at : at + BLOCK]) for at in starts),
        )
        self.index = self.base

    def set_effort(self, effort: int) -> None:
        assert isinstance(self.base, TrainedIndex)
        assert isinstance(self.base.spec, IvfSpec | HnswSpec)
        self.effort = effort
        name = "probes" if isinstance(self.base.spec, IvfSpec) else "ef"
        self.base = self.index = self.base.searching_as(self.base.spec.model_copy(update={name: effort}))

    def search(self, queries: Vectors, k: int) -> Numbers:
        return self.index.search(queries, k)[1]

    def save(self, path: Path) -> None:
        self.base.save(path)

    def open(self, path: Path) -> None:
        self.base = open_index(path, self.base.spec)
        self.index = OverlayIndex(self.base)

    def bytes_per_item(self) -> float | None:
        return self.base.stats().memory_bytes / len(self.base)

    def add(self, number: int, vector: Vectors) -> None:
        self.index.add(np.array([number]), vector[None])

    def remove(self, number: int) -> None:
        self.index.remove([number])


def milliseconds(search: Callable[[Vectors], object], queries: Vectors) -> list[float]:
    """One query at a time, until all are asked or patience ends."""
    times: list[float] = []
    began = time.perf_counter()
    for query in queries:
        start = time.perf_counter()
        search(query[None])
        times.append((time.perf_counter() - start) * 1e3)
        if time.perf_counter() - began > PATIENCE_S:
            break
    return times[min(10, len(times) // 5) :]


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def tune(contestant: Contestant, queries: Vectors, truth: Numbers) -> None:
    """The least effort that reaches the floor, to within a tenth."""
    if contestant.effort is None:
        return

    def reached(effort: int) -> bool:
        contestant.set_effort(effort)
        return recall(contestant.search(queries, K), truth) >= FLOOR + MARGIN

    low, high = contestant.effort - 1, contestant.effort
    while not reached(high) and high < 1_024:
        low, high = high, 2 * high
    while high - low > max(1, high // 10):
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    contestant.set_effort(high)


def batches_per_second(contestant: Contestant, queries: Vectors) -> float:
    began, asked = time.perf_counter(), 0
    while time.perf_counter() - began < PATIENCE_S / 2:
        at = asked % (len(queries) - 63)
        contestant.search(queries[at : at + 64], K)
        asked += 64
    return asked / (time.perf_counter() - began)


def changes(contestant: Contestant, items: int, fresh: Vectors) -> dict[str, float]:
    figures = {}
    for what, change in (
        ("add_per_s", lambda at: contestant.add(items + at, fresh[at])),
        ("delete_per_s", lambda at: contestant.remove(at * 7 % items)),
    ):
        began, done = time.perf_counter(), 0
        try:
            while done < CHANGES and time.perf_counter() - began < PATIENCE_S:
                change(done)
                done += 1
        except NotImplementedError:
            continue
        figures[what] = done / (time.perf_counter() - began)
    return figures


def layer(contestant: Ours, queries: Vectors) -> dict[str, float]:
    """What our layer adds to FAISS: the same index asked with and without it, in turn."""
    index = contestant.base
    if isinstance(index, FlatIndex):
        raw = faiss.IndexFlatIP(queries.shape[1])
        raw.add(index.reconstruct(index.numbers()))
        asked, given = raw, None
    elif isinstance(index, TrainedIndex):
        asked = faiss.IndexRefine(index.searcher, index.kept) if index.spec.refine else index.searcher
        given = parameters(index.spec, None, 1, K)
        if index.spec.refine:
            given.k_factor = index.spec.refine
    else:
        return {}
    sides = {"ours": lambda part: index.search(part, K), "faiss": lambda part: asked.search(part, K, params=given)}
    single: dict[str, list[float]] = {side: [] for side in sides}
    batch: dict[str, list[float]] = {side: [] for side in sides}
    began = time.perf_counter()
    # Each side has queries of its own: the second to be asked the same would find everything in the processor's cache.
    half = len(queries) // 2
    for step in range(half - 64):
        for at, (side, search) in zip((step, step + half), sides.items(), strict=True):
            faiss.omp_set_num_threads(1)
            single[side].append(seconds(lambda search=search, at=at: search(queries[at : at + 1])))
            if step % 4 == 0:
                faiss.omp_set_num_threads(THREADS)
                batch[side].append(seconds(lambda search=search, at=at: search(queries[at : at + 64])))
        if time.perf_counter() - began > PATIENCE_S:
            break
    medians = {side: (float(np.median(single[side])), float(np.median(batch[side]))) for side in sides}
    return {
        "layer_ms": (medians["ours"][0] - medians["faiss"][0]) * 1e3,
        "layer_batch": medians["ours"][1] / medians["faiss"][1],
    }


def measure(
    contestant: Contestant, vectors: Vectors, queries: Vectors, truth: Numbers, fresh: Vectors
) -> dict[str, Any]:
    faiss.omp_set_num_threads(THREADS)
    row: dict[str, Any] = {"engine": contestant.name, "peer": contestant.peer, "items": len(vectors)}
    row["build_s"] = seconds(lambda: contestant.build(vectors))
    half = len(queries) // 2
    tune(contestant, queries[:half], truth[:half])
    asked, true = queries[half:], truth[half:]
    row["effort"] = contestant.effort
    few = len(asked) if contestant.effort is not None else 100
    row["recall10"] = recall(contestant.search(asked[:few], K), true[:few])
    if isinstance(contestant, Ours):
        row["spec"] = spec_text(contestant.base.spec)
        row |= layer(contestant, asked)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.faiss"
        try:
            contestant.save(path)
            on_disk = sum(file.stat().st_size for file in path.parent.rglob("*") if file.is_file())
            row["bytes_per_item"] = contestant.bytes_per_item() or on_disk / len(vectors)
            row["disk_per_item"] = on_disk / len(vectors)
            row["open_s"] = seconds(lambda: (contestant.open(path), contestant.search(asked[:1], K)))
        except NotImplementedError:
            pass
        if isinstance(contestant, Ours):
            row["kept_per_item"] = contestant.base.stats().kept_bytes / len(vectors)
        faiss.omp_set_num_threads(1)
        times = milliseconds(lambda query: contestant.search(query, K), asked)
        row["p50_ms"], row["p95_ms"] = (float(np.percentile(times, share)) for share in (50, 95))
        faiss.omp_set_num_threads(THREADS)
        row["batch_per_s"] = batches_per_second(contestant, asked)
        row |= changes(contestant, len(vectors), fresh)
        faiss.omp_set_num_threads(1)
        row["changed_p50_ms"] = float(np.median(milliseconds(lambda query: contestant.search(query, K), asked)))
    return row


def show(row: dict[str, Any]) -> str:
    columns = ("build_s", "recall10", "p50_ms", "p95_ms", "batch_per_s", "bytes_per_item", "kept_per_item", "open_s",
               "add_per_s", "delete_per_s", "changed_p50_ms", "layer_ms", "layer_batch")  # fmt: skip
    figures = "  ".join(f"{name} {row[name]:.4g}" for name in columns if name in row)
    effort = "" if row["effort"] is None else f" (effort {row['effort']})"
    return f"{'peer' if row['peer'] else 'ours'}  {row['engine']}{effort}: {figures}"


def verdict(rows: list[dict[str, Any]]) -> str:
    """The fastest of ours and of the peers that reach the floor."""
    ours, theirs = ([row for row in rows if row["peer"] is peer and row["recall10"] >= FLOOR] for peer in (False, True))
    if not ours or not theirs:
        return "too few engines reach the floor to compare"
    best, peer = (min(side, key=lambda row: row["p50_ms"]) for side in (ours, theirs))
    return (
        f"fastest at recall@10 {FLOOR}: {best['engine']} {best['p50_ms']:.3f} ms, built in {best['build_s']:.1f} s; "
        f"of the peers {peer['engine']} {peer['p50_ms']:.3f} ms, built in {peer['build_s']:.1f} s: "
        f"{best['p50_ms'] / peer['p50_ms']:.2f} times its p50, {best['build_s'] / peer['build_s']:.2f} times its build"
    )


def compared(items: int, only: list[str], embeddings: Vectors | None) -> Iterator[dict[str, Any]]:
    """A row for each engine whose name holds one of `only`, on clusters around `embeddings` (n, d), or drawn ones."""
    wanted = items + CHANGES
    drawn, queries = clustered(wanted, QUERIES) if embeddings is None else tiled(embeddings, wanted, QUERIES)
    vectors, fresh = drawn[:items], drawn[items:]
    exact = faiss.IndexFlatIP(vectors.shape[1])
    exact.add(vectors)
    truth = exact.search(queries, K)[1]
    del exact
    lists = IvfSpec().lists_for(items)
    texts = [*OURS, f"ivf,sq8,lists={2 * lists},refine", f"ivf,sq8,lists={lists // 2},refine"]
    contestants: list[Callable[[], Contestant]] = [lambda text=text: Ours(text) for text in texts]  # type: ignore[misc]
    for make in [*contestants, *peers(lists)]:
        contestant = make()
        if any(part.lower() in contestant.name.lower() for part in only):
            yield measure(contestant, vectors, queries, truth, fresh)


def real(path: Path) -> Vectors:
    """Real embeddings (n, d), from a .npy or from an evaluation's cache."""
    held = np.load(path)
    return np.asarray(held["own"] if path.suffix == ".npz" else held, np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description="Search engines side by side.")
    parser.add_argument("--items", type=int, nargs="+", default=[100_000], help="one size, or several for --plot")
    parser.add_argument("--json", type=Path, help="write the rows there as they come")
    parser.add_argument("--plot", type=Path, help="draw latency and memory over the number of items there")
    parser.add_argument("--only", nargs="*", default=[""], help="engines whose names hold one of these")
    parser.add_argument("--embeddings", type=Path, help="(n, d) real ones to put the clusters around: .npy or .npz")
    arguments = parser.parse_args()
    embeddings = None if arguments.embeddings is None else real(arguments.embeddings)
    rows: list[dict[str, Any]] = []
    for items in arguments.items:
        for row in compared(items, arguments.only, embeddings):
            rows.append(row)
            print(show(row), flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps({"rows": rows}, indent=1))
        print(verdict([row for row in rows if row["items"] == items]))
    if arguments.plot:
        plot_growth(rows, arguments.plot)


if __name__ == "__main__":
    main()
