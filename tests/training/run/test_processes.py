"""Runs in processes of their own: two that train together, and one that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from tests.training.run.small import draw_photos, small_recipe  # noqa: E402
from training.recipe import Recipe, with_overrides  # noqa: E402
from training.run.checkpoint import load_checkpoint  # noqa: E402
from training.run.folder import RunFolder  # noqa: E402
from training.run.loop import train  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def _together() -> Recipe:
    """Without batch norms and dropout, whose numbers hang on how a batch is shared out; the losses compare photos, and
    weigh them by class."""
    arcface = {"loss": {"kind": "arcface", "scale": 16, "class_weights": "inverse_log"}}
    stage: dict[str, Any] = {
        "name": "only",
        "epochs": 4,
        "batch": 8,
        "sampler": {"kind": "per_label", "photos": 2},
        "objective": {"terms": [arcface, {"loss": {"kind": "triplet"}}, {"loss": {"kind": "cross_entropy"}}]},
        "optimiser": {"kind": "sgd", "lr": 0.02},
        "schedule": {"kind": "cosine"},
        "clip": 5.0,
    }
    network = {
        "backbone": {"name": "test_convnext"},
        "neck": {"kind": "linear", "dim": 16},
        "classifier": {"kind": "linear"},
    }
    return small_recipe(network=network, stages=[stage], evaluation={"gallery_per_label": 3})


def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    photos = draw_photos(tmp_path / "photos")
    recipe = _together()
    (tmp_path / "recipe.yaml").write_text(recipe.yaml())
    command = ["-m", "training.commands.train", str(tmp_path / "recipe.yaml"), "--data", str(photos), "--device", "cpu"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    subprocess.run(
        [*launch, *command, "--out", str(tmp_path / "two"), "--json"],
        env=ENVIRONMENT, check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    train(recipe, photos, tmp_path / "one", device="cpu")
    assert json.loads((tmp_path / "two" / "run.json").read_text())["processes"] == 2
    one, two = (RunFolder(tmp_path / name).lines() for name in ("one", "two"))
    assert [line["step"] for line in one] == [line["step"] for line in two]
    for expected, got in zip(one, two, strict=True):
        if expected["kind"] == "steps":
            assert got["losses"] == pytest.approx(expected["losses"], rel=2e-4)
        else:
            assert got["metrics"] == pytest.approx(expected["metrics"], abs=1e-9)
    weights = [load_checkpoint(RunFolder(tmp_path / name).last).learner for name in ("one", "two")]
    for name, value in _first_weights(recipe).items():
        torch.testing.assert_close(weights[1][name], weights[0][name], atol=2e-5, rtol=1e-3)
        if name in ("network.neck.weight", "objective.losses.arcface.classifier.weight"):
            assert (weights[0][name] - value).abs().max() > 1e-3, "far more than the two runs differ by"


def _first_weights(recipe: Recipe) -> dict[str, Any]:
    from training.run.building import build_learner, build_network  # noqa: PLC0415

    learner = build_learner(recipe, 0, build_network(recipe, 6), torch.full((6,), 6))
    return {name: one.detach().clone() for name, one in learner.named_parameters()}


_KILLED = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from training.recipe import load_recipe
from training.run.loop import train
from training.run.reporting import SilentReporter
class Killer(SilentReporter):
    left = int(sys.argv[4])
    def step(self, done, photos, lr):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
train(load_recipe(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), device="cpu", reporter=Killer())
"""


@pytest.mark.parametrize("after", [6, 11])
def test_a_run_that_was_killed_ends_as_if_it_had_not_been(tmp_path: Path, after: int) -> None:
    photos = draw_photos(tmp_path / "photos")
    recipe = with_overrides(small_recipe(), ["machine.checkpoint_steps=5"])
    (tmp_path / "recipe.yaml").write_text(recipe.yaml())
    arguments = [str(tmp_path / "recipe.yaml"), str(photos), str(tmp_path / "killed"), str(after)]
    died = subprocess.run([sys.executable, "-c", _KILLED, *arguments], env=ENVIRONMENT, check=False, timeout=300)
    assert died.returncode == -signal.SIGKILL
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(recipe, photos, tmp_path / "killed", device="cpu", resume=True)
        train(recipe, photos, tmp_path / "whole", device="cpu")
    finally:
        torch.set_num_threads(threads)
    killed, whole = (load_checkpoint(RunFolder(tmp_path / name).last) for name in ("killed", "whole"))
    assert all(torch.equal(killed.learner[name], whole.learner[name]) for name in whole.learner)
    assert killed.history == whole.history
    assert RunFolder(tmp_path / "killed").lines() == RunFolder(tmp_path / "whole").lines()
