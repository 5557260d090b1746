"""The server against its own ceiling: `python -m benchmarks.serving [--seconds S] [--json FILE]`.

Starts everything itself, on this machine alone. The ceiling is the same decoding, preprocessing and embedding in a
tight loop, a process a core, measured in turn with each row: a shared machine's speed changes by the minute. Rows:

    whichone, whichone verifying   the server without and with local features, at 1, 4, 16 and 64 clients
    two processes                  the same with WHICHONE_WORKERS=2
    peer                           `benchmarks.serving_peer`, a service as one would write it in an afternoon
    per_s, ratio                   answers a second, and over the ceiling
    p50_ms, p95_ms, p99_ms         of the answers
    rss_mb                         resident memory of the server's processes, after

`overload` sends four times what the server can do for a minute; `enrolment` fills a gallery, alone and beside
questions; `large_photo` is one of 12 megapixels against the path that decodes all of it. Everything is bounded in time
and goes to 127.0.0.1.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.serving_load import Load, closed_loop, multipart, open_loop, verdicts
from embedding.bundle import Bundle
from embedding.embedder import Embedder
from embedding.images import decode
from embedding.preprocess import preprocess
from service.settings import Settings
from service.workspace import open_workspace

CORES = len(os.sched_getaffinity(0))
CLIENTS = (1, 4, 16, 64)
ROUNDS = 3
LABELS, PHOTOS_A_LABEL, QUESTIONS = 40, 2, 64
IN_TURN = 5
SIZE = (1024, 768)
KEY = "a key for this benchmark"


@lru_cache(maxsize=8)
def scene(seed: int, size: tuple[int, int]) -> Image.Image:
    """With the detail of a photo: clouds of all sizes, and edges."""
    random = np.random.default_rng(seed)
    total = np.zeros((size[1], size[0], 3), np.float32)
    for side in (5, 19, 67, 231):
        cloud = Image.fromarray(random.standard_normal((side, side)).astype(np.float32))
        colour = 1 + 0.5 * random.standard_normal(3).astype(np.float32)
        total += np.asarray(cloud.resize(size, Image.Resampling.BILINEAR))[..., None] * colour / side**0.4
    for _ in range(12):
        x, y, wide, high = random.integers((size[0], size[1], size[0] // 3, size[1] // 3))
        total[y : y + high, x : x + wide] += random.standard_normal(3).astype(np.float32)
    return Image.fromarray(np.clip(128 + 48 * total / total.std(), 0, 255).astype(np.uint8))


def photo(seed: int, size: tuple[int, int] = SIZE, view: int = 0) -> bytes:
    """A JPEG; a view is the same thing, moved and dimmed."""
    cut = 9 * view
    image = (
        scene(seed, size)
        .crop((cut, cut, size[0] - 2 * cut, size[1] - cut))
        .point(lambda value: value * (1 - 0.08 * view))
    )
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return file.getvalue()


class Ceiling:
    """Decoding, preprocessing and embedding in a tight loop in a process a core, which stay to be asked again: a shared
    machine's speed can double from one minute to the next, so the ceiling is measured in turn with what it is for."""

    def __init__(self, data: list[bytes]) -> None:
        self._data = data
        self._pool = ProcessPoolExecutor(CORES, get_context("spawn"))
        self.per_s(1.0)

    def per_s(self, seconds: float) -> float:
        """Photos a second on all cores."""
        loops = [self._pool.submit(_loop, self._data, seconds) for _ in range(CORES)]
        return sum(loop.result() for loop in loops) / seconds

    def close(self) -> None:
        self._pool.shutdown()


@lru_cache
def _embedder() -> Embedder:
    return Embedder(Bundle.open(), threads=1)


def _loop(data: list[bytes], seconds: float) -> int:
    embedder = _embedder()
    done, began = 0, time.perf_counter()
    while time.perf_counter() < began + seconds:
        embedder.embed([embedder.decode(data[done % len(data)])])
        done += 1
    return done


def _took(work: Callable[[bytes], object], data: bytes) -> float:
    began = time.perf_counter()
    work(data)
    return time.perf_counter() - began


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(arguments: list[str], at: int, settings: dict[str, object]) -> Iterator[int]:
    """A server process for a `with` block, once it answers at that port; yields its pid."""
    own = {f"WHICHONE_{name.upper()}": str(value) for name, value in settings.items()}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WHICHONE_")}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments], env=inherited | own, stdout=log, stderr=log, start_new_session=True
        )
        try:
            for _ in range(600):
                with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{at}/healthz", timeout=5):
                    break
                if process.poll() is not None:
                    log.seek(0)
                    raise SystemExit(f"{arguments[0]} did not start:\n{log.read().decode()[-3000:]}")
                time.sleep(0.1)
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(30)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def rss_mb(pid: int) -> float:
    """Resident megabytes of a process and its children."""
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            facts = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
            if str(pid) in (facts["Pid"].strip(), facts["PPid"].strip()):
                total += int(facts.get("VmRSS", "0 kB").split()[0])
    return total / 1024


