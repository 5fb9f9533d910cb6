import pytest
import torch

from grokbook import toys
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
