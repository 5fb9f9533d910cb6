import math
from functools import cache

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grokbook import dual
from grokbook.dual import largest_ratio, lower_bound, minimum_norm
from grokbook.eq20 import Isolated
from grokbook.isolated import cost, initial_embedding, minimise, simulate
from grokbook.tasks import Task, boolean, modular_addition, table

SEEDS = st.integers(0, 10_000)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def task_of(X, Y):
    return Task.from_arrays(X, Y, X, Y)


# Closed forms: X = I, where a unit can serve any samples it likes


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_the_lacking_neuron_for_one_relu_output_serves_all_samples_of_one_sign(seed):
    M = gaussian(6, 1, seed=seed)
    task = task_of(torch.eye(6, dtype=torch.float64), M)
    ratios, U = dual._ascent(M, task, dual.activation_of("relu"), M.new_zeros(6, 1), 200, generator())
    sides = M.clamp(min=0), (-M).clamp(min=0)
    longest = max(sides, key=torch.norm)
    assert ratios.max().item() == pytest.approx(longest.norm().item(), rel=1e-6)
    assert (U[:, ratios.argmax()].clamp(min=0) - longest[:, 0] / longest.norm()).norm() < 1e-3


def test_the_least_norm_of_one_relu_output_is_that_of_two_units():
    X, Y = torch.eye(4, dtype=torch.float64), gaussian(4, 1, seed=3)
    found = minimum_norm(task_of(X, Y), generator(), gap=1e-3, starts=100, progress=False)
    expected = 2 * float(Y.clamp(min=0).norm() + (-Y).clamp(min=0).norm())
    assert found.cost == pytest.approx(expected, rel=1e-3)
    assert found.bound == pytest.approx(expected, rel=1e-3)


def test_the_least_norm_of_a_linear_network_is_twice_a_nuclear_norm():
    X, Y = gaussian(5, 5), gaussian(5, 3, seed=1)
    found = minimum_norm(task_of(X, Y), generator(), "identity", gap=1e-3, starts=100, progress=False)
    expected = 2 * torch.linalg.matrix_norm(torch.linalg.solve(X, Y), "nuc").item()
    assert found.cost == pytest.approx(expected, rel=1e-3)
    assert found.bound == pytest.approx(expected, rel=1e-3)
    assert found.test_accuracy == 1.0


@pytest.mark.parametrize("decay", [0.5, 1.5])
def test_with_decay_the_bound_meets_the_soft_threshold(decay):
    # R/λ of a linear network on X = I is least where singular values lose λ: 2 (s − λ) + λ each, or s²/λ.
    left, right = torch.linalg.qr(gaussian(4, 4))[0], torch.linalg.qr(gaussian(3, 3, seed=1))[0]
    values = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)
    task = task_of(torch.eye(4, dtype=torch.float64), left[:, :3] * values @ right)
    E = torch.cat([left[:, :3] * (values - decay).clamp(min=0).sqrt(), torch.zeros(4, 2, dtype=torch.float64)], 1)
    least = sum(2 * s - decay if s > decay else s * s / decay for s in values.tolist())
    assert cost(E, task, "identity", decay).item() == pytest.approx(least, rel=1e-12)
    bound = lower_bound(E, task, "identity", decay)
    assert (bound.value, bound.ratio) == (pytest.approx(least, rel=1e-9), pytest.approx(1, rel=1e-9))
    elsewhere = gaussian(4, 9, seed=2)
    assert lower_bound(elsewhere, task, "identity", decay).value < least


def test_where_decay_leaves_nothing_the_bound_is_the_cost_of_no_network():
    task = task_of(gaussian(5, 3), gaussian(5, 2, seed=1))
    bound = lower_bound(1e-9 * gaussian(3, 4), task, decay=100.0)
    assert bound.ratio < 1
    assert bound.value == pytest.approx(float(task.Y_train.square().sum()) / 100, rel=1e-9)


# Against runs of every kind