def filled(port: int, photos: list[list[bytes]], *, clients: int = 4) -> Load:
    """Enrol every label's photos, a label a request."""
    requests = [
        multipart("/index", views, name="images", key=KEY, label=f"thing {at}") for at, views in enumerate(photos)
    ]
    load = closed_loop(port, requests, clients=clients, seconds=600, most=len(requests))
    if len(load.good) != len(requests):
        raise SystemExit(f"enrolment failed: {load.others}")
    return load


class Bench:
    """One run: its photos, its ceiling, its rows."""

    def __init__(self, seconds: float, folder: Path) -> None:
        self.seconds = seconds
        self.folder = folder
        self.photos = [[photo(seed, view=view) for view in range(PHOTOS_A_LABEL)] for seed in range(LABELS)]
        self.asked = [photo(seed, view=PHOTOS_A_LABEL) for seed in range(QUESTIONS)]  # the last are strangers
        self.questions = [multipart("/recognize", [data], key=KEY) for data in self.asked]
        self.found: dict[str, Any] = {"cores": CORES, "photo_bytes": int(np.mean([len(data) for data in self.asked]))}
        self.ceiling = Ceiling(self.asked)
        self.found["ceiling_per_s"] = self.ceiling.per_s(seconds)
        self.rows: list[dict[str, Any]] = []
        self.found["rows"] = self.rows

    def settings(self, name: str, **more: object) -> dict[str, object]:
        """Of a server whose data folder is kept under this name."""
        return {"data": self.folder / name, "admin_key": KEY, "log_level": "warning", **more}

    @contextmanager
    def serving(self, name: str, **more: object) -> Iterator[tuple[int, int]]:
        """A server; yields its port and pid."""
        port = free_port()
        with running(["service"], port, self.settings(name, port=port, **more)) as pid:
            yield port, pid

    def measure(self, system: str, port: int, pid: int, clients: tuple[int, ...] = CLIENTS) -> None:
        """A row for each number of clients."""
        for number in clients:
            closed_loop(port, self.questions, clients=number, seconds=min(1.0, self.seconds))  # warm
            load, ratios = Load(), []
            for _ in range(ROUNDS):
                part = closed_loop(port, self.questions, clients=number, seconds=self.seconds / ROUNDS)
                ratios.append(part.per_s / self.ceiling.per_s(self.seconds / ROUNDS))
                load.join(part)
            row = {"system": system, "clients": number, "per_s": load.per_s, "ratio": float(np.median(ratios))}
            row |= {f"p{share}_ms": load.ms(share) for share in (50, 95, 99)}
            row |= {"rss_mb": rss_mb(pid), "others": load.others}
            self.rows.append(row)
            print(
                f"{system:22} {number:3} clients  {row['per_s']:6.1f}/s  {row['ratio']:.2f} of the ceiling  "
                f"p50 {row['p50_ms']:.1f}  p95 {row['p95_ms']:.1f}  p99 {row['p99_ms']:.1f} ms  {row['rss_mb']:.0f} MB"
                + (f"  not answered: {load.others}" if load.others else ""),
                flush=True,
            )

    def lone(self, name: str, port: int, **more: object) -> dict[str, float]:
        """Median milliseconds of embedding a photo, recognising it in this process, and asking the server: a few of
        each in turn, without the first, which finds the processor's caches full of what another process needs."""
        sides: dict[str, list[float]] = {"bare_p50_ms": [], "pipeline_p50_ms": [], "client_p50_ms": []}
        with open_workspace(Settings.load(**self.settings(name, **more))) as workspace:
            workspace.start()
            embedder = workspace.embedder.embedder
            time.sleep(2)  # calls that met while it warmed up are forgotten
            for at in range(0, QUESTIONS - IN_TURN, IN_TURN - 1):
                asked = self.asked[at : at + IN_TURN]
                questions = self.questions[at : at + IN_TURN]
                bare = [_took(lambda data: embedder.embed([embedder.decode(data)]), data) for data in asked]
                sides["bare_p50_ms"] += bare[1:]
                sides["pipeline_p50_ms"] += [_took(workspace.recognize, data) for data in asked][1:]
                sides["client_p50_ms"] += closed_loop(port, questions, clients=1, seconds=60, most=IN_TURN).good[1:]
        return {side: float(np.median(times)) * 1e3 for side, times in sides.items()}


def serve(bench: Bench) -> None:
    """Whichone at every number of clients; what a lone one pays for HTTP."""
    for system, verification in (("whichone", "off"), ("whichone verifying", "on")):
        more = {"verification": verification}
        with bench.serving(system, **more) as (port, pid):
            filled(port, bench.photos)
            calibrated = urllib.request.Request(
                f"http://127.0.0.1:{port}/galleries/default/calibrate", method="POST", headers={"X-API-Key": KEY}
            )
            urllib.request.urlopen(calibrated, timeout=300).close()
            told = verdicts(port, bench.questions)
            bench.found[f"{system}: verdicts"] = {word: told.count(word) for word in sorted(set(told))}
            bench.measure(system, port, pid)
            if verification == "off":
                bench.found["overload"] = overload(bench, port, pid)
            alone = bench.lone(system, port, **more)
            bench.found |= alone if verification == "off" else {f"{system}: {side}": ms for side, ms in alone.items()}
            print(f"{system}, alone:", {side: round(ms, 1) for side, ms in alone.items()}, flush=True)
    with bench.serving("whichone", verification="off", workers=2) as (port, pid):
        bench.measure("two processes", port, pid, (1, 16))


