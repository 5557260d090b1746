from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

torch = pytest.importorskip("torch", reason="needs the training extra")

from training.network.pooling import AveragePooling, GeM, MaxPooling, PoolingSpec  # noqa: E402

pytestmark = pytest.mark.torch


def _built(kind: str, **words: Any) -> torch.nn.Module:
    return TypeAdapter(PoolingSpec).validate_python({"kind": kind, **words}).build(channels=5)


def _features(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 5, 7, 3, generator=torch.Generator().manual_seed(seed))


def test_gem_by_hand() -> None:
    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    # ((1 + 8 + 27 + 64) / 4) ^ (1/3)
    assert GeM(p=3.0)(features).item() == pytest.approx(25 ** (1 / 3))


@given(p=st.floats(0.5, 12.0), seed=st.integers(0, 1000))
def test_gem_lies_between_least_and_most_and_grows_with_p(p: float, seed: int) -> None:
    features = _features(seed).clamp(min=0.01)
    pooled = GeM(p)(features).detach()
    expected = (features.double().numpy() ** p).mean((2, 3)) ** (1 / p)
    np.testing.assert_allclose(pooled.numpy(), expected, rtol=1e-4)
    assert (pooled <= features.amax((2, 3)) + 1e-5).all()
    assert (pooled <= GeM(p + 1)(features).detach() + 1e-5).all()


def test_gem_is_the_average_at_one_and_nears_the_maximum() -> None:
    torch.testing.assert_close(GeM(p=1.0)(_features()), AveragePooling()(_features()))
    torch.testing.assert_close(GeM(p=400.0)(_features()), MaxPooling()(_features()), atol=0.02, rtol=0)


def test_gem_learns_its_exponent_and_survives_zeros() -> None:
    pooling = GeM()
    pooling(torch.zeros(1, 2, 3, 3)).sum().backward()
    assert pooling.p.grad is not None
    assert torch.isfinite(pooling.p.grad)
    assert not GeM(learnable=False).p.requires_grad


def test_gem_with_an_exponent_a_channel() -> None:
    pooling = _built("gem", per_channel=True)
    pooling.p.data[:, 0, 0] = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    each = [GeM(float(p))(_features()[:, at : at + 1]) for at, p in enumerate(range(1, 6))]
    torch.testing.assert_close(pooling(_features()), torch.cat(each, dim=1))


def test_the_whales_gem_is_constant_and_clamps_above() -> None:
    pooling = _built("gem", p=3.74, learnable=False, ceiling=1e4)
    assert [p.requires_grad for p in pooling.parameters()] == [False]
    big = torch.full((1, 5, 2, 2), 1e9)
    torch.testing.assert_close(pooling(big), torch.full((1, 5), 1e4))


def test_maximum_and_average_side_by_side() -> None:
    features = _features()
    pooled = _built("average_max")(features)
    np.testing.assert_allclose(pooled[:, :5].numpy(), features.numpy().max((2, 3)))
    np.testing.assert_allclose(pooled[:, 5:].numpy(), features.numpy().mean((2, 3)), rtol=1e-6)
    torch.testing.assert_close(_built("max")(features), pooled[:, :5])
    torch.testing.assert_close(_built("average")(features), pooled[:, 5:])


def test_half_precision_around_gem_does_not_reach_into_it() -> None:
    small = torch.full((1, 5, 2, 2), 1e-3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(GeM()(small.bfloat16()), torch.full((1, 5), 1e-3), rtol=0.01, atol=0)


def test_an_exponent_of_nought_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        _built("gem", p=0)
