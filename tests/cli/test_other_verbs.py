"""keys, audit, bundle, doctor, version, evaluate."""

from __future__ import annotations

import json

from embedding.bundle import Bundle


def test_a_key_is_shown_once_alone_on_stdout(whichone, tmp_path):
    data = tmp_path / "data"
    key = whichone("keys", "create", "phone", data=data).stdout.decode().strip()
    assert key.startswith("wo_")
    listed = whichone("keys", "list", "--json", data=data).stdout.decode()
    assert key not in listed
    assert [(row["name"], row["scopes"]) for row in json.loads(listed)["keys"]] == [("phone", ["recognize"])]
    assert whichone("keys", "revoke", "phone", data=data).returncode == 0
    assert json.loads(whichone("keys", "list", "--json", data=data).stdout)["keys"][0]["revoked_at"]
    gone = whichone("keys", "revoke", "phon", data=data)
    assert gone.returncode == 2
    assert b"there are: 'phone'" in gone.stderr


def test_a_key_for_one_gallery_is_rotated_and_all_of_it_written_down(whichone, tmp_path):
    data = tmp_path / "data"
    options = ("--scope", "index", "-g", "shop", "--expires", "90d", "--rate", "600/min")
    first = json.loads(whichone("keys", "create", "import", *options, "--json", data=data).stdout)
    second = whichone("keys", "rotate", "import", "--grace", "2h", data=data).stdout.decode().strip()
    assert second.startswith("wo_")
    assert second != first["key"]
    [row] = json.loads(whichone("keys", "list", "--json", data=data).stdout)["keys"]
    assert (row["galleries"], row["rate"], row["expires_at"]) == (["shop"], "600/min", first["expires_at"])
    assert row["previous_until"] < row["expires_at"]
    written = whichone("audit", "--json", "--since", "1h", "--limit", "5", data=data).stdout.decode()
    entries = json.loads(written)["entries"]
    assert [(entry["actor"], entry["action"], entry["subject"]) for entry in entries] == [
        ("command", "key_rotated", "import"),
        ("command", "key_created", "import"),
    ]
    assert first["key"] not in written
    assert second not in written
    table = whichone("audit", "--action", "key_rotated", data=data, COLUMNS="200").stdout.decode()
    assert table.count("key_") == 1
    assert whichone("keys", "rotate", "nobody", data=data).returncode == 2


def test_keys_need_no_model(whichone, tmp_path):
    data, nowhere = tmp_path / "data", str(tmp_path / "no-bundle")
    assert whichone("keys", "create", "phone", data=data, WHICHONE_BUNDLE=nowhere).returncode == 0
    assert b"phone" in whichone("keys", "list", data=data, WHICHONE_BUNDLE=nowhere).stdout
    assert whichone("index", "list", data=data).returncode == 0  # the folder that keys began, any other verb completes
    assert b"no gallery" in whichone("keys", "list", data=tmp_path / "mistyped").stderr
    assert not (tmp_path / "mistyped").exists()


def test_bundle(whichone):
    info = json.loads(whichone("bundle", "info", "--json").stdout)
    shipped = Bundle.open()
    assert (info["id"], info["sha256"], info["dim"]) == (shipped.id, shipped.sha256, shipped.manifest.dim)
    assert "licence" in whichone("bundle", "info").stdout.decode()
    assert json.loads(whichone("bundle", "verify", "--json").stdout)["whole"] is True


def test_doctor_finds_nothing_wrong_and_makes_nothing(whichone, tmp_path):
    done = whichone("doctor", "--json", data=tmp_path / "data")
    assert done.returncode == 0, done.stdout
    document = json.loads(done.stdout)
    assert document["problems"] == 0
    areas = {finding["area"] for finding in document["findings"]}
    assert {"python", "devices", "bundle", "data"} <= areas
    assert not (tmp_path / "data").exists()


def test_doctor_says_what_to_do(whichone, tmp_path):
    (tmp_path / "data").write_text("a file where a folder should be")
    done = whichone("doctor", "--json", data=tmp_path / "data", WHICHONE_BUNDLE=str(tmp_path))
    assert done.returncode == 1
    problems = [finding for finding in json.loads(done.stdout)["findings"] if finding["level"] == "problem"]
    assert {finding["area"] for finding in problems} == {"bundle", "data"}
    assert any("WHICHONE_DATA" in finding["remedy"] for finding in problems)


