from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from tests.training.run.small import draw_photos, small_recipe  # noqa: E402
from training.errors import CheckpointInvalid, PhotosUnusable, RecipeInvalid, RunFailed  # noqa: E402
from training.recipe import Recipe, with_overrides  # noqa: E402
from training.run.checkpoint import Checkpoint, load_checkpoint  # noqa: E402
from training.run.folder import RunFolder  # noqa: E402
from training.run.loop import train  # noqa: E402
from training.run.reporting import SilentReporter  # noqa: E402
from training.run.trained import load_trained  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(small_recipe(), photos, out, device="cpu")
    return out


class _Signals(SilentReporter):
    """Sends this process a real signal after so many steps of the run."""

    def __init__(self, after: int, number: signal.Signals) -> None:
        self.left, self.number = after, number

    def step(self, done: int, photos: int, lr: float) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), self.number)


def _tensors(state: Any) -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(state, torch.Tensor):
        yield "", state
    elif isinstance(state, dict):
        for key, value in state.items():
            yield from ((f"{key}.{name}", tensor) for name, tensor in _tensors(value))


def _assert_same_to_the_bit(got: Checkpoint, expected: Checkpoint) -> None:
    for part in ("learner", "average", "optimiser"):
        one, other = dict(_tensors(getattr(got, part))), dict(_tensors(getattr(expected, part)))
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in other), part
    assert got.position == expected.position
    assert got.history == expected.history
    assert got.best == expected.best


# ---------------------------------------------------------------- a whole run


def test_a_run_leaves_what_it_says(whole: Path) -> None:
    found = sorted(path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file())
    expected = ["best.pt", "last.pt", "stage-0-first.pt", "stage-1-second.pt"]
    assert [name for name in found if name.startswith("checkpoints")] == [f"checkpoints/{name}" for name in expected]
    assert {"recipe.yaml", "run.json", "log.jsonl", "curves.png"} <= set(found)
    facts = json.loads((whole / "run.json").read_text())
    assert facts["classes"] == 6
    assert facts["training_photos"] + facts["validation_photos"] == 48
    assert len(facts["data"]) == 64
    assert torch.__version__.startswith(facts["versions"]["torch"])


def test_it_learns(whole: Path) -> None:
    lines = RunFolder(whole).lines()
    epochs = [line for line in lines if line["kind"] == "epoch"]
    assert [line["stage"] for line in epochs] == ["first"] * 3 + ["second"] * 2
    first = [line["losses"]["arcface"] for line in lines if line["kind"] == "steps" and line["stage"] == "second"]
    assert first[-1] < first[0]
    assert load_checkpoint(RunFolder(whole).best).best == max(line["metrics"]["knn_top1"] for line in epochs)
    assert max(line["metrics"]["knn_top1"] for line in epochs) > 0.5


def test_every_metric_of_the_issue_is_logged(whole: Path) -> None:
    metrics = RunFolder(whole).lines()[-1]["metrics"]
    wanted = {
        "recall_1",
        "map_100",
        "knn_gap",
        "knn_map5",
        "knn_top1",
        "knn_top5",
        "classifier_top1",
        "classifier_top5",
    }
    assert wanted <= metrics.keys()


def test_a_trained_network_gives_unit_vectors_and_scores(whole: Path) -> None:
    trained = load_trained(RunFolder(whole).best)
    vectors, scores = trained.embedder(with_scores=True)(torch.rand(3, 3, 32, 32))
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    assert scores.shape == (3, 6)
    assert trained.classes.labels[0] == "thing 0"


def test_the_same_recipe_gives_the_same_weights(whole: Path, photos: Path, tmp_path: Path) -> None:
    train(small_recipe(), photos, tmp_path / "again", device="cpu")
    _assert_same_to_the_bit(load_checkpoint(RunFolder(tmp_path / "again").last), load_checkpoint(RunFolder(whole).last))


def test_another_seed_gives_others(whole: Path, photos: Path, tmp_path: Path) -> None:
    recipe = with_overrides(small_recipe(seed=1), ["stages.0.max_steps=1", "stages.1.max_steps=1"])
    train(recipe, photos, tmp_path / "other", device="cpu")
    state = load_checkpoint(RunFolder(tmp_path / "other").last).learner
    theirs = load_checkpoint(RunFolder(whole).last).learner
    assert not torch.equal(state["network.neck.1.weight"], theirs["network.neck.1.weight"])


