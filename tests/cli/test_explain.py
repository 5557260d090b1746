"""`whichone explain`: a verdict made again, and exit codes that a script can go by."""

from __future__ import annotations

import json

import pytest
from PIL import Image


@pytest.fixture(scope="module")
def data(whichone, photos, tmp_path_factory):
    """A data folder whose gallery verifies."""
    folder = tmp_path_factory.mktemp("explain") / "data"
    done = whichone("index", "add", photos / "gallery", data=folder, WHICHONE_VERIFICATION="on")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def receipt(whichone, photos, data, tmp_path_factory):
    """The receipt of a photo of the cup, as it was printed."""
    done = whichone("recognize", photos / "cup-again.jpg", "--json", "--explain", data=data)
    assert done.returncode == 0, done.stderr
    path = tmp_path_factory.mktemp("receipts") / "receipt.json"
    path.write_bytes(done.stdout)
    [answer] = json.loads(done.stdout)
    assert answer["receipt"]["labels"][0]["label"] == "cup"
    return path


def explained(done):
    return json.loads(done.stdout)


def test_the_same_gallery_gives_the_identical_verdict(whichone, data, receipt):
    done = whichone("explain", receipt, "--json", data=data)
    assert done.returncode == 0, done.stderr
    found = explained(done)
    assert found["reproduced"]
    assert found["arithmetic"] == {"adds_up": True, "faults": []}
    assert (found["gallery"]["same_state"], found["gallery"]["differences"]) == (True, [])
    table = whichone("explain", receipt, data=data).stdout.decode()
    assert "identical verdict" in table
    assert "intercept" in table


def test_the_photo_gives_it_from_its_bytes_and_a_picture(whichone, photos, data, receipt, tmp_path):
    picture = tmp_path / "matches.png"
    done = whichone("explain", receipt, "--photo", photos / "cup-again.jpg", "--draw", picture, "--json", data=data)
    assert done.returncode == 0, done.stderr
    assert explained(done)["photo"] == {"same": True, "reason": ""}
    [answer] = json.loads(receipt.read_text())
    if answer["receipt"]["verified"]:
        with Image.open(picture) as drawn:
            assert drawn.width > drawn.height
    else:
        assert b"nothing is drawn" in done.stderr
    other = whichone("explain", receipt, "--photo", photos / "stranger.png", "--json", data=data)
    assert other.returncode == 1
    assert "another file" in explained(other)["photo"]["reason"]


def test_a_forged_receipt_is_found_out(whichone, data, receipt, tmp_path):
    [answer] = json.loads(receipt.read_text())
    answer["receipt"]["decision"]["confidence"] = 0.123
    (tmp_path / "forged.json").write_text(json.dumps(answer))  # a single answer will do
    done = whichone("explain", tmp_path / "forged.json", data=tmp_path / "nowhere")
    assert done.returncode == 1
    assert "does not add up" in done.stdout.decode()
    assert "0.123" in done.stdout.decode()


def test_without_a_gallery_the_receipt_stands_alone(whichone, receipt, tmp_path):
    [answer] = json.loads(receipt.read_text())
    (tmp_path / "alone.json").write_text(json.dumps(answer["receipt"]))
    done = whichone("explain", tmp_path / "alone.json", "--json", data=tmp_path / "nowhere")
    assert done.returncode == 0, done.stderr
    assert explained(done)["gallery"]["asked"] is False
    assert not (tmp_path / "nowhere").exists()


def test_a_gallery_that_moved_on_says_so_and_a_generation_remembers(whichone, photos, tmp_path):
    data = tmp_path / "data"
    assert whichone("index", "add", photos / "gallery", data=data).returncode == 0
    before = tmp_path / "before.json"
    before.write_bytes(whichone("recognize", photos / "cup-again.jpg", "--json", "--explain", data=data).stdout)
    assert whichone("index", "build", data=data).returncode == 0
    after = tmp_path / "after.json"
    after.write_bytes(whichone("recognize", photos / "cup-again.jpg", "--json", "--explain", data=data).stdout)
    assert whichone("index", "remove", "--label", "cup", data=data).returncode == 0
    for path in (before, after):
        gallery = explained(whichone("explain", path, "--json", data=data))["gallery"]
        assert (gallery["where"], gallery["same_state"], gallery["differences"]) == ("generation 1", True, [])
    moved = tmp_path / "moved.json"
    moved.write_bytes(whichone("recognize", photos / "cup-again.jpg", "--json", "--explain", data=data).stdout)
    assert whichone("index", "remove", "--label", "hat", data=data).returncode == 0
    done = whichone("explain", moved, "--json", data=data)
    assert done.returncode == 0  # another verdict proves nothing now
    assert explained(done)["gallery"]["same_state"] is False
    assert "moved on" in whichone("explain", moved, data=data).stdout.decode()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no JSON", b"no JSON file"),
        (b"{}", b"has no receipt"),
        (b"[]", b"holds 0 answers"),
        (b'{"format": "whichone-receipt/9"}', b"this is no receipt"),
        (b"3", b"this is no receipt"),
    ],
)
def test_what_is_no_receipt_is_a_mistake(whichone, tmp_path, content, message):
    (tmp_path / "x.json").write_bytes(content)
    done = whichone("explain", tmp_path / "x.json", data=tmp_path / "data")
    assert (done.returncode, done.stdout) == (2, b"")
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_other_mistakes(whichone, photos, data, receipt, tmp_path):
    assert b"no JSON file" in whichone("explain", tmp_path / "nowhere.json", data=data).stderr
    draw = whichone("explain", receipt, "--draw", tmp_path / "x.png", data=data)
    assert (draw.returncode, b"--photo" in draw.stderr) == (2, True)
    lost = whichone("explain", receipt, "--photo", tmp_path / "x.jpg", data=data)
    assert (lost.returncode, b"cannot be read" in lost.stderr) == (2, True)
    plain = whichone("recognize", photos / "stranger.png", "--explain", data=data)
    assert (plain.returncode, b"--json" in plain.stderr) == (2, True)


def test_refresh(whichone, photos, tmp_path):
    data = tmp_path / "data"
    assert whichone("index", "add", photos / "gallery", data=data, WHICHONE_VERIFICATION="off").returncode == 0
    assert (
        b"6 of 6 photo(s) of gallery default have no local"
        in whichone("index", "list", "--galleries", data=data).stderr
    )
    done = whichone("index", "refresh", "--json", data=data)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"refreshed": 6, "unreadable": []}
    assert b"0 photo(s)" in whichone("index", "refresh", data=data).stdout
    galleries = json.loads(whichone("index", "list", "--galleries", "--json", data=data).stdout)["galleries"]
    assert {choice["part"] for choice in galleries[0]["choices"]} == {
        "adaptation",
        "centring",
        "ranking",
        "verification",
    }
    table = whichone("index", "list", "--galleries", data=data)
    assert b"verification: " in table.stdout
    assert table.stderr == b""
