"""Both tasks of LIO against loops over single places, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch", reason="needs the training extra")

from training.batch import Batch, Outputs  # noqa: E402
from training.errors import RecipeInvalid  # noqa: E402
from training.lio.lio import Lio, LioSpec  # noqa: E402
from training.lio.object_extent import pseudo_masks, released_groups  # noqa: E402
from training.lio.spatial_context import SpatialContext  # noqa: E402

pytestmark = pytest.mark.torch

CHANNELS, CELLS, GROUP, PHOTOS = 6, 3, 4, 16
Array = NDArray[np.float64]


def _lio(**words: Any) -> Lio:
    torch.manual_seed(0)
    return LioSpec.model_validate({"cells": CELLS, **words}).build(classes=9, channels=CHANNELS)


def _features(side: int = 6) -> torch.Tensor:
    return torch.randn(PHOTOS, CHANNELS, side, side, generator=torch.Generator().manual_seed(1))


def _terms(lio: Lio, features: torch.Tensor, group: int | None = GROUP) -> dict[str, torch.Tensor]:
    outputs = Outputs(features=features, pooled=features.mean((2, 3)), embedding=features.mean((2, 3)))
    labels = torch.arange(PHOTOS) // GROUP
    return lio(None, outputs, Batch(torch.zeros(PHOTOS, 3, 1, 1), labels, group=group))


def _halved(features: torch.Tensor) -> Array:
    return features.double().numpy().reshape(PHOTOS, CHANNELS, CELLS, 2, CELLS, 2).mean((3, 5))


def _masks(lio: Lio, maps: Array) -> Array:
    conv = lio.mask[1]
    return np.einsum("nchw,c->nhw", np.maximum(maps, 0), conv.weight.detach().numpy()[0, :, 0, 0]) + conv.bias.item()


def _pseudo(places: Array, groups: list[list[int]]) -> Array:
    out = np.zeros(places.shape[:2])
    for members in groups:
        for main in members:
            for s in range(places.shape[1]):
                best = [(places[other] @ places[main, s]).max() for other in members if other != main]
                out[main, s] = np.mean(best) / places.shape[2]
    return out


def _groups(mode: str) -> list[list[int]]:
    if mode == "corrected":
        return [list(range(at, at + GROUP)) for at in range(0, PHOTOS, GROUP)]
    # The release: first photos, all second photos, ..., then neighbours for a group.
    joined = [label * GROUP + rank for rank in range(GROUP) for label in range(PHOTOS // GROUP)]
    return [joined[at : at + GROUP] for at in range(0, PHOTOS, GROUP)]


@pytest.mark.parametrize("mode", ["corrected", "faithful"])
def test_object_extent(mode: str) -> None:
    lio, maps = _lio(mode=mode), _halved(_features())
    places = maps.reshape(PHOTOS, CHANNELS, -1).transpose(0, 2, 1)
    target = _pseudo(places, _groups(mode))
    expected = ((_masks(lio, maps).reshape(PHOTOS, -1) - target) ** 2).mean()
    assert _terms(lio, _features())["lio_extent"].item() == pytest.approx(0.1 * expected, rel=1e-4)


def test_the_releases_first_group_holds_four_labels() -> None:
    labels = torch.arange(PHOTOS) // GROUP
    assert labels[released_groups(PHOTOS, GROUP)][:GROUP].tolist() == [0, 1, 2, 3]
    assert released_groups(PHOTOS, GROUP).tolist() == [photo for group in _groups("faithful") for photo in group]


def test_only_the_release_lets_the_target_move() -> None:
    """The gradient of the task on the map, less what comes by way of the mask's own path."""
    for mode, moves in (("corrected", False), ("faithful", True)):
        lio, features = _lio(mode=mode), _features().requires_grad_()
        torch.nn.init.zeros_(lio.mask[1].weight)  # now nothing comes by way of the mask
        (gradient,) = torch.autograd.grad(_terms(lio, features)["lio_extent"], features, allow_unused=True)
        assert (gradient is not None and bool(gradient.abs().sum() > 0)) is moves


