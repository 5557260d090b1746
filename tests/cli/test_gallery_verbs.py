"""index and recognize on a data folder, end to end, in processes of their own."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def data(whichone, photos, tmp_path_factory):
    """A data folder that `index add FOLDER` made."""
    folder = tmp_path_factory.mktemp("cli") / "data"
    done = whichone("index", "add", photos / "gallery", data=folder)
    assert done.returncode == 0, done.stderr
    assert b"6 photo(s) added to gallery default, 3 label(s)" in done.stdout
    return folder


def test_a_photo_of_a_known_thing_is_recognised(whichone, photos, data):
    done = whichone("recognize", photos / "cup-again.jpg", "--json", data=data)
    assert done.returncode == 0, done.stderr
    [answer] = json.loads(done.stdout)
    assert answer["candidates"][0]["label"] == "cup"
    assert 0 <= answer["confidence"] <= 1
    assert {"verdict", "threshold", "far_budget", "generation", "model", "timing_ms"} <= set(answer)


def test_from_stdin_and_as_a_table(whichone, photos, data):
    done = whichone("recognize", "-", data=data, stdin=(photos / "cup-again.jpg").read_bytes())
    assert done.returncode == 0, done.stderr
    assert "cup" in done.stdout.decode()


def test_looking_inside(whichone, photos, data):
    done = whichone("recognize", photos / "cup-again.jpg", "--search", "inside", "--json", data=data)
    assert done.returncode == 0, done.stderr
    [answer] = json.loads(done.stdout)
    assert answer["candidates"][0]["label"] == "cup"
    assert answer["box"] is None or len(answer["box"]) == 4
    refused = whichone("recognize", photos / "cup-again.jpg", "--search", "outside", data=data)
    assert refused.returncode == 2
    assert b"whole or inside" in refused.stderr


def test_good_photos_are_answered_beside_bad_ones(whichone, photos, data):
    done = whichone("recognize", photos / "no-picture.jpg", photos / "cup-again.jpg", "--json", data=data)
    assert done.returncode == 2
    assert len(json.loads(done.stdout)) == 1
    assert b"not answered" in done.stderr
    assert done.stderr.strip().splitlines()[-1] == b"error: 1 of 2 photo(s) could not be used; see above"


def test_list_labels_items_galleries(whichone, data):
    labels = json.loads(whichone("index", "list", "--json", data=data).stdout)
    assert labels["labels"] == [{"label": label, "items": 2} for label in ("caffè_été", "cup", "hat")]
    items = json.loads(whichone("index", "list", "--label", "cup", "--json", data=data).stdout)["items"]
    assert [item["label"] for item in items] == ["cup", "cup"]
    galleries = json.loads(whichone("index", "list", "--galleries", "--json", data=data).stdout)["galleries"]
    assert [(row["name"], row["items"]) for row in galleries] == [("default", 6)]


def test_the_same_photos_again_are_the_same_items(whichone, photos, data):
    done = whichone("index", "add", photos / "gallery", "--json", data=data)
    assert done.returncode == 0
    assert all(item["duplicate"] for item in json.loads(done.stdout)["items"])


def test_a_bad_photo_stops_no_good_one(whichone, photos, tmp_path):
    good, bad = photos / "stranger.png", photos / "no-picture.jpg"
    done = whichone("index", "add", good, bad, "--label", "thing", "--json", data=tmp_path / "data")
    assert done.returncode == 2
    document = json.loads(done.stdout)
    assert len(document["items"]) == 1
    assert document["refused"][0]["path"] == str(bad)
    assert done.stderr.strip().splitlines()[-1] == b"error: 1 of 2 photo(s) could not be used; see above"


def test_from_a_csv_and_as_distractors(whichone, photos, tmp_path):
    (tmp_path / "list.csv").write_text(f"path,label\n{photos / 'cup-again.jpg'},mug\n")
    assert whichone("index", "add", tmp_path / "list.csv", data=tmp_path / "data").returncode == 0
    done = whichone("index", "add", photos / "stranger.png", "--distractors", data=tmp_path / "data")
    assert done.returncode == 0, done.stderr
    document = json.loads(whichone("index", "list", "--json", data=tmp_path / "data").stdout)
    assert (document["labels"], document["distractors"]) == ([{"label": "mug", "items": 1}], 1)


def test_build_roll_back_verify_remove(whichone, photos, tmp_path):
    data = tmp_path / "data"
    assert whichone("index", "add", photos / "gallery", data=data).returncode == 0
    first = json.loads(whichone("index", "build", "--json", data=data).stdout)
    assert (first["generation"], first["items"], first["labels"]) == (1, 6, 3)
    removed = whichone("index", "remove", "--label", "hat", "--json", data=data)
    assert json.loads(removed.stdout) == {"removed": 2}
    wrong = whichone("index", "build", "--engine", "tree", data=data)
    assert wrong.returncode == 2
    assert b"'tree' is unknown; there are flat, ivf, hnsw, gpu" in wrong.stderr
    second = json.loads(whichone("index", "build", "--engine", "ivf", "--json", data=data).stdout)
    assert (second["generation"], second["items"], second["asked"], second["recall"]) == (2, 4, "ivf", 1.0)
    back = whichone("index", "rollback", "--json", data=data)
    assert json.loads(back.stdout)["generation"] == 1
    assert json.loads(whichone("index", "list", "--galleries", "--json", data=data).stdout)["galleries"][0]["pinned"]
    whole = json.loads(whichone("index", "verify", "--json", data=data).stdout)
    assert (whole["generations"], whole["items"], whole["lost_photos"], whole["pins"]) == ([1, 2], 4, [], [])
    assert [(one["items"], one["recall"], one["servable"]) for one in whole["checked"]] == [
        (6, None, True),
        (4, 1.0, True),
    ]


def test_advice_is_measured_on_the_gallery(whichone, photos, tmp_path):
    data = tmp_path / "data"
    assert whichone("index", "add", photos / "gallery", data=data).returncode == 0
    advised = whichone("index", "advise", "--items", "2e4", "--memory", "1M", "--json", data=data)
    advice = json.loads(advised.stdout)
    assert (advice["wish"]["items"], advice["wish"]["memory_bytes"], advice["own"]) == (20_000, 1 << 20, 6)
    assert advice["chosen"]["misses"]  # 20,000 photos in a megabyte
    said = whichone("index", "advise", "--items", "2e4", "--memory", "1M", data=data).stdout
    assert b"No engine meets every wish" in said
    assert b"--engine milvus" in said
    wrong = whichone("index", "advise", "--p95", "soon", data=data)
    assert wrong.returncode == 2
    assert b"--p95: came 'soon'; a time would do" in wrong.stderr


def test_verify_finds_a_damaged_photo_and_a_damaged_generation(whichone, photos, tmp_path):
    data = tmp_path / "data"
    assert whichone("index", "add", photos / "stranger.png", "-l", "thing", data=data).returncode == 0
    assert whichone("index", "build", data=data).returncode == 0
    [stored] = [path for path in (data / "photos").rglob("*") if path.is_file() and len(path.name) == 64]
    kept = stored.read_bytes()
    stored.write_bytes(kept[:-1] + b"?")
    lost = whichone("index", "verify", data=data)
    assert lost.returncode == 2
    assert b"gone or damaged" in lost.stderr
    stored.write_bytes(kept)
    items = data / "galleries" / "default" / "generations" / "1" / "items.npz"
    items.write_bytes(items.read_bytes()[:-1])
    corrupt = whichone("index", "verify", data=data)
    assert corrupt.returncode == 2
    assert b"items.npz" in corrupt.stderr


def test_removing_the_last_photo_leaves_an_empty_gallery(whichone, photos, tmp_path):
    data = tmp_path / "data"
    added = json.loads(whichone("index", "add", photos / "stranger.png", "-l", "thing", "--json", data=data).stdout)
    assert whichone("index", "remove", added["items"][0]["id"], data=data).returncode == 0
    [answer] = json.loads(whichone("recognize", photos / "stranger.png", "--json", data=data).stdout)
    assert (answer["verdict"], answer["reason"], answer["candidates"]) == ("unknown", "empty_gallery", [])
