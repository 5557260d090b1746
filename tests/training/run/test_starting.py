"""A run that starts from another run's checkpoint: what fits is taken, what does not is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from tests.training.run.small import draw_photos, small_recipe  # noqa: E402
from training.errors import CheckpointInvalid  # noqa: E402
from training.recipe import Recipe, with_overrides  # noqa: E402
from training.run.building import build_learner, build_network  # noqa: E402
from training.run.checkpoint import Checkpoint, load_checkpoint  # noqa: E402
from training.run.folder import RunFolder  # noqa: E402
from training.run.learner import Learner  # noqa: E402
from training.run.loop import train  # noqa: E402
from training.run.reporting import SilentReporter  # noqa: E402
from training.run.starting import Started, start_from  # noqa: E402
from training.run.trained import load_trained  # noqa: E402

pytestmark = pytest.mark.torch

STAGE = {
    "name": "only",
    "epochs": 1,
    "batch": 12,
    "max_steps": 2,
    "objective": {"terms": [{"loss": {"kind": "cross_entropy"}}, {"loss": {"kind": "arcface", "scale": 16}}]},
    "optimiser": {"kind": "sgd", "lr": 0.01},
    "ema": {"decay": 0.5},
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of six labels."""
    folder = tmp_path_factory.mktemp("first")
    train(small_recipe(stages=[STAGE]), draw_photos(folder / "photos"), folder / "run", device="cpu")
    return RunFolder(folder / "run").best


def _recipe(first: Path, *changes: str) -> Recipe:
    return with_overrides(small_recipe(stages=[STAGE], seed=5), [f"network.weights={first}", *changes])


def _started(recipe: Recipe, labels: tuple[str, ...], first: Path) -> tuple[Learner, Learner, Started]:
    """The learner before and after."""
    counts = torch.ones(len(labels), dtype=torch.int64)
    before, after = (build_learner(recipe, 0, build_network(recipe, len(labels)), counts) for _ in range(2))
    return before, after, start_from(after, recipe, labels, first)


def _same(one: torch.nn.Module, tensors: dict[str, torch.Tensor], prefix: str) -> bool:
    return all(torch.equal(value, tensors[name]) for name, value in one.state_dict().items() if name.startswith(prefix))


def test_with_the_same_labels_all_is_taken(first: Path) -> None:
    checkpoint: Checkpoint = load_checkpoint(first)
    _, after, started = _started(_recipe(first), checkpoint.classes, first)
    assert _same(after, checkpoint.weights, "")
    assert started.fresh == {}
    assert str(started) == f"starting from {first} (small): all of it fits"


@pytest.mark.parametrize("labels", [4, 6])
def test_classifier_and_losses_of_other_labels_begin_anew(first: Path, labels: int) -> None:
    """Also where there are as many."""
    checkpoint = load_checkpoint(first)
    before, after, started = _started(_recipe(first), tuple(f"other {at}" for at in range(labels)), first)
    fresh = dict(before.state_dict())
    for prefix, same in (("network.backbone.", True), ("network.pooling.", True), ("network.neck.", True)):
        assert _same(after, checkpoint.weights, prefix) is same
    for prefix in ("network.classifier.", "objective."):
        assert _same(after, fresh, prefix)
    assert started.fresh
    assert set(started.fresh.values()) == {"other labels"}
    assert all(name.startswith(("network.classifier", "objective")) for name in started.fresh)


def test_a_layer_of_another_shape_begins_anew_whole(first: Path) -> None:
    checkpoint = load_checkpoint(first)
    before, after, started = _started(_recipe(first, "network.neck.bias=false"), checkpoint.classes, first)
    assert started.fresh == {}, "a bias that is not wanted is left where it is"
    before, after, started = _started(_recipe(first, "network.neck.dim=8"), checkpoint.classes, first)
    assert _same(after, checkpoint.weights, "network.backbone.")
    assert _same(after, dict(before.state_dict()), "network.neck.1.weight")
    assert started.fresh["network.neck.1"] == "(8, 96) here, (16, 96) there"
    assert f"network.neck.1 ({started.fresh['network.neck.1']})" in str(started)
    assert "\n" not in str(started)
    # One slope, whatever the width.
    assert "network.neck.3" not in started.fresh


def test_another_kind_of_backbone_is_an_error(first: Path, tmp_path: Path) -> None:
    labels = load_checkpoint(first).classes
    with pytest.raises(CheckpointInvalid, match=r"is of a test_resnet, and the recipe's backbone is resnet10t"):
        _started(_recipe(first, "network.backbone.name=resnet10t"), labels, first)
    with pytest.raises(CheckpointInvalid, match="there is no such checkpoint"):
        _started(_recipe(first), labels, tmp_path / "nothing.pt")


class _Notes(SilentReporter):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_run_says_it_in_one_line_and_keeps_it(first: Path, tmp_path: Path) -> None:
    """And neither going on nor using the result needs the first run any more."""
    photos = draw_photos(tmp_path / "photos", labels=4)
    reporter, out = _Notes(), tmp_path / "run"
    moved = tmp_path / "first.pt"
    moved.write_bytes(first.read_bytes())
    recipe = _recipe(moved)
    train(recipe, photos, out, device="cpu", reporter=reporter)
    assert [note for note in reporter.notes if note.startswith(f"starting from {moved} (small): left fresh: ")]
    facts = json.loads((out / "run.json").read_text())["started_from"]
    assert set(facts["fresh"].values()) == {"other labels"}
    moved.unlink()
    train(recipe, photos, out, device="cpu", resume=True)
    assert len(load_trained(RunFolder(out).best).classes) == 4


def test_a_neck_that_began_as_the_classifier_is_read_again(tmp_path: Path) -> None:
    """Its first weights are those of the checkpoint, and no pretrained ones are asked for."""
    recipe = with_overrides(small_recipe(stages=[STAGE]), ["network.neck={kind: linear, dim: 16, start: classifier}"])
    assert build_network(recipe, 4, pretrained=False).dim == 16
