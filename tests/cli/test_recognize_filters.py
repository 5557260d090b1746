"""`whichone recognize --label --where`, and its receipts."""

from __future__ import annotations

import json

import pytest

from service.gallery.item_repository import ItemFilter
from service.gallery.service import ItemChange
from service.settings import Settings
from service.workspace import Workspace


@pytest.fixture(scope="module")
def data(whichone, photos, tmp_path_factory):
    """A gallery whose photos of the cup are of store "12", and all others of store 12."""
    folder = tmp_path_factory.mktemp("filters") / "data"
    done = whichone("index", "add", photos / "gallery", data=folder, WHICHONE_VERIFICATION="off")
    assert done.returncode == 0, done.stderr
    workspace = Workspace(Settings.load({}, data=folder))
    for item in workspace.gallery.page("default", ItemFilter(), after=0, limit=500).items:
        store = "12" if item.label == "cup" else 12
        workspace.gallery.change("default", item.id, ItemChange(frozenset({"metadata"}), metadata={"store": store}))
    workspace.close()
    return folder


def asked(whichone, data, photo, *options):
    done = whichone("recognize", photo, "--json", *options, data=data, WHICHONE_VERIFICATION="off")
    assert done.returncode == 0, done.stderr
    [answer] = json.loads(done.stdout)
    return answer


def test_a_number_is_not_its_text(whichone, photos, data):
    others = {folder.name for folder in (photos / "gallery").iterdir()} - {"cup"}
    number = asked(whichone, data, photos / "cup-again.jpg", "--where", "store=12", "--top-k", "100")
    assert {candidate["label"] for candidate in number["candidates"]} == others


def test_a_receipt_is_explained_within_its_filter(whichone, photos, data, tmp_path):
    photo, receipt = photos / "cup-again.jpg", tmp_path / "receipt.json"
    answer = asked(whichone, data, photo, "--explain", "-l", "cup", "--where", 'store="12"')
    assert [candidate["label"] for candidate in answer["candidates"]] == ["cup"]
    receipt.write_text(json.dumps(answer))
    done = whichone("explain", receipt, "--json", "--photo", photo, data=data)
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert (found["gallery"]["same_state"], found["gallery"]["differences"]) == (True, [])
    told = whichone("explain", receipt, data=data)
    assert b'Asked within {"labels":["cup"],"where":{"store":"12"}}' in told.stdout.replace(b"\n", b"")
    assert b"identical verdict" in told.stdout


def test_an_unknown_label_is_an_error(whichone, photos, data):
    done = whichone("recognize", photos / "cup-again.jpg", "--label", "saucer", data=data)
    assert done.returncode == 2
    assert b"'saucer'" in done.stderr
