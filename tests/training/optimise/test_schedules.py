from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

torch = pytest.importorskip("torch", reason="needs the training extra")

from training.optimise.optimisers import set_rates  # noqa: E402
from training.optimise.schedules import Constant, Cosine, Extent, MultiStep, OneCycle, Schedule  # noqa: E402

pytestmark = pytest.mark.torch


def test_cosine_with_warm_up_by_hand() -> None:
    schedule, extent = Cosine(warmup_epochs=1), Extent(steps=8, steps_per_epoch=4)
    factors = [schedule.factor(step, extent) for step in range(8)]
    assert factors[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert factors[4:] == pytest.approx([1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2])


def test_cosine_ends_at_its_floor() -> None:
    assert Cosine(floor=0.1).factor(10, Extent(10, 5)) == pytest.approx(0.1)


def test_multi_step_by_hand() -> None:
    schedule, extent = MultiStep(milestones=(1, 2.5), gamma=0.1), Extent(12, 4)
    assert [schedule.factor(step, extent) for step in (0, 3, 4, 9, 10, 11)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )


def test_a_warm_up_longer_than_the_stage_ends_with_it() -> None:
    assert Constant(warmup_epochs=9).factor(3, Extent(4, 2)) == 1.0


@pytest.mark.parametrize("momenta", [(0.95, 0.85), None])
@pytest.mark.parametrize("steps", [10, 37])
def test_one_cycle_is_torchs(steps: int, momenta: tuple[float, float] | None) -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    reference = torch.optim.SGD([weight], lr=0.4, momentum=0.9)
    high, low = momenta or (0.9, 0.9)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        reference, max_lr=0.4, total_steps=steps, cycle_momentum=True, max_momentum=high, base_momentum=low
    )
    ours = torch.optim.SGD([{"params": [weight], "lr": 0.4, "initial_lr": 0.4}], momentum=0.9)
    schedule, extent = OneCycle(momenta=momenta), Extent(steps, steps)
    for step in range(steps):
        set_rates(ours, schedule.factor(step, extent), schedule.momentum(step, extent))
        assert ours.param_groups[0]["lr"] == pytest.approx(reference.param_groups[0]["lr"], rel=1e-9)
        assert ours.param_groups[0]["momentum"] == pytest.approx(reference.param_groups[0]["momentum"])
        reference.step()
        if step < steps - 1:
            theirs.step()


def test_cosine_is_torchs() -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=9)
    for step in range(9):
        assert Cosine().factor(step, Extent(9, 3)) == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        theirs.step()


@given(
    schedule=st.sampled_from(
        [Constant(warmup_epochs=2), Cosine(warmup_epochs=0.5), MultiStep(milestones=(1,)), OneCycle()]
    ),
    steps=st.integers(1, 60),
    per_epoch=st.integers(1, 20),
)
def test_a_factor_is_a_share(schedule: Schedule, steps: int, per_epoch: int) -> None:
    extent = Extent(steps, per_epoch)
    factors = [schedule.factor(step, extent) for step in range(steps)]
    assert all(0 <= factor <= 1 + 1e-12 for factor in factors)


@pytest.mark.parametrize("milestones", [(3, 2), (1, 1), (0, 1)])
def test_milestones_must_ascend(milestones: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match="ascending"):
        MultiStep(milestones=milestones)


def test_a_schedule_is_chosen_by_its_kind() -> None:
    adapter: TypeAdapter[Schedule] = TypeAdapter(Schedule)
    assert adapter.validate_python({"kind": "cosine", "warmup_epochs": 1}) == Cosine(warmup_epochs=1)
    with pytest.raises(ValidationError, match="cosinus"):
        adapter.validate_python({"kind": "cosinus"})


def test_momentum_of_adam_is_its_first_beta() -> None:
    optimiser = torch.optim.Adam([{"params": [torch.nn.Parameter(torch.zeros(1))], "initial_lr": 1.0}], lr=1.0)
    set_rates(optimiser, 0.5, 0.8)
    assert optimiser.param_groups[0]["lr"] == 0.5
    assert optimiser.param_groups[0]["betas"] == (0.8, 0.999)
