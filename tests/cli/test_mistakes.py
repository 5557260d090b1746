"""Mistakes: one line on stderr that says what would do, exit code 2, and nothing changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

MISTAKES = [
    (["recogniz"], "did you mean 'recognize'"),
    (["recognize"], "missing argument"),
    (["recognize", "x.jpg", "--top-q", "3"], "no such option"),
    (["recognize", "x.jpg", "--top-k", "0"], "top-k"),
    (["recognize", "x.jpg"], "there is no gallery in"),
    (["recognize", "x.jpg", "--box", "1,2,3"], "box"),
    (["recognize", "x.jpg", "--where", "store"], "takes name=value"),
    (["recognize", "x.jpg", "--where", "a=1", "--where", "a=2"], "twice"),
    (["index", "list"], "there is no gallery in"),
    (["index", "add", "nowhere.jpg", "-l", "cup"], "no such file"),
    (["index", "add", "{photo}"], "--label"),
    (["index", "add", "{photo}", "-l", "cup", "--distractors"], "exclude each other"),
    (["index", "add", "{empty}"], "no photos in"),
    (["index", "add", "{photo}", "-l", "cup", "--gallery", "No Good"], "gallery"),
    (["index", "remove"], "what is to be removed"),
    (["index", "verify", "--gallery", "x"], "there is no gallery in"),
    (["keys", "create", "app", "--scope", "root"], "scopes are recognize, index, admin"),
    (["keys", "create", "app", "--rate", "often"], "600/min"),
    (["keys", "create", "app", "--expires", "soon"], "90d"),
    (["keys", "create", "app", "--gallery", "A shop"], "not a gallery name"),
    (["keys", "rotate", "app", "--grace", "a while"], "24h"),
    (["audit", "--action", "burned"], "label_deleted"),
    (["audit", "--since", "yesterday"], "90d"),
    (["bundle", "verify", "{empty}"], "no bundle in"),
    (["evaluate"], "either one manifest.csv"),
    (["evaluate", "nowhere.csv"], "no such file"),
    (["evaluate", "nowhere.csv", "--compare", "none.json"], "none.json: there is no such file"),
    (["evaluate", "nowhere.csv", "--official", "imagenet"], "there is no set 'imagenet'"),
    (["protocol", "make", "two-shot", "--photos", "{empty}", "--out", "m.csv"], "there is no protocol 'two-shot'"),
    (["protocol", "make", "few-shot", "--photos", "{empty}", "--out", "m.csv"], "no photos in its sub-folders"),
    (["protocol", "make", "time", "--photos", "{empty}", "--out", "m.csv"], "needs --column"),
    (["protocol", "make", "cross-set", "--photos", "{empty}", "--out", "m.csv"], "needs --distractors"),
    (["protocol", "read", "imagenet", "{empty}", "--out", "m.csv"], "there is no set 'imagenet'"),
    (["protocol", "recall", "{empty}", "--at", "0"], "no list of numbers above 0"),
    (["demo", "--photos", "{empty}", "--no-serve"], "no sub-folder with photos"),
    (["demo", "--photos", "nowhere", "--no-serve"], "is no folder"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), MISTAKES, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_one_line_and_exit_code_2(whichone, photos, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    places = {"photo": photos / "stranger.png", "empty": tmp_path / "empty"}
    done = whichone(*(argument.format(**places) for argument in arguments), data=tmp_path / "data")
    lines = done.stderr.decode().strip().splitlines()
    assert done.returncode == 2, done.stderr
    assert [line.startswith("error: ") for line in lines if not line.startswith("not added: ")] == [True]
    assert message in done.stderr.decode().lower()
    assert done.stdout == b""


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WHICHONE_PROT": "1"}, b"did you mean WHICHONE_PORT?"),
        ({"WHICHONE_PORT": "high"}, b"WHICHONE_PORT cannot be used"),
        ({"WHICHONE_BUNDLE": "/nowhere"}, b"/nowhere"),
    ],
)
def test_settings(whichone, photos, tmp_path, variables, message):
    done = whichone("index", "add", photos / "stranger.png", "-l", "x", data=tmp_path / "data", **variables)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_gpu_that_is_not_there_is_a_mistake_not_a_fall_back(whichone, photos, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has CUDA")
    done = whichone("index", "add", photos / "stranger.png", "-l", "x", data=tmp_path / "data", WHICHONE_DEVICE="cuda")
    assert done.returncode == 2
    assert b"cuda" in done.stderr.lower()


@pytest.mark.parametrize(
    "verb",
    [
        [],
        ["serve"],
        ["index"],
        ["index", "add"],
        ["jobs", "show"],
        ["worker"],
        ["keys"],
        ["bundle"],
        ["evaluate"],
        ["demo"],
        ["doctor"],
        ["protocol", "make"],
    ],
)
def test_help_says_how_and_loads_nothing_heavy(whichone, verb):
    code = (
        "import sys, cli\n"
        f"sys.argv = ['whichone', *{verb!r}, '--help']\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'numpy', 'onnxruntime', 'faiss', 'sqlalchemy', 'fastapi', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    environment = {"PYTHONPATH": os.getcwd(), "PATH": os.environ["PATH"], "COLUMNS": "120"}  # noqa: PTH109
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert "Usage" in text
    if len(verb) == 2 or verb in (["serve"], ["explain"], ["evaluate"], ["demo"], ["doctor"]):
        assert "Examples" in text


def test_serve_help_lists_every_setting(whichone):
    from service.settings import Settings  # noqa: PLC0415

    text = whichone("serve", "--help").stdout.decode()
    assert [name for name in Settings.model_fields if f"WHICHONE_{name.upper()}" not in text] == []


def test_ctrl_c_ends_a_long_verb_quietly(environment, photos, tmp_path):
    server = subprocess.Popen(
        [sys.executable, "-u", "-m", "cli", "serve", "--port", "0"],
        env={**environment, "WHICHONE_DATA": str(tmp_path / "data")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        line = server.stdout.readline().decode()
        address = line.split()[-1]
        assert address.startswith("http://127.0.0.1:"), line
        with urllib.request.urlopen(f"{address}/readyz", timeout=20) as answer:
            assert answer.status == 200
        server.send_signal(signal.SIGINT)
        _, stderr = server.communicate(timeout=60)
    finally:
        server.kill()
    assert server.returncode == 0
    assert b"Traceback" not in stderr


@pytest.mark.parametrize("reader", ["head -1", "true"], ids=["after a line", "before any"])
def test_a_reader_that_stops_reading_is_no_mistake(environment, whichone, photos, tmp_path, reader):
    assert whichone("index", "add", photos / "gallery", data=tmp_path / "data").returncode == 0
    command = f"{sys.executable} -m cli index list --json | {reader}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command],
        env={**environment, "WHICHONE_DATA": str(tmp_path / "data")},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