# ---------------------------------------------------------------- interrupted


@pytest.mark.parametrize(
    ("after", "number", "raised"),
    [
        (1, signal.SIGINT, KeyboardInterrupt),
        (7, signal.SIGTERM, SystemExit),  # in the second epoch, whose pieces, mixing and average are under way
        (12, signal.SIGINT, KeyboardInterrupt),  # the last step of the first stage
        (14, signal.SIGTERM, SystemExit),
    ],
)
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(  # noqa: PLR0917
    whole: Path, photos: Path, tmp_path: Path, after: int, number: signal.Signals, raised: type[BaseException]
) -> None:
    out = tmp_path / "run"
    with pytest.raises(raised):
        train(small_recipe(), photos, out, device="cpu", reporter=_Signals(after, number))
    assert load_checkpoint(RunFolder(out).last).position.total == after
    train(small_recipe(), photos, out, device="cpu", resume=True)
    _assert_same_to_the_bit(load_checkpoint(RunFolder(out).last), load_checkpoint(RunFolder(whole).last))
    epochs = [[line for line in RunFolder(one).lines() if line["kind"] == "epoch"] for one in (out, whole)]
    assert epochs[0] == epochs[1]


def test_a_run_that_is_over_stays_as_it_is(whole: Path, photos: Path) -> None:
    before = (whole / "checkpoints" / "last.pt").read_bytes()
    result = train(small_recipe(), photos, whole, device="cpu", resume=True)
    assert (whole / "checkpoints" / "last.pt").read_bytes() == before
    assert result.metrics["knn_top1"] == load_checkpoint(result.best).best


def test_another_recipe_cannot_go_on(whole: Path, photos: Path) -> None:
    with pytest.raises(CheckpointInvalid, match="of another recipe than small"):
        train(small_recipe(seed=3), photos, whole, device="cpu", resume=True)


def test_other_photos_cannot_go_on(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match="trained on other photos"):
        train(small_recipe(), draw_photos(tmp_path, photos=9), whole, device="cpu", resume=True)


def test_a_folder_that_holds_a_run_is_not_written_over(whole: Path, photos: Path, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="holds a run; go on with it by --resume"):
        train(small_recipe(), photos, whole, device="cpu")
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(RunFailed, match="is not empty; choose another folder"):
        train(small_recipe(), photos, tmp_path, device="cpu")


def test_nothing_to_go_on_with(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match="there is no such checkpoint"):
        train(small_recipe(), photos, tmp_path / "none", device="cpu", resume=True)


# ---------------------------------------------------------------- what goes wrong


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_checkpoint(photos: Path, tmp_path: Path) -> None:
    changes = [
        "stages.0.optimiser.lr=1e30",
        "stages.0.schedule.kind=constant",
        "stages.0.clip=null",
        "machine.checkpoint_steps=1",
    ]
    recipe = with_overrides(small_recipe(), changes)
    with pytest.raises(
        RunFailed, match=r"not a finite number at step \d+ \(stage first, learning rate 1e\+30\)"
    ) as failed:
        train(recipe, photos, tmp_path / "run", device="cpu")
    kept = load_checkpoint(RunFolder(tmp_path / "run").last)
    assert kept.position.total == failed.value.details["step"] - 1
    assert str(RunFolder(tmp_path / "run").last) in failed.value.message


def test_an_unreadable_photo_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    photos = draw_photos(tmp_path / "photos")
    recipe = with_overrides(small_recipe(), ["machine.checkpoint_steps=1"])
    with pytest.raises(KeyboardInterrupt):
        train(recipe, photos, tmp_path / "run", device="cpu", reporter=_Signals(2, signal.SIGINT))
    for path in (tmp_path / "photos").rglob("*.png"):
        path.write_bytes(b"x" * path.stat().st_size)  # after the start: as many bytes, no photo
    with pytest.raises(RunFailed, match=r"\.png .* cannot be read"):
        train(recipe, photos, tmp_path / "run", device="cpu", resume=True)
    assert load_checkpoint(RunFolder(tmp_path / "run").last).position.total == 2


