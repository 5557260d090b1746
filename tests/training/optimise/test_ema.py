from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the training extra")

from training.optimise.ema import Ema  # noqa: E402

pytestmark = pytest.mark.torch


def _moved(to: float) -> torch.nn.Module:
    network = torch.nn.BatchNorm1d(2)
    network.weight.data.fill_(to)
    network.running_mean.fill_(to)
    return network


def test_the_average_by_hand() -> None:
    ema, network = Ema(decay=0.9), _moved(1.0)
    average = ema.build(network)
    for step, value in enumerate((2.0, 3.0, 5.0)):
        network.weight.data.fill_(value)
        network.running_mean.fill_(value)
        ema.update(average, network, step)
    expected = 0.9 * (0.9 * 2.0 + 0.1 * 3.0) + 0.1 * 5.0
    torch.testing.assert_close(average.module.weight.data, torch.full((2,), expected))
    torch.testing.assert_close(average.module.running_mean, torch.full((2,), expected))


def test_before_averaging_begins_it_is_the_weights() -> None:
    ema, network = Ema(decay=0.5, after_steps=2), _moved(0.0)
    average = ema.build(network)
    for step, value in enumerate((7.0, 8.0, 10.0, 20.0)):
        network.weight.data.fill_(value)
        ema.update(average, network, step)
        if step < 2:
            assert average.module.weight[0].item() == value
    assert average.module.weight[0].item() == pytest.approx(0.5 * (0.5 * 8 + 0.5 * 10) + 0.5 * 20)
