from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from training.network.pooling import AveragePooling, GeM  # noqa: E402


def test_gem_by_hand() -> None:
    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    # ((1 + 8 + 27 + 64) / 4) ^ (1/3)
    assert GeM(p=3.0)(features).item() == pytest.approx(25 ** (1 / 3))


def test_gem_is_the_average_at_one_and_nears_the_maximum() -> None:
    features = torch.rand(2, 5, 7, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(GeM(p=1.0)(features), AveragePooling()(features))
    torch.testing.assert_close(GeM(p=400.0)(features), features.amax((-2, -1)), atol=0.02, rtol=0)


def test_gem_learns_its_exponent_and_survives_zeros() -> None:
    pooling = GeM()
    pooling(torch.zeros(1, 2, 3, 3)).sum().backward()
    assert pooling.p.grad is not None
    assert torch.isfinite(pooling.p.grad)
    assert not GeM(learnable=False).p.requires_grad
