"""kill -9 at random moments during concurrent POST /index and DELETE /index/{id}: is anything lost, or half there?

    python benchmarks/kill_nine.py                    100 kills, with the bundle that ships
    python benchmarks/kill_nine.py --kills 10 --json report.json
    python benchmarks/kill_nine.py --database-url postgresql://user@host/empty_database

Every round starts the server on the same data folder, lets clients add photos (each another one) and delete some, kills
the server's process after a random time, starts it again and checks:

- every item whose 201 arrived is listed, with the sha256 that was sent, and its photo has that sha256;
- every item whose deletion's 204 arrived is gone;
- nothing is half there: every listed item has its photo, byte for byte, and POST /recognize with it finds the item (a
  sample each round; the server itself refuses to start over an embedding that is not whole).

A request that was cut off may have happened or not; both are right. What this cannot show is a power cut: the kernel
survives here. That files and folders are flushed before the answer is a matter of `service/photos.py` and of SQLite's
synchronous=FULL.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
KEY = "a key for kill_nine"
GALLERY = "kill-nine"
SAMPLE = 3


@dataclass
class Ledger:
    """What the clients were told. `unsure` holds items whose deletion was cut off."""

    added: dict[str, str] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    cut_off: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Report:
    """What was found over all rounds."""

    kills: int = 0
    acknowledged: int = 0
    deletions: int = 0
    cut_off: int = 0
    unacknowledged_but_whole: int = 0
    recognized: int = 0
    missing: list[str] = field(default_factory=list)
    came_back: list[str] = field(default_factory=list)
    half_there: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        return not (self.missing or self.came_back or self.half_there)


def photo(seed: int) -> bytes:
    """A small JPEG, another for every seed."""
    blocks = np.random.RandomState(seed).randint(0, 256, (6, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(blocks).resize((160, 120), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


class Server:
    """A server process on the data folder."""

    def __init__(self, arguments: argparse.Namespace, data: Path) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("WHICHONE_")}
        env |= {"PYTHONPATH": str(ROOT), "WHICHONE_DATA": str(data), "WHICHONE_PORT": "0", "WHICHONE_ADMIN_KEY": KEY}
        env["WHICHONE_LOG_LEVEL"] = "warning"
        for name in ("bundle", "database_url"):
            if getattr(arguments, name):
                env[f"WHICHONE_{name.upper()}"] = str(getattr(arguments, name))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service"], env=env, cwd=ROOT, text=True, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "serving http" in line:
                self.url = line.split()[-1]
                return
        raise SystemExit(f"the server did not start again: exit status {self.process.wait()}")

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"X-API-Key": KEY}, params={"gallery": GALLERY}, timeout=60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def work(server: Server, ledger: Ledger, seeds: random.Random, stop: threading.Event) -> None:
    """One client: adds photos, now and then deletes one of its own, until the server dies."""
    mine: list[str] = []
    with server.client() as client:
        while not stop.is_set():
            deleting = mine.pop() if mine and seeds.random() < 0.15 else None
            try:
                if deleting is not None:
                    delete(client, ledger, deleting)
                else:
                    mine += add(client, ledger, seeds)
            except httpx.TransportError:
                with ledger.lock:
                    ledger.cut_off += 1
                    if deleting is not None:
                        ledger.unsure.add(deleting)
                return


def add(client: httpx.Client, ledger: Ledger, seeds: random.Random, photos: int | None = None) -> list[str]:
    sent = [photo(seeds.getrandbits(31)) for _ in range(photos or seeds.choice((1, 1, 2)))]
    files = [("images", ("p.jpg", data)) for data in sent]
    answer = client.post("/index", data={"label": f"label {seeds.randrange(40)}"}, files=files)
    if answer.status_code != 201:
        raise SystemExit(f"POST /index answered {answer.status_code}: {answer.text}")
    items = answer.json()["items"]
    with ledger.lock:
        for item, data in zip(items, sent, strict=True):
            ledger.added[item["id"]] = hashlib.sha256(data).hexdigest()
    return [item["id"] for item in items]


def delete(client: httpx.Client, ledger: Ledger, id_: str) -> None:
    answer = client.delete(f"/index/{id_}")
    if answer.status_code != 204:
        raise SystemExit(f"DELETE answered {answer.status_code}: {answer.text}")
    with ledger.lock:
        ledger.deleted.add(id_)


def listed(client: httpx.Client) -> dict[str, dict[str, Any]]:
    """Every item that the server lists, by id."""
    found: dict[str, dict[str, Any]] = {}
    after: str | None = None
    while True:
        answer = client.get("/index", params={"limit": 1000} | ({"after": after} if after else {}))
        if answer.status_code == 404:  # killed before the first photo: no gallery yet
            return found
        page = answer.raise_for_status().json()
        found |= {item["id"]: item for item in page["items"]}
        after = page["next"]
        if after is None:
            return found


def check(server: Server, data: Path, ledger: Ledger, report: Report, seeds: random.Random) -> None:
    """Compare what is there with what was acknowledged."""
    with server.client() as client:
        found = listed(client)
        for id_, sha256 in ledger.added.items():
            gone = id_ in ledger.deleted
            if id_ not in found and not gone and id_ not in ledger.unsure:
                report.missing.append(id_)
            if id_ in found and gone:
                report.came_back.append(id_)
            if id_ in found and found[id_]["sha256"] != sha256:
                report.half_there.append(id_)
        for id_, item in found.items():
            if not whole(data, item["sha256"]):
                report.half_there.append(id_)
        report.unacknowledged_but_whole = sum(id_ not in ledger.added for id_ in found)
        newest = list(found.values())[-20:]
        for item in seeds.sample(newest, min(SAMPLE, len(newest))):
            report.recognized += 1
            if not recognized(client, item):
                report.half_there.append(item["id"])


def whole(data: Path, sha256: str) -> bool:
    """Whether the photo is on disk, byte for byte."""
    path = data / "photos" / sha256[:2] / sha256[2:4] / sha256
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def recognized(client: httpx.Client, item: dict[str, Any]) -> bool:
    """Whether asking with the item's own photo finds the item, at similarity 1."""
    image = client.get(f"/index/{item['id']}/image").raise_for_status().content
    answer = client.post("/recognize", files={"image": image}, data={"top_k": "100"}).raise_for_status().json()
    matched = [match for candidate in answer["candidates"] for match in candidate["items"]]
    return any(match["id"] == item["id"] and match["similarity"] > 0.9999 for match in matched)