def tasks(seed):
    X = gaussian(7, 4, seed=seed)
    return [
        modular_addition(5, 0.7, generator(seed)),
        table(5, lambda a, b: (a - b).abs(), 0.6, generator(seed)),
        boolean(3, lambda bits: bits.sum(1) % 2, 0.8, generator(seed)),
        task_of(X, gaussian(7, 2, seed=seed + 1)),
    ]


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.integers(0, 3), st.sampled_from([0.0, 0.1, 2.0]), st.sampled_from(["relu", "leaky_relu"]))
@example(0, 2, 2.0, "relu")  # a decay that leaves nothing
def test_no_run_of_any_width_goes_below_a_bound(seed, which, decay, activation):
    task = tasks(seed)[which]
    start = gaussian(task.p, 30, seed=seed)
    points = [start, start[:, :16]]
    reached = [float(simulate(start, task, 0.05, 40, activation, decay, progress=False).cost.min())]
    for E in points[:2]:
        try:
            end = minimise(E, task, activation, decay)
        except ValueError as nothing_left:  # E = 0 is as good, and its cost is reached
            assert "leaves nothing to fit" in str(nothing_left)
            reached.append(float(task.Y_train.square().sum()) / decay)
        else:
            reached.append(float(end.cost))
            points.append(end.E)
    for E in points:
        assert lower_bound(E, task, activation, decay, starts=200).value <= min(reached) * (1 + 1e-9)


@cache
def seven():
    task = modular_addition(7, 0.75, generator(1))
    return task, minimum_norm(task, generator(), starts=500, progress=False)


def test_a_network_of_least_norm_fits_is_balanced_and_tight():
    task, found = seven()
    assert 0 <= found.gap <= 0.01
    assert (task.X_train @ found.E).relu() @ found.W == pytest.approx(task.Y_train, abs=1e-12)
    assert found.E.square().sum().item() + found.W.square().sum().item() == pytest.approx(found.cost, rel=1e-9)
    assert found.E.norm(dim=0).numpy() == pytest.approx(found.W.norm(dim=1).numpy(), rel=1e-9)
    outputs = (task.X_test @ found.E).relu() @ found.W
    assert found.test_accuracy == (outputs.argmax(1) == task.labels_test).double().mean().item()
    narrow = minimise(initial_embedding(7, 40, generator(2)), task).cost
    assert found.bound < narrow * (1 + 1e-9)


def test_a_network_that_is_given_the_neuron_it_lacks_gets_cheaper():
    task = modular_addition(7, 0.75, generator(1))
    E = minimise(initial_embedding(7, 24, generator(2)), task, evaluations=900).E
    found = lower_bound(E, task)
    assert found.ratio > 1.05
    before = float(cost(E, task))
    assert found.value < before
    taught = torch.cat([E, 0.05 * found.neuron[:, None]], 1)
    assert float(cost(taught, task)) < before
    # The unit's own share: ‖e‖² more, and less of Tr YᵀAY by the square of ratio ‖e‖, to second order in ‖e‖.
    tiny = 1e-4 * found.neuron[:, None]
    change = float(cost(torch.cat([E, tiny], 1), task)) - before
    assert change == pytest.approx(1e-8 * (1 - found.ratio**2), rel=1e-2)


def test_no_unit_of_a_network_is_overlooked():
    task = modular_addition(7, 0.75, generator(1))
    E = gaussian(7, 40, seed=3)
    M = Isolated(task, E).solve(E).multiplier
    ratios = (M.T @ (task.X_train @ E).relu()).norm(dim=0) / E.norm(dim=0)
    assert lower_bound(E, task, starts=1).ratio >= ratios.max()


def test_the_multiplier_of_a_minimum_is_allowed_and_worth_its_bound():
    task, found = seven()
    assert 2 * float((found.multiplier * task.Y_train).sum()) == pytest.approx(found.bound, rel=1e-12)
    ratio, neuron = largest_ratio(found.multiplier, task, starts=3000, generator=generator(9))
    assert 0.98 < ratio < 1.01
    assert (found.multiplier.T @ (task.X_train @ neuron).relu()).norm().item() == pytest.approx(ratio, rel=1e-12)
    assert neuron.norm().item() == pytest.approx(1, rel=1e-12)
    # Where both are exact, units in use have the largest ratio; here their mean, weighted by size, is near it.
    ratios = (found.multiplier.T @ (task.X_train @ found.E).relu()).norm(dim=0) / found.E.norm(dim=0)
    sizes = found.E.square().sum(0)
    assert float((sizes * ratios).sum() / sizes.sum()) > 1 - 0.02


def test_the_best_sizes_are_those_of_a_group_lasso():
    # One unit a sample with X = I: Σ ‖w_h‖ = Σ ‖Y_h‖, and s_h = ‖Y_h‖; M is near its centre by design.
    Y = gaussian(5, 3, seed=2)
    H = torch.eye(5, dtype=torch.float64)
    lengths = Y.norm(dim=1)
    sizes, M, found = dual._sized(H, Y, torch.ones(5, dtype=torch.float64), Y / lengths[:, None], 1e-6)
    assert found == pytest.approx(2 * lengths.sum().item(), rel=1e-5)
    assert sizes.numpy() == pytest.approx(lengths.numpy(), rel=1e-2)
    assert (M - Y / lengths[:, None]).norm() < 1e-2


