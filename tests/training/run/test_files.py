from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from training.errors import CheckpointInvalid, RunFailed  # noqa: E402
from training.run.checkpoint import Checkpoint, Position, load_checkpoint, save_checkpoint  # noqa: E402
from training.run.files import write_text_whole, write_whole  # noqa: E402

pytestmark = pytest.mark.torch


def _checkpoint() -> Checkpoint:
    weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
    optimiser = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    weight.sum().backward()
    optimiser.step()
    return Checkpoint(
        recipe={"name": "a", "stages": [{"epochs": 1}]},
        classes=("b", "c"),
        counts=(3, 4),
        data="f" * 64,
        preprocess={"crop": 64},
        stage=1,
        position=Position(1, 2, 3, 40),
        learner={"network.weight": weight.detach()},
        average={"network.weight": weight.detach() * 2},
        averaged=7,
        optimiser=optimiser.state_dict(),
        history=({"epoch": 1, "recall_1": 0.5},),
        best=0.5,
    )


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = _checkpoint()
    save_checkpoint(kept, tmp_path / "deep" / "last.pt")
    read = load_checkpoint(tmp_path / "deep" / "last.pt")
    for name in (
        "recipe",
        "classes",
        "counts",
        "data",
        "preprocess",
        "position",
        "averaged",
        "history",
        "best",
        "scaler",
    ):
        assert getattr(read, name) == getattr(kept, name)
    assert torch.equal(read.learner["network.weight"], kept.learner["network.weight"])
    assert torch.equal(read.weights["network.weight"], kept.learner["network.weight"] * 2)
    momentum = kept.optimiser["state"][0]["momentum_buffer"]
    assert torch.equal(read.optimiser["state"][0]["momentum_buffer"], momentum)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["last.pt"]


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match="there is no such checkpoint"):
        load_checkpoint(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(CheckpointInvalid, match="no whole checkpoint"):
        load_checkpoint(tmp_path / "text.pt")
    torch.save({"format": 99}, tmp_path / "other.pt")
    with pytest.raises(CheckpointInvalid, match="no checkpoint of format 1"):
        load_checkpoint(tmp_path / "other.pt")


def test_half_a_checkpoint_is_refused(tmp_path: Path) -> None:
    save_checkpoint(_checkpoint(), tmp_path / "last.pt")
    whole = (tmp_path / "last.pt").read_bytes()
    for share in (0.3, 0.9):
        (tmp_path / "last.pt").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(CheckpointInvalid, match="no whole checkpoint"):
            load_checkpoint(tmp_path / "last.pt")


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"format": 1, "facts": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointInvalid):
        load_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "ran").exists()


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text_whole(path, "old")

    def breaks_off(file: object) -> None:
        file.write(b"ne")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    with pytest.raises(RunFailed, match=r"No space left on device; the a\.txt from before is intact"):
        write_whole(path, breaks_off)
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.txt"]


_FULL_DISK = """
import resource, signal, sys, torch
from pathlib import Path
from training.errors import RunFailed
from training.run.checkpoint import Checkpoint, Position, load_checkpoint, save_checkpoint
def one(size, step):
    return Checkpoint({}, ("a",), (1,), "", {}, 0, Position(total=step), {"w": torch.ones(size)})
path = Path(sys.argv[1]) / "last.pt"
save_checkpoint(one(10, 1), path)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_checkpoint(one(1_000_000, 2), path)
except RunFailed as error:
    print(error.message)
print(load_checkpoint(path).position.total, [one.name for one in path.parent.iterdir()])
"""


def test_a_disk_that_is_full_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    """A real limit of file size, in a process of its own: torch's writer meets it in the middle."""
    ran = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True, timeout=120
    )
    message, rest = ran.stdout.strip().splitlines()
    assert "last.pt could not be written" in message
    assert "the last.pt from before is intact" in message
    assert rest == "1 ['last.pt']"