def overload(bench: Bench, port: int, pid: int) -> dict[str, float]:
    """Four times what it can do, for a while."""
    peaks, load, before = [], Load(), rss_mb(pid)
    for _ in range(ROUNDS):  # the peak in turn with it
        peaks.append(closed_loop(port, bench.questions, clients=16, seconds=bench.seconds / 2).per_s)
        load.join(open_loop(port, bench.questions, per_s=4 * peaks[-1], seconds=bench.found["overload_s"] / ROUNDS))
    found = {
        "goodput": load.per_s / float(np.mean(peaks)),
        "p99_ms": load.ms(99),
        "rss_before_mb": before,
        "rss_after_mb": rss_mb(pid),
    }
    print(f"four times too much: {found}; others {load.others}", flush=True)
    return found | {f"status_{status}": count for status, count in load.others.items()}


def peer(bench: Bench) -> None:
    """The afternoon's service in the same run."""
    port, bundle = free_port(), Bundle.open()
    model = bundle.model_path(bundle.default_precision("cpu"))
    side = bundle.manifest.preprocess.size[0]
    with running(["benchmarks.serving_peer", str(model), str(side), str(port)], port, {}) as pid:
        filled(port, bench.photos)
        bench.measure("peer", port, pid, (1, 16))


def enrolment(bench: Bench) -> None:
    """Bulk enrolment, of photos that get no views, against the ceiling; and beside questions."""
    photos = [data for views in bench.photos for data in views]
    with bench.serving("many", verification="off") as (port, _):
        filled(port, [[photo(10_000 + at)] for at in range(260)], clients=8)  # later ones get no views
        ceilings, load, ratios = [bench.ceiling.per_s(bench.seconds / ROUNDS)], Load(), []
        for part in range(ROUNDS):  # in turn with the ceiling
            some = bench.photos[part::ROUNDS]
            enrolled = filled(port, some, clients=8)
            load.join(enrolled)
            ceilings.append(bench.ceiling.per_s(bench.seconds / ROUNDS))
            ratios.append(sum(map(len, some)) / enrolled.seconds / float(np.mean(ceilings[-2:])))
        quiet = closed_loop(port, bench.questions, clients=2, seconds=bench.seconds)
        beside: list[Load] = []
        more = [[photo(20_000 + at)] for at in range(400)]
        requests = [multipart("/index", views, name="images", key=KEY, label="more") for views in more]
        thread = threading.Thread(
            target=lambda: beside.append(closed_loop(port, requests, clients=8, seconds=bench.seconds, most=400))
        )
        thread.start()
        busy = closed_loop(port, bench.questions, clients=2, seconds=bench.seconds)
        thread.join()
    bench.found["enrolment"] = found = {
        "ceiling_per_s": float(np.mean(ceilings)),
        "per_s": len(photos) / load.seconds,
        "ratio": float(np.median(ratios)),
        "questions_per_s": quiet.per_s,
        "questions_p99_ms": quiet.ms(99),
        "questions_beside_per_s": busy.per_s,
        "questions_beside_p99_ms": busy.ms(99),
        "enrolled_beside_per_s": beside[0].per_s,
    }
    print("enrolment:", {name: round(value, 2) for name, value in found.items()}, flush=True)


def large_photo(bench: Bench) -> None:
    """12 megapixels: the time to decode and preprocess, and how near the embedding comes to that of every pixel."""
    embedder = Embedder(Bundle.open())
    cosines, times = [], []
    for seed in range(3):
        data = photo(seed, (4000, 3000))
        whole = embedder.embed([decode(data)])[0]
        for _ in range(3):
            start = time.perf_counter()
            image = embedder.decode(data)
            preprocess(image, embedder.bundle.manifest.preprocess)
            times.append((time.perf_counter() - start) * 1e3)
        cosines.append(float(embedder.embed([image])[0] @ whole))
    bench.found["large_photo"] = found = {"decode_preprocess_ms": float(np.median(times)), "cosine": min(cosines)}
    print("12 megapixels:", found, flush=True)


PARTS: dict[str, Callable[[Bench], None]] = {
    "serve": serve,
    "peer": peer,
    "enrolment": enrolment,
    "large_photo": large_photo,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="The server against its own ceiling.")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--overload-seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, help="write what was found there")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers that were started end with this process
    folder = Path(tempfile.mkdtemp(prefix="whichone-serving-"))
    bench = Bench(arguments.seconds, folder)
    try:
        bench.found["overload_s"] = arguments.overload_seconds
        print(", ".join(f"{name} {value:.1f}" for name, value in bench.found.items() if isinstance(value, float)))
        for name in arguments.only:
            PARTS[name](bench)
            if arguments.json:
                arguments.json.write_text(json.dumps(bench.found, indent=1))
    finally:
        bench.ceiling.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