@pytest.mark.parametrize("share", [1e-3, 1e-2, 0.1])
def test_the_barrier_keeps_the_multiplier_inside_and_costs_its_share(share):
    H, Y = gaussian(5, 12, seed=1).relu(), gaussian(5, 3, seed=2)
    H = H / H.norm(dim=0)
    sizes, M, found = dual._sized(H, Y, torch.ones(12, dtype=torch.float64), torch.zeros_like(Y), share)
    ratios = (M.T @ H).norm(dim=0)
    assert ratios.max() < 1 and sizes.min() > 0
    assert (sizes * (1 - ratios**2)).mean().item() == pytest.approx(share, rel=0.1)  # the mean of sizes was 1
    exact = torch.linalg.solve((H * sizes) @ H.T, Y)  # what the sizes cost without a barrier and a centre
    assert found == pytest.approx(float(sizes.sum() + (exact * Y).sum()), rel=1e-12)


# Bad input, and what a long run does


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(activation="gelu"), "activation='gelu' has degree None"),
        (dict(activation="square"), "has degree 2"),
        (dict(starts=0), "starts=0"),
        (dict(generator=3), "generator=3"),
    ],
)
def test_bad_input_to_a_bound(options, message):
    task = modular_addition(5, 0.7, generator())
    with pytest.raises(ValueError, match=message):
        lower_bound(gaussian(5, 16), task, **options)


def test_bad_input_to_the_largest_ratio():
    task = modular_addition(5, 0.7, generator())
    with pytest.raises(ValueError, match=r"M has shape \(3, 5\); it needs that of Y_train, \(10, 5\)"):
        largest_ratio(gaussian(3, 5), task)


def test_a_bound_needs_what_eq_20_needs():
    with pytest.raises(ValueError, match="d_hidden=8 must exceed the 10 training samples"):
        lower_bound(gaussian(5, 8), modular_addition(5, 0.7, generator()))


@pytest.mark.parametrize(("options", "message"), [(dict(gap=0), "gap=0"), (dict(rounds=2.5), "rounds=2.5")])
def test_bad_input_to_the_minimum(options, message):
    with pytest.raises(ValueError, match=message):
        minimum_norm(modular_addition(5, 0.7, generator()), generator(), **options)


def test_a_minimum_that_runs_out_of_rounds_says_how_far_it_is():
    task = modular_addition(7, 0.75, generator(1))
    found = minimum_norm(task, generator(), gap=1e-9, rounds=1, starts=200)
    assert found.gap > 1e-3
    assert found.gap == pytest.approx(found.cost / found.bound - 1)


def test_more_rounds_never_lose_what_fewer_had():
    task = modular_addition(5, 0.75, generator(1))
    options = dict(gap=1e-9, starts=100, progress=False)
    found = [minimum_norm(task, generator(), rounds=rounds, **options) for rounds in (1, 4, 8)]
    costs, bounds = ([getattr(one, name) for one in found] for name in ("cost", "bound"))
    assert costs == sorted(costs, reverse=True) and costs[-1] < costs[0]
    assert bounds[0] < max(bounds) <= min(costs)  # the last round of each tries its bound again, so they may fall


def test_a_bound_is_tried_again_before_it_is_given(monkeypatch):
    asked = []
    ascent = dual._ascent
    monkeypatch.setattr(dual, "_ascent", lambda *given: asked.append(given[4]) or ascent(*given))
    found = minimum_norm(modular_addition(5, 0.7, generator(1)), generator(), starts=30, progress=False)
    assert found.gap <= 0.01
    assert (asked[0], asked[-1]) == (30, 300)


def test_a_sample_without_a_target_does_no_harm():
    # Its row of Y is zero, so units avoid it, HHᵀ is nearly singular, and AY is huge there.
    Y = torch.tensor([[3.0], [4.0], [0.0], [-12.0]], dtype=torch.float64)
    found = minimum_norm(task_of(torch.eye(4), Y), generator(), gap=1e-3, starts=100, progress=False)
    assert found.cost == pytest.approx(2 * (5 + 12), rel=1e-3)
    assert found.bound == pytest.approx(2 * (5 + 12), rel=1e-3)


def test_the_numbers_of_a_minimum_come_from_its_generator():
    task = modular_addition(5, 0.7, generator())
    one, other = (minimum_norm(task, generator(4), rounds=2, starts=200) for _ in range(2))
    assert one.cost == other.cost
    assert math.isfinite(one.bound)
