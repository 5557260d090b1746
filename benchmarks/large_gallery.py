"""A large gallery in the service: `python -m benchmarks.large_gallery [--items 1000000] [--json FILE] [--data FOLDER]`.

The rows of a gallery are written into a database (unit vectors in clusters, as in `benchmarks.engines`; labels of ten
photos; no photo files and no local features). The gallery adapts (`WHICHONE_ADAPTATION=on`), as most real ones choose
to; this one is too easy to need it. `whichone index build` makes a generation of them, `whichone serve` opens it, and
photos are asked and added over HTTP:

    build_s            `whichone index build` in full: reading the database, learning, building, checking
    ready_s            from the start of the server to the first answer of `/readyz`
    first_over_*_ms    a lone client's time over decoding and embedding: HTTP, search, ranking, verdict; of questions
                       right after the start, while photos are being measured (`service.gallery.measurer`)
    measured_s         from then until the server has nothing to do
    over_*_ms          the same afterwards
    adding_over_*_ms   the same while another client adds photos one by one
    add_p50_ms         of adding one photo: embedding it three times, writing, answering
    seen_at_once       added photos that the next question was answered with
    server_mb          resident memory of the server, mapped pages that are in use among it
"""

from __future__ import annotations

import argparse
import io
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from sqlalchemy import insert, update

from benchmarks.engine_vectors import labelled
from embedding.bundle import Bundle
from index.simulation import MOST_VIEWED_ITEMS, VIEWS
from service.models import Gallery, ItemRow
from service.settings import Settings
from service.workspace import open_workspace

BLOCK = 20_000
PHOTOS_A_LABEL = 10
KEY = "a key for this benchmark"