@pytest.mark.parametrize("mode", ["corrected", "faithful"])
def test_spatial_context(mode: str) -> None:
    lio, maps = _lio(mode=mode), _halved(_features())
    mask = _masks(lio, maps)
    conv, linear = lio.structure[1], lio.context.predictor[0]
    mixed = np.einsum("nchw,dc->ndhw", np.maximum(maps, 0), conv.weight.detach().numpy()[..., 0, 0].astype(np.float64))
    structure = np.maximum(mixed + conv.bias.detach().numpy()[:, None, None], 0)
    losses = np.zeros((PHOTOS, CELLS, CELLS))
    for photo in range(PHOTOS):
        inside = mask[photo] > mask[photo].mean()
        telling = np.where(inside, structure[photo].mean(0), 0)
        anchor = np.unravel_index(telling.argmax(), telling.shape)
        gaps = np.zeros((CELLS, CELLS))
        for row in range(CELLS):
            for column in range(CELLS):
                pair = np.concatenate([structure[photo][:, *anchor], structure[photo][:, row, column]])
                predicted = np.maximum(linear.weight.detach().numpy() @ pair + linear.bias.detach().numpy(), 0)
                if (row, column) == anchor:
                    predicted = np.zeros(2)
                down, right = (row - anchor[0]) / CELLS, (column - anchor[1]) / CELLS
                gap = predicted[1] - (np.arctan2(right, down) / np.pi + 1) / 2
                gaps[row, column] = gap + 1 if gap < 0 else gap
                losses[photo, row, column] = (predicted[0] - np.hypot(down, right)) ** 2
        assert gaps[anchor] == pytest.approx(0.5)  # the constant that the release lets into the mean
        if mode == "faithful":
            turned = gaps - gaps.mean()
        else:
            turned = gaps - (gaps.sum() - gaps[anchor]) / (CELLS**2 - 1)
            turned[anchor] = 0
        losses[photo] = (losses[photo] + turned**2) * inside
    first = np.arange(PHOTOS) % GROUP == 0
    expected = losses[first].mean() + losses[~first].mean()
    assert _terms(lio, _features())["lio_context"].item() == pytest.approx(0.1 * expected, rel=1e-4)


def test_turning_the_angles_changes_nothing() -> None:
    """The spread of the gap is the same for every constant added to it, as long as none wraps round."""
    context = SpatialContext(2, skip_anchor=True)
    torch.nn.init.zeros_(context.predictor[0].weight)
    generator = torch.Generator().manual_seed(0)
    structure, mask = torch.rand(3, 2, 4, 4, generator=generator), torch.rand(3, 4, 4, generator=generator)
    losses = []
    for angle in (1.0, 1.25):
        context.predictor[0].bias.data = torch.tensor([0.0, angle])
        losses.append(context(structure, mask))
    torch.testing.assert_close(losses[0], losses[1])


def test_pseudo_masks_find_what_photos_share() -> None:
    features = torch.zeros(2, 4, 3)
    features[0, 1], features[1, 3] = torch.tensor([0.0, 3, 0]), torch.tensor([0.0, 2, 0])
    torch.testing.assert_close(pseudo_masks(features, 2), torch.tensor([[0.0, 2, 0, 0], [0, 0, 0, 2]]))


def test_everything_learns_from_it() -> None:
    for mode in ("corrected", "faithful"):
        lio, features = _lio(mode=mode), _features().requires_grad_()
        sum(_terms(lio, features).values()).backward()
        for tensor in (features, *lio.parameters()):
            assert torch.isfinite(tensor.grad).all()
        assert features.grad.abs().sum() > 0


def test_mistakes_are_told() -> None:
    with pytest.raises(RecipeInvalid, match="companions"):
        _terms(_lio(), _features(), group=None)
    with pytest.raises(RecipeInvalid, match="2 x 2"):
        _terms(_lio(), _features(side=2))
