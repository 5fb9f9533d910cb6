import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grokbook.measure import chatter, cosine, crossing, explained, first_passage, power, powers, rate, sharpness
from grokbook.network import TwoLayer


@given(st.floats(-3, 3), st.floats(0.1, 10), st.floats(1.5, 9))
def test_the_exponent_of_an_exact_power_law(exponent, factor, ratio):
    x = [ratio**k for k in range(4)]
    assert power(x, torch.tensor([factor * value**exponent for value in x], dtype=torch.float64)) == pytest.approx(
        exponent, abs=1e-9
    )


@pytest.mark.parametrize(("x", "y"), [([1, 2], [1, 0]), ([1], [1]), ([1, 2], [1, math.nan]), ([1, 2, 3], [1, 2])])
def test_no_exponent_without_positive_pairs(x, y):
    with pytest.raises(ValueError, match="two or more positive pairs"):
        power(x, y)


@given(st.floats(-3, 3), st.floats(0.1, 10), st.lists(st.integers(-9, 9), min_size=2, unique=True))
def test_the_rate_of_an_exact_decay(exact, factor, time):
    values = factor * torch.exp(-exact * torch.tensor(time, dtype=torch.float64))
    assert rate(time, values) == pytest.approx(exact, abs=1e-9)


@pytest.mark.parametrize(
    ("time", "values"), [([0, 1], [1, 0]), ([0], [1]), ([2, 2], [1, 2]), ([0, 1], [1, math.inf]), ([0, 1, 2], [1, 2])]
)
def test_no_rate_without_positive_values_at_two_times(time, values):
    with pytest.raises(ValueError, match="positive values at two or more times"):
        rate(time, values)


def test_exponents_of_several_columns():
    n, p = np.array([10.0, 20, 40, 30, 70]), np.array([3.0, 5, 4, 11, 7])
    exponents, factor = powers(2.5 * n**0.75 * p**-0.2, n, p)
    assert exponents == pytest.approx([0.75, -0.2]) and factor == pytest.approx(2.5)
    assert powers([3.0, 12.0], [1.0, 2.0])[0] == pytest.approx([2])  # as many points as unknowns


@pytest.mark.parametrize(
    ("y", "columns", "message"),
    [
        ([1, 2], ([1, 2], [3, 4]), "2 points, positive and finite, must be at least 3"),
        ([1, 2, 0], ([1, 2, 3],), "positive and finite"),
        ([1, 2, 3], ([2, 2, 2],), "do not tell the exponents apart"),
    ],
)
def test_what_gives_no_exponents_is_refused(y, columns, message):
    with pytest.raises(ValueError, match=message):
        powers(y, *columns)


def test_the_first_passage_is_the_first_record_at_the_level():
    time, values = torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor([0.1, 0.5, 0.4, 0.9])
    assert first_passage(time, values, 0.5) == 1.0
    assert first_passage(time, values, 0.6) == 3.0
    assert first_passage(time, values, 0.0) == 0.0
    with pytest.raises(ValueError, match=r"the highest of the 4 values is 0.9, below level=0.95; run longer"):
        first_passage(time, values, 0.95)


def test_a_crossing_lies_on_the_straight_line_between_two_records():
    accuracy, time = torch.tensor([0.0, 0.2, 0.6, 0.4]), torch.tensor([0.0, 1.0, 3.0, 4.0])
    assert crossing(accuracy, 0.5, time, -time) == pytest.approx([2.5, -2.5])
    assert crossing(accuracy, 0.6, time) == pytest.approx([3.0])
    assert crossing(0.3 * time, 0.4, time) == pytest.approx([4 / 3])
    assert crossing([0, 0.5, 0, 1], 0.25, [0, 1, 2, 3]) == pytest.approx([0.5])
    assert crossing([0, 0.5], 0.5, [0, 1]) == pytest.approx([1])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, 0.4], "highest of the 2 values is 0.4, below level=0.5"),
        ([0.6, 0.4], "first value is 0.6, at or above level=0.5"),
    ],
)
def test_no_crossing_of_a_level_never_reached_or_reached_from_the_start(values, message):
    with pytest.raises(ValueError, match=message):
        crossing(values, 0.5, [0, 1])


