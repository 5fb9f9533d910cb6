import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grokbook.measure import cosine, first_passage, power


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


def test_the_first_passage_is_the_first_record_at_the_level():
    time, values = torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor([0.1, 0.5, 0.4, 0.9])
    assert first_passage(time, values, 0.5) == 1.0
    assert first_passage(time, values, 0.6) == 3.0
    assert first_passage(time, values, 0.0) == 0.0
    with pytest.raises(ValueError, match=r"the highest of the 4 values is 0.9, below level=0.95; run longer"):
        first_passage(time, values, 0.95)


def test_the_cosine_is_that_of_the_angle():
    a = torch.tensor([[1.0, 0.0], [1.0, 1.0], [2.0, 0.0]], dtype=torch.float64)
    b = torch.tensor([[0.0, 3.0], [1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(cosine(a, b), torch.tensor([0.0, math.sqrt(0.5), -1.0], dtype=torch.float64))


@pytest.mark.parametrize("bad", [0.0, math.nan, math.inf])
def test_no_direction(bad):
    with pytest.raises(ValueError, match="zero or not finite"):
        cosine(torch.ones(3), torch.full((3,), bad))
