"""The schedules against PyTorch's own, and against their closed forms."""

import math
import warnings
from collections.abc import Callable

import pytest
import torch
from torch.optim import lr_scheduler

from ndvq_tune.config import ScheduleConfig
from ndvq_tune.training.schedules import CURVES, learning_rate_share

STEPS = 60


def shares(steps: int = STEPS, **schedule) -> list[float]:
    return [learning_rate_share(step, steps, ScheduleConfig(**schedule)) for step in range(steps)]


def torchs(
    scheduler: Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler], steps: int = STEPS, lr: float = 1.0
) -> list[float]:
    """The learning rate of each step with one of PyTorch's schedulers."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr, momentum=0.9)
    schedule, rates = scheduler(optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's own call one another in an old way
            schedule.step()
    return rates


PEERS: dict[str, Callable[[torch.optim.Optimizer], lr_scheduler.LRScheduler]] = {
    "cosine": lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, STEPS, eta_min=0.2),
    "constant": lambda optimizer: lr_scheduler.ConstantLR(optimizer, factor=1.0),
    "linear": lambda optimizer: lr_scheduler.LinearLR(optimizer, 1.0, 0.2, STEPS),
    "cyclic": lambda optimizer: lr_scheduler.CyclicLR(optimizer, 0.2, 1.0, step_size_up=STEPS // 6),
    "step": lambda optimizer: lr_scheduler.StepLR(optimizer, STEPS // 4, gamma=0.2 ** (1 / 3)),
}


@pytest.mark.parametrize("kind", PEERS)
def test_without_a_warm_up_it_is_pytorchs(kind):
    assert shares(type=kind, warmup=0, final_share=0.2, cycles=3) == pytest.approx(torchs(PEERS[kind]), abs=1e-9)


def test_one_cycle_is_pytorchs():
    """PyTorch's takes one step less for its rise: it is at the peak in the last of those steps."""
    rates = torchs(
        lambda optimizer: lr_scheduler.OneCycleLR(
            optimizer, 1.0, STEPS + 1, pct_start=19 / (STEPS + 1), div_factor=25, final_div_factor=1 / (25 * 0.2)
        )
    )
    assert shares(type="one_cycle", warmup=0.3, final_share=0.2) == pytest.approx(rates, abs=1e-9)


def test_inverse_sqrt_is_the_formula_of_attention_is_all_you_need():
    """Its equation 3, over its peak: the least of ``step^-0.5`` and ``step warmup^-1.5``."""
    found = shares(steps=100, type="inverse_sqrt", warmup=0.1)
    formula = [min(step**-0.5, step * 10**-1.5) * 10**0.5 for step in range(1, 101)]
    assert found[:10] == pytest.approx(formula[:10])
    assert found[10:] == pytest.approx([1, *formula[10:-1]])  # a step later, from the peak


@pytest.mark.parametrize("kind", sorted(CURVES.keys() - {"one_cycle"}))
def test_a_warm_up_rises_in_a_line_to_where_the_curve_begins(kind):
    found = shares(type=kind, warmup=0.25, final_share=0.2)
    assert found[:15] == pytest.approx([(step + 1) / 15 * found[15] for step in range(15)])


@pytest.mark.parametrize("kind", CURVES)
@pytest.mark.parametrize("steps", [1, 2, 3, 42])
def test_it_stays_above_nothing_and_at_most_at_the_peak(kind, steps):
    assert all(0 < share <= 1 for share in shares(steps, type=kind))


def test_the_default_warms_up_and_falls_by_a_cosine():
    found = [learning_rate_share(step, 42, ScheduleConfig()) for step in range(43)]
    assert found[:3] == [0.5, 1.0, 1.0]  # a warm-up of 5% of 42 steps, which is 2
    assert found[12] == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert found[42] == pytest.approx(0.0)


@pytest.mark.parametrize(("kind", "setting"), [("step", "final_share"), ("inverse_sqrt", "warmup")])
def test_what_a_curve_cannot_be_without_is_told(kind, setting):
    with pytest.raises(ValueError, match=f"above 0 for {kind}"):
        ScheduleConfig(type=kind, **{setting: 0})
