"""index pin, build --force, verify, export and import, in processes of their own."""

from __future__ import annotations

import json


def test_pins_hold_a_build_and_travel_with_an_export(whichone, photos, tmp_path):
    data, file = tmp_path / "data", tmp_path / "shop.whichone"
    assert whichone("index", "add", photos / "gallery", data=data).returncode == 0
    pin = whichone("index", "pin", photos / "gallery" / "cup" / "1.png", "--label", "cup", "--json", data=data)
    assert pin.returncode == 0, pin.stderr
    assert json.loads(pin.stdout)["answer"]["passes"]
    both = whichone("index", "pin", photos / "stranger.png", "--label", "cup", "--unknown", data=data)
    assert both.returncode == 2
    assert both.stderr.strip() == b"error: a pin needs --label NAME, or --unknown; both came"
    assert whichone("index", "build", data=data).returncode == 0
    exported = whichone("index", "export", file, "--json", data=data)
    assert exported.returncode == 0, exported.stderr
    assert json.loads(exported.stdout)["bytes"] == file.stat().st_size

    assert whichone("index", "remove", "--label", "cup", data=data).returncode == 0
    refused = whichone("index", "build", data=data)
    assert refused.returncode == 2
    [line] = refused.stderr.strip().splitlines()
    assert b"breaks 1 of 1 pin(s)" in line

    other = tmp_path / "other"
    imported = whichone("index", "import", file, "--gallery", "shop", "--json", data=other)
    assert imported.returncode == 0, imported.stderr
    body = json.loads(imported.stdout)
    assert (body["generation"], body["items"], body["photos"], body["pins"], body["renamed"]) == (1, 6, 6, 1, 0)
    whole = whichone("index", "verify", "--gallery", "shop", data=other)
    assert whole.returncode == 0, whole.stderr
    assert b"1 generation(s), 6 photo(s) and 1 pin(s) are whole" in whole.stdout
