"""data check, train, export: what their options reach, and what is said where the training extra is not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(find_spec("torch") is None, reason="needs the training extra"),
]

# Python as it is where a module was never installed, or our own was lost.
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
import cli
sys.argv = ["whichone", *{verb!r}]
cli.main()
"""


@pytest.fixture(scope="module")
def run_without(environment):
    """Run a verb where modules are absent; returns the finished process."""

    def run(absent, *verb):
        code = WITHOUT.format(absent=list(absent), verb=[str(part) for part in verb])
        return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)

    return run


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        (["train"], ["RECIPE", "--data", "--out", "--set", "--resume", "--device", "--list", "--show", "--json"]),
        (["data", "check"], ["SOURCE", "--plot", "--json"]),
        (["adapt"], ["SOURCE", "OUT", "--bundle", "--method", "--name", "--cache", "--json"]),
        (["export"], ["CHECKPOINT", "OUT", "--name", "--view", "--photos", "--half", "--int8", "--json"]),
    ],
)
def test_help_says_how_without_torch(run_without, verb, options):
    heavy = ("numpy", "PIL", "torch", "timm", "torchvision", "matplotlib")
    done = run_without(heavy, *verb, "--help")
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode()
    assert [option for option in options if option not in text] == []
    assert "Examples" in text


@pytest.mark.parametrize(
    "verb", [["train", "--list"], ["train", "x", "--show"], ["train", "omniglot", "--data", "x", "--out", "y"]]
)
def test_without_torch_the_extra_is_named(run_without, verb):
    done = run_without(["torch"], *verb)
    message = b"error: this needs torch, which is not installed: pip install 'whichone[train]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", message)


def test_photos_are_checked_without_torch(run_without, photos):
    done = run_without(["torch"], "data", "check", photos / "gallery", "--json")
    assert json.loads(done.stdout)["photos"] == 6, done.stderr
    absent = run_without(["matplotlib"], "data", "check", photos / "gallery")
    assert (absent.returncode, absent.stderr.count(b"\n")) == (2, 1)
    assert b"needs matplotlib" in absent.stderr


def test_a_lost_module_of_our_own_is_a_fault_and_no_extra(run_without):
    done = run_without(["training.commands.train"], "train", "--list")
    assert done.returncode == 1
    assert b"Traceback" in done.stderr
    assert b"pip install" not in done.stderr


@pytest.mark.parametrize(
    ("verb", "message"),
    [
        (["data", "check", "nowhere.csv"], b"no such file"),
        (["data", "check", "imagenet:nowhere"], b"there is no set 'imagenet'"),
        (["train", "omniglot", "--out", "x"], b"--data"),
        (["train", "omniglot", "--data", "x"], b"--out"),
        (["train", "--show"], b"recipe"),
        (["train", "omniglot", "--show", "--set", "stages.0.epoch=3"], b"epochs"),
        (["train", "omniglot", "--data", "x", "--out", "y", "--device", "tpu"], b"'tpu' is not one of"),
        (["adapt", "nowhere.csv", "bundle"], b"no such file"),
        (["adapt", "nowhere.csv", "bundle", "--method", "magic"], b"'magic' is not one of"),
        (["export", "nothing.pt", "bundle"], b"--name"),
        (["export", "nothing.pt", "bundle", "--name", "mine"], b"nothing.pt"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_are_one_line(whichone, tmp_path, verb, message):
    done = whichone(*verb)
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1), done.stderr
    assert done.stderr.startswith(b"error: ")
    assert message.lower() in done.stderr.lower()


def test_recipes_are_listed_and_shown(whichone):
    listed = json.loads(whichone("train", "--list", "--json").stdout)
    assert "omniglot" in [recipe["name"] for recipe in listed]
    shown = whichone("train", "omniglot", "--show", "--set", "seed=7", "--set", "stages.0.epochs=3").stdout.decode()
    assert "seed: 7" in shown
    assert "epochs: 3" in shown


def test_data_check(whichone, photos, tmp_path):
    plot = tmp_path / "out" / "histogram.png"
    fit = whichone("data", "check", photos / "gallery", "--plot", plot)
    assert fit.returncode == 0, fit.stderr
    assert "6 photos, 3 labels" in fit.stdout.decode()
    assert plot.read_bytes().startswith(b"\x89PNG")
    (tmp_path / "photos.csv").write_text(
        f"path,label\n{photos}/gallery/cup/1.png,cup\n{photos}/gallery/hat/1.png,hat\n{photos}/no-picture.jpg,hat\n"
    )
    spoilt = whichone("data", "check", tmp_path / "photos.csv", "--json")
    assert spoilt.returncode == 1, spoilt.stderr
    assert [one["name"] for one in json.loads(spoilt.stdout)["unreadable"]] == [f"{photos}/no-picture.jpg"]
    nowhere = whichone("data", "check", photos / "gallery", "--plot", photos / "stranger.png" / "x.png")
    assert (nowhere.returncode, nowhere.stderr.count(b"\n")) == (2, 1)
    assert b"--plot" in nowhere.stderr


def test_train_go_on_and_export(whichone, photos, tmp_path):
    out = tmp_path / "run"
    small = {
        "stages.0.epochs": 2,
        "stages.0.batch": 2,
        "network.neck.dim": 8,
        "data.split.kind": "by_photo",
        "select": "knn_top1",
    }
    changes = [part for path, value in small.items() for part in ("--set", f"{path}={value}")]
    chosen = ("--data", photos / "gallery", "--out", out, "--device", "cpu", "--json")
    threads = {"OMP_NUM_THREADS": "1"}
    done = whichone("train", "omniglot", *chosen, *changes, **threads)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["recipe"] == "omniglot"
    assert Path(document["best"]).exists()
    resumed = whichone("train", *chosen, "--resume", **threads)
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads(resumed.stdout)["steps"] == document["steps"]
    bundle = tmp_path / "bundle"
    exported = whichone("export", document["best"], bundle, "--name", "mine", "--half", "--json", **threads)
    assert exported.returncode == 0, exported.stderr
    assert json.loads(exported.stdout)["bundle"] == "mine@1"
    assert whichone("bundle", "verify", bundle).returncode == 0
    again = whichone("export", document["best"], bundle, "--name", "mine", **threads)
    assert (again.returncode, again.stderr.count(b"\n")) == (2, 1), "a bundle is never written over"
