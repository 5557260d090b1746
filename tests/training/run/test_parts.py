"""The smaller parts of a run."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="needs the training extra")

from rich.console import Console  # noqa: E402
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

from tests.training.run.small import draw_photos, small_recipe  # noqa: E402
from training.batch import Batch  # noqa: E402
from training.data.classes import Classes  # noqa: E402
from training.data.listing import TrainingPhoto, read_listing  # noqa: E402
from training.data.reading import PhotosSpec  # noqa: E402
from training.data.splits import ByLabelSplit, Split  # noqa: E402
from training.errors import PhotosUnusable, RecipeInvalid  # noqa: E402
from training.recipe import with_overrides  # noqa: E402
from training.recipes.ensemble import load_ensemble  # noqa: E402
from training.run.accelerating import Machine, worker_count  # noqa: E402
from training.run.board import Board  # noqa: E402
from training.run.checkpoint import load_checkpoint  # noqa: E402
from training.run.interruption import Interruption  # noqa: E402
from training.run.members import train_members  # noqa: E402
from training.run.metrics import Embedded  # noqa: E402
from training.run.mistakes import draw_mistakes, worst_mistakes  # noqa: E402
from training.run.pieces import pieces_of  # noqa: E402
from training.run.reporting import ConsoleReporter  # noqa: E402
from training.run.selecting import defined_metrics  # noqa: E402
from training.run.versions import fingerprint, versions  # noqa: E402
from training.run.watch import LossWatch  # noqa: E402

pytestmark = pytest.mark.torch


# ---------------------------------------------------------------- losses


def test_means_of_losses_are_told_and_the_first_bad_step() -> None:
    watch = LossWatch()
    for step, value in enumerate((1.0, 3.0), start=5):
        watch.add(step, {"loss": torch.tensor(value), "ring": torch.tensor(2 * value)})
    assert watch.flush() == ({"loss": 2.0, "ring": 4.0}, None)
    assert watch.flush() == ({}, None)
    for step, value in enumerate((1.0, float("inf"), float("nan")), start=7):
        watch.add(step, {"loss": torch.tensor(1.0), "ring": torch.tensor(value)})
    assert watch.flush()[1] == 8


# ---------------------------------------------------------------- pieces


def test_a_batch_is_cut_into_pieces_that_keep_groups() -> None:
    labels = torch.arange(3).repeat_interleave(4)
    batch = Batch(torch.rand(12, 3, 2, 2), labels, mixed=torch.rand(12, 3), weights=torch.rand(12), group=4)
    pieces = pieces_of(batch, 3)
    for name in ("images", "labels", "mixed", "weights"):
        assert torch.equal(torch.cat([getattr(piece, name) for piece in pieces]), getattr(batch, name))
    assert all(len(piece.labels.unique()) == 1 and piece.group == 4 for piece in pieces)
    with pytest.raises(RecipeInvalid, match=r"12 photos in groups of 4, .* cannot be cut into 2 equal pieces"):
        pieces_of(batch, 2)


# ---------------------------------------------------------------- signals


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A test process that runs beside others may ignore Ctrl-C, which is meant for the one that started them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_the_first_signal_is_noted_and_the_second_obeyed() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        assert not interruption.asked(torch.device("cpu"), step=1)
        os.kill(os.getpid(), signal.SIGINT)
        assert interruption.asked(torch.device("cpu"), step=1)
        assert signal.getsignal(signal.SIGINT) is before
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_run_in_another_thread_leaves_signals_alone() -> None:
    found = []

    def run() -> None:
        with Interruption() as interruption:
            found.append(interruption.asked(torch.device("cpu"), step=1))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [False]


def test_sigterm_ends_with_its_number() -> None:
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(SystemExit) as ended:
            interruption.obey()
    assert ended.value.code == 143


# ---------------------------------------------------------------- what is shown


def test_a_person_who_reads_a_log_gets_a_line_an_epoch() -> None:
    text = io.StringIO()
    with ConsoleReporter(Console(file=text, width=40)) as reporter:
        reporter.stage("stage one", 20, 5)
        reporter.losses({"loss": 1.25, "arcface": 1.0})
        reporter.step(6, 8, 0.1)
        reporter.epoch("stage one, epoch 1", {"recall_1": 0.75, "map_100": 0.5}, best=True)
    assert text.getvalue().splitlines() == [
        "stage one: 20 steps, going on after 5",
        "stage one, epoch 1: loss 1.25  arcface 1  recall_1 0.7500  map_100 0.5000  (best)",
    ]


def test_a_terminal_shows_losses_rate_and_speed() -> None:
    text = io.StringIO()
    with ConsoleReporter(Console(file=text, width=160, force_terminal=True)) as reporter:
        reporter.stage("stage one", 20, 0)
        reporter.losses({"loss": 1.25})
        reporter.step(6, 8, 0.1)
    assert "loss 1.25  lr 0.1" in text.getvalue()
    assert "photos/s" in text.getvalue()
    assert "6/20" in text.getvalue()


def test_tensorboard_gets_the_same_numbers(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.write("train", {"loss": 2.5}, 3)
    board.write("train", {"loss": 1.5}, 4)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/loss")] == [(3, 2.5), (4, 1.5)]


def _at(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_the_surest_mistakes_come_first() -> None:
    gallery = Embedded(["g1", "g2"], ["a", "b"], _at(0, 90))
    queries = Embedded(["q1", "q2", "q3", "q4"], ["a", "b", "b", ""], _at(5, 30, 10, 80))
    assert [(at, near) for at, near, _ in worst_mistakes(queries, gallery)] == [(2, 0), (3, 1), (1, 0)]
    assert worst_mistakes(queries, gallery)[0][2] == pytest.approx(np.cos(np.radians(10)))


def test_labels_that_the_gallery_lacks_are_compared_with_each_other() -> None:
    gallery = Embedded(["g1"], ["z"], _at(0))
    queries = Embedded(["q1", "q2", "q3"], ["a", "a", "b"], _at(0, 20, 23))
    assert [(at, near) for at, near, _ in worst_mistakes(queries, gallery)] == [(1, 2), (2, 1)]


def test_the_sheet_shows_query_and_answer(tmp_path: Path) -> None:
    photos = {}
    for name, colour in (("q", (200, 0, 0)), ("g", (0, 0, 200))):
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"{name}.png")
        photos[name] = TrainingPhoto(tmp_path / f"{name}.png", name, name)
    queries, gallery = Embedded(["q"], ["q"], _at(0)), Embedded(["g", "g"], ["g", "q"], _at(1, 50))
    draw_mistakes(queries, gallery, photos, PhotosSpec(), tmp_path / "worst.png")
    with Image.open(tmp_path / "worst.png") as sheet:
        assert sheet.convert("RGB").getpixel((60, 60)) == (200, 0, 0)
        assert sheet.convert("RGB").getpixel((220, 60)) == (0, 0, 200)


def test_without_mistakes_there_is_no_sheet(tmp_path: Path) -> None:
    queries, gallery = Embedded(["q"], ["a"], _at(0)), Embedded(["g"], ["a"], _at(1))
    draw_mistakes(queries, gallery, {}, PhotosSpec(), tmp_path / "worst.png")
    assert not (tmp_path / "worst.png").exists()


# ---------------------------------------------------------------- what a run stands on


def test_the_fingerprint_stays_when_the_tree_moves(tmp_path: Path) -> None:
    one, two = (read_listing(draw_photos(tmp_path / name)) for name in ("one", "two"))
    assert fingerprint(one) == fingerprint(reversed(two))
    assert fingerprint(one) != fingerprint(one[1:])
    (tmp_path / "two" / "0" / "0.png").write_bytes(b"less")
    assert fingerprint(one) != fingerprint(two)
    (tmp_path / "two" / "0" / "0.png").unlink()
    with pytest.raises(PhotosUnusable, match=r"line 2: .*0/0\.png cannot be read: No such file"):
        fingerprint(two)


def test_versions_name_the_code() -> None:
    found = versions()
    assert {"whichone", "torch", "timm", "accelerate", "python", "source"} <= found.keys()
    assert len(found["source"]) == 64


def test_held_out_labels_define_retrieval_alone(tmp_path: Path) -> None:
    photos = read_listing(draw_photos(tmp_path))
    split = ByLabelSplit(share=0.4).split(photos)
    assert defined_metrics(small_recipe(), split, Classes.of(split.training)) == ["recall_1", "recall_10", "map_100"]


def test_strangers_define_how_well_they_are_told_apart(tmp_path: Path) -> None:
    photos = read_listing(draw_photos(tmp_path))
    strangers = tuple(TrainingPhoto(one.path, one.name, "") for one in photos[:4])
    split = Split(tuple(photos[8:]), (*strangers, photos[9]))
    found = defined_metrics(small_recipe(), split, Classes.of(split.training))
    assert {"knn_auroc", "classifier_auroc", "knn_gap"} <= set(found)
    assert "recall_1" not in found


def test_workers_are_as_many_as_said() -> None:
    assert worker_count(Machine(workers=3), on_gpu=False) == 3
    assert worker_count(Machine(), on_gpu=False) == 0
    assert 1 <= worker_count(Machine(), on_gpu=True) <= 8


# ---------------------------------------------------------------- ensembles


def test_members_are_trained_once_each_and_found_again(tmp_path: Path) -> None:
    photos = draw_photos(tmp_path / "photos")
    short = with_overrides(small_recipe(), ["stages.0.epochs=1", "stages.1.epochs=1"])
    (tmp_path / "one.yaml").write_text(short.yaml())
    (tmp_path / "two.yaml").write_text(with_overrides(short, ["seed=5"]).yaml())
    one, two = str(tmp_path / "one.yaml"), str(tmp_path / "two.yaml")
    (tmp_path / "both.yaml").write_text(
        f"kind: ensemble\nname: both\ncombine: probabilities\nmembers:\n"
        f"  - {{recipe: {one}, stage: first}}\n  - {{recipe: {one}, stage: second}}\n  - {{recipe: {two}}}\n"
    )
    ensemble = load_ensemble(tmp_path / "both.yaml")
    results = train_members(ensemble, photos, tmp_path / "out", changes=["stages.0.max_steps=2"], device="cpu")
    assert [result.steps for result in results] == [2 + 4, 2 + 4]
    written = json.loads((tmp_path / "out" / "ensemble.json").read_text())
    places = ["one/checkpoints/stage-0-first.pt", "one/checkpoints/stage-1-second.pt", "two/checkpoints/best.pt"]
    assert [member["checkpoint"] for member in written["members"]] == places
    assert all(load_checkpoint(tmp_path / "out" / place).classes for place in places)
    again = train_members(
        ensemble, photos, tmp_path / "out", changes=["stages.0.max_steps=2"], device="cpu", resume=True
    )
    assert [result.metrics for result in again] == [result.metrics for result in results]
