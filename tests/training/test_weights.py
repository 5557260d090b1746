from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

import timm  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

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


def test_names_are_followed_where_they_are_timms(tmp_path: Path) -> None:
    state = timm.create_model("resnet10t").state_dict()
    shuffled = dict(sorted(state.items(), reverse=True))
    save_file(shuffled, tmp_path / "w.safetensors")
    loaded = load_backbone("resnet10t", str(tmp_path / "w.safetensors"))
    assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())


def test_everything_but_the_classifier_must_be_there_and_fit(tmp_path: Path) -> None:
    state = timm.create_model("resnet10t", num_classes=7).state_dict()
    torch.save(state, tmp_path / "w.pth")
    load_backbone("resnet10t", str(tmp_path / "w.pth"), classifier=False)
    with pytest.raises(WeightsMismatch, match=r"fc\.weight has shape \(7, 512\)"):
        load_backbone("resnet10t", str(tmp_path / "w.pth"))
    torch.save({**state, "conv1.0.weight": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(WeightsMismatch, match=r"conv1\.0\.weight has shape \(1,\)"):
        load_backbone("resnet10t", str(tmp_path / "w.pth"), classifier=False)
    del state["conv1.0.weight"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsMismatch, match="under other names"):
        load_backbone("resnet10t", str(tmp_path / "w.pth"), classifier=False)


def test_files_that_hold_no_weights(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    (tmp_path / "w.safetensors").write_bytes(b"no")
    with pytest.raises(WeightsMismatch, match="holds no state dict"):
        load_backbone("resnet10t", str(tmp_path / "w.pth"))
    with pytest.raises(WeightsMismatch, match="cannot be read as weights"):
        load_backbone("resnet10t", str(tmp_path / "w.safetensors"))


def test_weights_that_were_never_published() -> None:
    with pytest.raises(WeightsUnavailable, match=r"mobilenetv2_035 cannot be had .*; give the path of a file"):
        load_backbone("mobilenetv2_035", "timm")