def fill(settings: Settings, items: int) -> None:
    """Write `items` rows into the gallery `default`."""
    vectors, labels = labelled(items, items // PHOTOS_A_LABEL)
    with open_workspace(settings) as workspace, workspace.database.write() as session:
        gallery_id = session.query(Gallery).filter_by(name="default").one().id
        for start in range(0, items, BLOCK):
            block = zip(vectors[start : start + BLOCK], labels[start : start + BLOCK].tolist(), strict=True)
            views = MOST_VIEWED_ITEMS if start == 0 else 0
            rows = [_row(gallery_id, label, vector, viewed=at < views) for at, (vector, label) in enumerate(block)]
            session.execute(insert(ItemRow), rows)
        session.execute(update(Gallery).values(change=1, items_change=1))


def _row(gallery_id: int, label: int, vector: np.ndarray[Any, Any], *, viewed: bool) -> dict[str, Any]:
    return {
        "id": secrets.token_hex(16),
        "gallery_id": gallery_id,
        "kind": "item",
        "label": f"thing {label}",
        "image_sha256": secrets.token_hex(32),
        "item_metadata": {},
        "embedding": vector.astype("<f4").tobytes(),
        "views": np.stack([vector] * VIEWS).astype("<f4").tobytes() if viewed else b"",
        "local": b"",
        "width": 640,
        "height": 480,
        "created_at": datetime.now(UTC),
        "change": 1,
    }


@contextmanager
def serving() -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "service"],
        env=os.environ | {"WHICHONE_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"X-API-Key": KEY}, timeout=300)
    try:
        _until_ready(client, process)
        yield client, process
    finally:
        client.close()
        process.terminate()
        process.wait()


def _until_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    for _ in range(6_000):
        if process.poll() is not None:
            raise SystemExit("the server ended; start it by hand to see why")
        try:
            if client.get("/readyz").status_code == httpx.codes.OK:
                return
        except httpx.ConnectError:
            pass
        time.sleep(0.05)
    raise SystemExit("the server did not become ready within five minutes")


def photo(seed: int) -> bytes:
    """Coloured blocks, another picture for every seed."""
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(blocks).resize((640, 480), Image.Resampling.NEAREST).save(file, "JPEG", quality=90)
    return file.getvalue()


def over(client: httpx.Client, data: bytes) -> tuple[float, dict[str, Any]]:
    """Milliseconds over decoding and embedding, and the answer."""
    began = time.perf_counter()
    response = client.post("/recognize", files={"image": data})
    took = (time.perf_counter() - began) * 1e3
    answer = response.raise_for_status().json()
    return took - answer["timing_ms"]["decode"] - answer["timing_ms"]["embed"], answer


def until_idle(process: subprocess.Popen[bytes]) -> None:
    """Wait until the server takes less than a twentieth of a processor for a second."""
    while True:
        before = busy_s(process)
        time.sleep(1.0)
        if busy_s(process) - before < 0.05:
            return


def busy_s(process: subprocess.Popen[bytes]) -> float:
    """Processor time that the server took so far."""
    words = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def ask(client: httpx.Client, process: subprocess.Popen[bytes], questions: int, adds: int) -> dict[str, float]:
    for seed in range(10):
        over(client, photo(seed))
    first = [over(client, photo(seed))[0] for seed in range(questions // 4)]
    began = time.perf_counter()
    until_idle(process)
    measured = time.perf_counter() - began
    lone = [over(client, photo(seed))[0] for seed in range(questions, 2 * questions)]
    adding, added, seen = [], [], 0
    done = threading.Event()

    def add() -> None:
        with httpx.Client(base_url=client.base_url, headers=client.headers, timeout=300) as other:
            nonlocal seen
            first = 10_000 + int(time.time())  # photos that a gallery which was kept has not seen
            for seed in range(first, first + adds):
                began = time.perf_counter()
                response = other.post("/index", data={"label": f"new {seed}"}, files={"images": photo(seed)})
                added.append((time.perf_counter() - began) * 1e3)
                response.raise_for_status()
                candidates = over(other, photo(seed))[1]["candidates"]
                seen += candidates[0]["label"] == f"new {seed}"
        done.set()

    thread = threading.Thread(target=add)
    thread.start()
    while not done.is_set():
        adding.append(over(client, photo(len(adding)))[0])
    thread.join()
    figures = {"measured_s": measured, "add_p50_ms": float(np.median(added)), "seen_at_once": seen / adds}
    for name, times in (("first_over", first), ("over", lone), ("adding_over", adding)):
        figures |= {f"{name}_p{share}_ms": float(np.percentile(times, share)) for share in (50, 95, 100)}
    return figures


def resident_mb(process: subprocess.Popen[bytes]) -> float:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def make(items: int, engine: str) -> dict[str, float]:
    """Write the rows and build."""
    began = time.perf_counter()
    fill(Settings(), items)
    filled = time.perf_counter()
    print(f"written in {filled - began:.0f} s", flush=True)
    subprocess.run([sys.executable, "-m", "cli", "index", "build", "--engine", engine], check=True)
    return {"fill_s": filled - began, "build_s": time.perf_counter() - filled}


def main() -> None:
    parser = argparse.ArgumentParser(description="A large gallery in the service.")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--engine", default="ivf,sq8,refine")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--adds", type=int, default=40)
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--data", type=Path, help="make the gallery there and keep it; one that is there is used")
    arguments = parser.parse_args()
    row: dict[str, Any] = {"items": arguments.items, "engine": arguments.engine, "dim": Bundle.open().manifest.dim}
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.data or Path(scratch)
        os.environ |= {"WHICHONE_DATA": str(folder), "WHICHONE_ADMIN_KEY": KEY, "WHICHONE_ADAPTATION": "on"}
        if not (folder / "galleries").exists():
            row |= make(arguments.items, arguments.engine)
        began = time.perf_counter()
        with serving() as (client, process):
            row["ready_s"] = time.perf_counter() - began
            row |= ask(client, process, arguments.questions, arguments.adds)
            row["server_mb"] = resident_mb(process)
    for name, value in row.items():
        print(f"{name:22} {value if isinstance(value, str) else f'{value:.4g}'}")
    if arguments.json:
        arguments.json.write_text(json.dumps(row, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
