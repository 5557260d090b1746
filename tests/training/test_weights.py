from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

import timm  # noqa: E402

from training.errors import RecipeInvalid  # noqa: E402
from training.weights import WeightsMismatch, WeightsUnavailable, load_backbone  # noqa: E402


def test_weights_fit_by_order_whatever_their_names(tmp_path: Path) -> None:
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    torch.save({f"other.{at}": value for at, value in enumerate(model.state_dict().values())}, tmp_path / "w.pth")
    loaded = load_backbone("tf_efficientnet_lite0", str(tmp_path / "w.pth"))
    assert not loaded.training
    for got, expected in zip(loaded.state_dict().values(), model.state_dict().values(), strict=True):
        torch.testing.assert_close(got, expected)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(WeightsMismatch, match="holds 1 tensors"):
        load_backbone("tf_efficientnet_lite0", str(tmp_path / "w.pth"))
    with pytest.raises(WeightsUnavailable, match="No weights package 'nonesuch'"):
        load_backbone("tf_efficientnet_lite0", "package:nonesuch")
    with pytest.raises(WeightsUnavailable, match=r"no file of weights at nowhere\.pth"):
        load_backbone("tf_efficientnet_lite0", "nowhere.pth")


def test_a_misspelt_model_is_told_its_neighbours() -> None:
    with pytest.raises(RecipeInvalid, match=r"'resnet5O'; near are .*resnet50"):
        load_backbone("resnet5O", None)


def test_code_hidden_in_weights_is_not_run(tmp_path: Path) -> None:
    import pickle  # noqa: PLC0415

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    (tmp_path / "w.pth").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(Exception, match=r"[Ww]eights"):
        load_backbone("tf_efficientnet_lite0", str(tmp_path / "w.pth"))
    assert not (tmp_path / "ran").exists()
