"""Schedules against torch and their formulas, and settings that are refused."""

import math

import numpy as np
import pytest

import tra
from tra.algebra.schedules import Constant, Cosine, Exponential, Step, Warmup, rate_at
from tra.errors import SchemaError


def rates(schedule, n):
    """The rates of the first n steps."""
    step = tra.from_array(np.arange(float(n)), tile=1)
    found = [schedule(step[t]) for t in range(n)]
    assert all((rate.shape, rate.keys, rate.dtype) == ((), (), np.dtype("f8")) for rate in found)
    return [float(rate.compute()) for rate in found]


def torch_rates(name, rate, n, **settings):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    schedule = getattr(torch.optim.lr_scheduler, name)(optimizer, **settings)
    found = []
    for _ in range(n):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("ours", "name", "settings"),
    [
        (Constant(0.1), "ConstantLR", {"factor": 1.0}),
        (Step(0.1, factor=0.5, every=3), "StepLR", {"gamma": 0.5, "step_size": 3}),
        (Exponential(0.1, factor=0.9), "ExponentialLR", {"gamma": 0.9}),
        (Cosine(0.1, steps=12, end=0.01), "CosineAnnealingLR", {"T_max": 12, "eta_min": 0.01}),
        (Warmup(4, then=0.1), "LinearLR", {"start_factor": 0.2, "total_iters": 4}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_as_in_torch(ours, name, settings):
    np.testing.assert_allclose(rates(ours, 12), torch_rates(name, 0.1, 12, **settings), rtol=1e-12)


def test_after_the_last_step_the_cosine_stays():
    assert rates(Cosine(0.5, steps=2, end=0.125), 5)[2:] == [0.125] * 3


def test_exponential_over_several_steps():
    found = rates(Exponential(0.5, factor=0.25, every=4), 9)
    np.testing.assert_allclose(found, [0.5 * 0.25 ** (t / 4) for t in range(9)], rtol=1e-14)


def test_after_the_warmup_the_other_schedule_begins():
    found = rates(Warmup(3, then=Cosine(0.4, steps=5)), 9)
    cosine = [0.2 * (1 + math.cos(math.pi * min(t, 5) / 5)) for t in range(6)]
    np.testing.assert_allclose(found, [0.1, 0.2, 0.3, *cosine], rtol=1e-12, atol=1e-15)


def test_schedules_are_values():
    assert Cosine(0.5, steps=5) == Cosine(np.float32(0.5), steps=np.int64(5))
    assert (
        repr(Warmup(3, then=Step(1, 0.5, 2))) == "Warmup(steps=3, then=Step(rate=1.0, factor=0.5, every=2))"
    )
    assert len({Constant(0.1), Constant(0.1), Constant(0.2)}) == 2


def test_one_expression_serves_every_step():
    step = tra.from_array(np.array(3.0))
    again = tra.from_array(np.array(4.0))
    schedule = Warmup(2, then=Step(0.1, 0.5, 2))
    assert len(str(schedule(step).expr)) == len(str(schedule(again).expr))
    assert schedule(step).sources.keys() == step.sources.keys()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant(-0.1), "Constant: rate is a number of at least 0; got rate=-0.1"),
        (lambda: Constant(math.nan), "got rate=nan"),
        (lambda: Constant(math.inf), "got rate=inf"),
        (lambda: Constant(True), "got rate=True"),
        (lambda: Constant("0.1"), "got rate='0.1'"),
        (lambda: Constant(1j), "got rate=1j"),
        (lambda: Step(0.1, factor=0.0, every=3), "Step: factor is a number above 0; got factor=0.0"),
        (lambda: Step(0.1, factor=0.5, every=0), "Step: every is an integer of at least 1; got every=0"),
        (lambda: Step(0.1, factor=0.5, every=1.5), "got every=1.5"),
        (lambda: Exponential(0.1, factor=-1), "Exponential: factor is a number above 0; got factor=-1"),
        (lambda: Exponential(0.1, factor=1, every=True), "got every=True"),
        (lambda: Cosine(0.1, steps=-5), "Cosine: steps is an integer of at least 1; got steps=-5"),
        (lambda: Cosine(0.1, steps=5, end=-1), "Cosine: end is a number of at least 0; got end=-1"),
        (lambda: Warmup(0, then=0.1), "Warmup: steps is an integer of at least 1; got steps=0"),
        (lambda: Warmup(3, then=-0.1), "a number of at least 0 or a schedule.*got then=-0.1"),
        (lambda: Warmup(3, then=Cosine), "a schedule, a function of the step such as.*got then=<class"),
    ],
)
def test_settings_that_are_refused(make, message):
    with pytest.raises(SchemaError, match=message):
        make()


def test_what_a_schedule_gives_is_one_number():
    assert rate_at(lambda step: 0.5, 1).compute() == 0.5
    assert rate_at(lambda step: 1 / (step + 1), 3).compute() == 0.25
    with pytest.raises(SchemaError, match="is one number"):
        rate_at(lambda step: tra.from_array([0.1, 0.2]), 0)
    with pytest.raises(SchemaError, match="the step is one number"):
        rate_at(Constant(0.1), [0.0])