def test_the_cosine_is_that_of_the_angle():
    a = torch.tensor([[1.0, 0.0], [1.0, 1.0], [2.0, 0.0]], dtype=torch.float64)
    b = torch.tensor([[0.0, 3.0], [1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(cosine(a, b), torch.tensor([0.0, math.sqrt(0.5), -1.0], dtype=torch.float64))


@pytest.mark.parametrize("bad", [0.0, math.nan, math.inf])
def test_no_direction(bad):
    with pytest.raises(ValueError, match="zero or not finite"):
        cosine(torch.ones(3), torch.full((3,), bad))


def test_chatter_counts_crossings_that_turn_back_at_once():
    back_and_forth, once, never = [1.0, -1.0, 1.0, -1.0], [-2.0, -1.0, 1.0, 2.0], [1.0, 3.0, 1.0, 2.0]
    there_and_back = [1.0, -1.0, 1.0, 2.0]
    values = torch.tensor([back_and_forth, once, never, there_and_back]).T
    assert [chatter(column) for column in values.T] == [1, 0, 0, 0.5]
    assert chatter(values) == pytest.approx(1.5 / 4)
    with pytest.raises(ValueError, match="values has 2 rows"):
        chatter(values[:2])


def linear_map(rows):
    J = torch.tensor(rows)
    return SimpleNamespace(jvp=lambda theta, v: J @ v, vjp=lambda theta, u: J.T @ u)


def test_the_sharpness_of_a_linear_map_is_its_largest_singular_value_squared():
    line = linear_map([[3.0, 0.0, 1.0], [0.0, 2.0, 0.0]])
    assert sharpness(line, torch.zeros(3)) == pytest.approx(10)
    assert sharpness(line, torch.zeros(3), speeds=torch.tensor([1.0, 4.0, 1.0])) == pytest.approx(16)


def test_the_sharpness_comes_from_below_to_that_of_the_whole_matrix():
    generator = torch.Generator().manual_seed(0)
    net = TwoLayer(torch.randn(6, 4, generator=generator, dtype=torch.float64), 20, 3, "gelu")
    theta = net.initial(generator)
    exact = float(torch.linalg.matrix_norm(torch.func.jacrev(net.F)(theta), 2) ** 2)
    found = [sharpness(net, theta, iterations) for iterations in (1, 3, 10, 300)]
    assert found == sorted(found)
    assert found[0] < 0.99 * exact < exact == pytest.approx(found[-1])


def test_no_sharpness_without_a_direction():
    for row in ([1.0, -1.0], [1.0, math.nan], [1.0, math.inf]):
        for iterations in (1, 30):
            with pytest.raises(ValueError, match="to zero or is not finite"):
                sharpness(linear_map([row]), torch.zeros(2), iterations)
    with pytest.raises(ValueError, match="iterations=0"):
        sharpness(linear_map([[1.0, 0.0]]), torch.zeros(2), iterations=0)


def test_what_a_group_explains():
    groups = torch.arange(12) % 4
    of_group = torch.randn(4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)[groups]
    assert explained(of_group, groups) == pytest.approx(1, abs=1e-12)
    within = torch.where(torch.arange(12) < 4, 2.0, -1.0).double()[:, None]  # means 0 in every group
    assert explained(within, groups) == pytest.approx(0, abs=1e-12)
    # Two groups of two: means 1 and 3, 2 of 4 squares within.
    values = torch.tensor([[0.0], [2.0], [2.0], [4.0]], dtype=torch.float64)
    assert explained(values, torch.tensor([7, 7, 1, 1])) == pytest.approx(0.5, abs=1e-12)
    assert explained(values + 100, torch.tensor([7, 7, 1, 1])) == pytest.approx(0.5, abs=1e-9)


def test_chance_explains_as_much_as_the_numbers_say():
    values = torch.randn(60, 4000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert explained(values, torch.arange(60) // 6) == pytest.approx(9 / 59, rel=0.02)


def test_no_share_of_no_variance():
    with pytest.raises(ValueError, match="all 3 samples have the same values"):
        explained(torch.ones(3, 2).double(), torch.arange(3))
    with pytest.raises(ValueError, match="give each of the 3 samples its group"):
        explained(torch.ones(3, 2).double(), torch.arange(2))
