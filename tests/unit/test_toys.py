import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokbook import toys
from grokbook.flow import flow

WEIGHT = st.floats(-3, 3)
EVERY = {
    "addition": toys.addition(),
    "two_layers": toys.two_layers(),
    "leaky_addition": toys.leaky_addition(),
    "parabola": toys.parabola(),
    "circle": toys.circle(2.0),
    "line": toys.line(torch.tensor([1.0, -2.0], dtype=torch.float64), 3.0),
}


def point(*entries):
    return torch.tensor(entries, dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "solution"),
    [
        ("addition", (-1, 3)),
        ("two_layers", (4, 0.25)),
        ("leaky_addition", (2.5, -5.0)),
        ("parabola", (-3, 9)),
        ("circle", (1.2, -1.6)),
        ("line", (1, -1)),
    ],
)
def test_a_point_known_to_solve_each_toy(name, solution):
    assert EVERY[name].loss(point(*solution)).item() < 1e-28
    assert EVERY[name].loss(point(*solution) + 0.1).item() > 1e-4


@pytest.mark.parametrize("name", EVERY)
def test_descent_is_minus_the_slope_of_the_loss(name):
    toy, theta, h = EVERY[name], point(0.7, -1.1), 1e-6
    slopes = [(toy.loss(theta + h * e, 0.3) - toy.loss(theta - h * e, 0.3)) / (2 * h) for e in torch.eye(2).double()]
    np.testing.assert_allclose(toy.descent(0.3)(theta).numpy(), -np.array(slopes), rtol=1e-6, atol=1e-8)


def test_fig_1_rests_at_2_over_2_plus_decay():
    for decay in (0.01, 0.1, 0.2):
        rest = 2 / (2 + decay)
        assert toys.addition().descent(decay)(point(rest, rest)).norm() < 1e-14


@settings(max_examples=25, deadline=None)
@given(WEIGHT, WEIGHT, WEIGHT, st.floats(0, 0.5))
def test_the_exact_path_is_the_one_an_adaptive_solver_finds(a, b, c, decay):
    X, y = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, 0.5]], dtype=torch.float64), point(3.0, 1.0)
    times = point(0.0, 0.2, 1.0, 6.0)
    exact = toys.linear_descent(X, y, decay, point(a, b, c), times)
    found = flow(toys.linear(X, y).descent(decay), point(a, b, c), times, method="LSODA")
    assert (exact - found.points).norm() < 1e-7


@pytest.mark.parametrize("samples", [1, 2, 5])
def test_without_decay_the_part_no_sample_sees_stays_for_ever(samples):
    draw = torch.randn(samples + 1, 4, generator=torch.Generator().manual_seed(samples), dtype=torch.float64)
    X, start = draw[:-1], draw[-1]
    X[-1] = X[0]  # a repeated sample is no new one, for any number of them
    targets = X @ torch.ones(4).double()
    end = toys.linear_descent(X, targets, 0.0, start, point(0.0, 1e12))[-1]
    nearest = start + torch.as_tensor(np.linalg.pinv(X.numpy(), rcond=1e-12)) @ (targets - X @ start)
    assert (end - nearest).norm() < 1e-9 * start.norm()


def test_two_layers_lose_their_imbalance_at_the_rate_of_decay_alone():
    decay, start = 0.05, point(2.0, 0.3)
    path = flow(toys.two_layers().descent(decay), start, point(0.0, 1.0, 5.0), method="RK45")
    imbalance = path.points[:, 0] ** 2 - path.points[:, 1] ** 2
    np.testing.assert_allclose(imbalance.numpy(), (imbalance[0] * torch.exp(-4 * decay * path.time)).numpy(), rtol=1e-7)


def test_a_decay_that_is_not_a_number():
    with pytest.raises(ValueError, match="decay=nan must be a number"):
        toys.linear_descent(torch.eye(2), torch.ones(2), float("nan"), torch.ones(2), torch.ones(1))


def test_bad_input():
    with pytest.raises(ValueError, match=r"X is \(2, 3\) and targets \(3,\)"):
        toys.linear(torch.ones(2, 3), torch.ones(3))
    with pytest.raises(ValueError, match=r"decay=-0.1 must be a number from 0 on"):
        toys.linear_descent(torch.ones(1, 2), torch.ones(1), -0.1, torch.ones(2), torch.ones(1))
