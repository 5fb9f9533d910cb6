import math

import pytest
import torch

from grokbook import copositive
from grokbook.copositive import chambers, proved
from grokbook.dual import largest_ratio, minimum_norm
from grokbook.tasks import Task, modular_addition


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize(("p", "patterns"), [(2, 6), (3, 26), (4, 150), (5, 1082)])
def test_sums_of_pairs_have_twice_as_many_patterns_as_weak_orders(p, patterns):
    # Patterns alternate: the symbols in the order of |u_a|, in blocks of one sign; 1, 3, 13, 75, 541 weak orders.
    X = modular_addition(p, 0.5, generator()).whole().X_train
    signs = chambers(p).sum(1) @ X.T > 0
    assert len(torch.unique(signs, dim=0)) == patterns
    drawn = torch.unique(gaussian(20_000, p) @ X.T > 0, dim=0)
    assert len(torch.unique(torch.cat([signs, drawn]), dim=0)) == patterns


def test_every_direction_lies_in_one_chamber():
    cones = chambers(4)
    assert cones.shape == (2**4 * math.factorial(4), 4, 4)
    assert cones.norm(dim=-1) == pytest.approx(1)
    parts = torch.linalg.solve(cones.mT, gaussian(4, 50).expand(len(cones), 4, 50))
    assert torch.equal((parts > 0).all(1).sum(0), torch.ones(50, dtype=torch.long))


@pytest.mark.parametrize("seed", range(4))
def test_a_proof_agrees_with_an_ascent_on_both_sides_of_the_largest_ratio(seed):
    task = modular_addition(4, 0.7, generator(seed))
    M = gaussian(*task.Y_train.shape, seed=seed)
    largest = largest_ratio(M, task, starts=500)[0]
    assert proved(M, task, 1.01 * largest)
    assert not proved(M, task, 0.99 * largest)


def test_the_largest_ratio_of_one_pair_is_known():
    # ‖Mᵀσ(u_a + u_b)‖ = |M| (u_a + u_b) is largest at the diagonal: √2 |M|.
    X, Y = torch.tensor([[1.0, 1.0, 0.0]], dtype=torch.float64), torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    task = Task.from_arrays(X, Y, X, Y)
    assert proved(Y, task, 5 * math.sqrt(2) * (1 + 1e-9))
    assert not proved(Y, task, 5 * math.sqrt(2) * (1 - 1e-4))


def test_splitting_keeps_the_cone():
    cones = chambers(3)
    halves = copositive._split(cones).reshape(2, len(cones), 3, 3)
    assert (halves[0].det() * halves[1].det() > 0).all()
    points = cones.sum(1)[:, :, None] + 0.3 * (cones.mT @ gaussian(3, 40).abs())
    inside = (torch.linalg.solve(halves.mT, points) > -1e-9).all(2)
    assert inside.any(0).all()
    sizes = halves.det().abs()
    assert (sizes < cones.det().abs()).all()


def test_a_proved_minimum():
    task = modular_addition(5, 0.7, generator(1))
    found = minimum_norm(task, generator(), gap=0.005, starts=200, progress=False)
    assert proved(found.multiplier, task, 1.01)
    assert found.cost <= 1.02 * 2 * float((found.multiplier * task.Y_train).sum()) / 1.01


@pytest.mark.parametrize(
    ("change", "message"), [(dict(ratio=-1.0), "ratio=-1"), (dict(most=0), "most=0"), (dict(most=5), "5 cones")]
)
def test_bad_input_to_a_proof(change, message):
    task = modular_addition(3, 0.7, generator())
    with pytest.raises(ValueError, match=message):
        proved(**dict(M=gaussian(*task.Y_train.shape), task=task, ratio=2.0) | change)


def test_too_many_symbols_and_other_inputs():
    with pytest.raises(ValueError, match="p=7 has 2\\^p p! = 645120 chambers"):
        chambers(7)
    X = gaussian(4, 3)
    with pytest.raises(ValueError, match="must be e_a \\+ e_b"):
        proved(X, Task.from_arrays(X, X, X, X), 1.0)