def warm_up(arguments: argparse.Namespace, data: Path, ledger: Ledger, seeds: random.Random) -> None:
    """Fill the gallery until additions are quick (the first few hundred get simulated re-photographs as well), so that
    the kills to come hit the writing more often than the embedding."""
    server = Server(arguments, data)
    with server.client() as client:
        while len(ledger.added) < arguments.warm_up:
            add(client, ledger, seeds, photos=20)
    server.kill()


def one_round(arguments: argparse.Namespace, data: Path, ledger: Ledger, report: Report, seeds: random.Random) -> None:
    """Start, work, kill; start again, check, stop."""
    server = Server(arguments, data)
    stop = threading.Event()
    clients = [
        threading.Thread(target=work, args=(server, ledger, random.Random(seeds.getrandbits(60)), stop))
        for _ in range(arguments.clients)
    ]
    for client in clients:
        client.start()
    time.sleep(seeds.uniform(0.0, arguments.longest))
    server.kill()
    stop.set()
    for client in clients:
        client.join()
    report.kills += 1
    again = Server(arguments, data)
    check(again, data, ledger, report, seeds)
    again.kill()  # checking may be cut off as well: the next round starts from there


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--longest", type=float, default=2.0, help="most seconds before a kill")
    parser.add_argument("--warm-up", type=int, default=260, help="items to add before the first kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bundle", type=Path, help="folder of the model bundle; the one that ships if not given")
    parser.add_argument("--database-url", help="an empty PostgreSQL database; SQLite if not given")
    parser.add_argument("--json", type=Path, help="file to write the report to")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    seeds = random.Random(arguments.seed)
    ledger, report = Ledger(), Report()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        warm_up(arguments, Path(folder) / "data", ledger, seeds)
        for _ in range(arguments.kills):
            one_round(arguments, Path(folder) / "data", ledger, report, seeds)
            print(
                f"kill {report.kills}: {len(ledger.added)} items acknowledged, {len(ledger.deleted)} deleted, "
                f"{ledger.cut_off} requests cut off; {len(report.missing)} missing, {len(report.came_back)} came back, "
                f"{len(report.half_there)} half there",
                flush=True,
            )
    report.acknowledged, report.deletions = len(ledger.added), len(ledger.deleted)
    report.cut_off, report.seconds = ledger.cut_off, round(time.monotonic() - started, 1)
    text = json.dumps(vars(report) | {"clean": report.clean}, indent=1)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n", encoding="utf-8")
    return 0 if report.clean else 1


if __name__ == "__main__":
    sys.exit(main())
