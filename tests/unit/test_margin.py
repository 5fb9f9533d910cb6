from types import SimpleNamespace

import numpy as np
import pytest
import torch

from grokbook import margin, toys
from grokbook.levelset import LevelSet
from grokbook.margin import weakest

STARTS = torch.tensor([[1.5, 0.5], [0.3, 2.0]], dtype=torch.float64)


@pytest.mark.parametrize("target", [1.0, 0.1, 0.01])
def test_the_hyperbola_is_weakest_at_its_vertex(target):
    """J = (w2, w1), so sigma is |w|, and |w|² >= 2 w1 w2 = 2y."""
    toy = toys.two_layers(target)
    found, point = weakest(LevelSet(toy.F, toy.y), STARTS, 4)
    assert found == pytest.approx((2 * target) ** 0.5, rel=1e-5)
    torch.testing.assert_close(point.abs(), torch.full((2,), target**0.5, dtype=torch.float64), atol=1e-4, rtol=0)


def test_the_cross_is_singular_and_the_circle_is_everywhere_alike():
    cross, circle = toys.two_layers(0.0), toys.circle(2.0)
    assert weakest(LevelSet(cross.F, cross.y), STARTS, 4)[0] < 1e-6
    assert weakest(LevelSet(circle.F, circle.y), STARTS, 4)[0] == pytest.approx(4, rel=1e-9)


def test_the_ball_bounds_the_search():
    """The line w1 + w2 = 4 passes the origin at a distance of sqrt(8)."""
    line = toys.line(torch.tensor([1.0, 1.0], dtype=torch.float64), 4.0)
    with pytest.raises(ValueError, match="none of 2 starts led to the set within radius=1"):
        weakest(LevelSet(line.F, line.y), STARTS, 1)


@pytest.mark.parametrize("radius", [1.5, 3.0])
def test_the_weakest_point_may_lie_on_the_sphere(radius):
    """On w1 = 0, where w1/(1 + w2²) = 0, the slope is 1/(1 + w2²): the farther out the less."""
    falling = LevelSet(lambda w: (w[0] / (1 + w[1] ** 2)).reshape(1), torch.zeros(1, dtype=torch.float64))
    found, point = weakest(falling, STARTS, radius)
    assert found == pytest.approx(1 / (1 + radius**2), rel=1e-5)
    torch.testing.assert_close(point.abs(), torch.tensor([0.0, radius], dtype=torch.float64), atol=1e-5, rtol=0)


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0]])
def test_of_several_ends_the_weakest_is_kept(order):
    """w1 (w1 - 1) (w1 - 3) = 0 is three lines, on which the slope is 3, 2 and 6."""
    lines = LevelSet(lambda w: (w[0] * (w[0] - 1) * (w[0] - 3)).reshape(1), torch.zeros(1, dtype=torch.float64))
    starts = torch.tensor([[0.0, 0.5], [1.0, 0.5], [3.0, 0.5]], dtype=torch.float64)[order]
    found = weakest(lines, starts, 5)
    assert found.value == pytest.approx(2)
    assert found.point[0] == pytest.approx(1)


def test_of_several_singular_values_it_is_the_least_that_falls():
    """J has the rows (0, 0, 10) and (w2, w1, 0): the least value is |(w1, w2)|, at least sqrt(2) where w1 w2 = 1."""
    product = LevelSet(lambda w: torch.stack([10 * w[2], w[0] * w[1]]), torch.tensor([0.0, 1.0], dtype=torch.float64))
    start = torch.tensor([[2.0, 0.5, 0.0]], dtype=torch.float64)
    assert weakest(product, start, 4).value == pytest.approx(2**0.5, rel=1e-5)


def test_an_empty_set_has_no_weakest_point():
    nowhere = LevelSet(lambda w: w.square().sum().reshape(1), -torch.ones(1, dtype=torch.float64))
    with pytest.raises(ValueError, match="none of 2 starts"):
        weakest(nowhere, STARTS, 4)


def test_a_point_outside_the_ball_does_not_count(monkeypatch):
    line = toys.line(torch.tensor([1.0, 1.0], dtype=torch.float64), 4.0)
    monkeypatch.setattr(margin, "minimize", lambda *_, **__: SimpleNamespace(x=np.array([2.0, 2.0])))
    assert weakest(LevelSet(line.F, line.y), STARTS, 3).value == pytest.approx(2**0.5)
    with pytest.raises(ValueError, match="none of 2 starts"):
        weakest(LevelSet(line.F, line.y), STARTS, 2)
