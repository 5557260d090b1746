"""The demo keeps its promise, on the photographs that packages ship and on somebody's own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from embedding.images import decode
from service.demo import photos
from service.demo.photos import GALLERY, SECOND_REAL_PHOTOS, STRANGERS, DemoNeedsExtra, from_folder, shipped
from service.demo.queries import make_queries

ROOT = Path(__file__).resolve().parents[2]


def run_demo(data, *arguments):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WHICHONE_")}
    done = subprocess.run(
        [sys.executable, "-m", "cli", "demo", "--no-serve", "--data", str(data), *arguments],
        env={**environment, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"},
        capture_output=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    data = tmp_path_factory.mktemp("demo")
    return json.loads(run_demo(data, "--json")), data


def test_every_stranger_is_unknown(demo):
    document, _ = demo
    strangers = [query for query in document["queries"] if not query["known"]]
    assert len(strangers) == 3 * len(STRANGERS)
    mistaken = [
        (query["photo"], query["verdict"], query["label"], query["confidence"])
        for query in strangers
        if not query["right"]
    ]
    assert mistaken == []


def test_nine_of_ten_known_things_are_named_rightly(demo):
    document, _ = demo
    known = [query for query in document["queries"] if query["known"]]
    assert len(known) == 3 * len(GALLERY) + len(SECOND_REAL_PHOTOS)
    assert sum(query["label"] == query["shows"] for query in known) >= 0.9 * len(known)


def test_the_real_second_photograph_is_known(demo):
    document, _ = demo
    [real] = [query for query in document["queries"] if query["known"] and query["kind"] == "real"]
    assert real["label"] == "motorcycle"


def test_it_says_what_is_real_and_leaves_a_picture(demo):
    document, _ = demo
    assert [remark.split(":")[0] for remark in document["remarks"]] == ["Real", "Simulated"]
    with Image.open(document["contact_sheet"]) as sheet:
        assert sheet.width > 1000


def test_running_it_again_gives_the_same_answers(demo):
    document, data = demo
    again = json.loads(run_demo(data, "--json"))
    assert again["summary"] == document["summary"]
    assert [query["confidence"] for query in again["queries"]] == [query["confidence"] for query in document["queries"]]


def test_the_shipped_set_is_whole_and_parted():
    pytest.importorskip("skimage")
    chosen = shipped()
    paths = [photo.path for photo in (*chosen.gallery, *chosen.held_out, *chosen.strangers)]
    assert len(set(paths)) == len(paths)
    assert not {photo.label for photo in chosen.gallery} & {photo.label for photo in chosen.strangers}
    assert all(min(decode(path.read_bytes()).size) >= 150 for path in paths)


def test_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(photos.GALLERY, "astronaut", "no_such_package/astronaut.png")
    monkeypatch.setitem(photos.PACKAGES, "no_such_package", "scikit-image")
    with pytest.raises(DemoNeedsExtra, match=r"pip install 'whichone\[demo\]'"):
        shipped()


def make_folder(folder, counts):
    for position, (label, count) in enumerate(counts.items()):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            colour = (40 * position % 256, 30 * number % 256, 90)
            Image.new("RGB", (200 + 10 * position, 160), colour).save(folder / label / f"{number}.png")
    return folder


def test_a_folder_of_ones_own(tmp_path):
    folder = make_folder(tmp_path, {"a": 3, "b": 1, "c": 2, "d": 2, "e": 1, "f": 5})
    chosen = from_folder(folder)
    assert {photo.label for photo in chosen.strangers} == {"f"}
    assert len(chosen.strangers) == 3
    assert [photo.label for photo in chosen.held_out] == ["a", "c", "d"]
    assert [photo.label for photo in chosen.only_one] == ["b", "e"]
    assert [photo.label for photo in chosen.gallery] == ["a", "a", "b", "c", "d", "e"]
    assert "f" in chosen.remarks[-1]
    queries = make_queries(chosen, tmp_path / "queries")
    assert len({query.path for query in queries}) == len(queries) == 3 + 2 * 3 + 3 * 3
    assert {query.kind for query in queries if query.shows == "a"} == {"real"}


def test_with_few_labels_there_are_no_strangers_and_it_says_so(tmp_path):
    chosen = from_folder(make_folder(tmp_path, {"a": 2, "b": 2}))
    assert chosen.strangers == ()
    assert "No strangers" in chosen.remarks[-1]


def test_the_demo_of_a_folder_prints_a_table(tmp_path):
    skimage = pytest.importorskip("skimage")
    shipped_photos = Path(skimage.__file__).parent / "data"
    for name in ("astronaut", "coffee", "chelsea"):
        (tmp_path / "own" / name).mkdir(parents=True)
        (tmp_path / "own" / name / f"{name}.png").write_bytes((shipped_photos / f"{name}.png").read_bytes())
    text = run_demo(tmp_path / "data", "--photos", str(tmp_path / "own"))
    assert "No strangers" in text
    assert "of 9 named rightly" in text


def test_the_server_stays_and_the_lines_to_paste_work(tmp_path):
    pytest.importorskip("skimage")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WHICHONE_")}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "cli", "demo", "--data", str(tmp_path), "--port", port],
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as server:
        try:
            said = []
            while not said or "serving http" not in said[-1]:
                said.append(server.stdout.readline())
                assert said[-1], server.stderr.read()
            curls = [line.strip() for line in said if line.strip().startswith("curl ")]
            answers = [
                json.loads(subprocess.run(["bash", "-c", f"{line} -fsS"], capture_output=True, check=True).stdout)
                for line in curls
            ]
            server.send_signal(signal.SIGINT)
            _, complaints = server.communicate(timeout=60)
        finally:
            server.kill()
    asked, taught, again = answers
    assert asked["verdict"] == "known"
    assert taught["items"][0]["label"] in STRANGERS
    assert again["candidates"][0]["label"] == taught["items"][0]["label"]
    assert server.returncode == 0
    assert "Traceback" not in complaints
