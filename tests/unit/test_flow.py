import math

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from grokbook.flow import SOLVERS, FlowError, flow

A = torch.tensor([[-0.3, 2.0], [-2.0, -0.1]], dtype=torch.float64)
START = torch.tensor([1.0, -0.5], dtype=torch.float64)


def spiral(theta):
    return A @ theta


def exact(time):
    return torch.as_tensor(expm(time * A.numpy())) @ START


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("rk4", 4)])
def test_the_error_falls_with_the_order_of_the_method(method, order):
    steps = np.array([0.02, 0.01, 0.005])
    errors = [float((flow(spiral, START, [0, 2], step=h, method=method).end - exact(2.0)).norm()) for h in steps]
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert slope == pytest.approx(order, abs=0.05)


@pytest.mark.parametrize("method", SOLVERS)
def test_the_adaptive_solvers_meet_the_closed_form_at_every_recorded_time(method):
    times = torch.tensor([0.0, 0.3, 1.0, 2.5], dtype=torch.float64)
    path = flow(spiral, START, times, method=method, tolerance=1e-9)
    assert torch.equal(path.time, times)
    for time, point in zip(times.tolist(), path.points, strict=True):
        assert (point - exact(time)).norm() < 1e-7


def test_recorded_times_need_not_be_multiples_of_the_step():
    path = flow(spiral, START, [0.0, 0.013, 0.5, 1.7], step=0.01)
    for time, point in zip(path.time.tolist(), path.points, strict=True):
        assert (point - exact(time)).norm() < 1e-7


def test_a_field_on_matrices_keeps_their_shape_and_time_may_start_anywhere():
    start = torch.eye(2, dtype=torch.float64)
    for options in ({"step": 0.01}, {"method": "RK45"}):
        path = flow(spiral, start, [3.0, 4.0], **options)
        np.testing.assert_allclose(path.end.numpy(), expm(A.numpy()), atol=1e-7)


def test_a_step_that_divides_the_time_is_not_split_by_rounding():
    seen = []
    flow(lambda x: seen.append(1) or -x, START, [0.0, 0.1 * 3], step=0.1, method="euler")
    assert len(seen) == 1 + 3  # one look at the start


def test_a_stiff_field_is_within_reach_of_a_long_time():
    rates = torch.tensor([1e4, 1e-3], dtype=torch.float64)
    end = flow(lambda x: -rates * x, START, [0.0, 1000.0], method="LSODA", tolerance=1e-9).end
    assert end[1].item() == pytest.approx(-0.5 * math.exp(-1), rel=1e-6)
    with pytest.raises(ValueError, match=r"RK45 reached time .* of 1000 after 2000 evaluations.*LSODA"):
        flow(lambda x: -rates * x, START, [0.0, 1000.0], method="RK45", max_steps=2000)


def test_a_path_that_leaves_the_finite_numbers_says_when():
    with pytest.raises(FlowError, match=r"not finite at time 3 with steps of 0\.5; lower the step") as caught:
        flow(lambda x: -(x**3), 10 * START, [0.0, 0.5, 20.0], step=0.5, method="euler")
    assert caught.value.result.time.tolist() == [0.0, 0.5]
    with pytest.raises(ValueError, match=r"not finite at time|gave up after time 0 of 2"):
        flow(lambda x: x**2, START, [0.0, 2.0], method="RK45")  # x' = x^2 from 1 ends at time 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"times": [0, 1]}, "step=None must be positive"),
        ({"times": [0, 1], "step": -0.1}, "step=-0.1"),
        ({"times": [0, 1], "step": float("nan")}, "step=nan"),
        ({"times": [1, 0], "step": 0.1}, "must be a list of finite times that increases"),
        ({"times": [[0, 1]], "step": 0.1}, r"shape \(1, 2\)"),
        ({"times": [0, 1], "step": 0.1, "method": "rk5"}, "unknown method 'rk5'; known are euler"),
        ({"times": [0, math.inf], "step": 0.1}, "list of finite times that increases"),
        ({"times": [0, 1], "step": 0.1, "method": "RK45"}, "step=0.1 means nothing to method='RK45'"),
        ({"times": [0, 1], "step": 0.1, "tolerance": 0.1}, "tolerance=0.1 means nothing to method='rk4'"),
        ({"times": [0, 1], "method": "RK45", "tolerance": 0}, "tolerance=0 must be a positive number"),
        ({"times": [0, 1], "step": 0.1, "start": torch.tensor([1, 2])}, "start is torch.int64"),
        ({"times": [0, 1], "step": 0.1, "field": lambda x: x[:1]}, r"returns \(1,\) at a start of \(2,\)"),
        ({"times": [0, 1], "method": "RK45", "field": lambda x: x[:1]}, r"returns \(1,\) at a start of \(2,\)"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        flow(**{"field": spiral, "start": START, **options})


def test_too_many_steps_are_refused_before_the_first():
    with pytest.raises(ValueError, match="1000000000 steps of 1e-09"):
        flow(spiral, START, [0.0, 1.0], step=1e-9)


@pytest.mark.parametrize("method", SOLVERS)
def test_points_between_long_steps_are_as_exact_as_the_rest(method):
    """A fast rate beside a slow one lets a solver make long steps, and then it interpolates."""
    rates = torch.tensor([4.2, 0.2], dtype=torch.float64)
    times = 0.1 * torch.arange(1001).double()
    path = flow(lambda x: -rates * x, START, times, method=method, tolerance=1e-9)
    exact_path = START * torch.exp(-times[:, None] * rates)
    assert (path.points - exact_path).norm(dim=1).max() < 3e-8
