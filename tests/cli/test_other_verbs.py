"""keys, bundle, doctor, version, evaluate."""

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


def test_evaluate_refuses_queries_that_are_enrolled(whichone, photos, tmp_path):
    path = photos / "gallery" / "cup" / "1.png"
    (tmp_path / "m.csv").write_text(f"path,label,role\n{path},cup,gallery\n{path},cup,query\n")
    done = whichone("evaluate", tmp_path / "m.csv", "--no-report")
    assert done.returncode == 2
    assert b"serve two ends" in done.stderr
    assert b"line 2" in done.stderr
    assert b"line 3" in done.stderr