def test_version(whichone):
    assert set(json.loads(whichone("version", "--json").stdout)) == {"whichone", "python"}


def test_evaluate(whichone, photos, tmp_path):
    lines = ["path,label,is_known,role"]
    for label in ("cup", "hat"):
        lines.append(f"{photos}/gallery/{label}/1.png,{label},,gallery")
        lines.append(f"{photos}/gallery/{label}/2.jpg,{label},1,query")
    lines.append(f"{photos}/stranger.png,,0,query")
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n")
    report = tmp_path / "out" / "report.html"
    done = whichone("evaluate", tmp_path / "m.csv", "--report", report, "--json", "--cache", tmp_path / "kept.npz")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["counts"]["queries_known"] == 2
    assert document["systems"][0]["figures"]["top_1"]["value"] == 1
    assert json.loads(report.with_suffix(".json").read_text()) == document
    assert "<html" in report.read_text()
    table = whichone("evaluate", tmp_path / "m.csv", "--no-report", "--cache", tmp_path / "kept.npz")
    assert "false-accept rate" in table.stdout.decode()


def test_evaluate_compares(whichone, photos, tmp_path):
    kept = tmp_path / "kept.npz"
    made = whichone(
        "protocol", "make", "one-shot", "--photos", photos / "gallery", "--out", tmp_path / "m.csv", "--json"
    )
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout) == {
        "manifest": str(tmp_path / "m.csv"),
        "labels": 3,
        "gallery": 3,
        "calibrate": 0,
        "queries": 3,
        "queries_unknown": 0,
        "distractors": 0,
    }
    (tmp_path / "bare.json").write_text('{"adaptation": {"wccn": "off"}, "verification": {"mode": "off"}}')
    done = whichone(
        *("evaluate", tmp_path / "m.csv", "--cache", kept, "--compare", tmp_path / "bare.json"),
        *("--report", tmp_path / "r.html", "--plots", tmp_path / "plots", "--official", "humpback-whale"),
    )
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "r.json").read_text())
    assert [system["name"] for system in document["systems"]] == ["Whichone", "bare", "Yardstick (1-NN)"]
    assert document["systems"][1]["differences"]["top_1"]["reading"] == "no difference seen"
    assert document["systems"][1]["cost_ms"]["median"] > 0
    assert document["official"]["figures"]["Whichone"]["MAP@5"] > 0
    assert (tmp_path / "r-submission.csv").read_text().startswith("Image,Id\n")
    assert {path.stem for path in (tmp_path / "plots").iterdir()} >= {"differences", "budgets", "reliability"}
    printed = done.stdout.decode()
    assert "difference to Whichone" in printed
    assert "MAP@5" in printed
    recall = whichone("protocol", "recall", tmp_path / "m.csv", "--at", "1,5", "--cache", kept, "--json")
    assert recall.returncode == 0, recall.stderr
    assert json.loads(recall.stdout)["recall"] == {"1": 1.0, "5": 1.0}


def test_a_public_set_is_read(whichone, tmp_path):
    for name in ("train/n01/a.jpg", "val/n01/b.jpg", "val/n02/c.jpg"):
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(b"")
    done = whichone("protocol", "read", "class-folders", tmp_path / "set", "--out", tmp_path / "m.csv")
    assert done.returncode == 0, done.stderr
    assert "1 labels, 1 gallery photos, 0 to calibrate with, 2 to ask about (1 of them unknown)" in done.stdout.decode()
    assert b"official figure: top-1" in done.stderr


def test_evaluate_refuses_queries_that_are_enrolled(whichone, photos, tmp_path):
    path = photos / "gallery" / "cup" / "1.png"
    (tmp_path / "m.csv").write_text(f"path,label,role\n{path},cup,gallery\n{path},cup,query\n")
    done = whichone("evaluate", tmp_path / "m.csv", "--no-report")
    assert done.returncode == 2
    assert b"serve two ends" in done.stderr
    assert b"line 2" in done.stderr
    assert b"line 3" in done.stderr