def test_labels_with_one_photo_are_told_before_the_start(tmp_path: Path) -> None:
    photos = draw_photos(tmp_path / "photos")
    with photos.open("a") as file:
        (tmp_path / "photos" / "9.png").write_bytes((tmp_path / "photos" / "0" / "0.png").read_bytes())
        file.write("9.png,alone\n")
    with pytest.raises(PhotosUnusable, match="have one photo, such as 'alone'"):
        train(small_recipe(), photos, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_metric_that_is_not_defined_is_told_before_the_start(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeInvalid, match=r"selects by knn_auroc, .* they define recall_1"):
        train(small_recipe(select="knn_auroc"), photos, tmp_path / "run", device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_gpu_that_is_not_there_is_not_replaced(photos: Path, tmp_path: Path) -> None:
    from embedding.errors import DeviceUnavailable  # noqa: PLC0415

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceUnavailable, match="torch sees none here"):
        train(small_recipe(), photos, tmp_path / "run", device="cuda")
    with pytest.raises(DeviceUnavailable, match="fp16 needs a GPU"):
        train(with_overrides(small_recipe(), ["machine.precision=fp16"]), photos, tmp_path / "run", device="cpu")


# ---------------------------------------------------------------- stages


def test_a_head_is_trained_alone(photos: Path, tmp_path: Path) -> None:
    recipe = with_overrides(
        small_recipe(), ["stages.0.train=head", "stages.0.max_steps=2", "stages.0.ema=null", "stages.1.max_steps=1"]
    )
    train(recipe, photos, tmp_path / "run", device="cpu")
    first = load_trained(RunFolder(tmp_path / "run").stage_end(0, "first")).learner.network
    fresh = _untrained(recipe)
    for (name, one), other in zip(first.named_parameters(), fresh.parameters(), strict=True):
        assert torch.equal(one, other) == name.startswith("backbone."), name
    second = load_trained(RunFolder(tmp_path / "run").stage_end(1, "second")).learner.network
    assert not torch.equal(next(second.backbone.parameters()), next(fresh.backbone.parameters()))


def test_class_weights_of_a_loss_are_handed_on(photos: Path, tmp_path: Path) -> None:
    recipe = with_overrides(
        small_recipe(), ["stages.0.max_steps=2", "stages.1.max_steps=1", "stages.1.optimiser.lr=1e-12"]
    )
    train(recipe, photos, tmp_path / "run", device="cpu")
    ends = [
        load_checkpoint(RunFolder(tmp_path / "run").stage_end(at, name)) for at, name in enumerate(("first", "second"))
    ]
    weights = [end.learner["objective.losses.arcface.classifier.weight"] for end in ends]
    torch.testing.assert_close(weights[0], weights[1], atol=1e-9, rtol=0)


def test_without_validation_the_last_is_what_there_is(photos: Path, tmp_path: Path) -> None:
    changes = ["data.split={kind: none}", "stages.0.max_steps=1", "stages.1.max_steps=1"]
    result = train(with_overrides(small_recipe(), changes), photos, tmp_path / "run", device="cpu")
    assert result.best == result.last
    assert result.metrics == {}


def _untrained(recipe: Recipe) -> torch.nn.Module:
    from training.run.building import build_network  # noqa: PLC0415

    return build_network(recipe, 6)


def test_half_precision_learns_in_float32_weights(photos: Path, tmp_path: Path) -> None:
    losses = {}
    for precision in ("bf16", "fp32"):
        changes = [f"machine.precision={precision}", "stages.0.max_steps=1", "stages.1.max_steps=1"]
        train(with_overrides(small_recipe(), changes), photos, tmp_path / precision, device="cpu")
        state = load_checkpoint(RunFolder(tmp_path / precision).last).learner
        assert {one.dtype for one in state.values()} <= {torch.float32, torch.int64, torch.bool}
        lines = RunFolder(tmp_path / precision).lines()
        losses[precision] = next(line["losses"]["loss"] for line in lines if line["kind"] == "steps")
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02)
    assert losses["bf16"] != losses["fp32"]
