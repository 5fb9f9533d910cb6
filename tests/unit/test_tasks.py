from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokbook.operators import Matrix, PairSums, operator
from grokbook.tasks import (
    Task,
    boolean,
    inputs,
    largest,
    lottery,
    modular_addition,
    modular_multiplication,
    near,
    same_sign,
    split,
    table,
    unordered_pairs,
)

MODULI = st.integers(2, 19)
SEEDS = st.integers(0, 10_000)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def as_tuples(pairs):
    return [tuple(pair) for pair in pairs.tolist()]


@given(MODULI)
def test_unordered_pairs_are_all_of_them_once(p):
    pairs = as_tuples(unordered_pairs(p))
    assert len(pairs) == len(set(pairs)) == p * (p + 1) // 2
    assert all(0 <= a <= b < p for a, b in pairs)


@settings(deadline=None)
@given(MODULI, st.floats(0.34, 0.99, exclude_max=True), SEEDS)
def test_the_split_covers_every_pair_once_with_its_sum(p, fraction, seed):
    task = modular_addition(p, min(fraction, 1 - 1e-9), generator(seed))
    train, test = as_tuples(task.pairs_train), as_tuples(task.pairs_test)
    assert sorted(train + test) == as_tuples(unordered_pairs(p))
    assert train == sorted(train)
    assert test == sorted(test)
    for pairs, labels in ((train, task.labels_train), (test, task.labels_test)):
        assert labels.tolist() == [(a + b) % p for a, b in pairs]
    assert len(train) <= fraction * len(train + test) + 1e-6 < len(train) + 1 + 1e-6


@given(st.integers(3, 19), st.data())
def test_a_fraction_that_is_a_whole_number_of_pairs_gives_that_number(p, data):
    """k/n times n may come out below k in floating point."""
    count = p * (p + 1) // 2
    size = data.draw(st.integers(1, count - 1))
    assert len(modular_addition(p, size / count, generator()).pairs_train) == size


def test_the_papers_sizes():
    section_7 = modular_addition(37, 0.7, generator())
    assert (len(section_7.pairs_train), len(section_7.pairs_test)) == (492, 211)
    appendix_d = modular_addition(11, generator=generator(), test_size=7)
    assert (len(appendix_d.pairs_train), len(appendix_d.pairs_test)) == (59, 7)


@given(st.integers(3, 19), SEEDS)
def test_one_hots_encode_the_pairs(p, seed):
    task = modular_addition(p, 0.5, generator(seed))
    for X, pairs in ((task.X_train, task.pairs_train), (task.X_test, task.pairs_test)):
        assert X.dtype == torch.float64
        assert X.shape == (len(pairs), p)
        assert (X.sum(1) == 2).all()
        # The inner product with (0, ..., p - 1) is a + b, and with its squares a² + b²: together they give the pair.
        symbols = torch.arange(p, dtype=torch.float64)
        assert torch.equal(X @ symbols, pairs.sum(1).double())
        assert torch.equal(X @ symbols**2, (pairs**2).sum(1).double())
    for Y, labels in ((task.Y_train, task.labels_train), (task.Y_test, task.labels_test)):
        assert (Y.sum(1) == 1).all()
        assert torch.equal(Y.argmax(1), labels)


def test_a_doubled_symbol_counts_twice():
    assert inputs(torch.tensor([[1, 1]]), 3).tolist() == [[0, 2, 0]]


def test_the_seed_decides_the_split():
    first, again, other = (modular_addition(11, 0.7, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.pairs_train, again.pairs_train)
    assert not torch.equal(first.pairs_train, other.pairs_train)


def test_the_global_generator_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    modular_addition(11, 0.7, generator(1))
    assert torch.equal(torch.rand(1), expected)


def test_a_task_is_frozen_and_moves_as_a_whole():
    task = modular_addition(5, 0.5, generator())
    with pytest.raises(AttributeError):
        task.right = largest
    moved = task.to("meta")
    assert isinstance(moved, Task)
    assert moved.p == 5 and moved.right is task.right
    for name in ("pairs_train", "labels_train", "pairs_test", "labels_test"):
        assert getattr(moved, name).device.type == "meta"
        assert getattr(task, name).device.type == "cpu"


@pytest.mark.parametrize("p", [1, 0, -3])
def test_p_below_two_gives_no_task(p):
    with pytest.raises(ValueError, match=f"p={p} must be a whole number of at least 2"):
        modular_addition(p, 0.5, generator())


@pytest.mark.parametrize("fraction", [0, 1, -0.2, 1.7, float("nan")])
def test_a_fraction_lies_strictly_between_zero_and_one(fraction):
    with pytest.raises(
        ValueError, match=rf"train_fraction={fraction} (must be a positive number and at most 1|leaves 15 of 15)"
    ):
        modular_addition(5, fraction, generator())


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (dict(train_fraction=0.01), "train_fraction=0.01 leaves 0 of 15 samples"),
        (dict(test_size=15), "test_size=15 leaves 0 of 15 samples"),
        (dict(test_size=0), "test_size=0 must be a whole number of at least 1"),
        (dict(test_size=99), "test_size=99 leaves -84 of 15"),
        (dict(test_size=3.5), "test_size=3.5 must be a whole number"),
    ],
)
def test_a_side_left_empty_is_refused(options, left):
    with pytest.raises(ValueError, match=f"{left}"):
        modular_addition(5, generator=generator(), **options)


@pytest.mark.parametrize("options", [{}, dict(train_fraction=0.5, test_size=3)])
def test_exactly_one_size_is_given(options):
    with pytest.raises(ValueError, match="give exactly one of the two"):
        modular_addition(5, generator=generator(), **options)


def test_a_split_without_a_generator_is_refused():
    with pytest.raises(ValueError, match=r"pass torch.Generator\(\).manual_seed\(seed\)"):
        modular_addition(5, 0.5)


def test_any_task_on_pairs_can_be_split():
    pairs = torch.cartesian_prod(torch.arange(5), torch.arange(5))  # ordered pairs, subtraction
    task = split(5, pairs, (pairs[:, 0] - pairs[:, 1]) % 5, 0.6, generator())
    assert len(task.pairs_train) == 15
    a, b = task.pairs_test.T
    assert torch.equal((task.labels_test + b) % 5, a)


def test_pairs_and_labels_go_together():
    with pytest.raises(ValueError, match=r"pairs are \(15, 2\) and labels \(14,\); pass"):
        split(5, unordered_pairs(5), torch.zeros(14, dtype=torch.long), 0.5, generator())


@pytest.mark.parametrize(("pair", "label"), [([0, 5], 0), ([-1, 2], 0), ([0, 1], 5), ([0, 1], -1)])
def test_symbols_and_labels_lie_below_p(pair, label):
    pairs, labels = torch.tensor([[1, 1], pair]), torch.tensor([1, label])
    with pytest.raises(ValueError, match=r"run from -?\d to \d, but p=5 allows 0 to 4"):
        split(5, pairs, labels, 0.5, generator())


# --- other tables, bits, lotteries, and a task of one's own ---


@settings(deadline=None)
@given(st.integers(2, 13), SEEDS)
def test_the_operator_is_the_matrix(p, seed):
    task = modular_addition(p, 0.5, generator(seed))
    dense = Matrix(task.X_train)
    E, G = (torch.randn(2, rows, 4, generator=generator(seed), dtype=torch.float64) for rows in (p, len(task.X_train)))
    assert isinstance(task.inputs, PairSums) and isinstance(task.inputs_test, PairSums)
    torch.testing.assert_close(task.inputs.times(E), dense.times(E))
    found, expected = (kind.add_transposed(G, E.clone()) for kind in (task.inputs, dense))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(expected, E + task.X_train.T @ G)


@pytest.mark.parametrize("X", [[[0.0, 1.0, 0.0]], [[1.0, 1.0, 1.0]], [[0.5, 1.5, 0.0]], [[-1.0, 2.0, 1.0]]])
def test_other_matrices_are_multiplied(X):
    assert isinstance(operator(torch.tensor(X)), Matrix)


def test_multiplication_and_any_commutative_rule():
    task = modular_multiplication(7, 0.6, generator())
    a, b = task.pairs_train.T
    assert torch.equal(task.labels_train, a * b % 7)
    largest_of = table(16, torch.maximum, 0.5, generator())
    assert torch.equal(largest_of.labels_test, largest_of.pairs_test.amax(1))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda a, b: a + b, "run from 0 to 8, but p=5 allows 0 to 4"),
        (lambda a, b: (a - b) % 5, r"rule\(0, 1\) and rule\(1, 0\) differ"),
        (lambda a, b: (a + b) / 2, "whole numbers"),
    ],
)
def test_a_rule_that_gives_no_table_is_refused(rule, message):
    with pytest.raises(ValueError, match=message):
        table(5, rule, 0.5, generator())


@pytest.mark.parametrize("wrong", ["7", 7.0, True, None])
def test_p_is_a_whole_number(wrong):
    with pytest.raises(ValueError, match=f"p={wrong!r} must be a whole number of at least 2"):
        modular_addition(wrong, 0.5, generator())


def test_a_seed_is_no_generator():
    with pytest.raises(
        ValueError, match=r"generator=3 must be a torch.Generator; pass torch.Generator\(\).manual_seed"
    ):
        modular_addition(5, 0.5, 3)


def test_bits():
    task = boolean(4, lambda bits: bits.sum(1) % 2, 0.75, generator())
    X, Y = torch.cat([task.X_train, task.X_test]), torch.cat([task.Y_train, task.Y_test])
    assert X.shape == (16, 4) and Y.shape == (16, 1)
    assert len({tuple(row) for row in X.tolist()}) == 16
    assert torch.equal(Y[:, 0], -X.prod(1)), "the parity of 4 bits is odd where an odd number of them is -1"
    assert task.accuracy(0.1 * task.Y_test) == 1 and task.accuracy(-task.Y_test) == 0
    with pytest.raises(ValueError, match=r"one 0 or 1 for each of 16 inputs"):
        boolean(4, lambda bits: bits.sum(1), 0.5, generator())


def test_a_lottery_shuffles_the_targets_to_train_on_and_nothing_else():
    task = modular_addition(11, 0.7, generator())
    drawn = lottery(task, generator(1))
    assert torch.equal(drawn.X_train, task.X_train) and torch.equal(drawn.Y_test, task.Y_test)
    assert torch.equal(drawn.Y_train.sum(0), task.Y_train.sum(0))
    assert (drawn.labels_train == task.labels_train).double().mean() < 0.4


def test_a_lottery_needs_a_sample():
    task = modular_addition(5, 0.5, generator())
    empty = replace(task, X_train=task.X_train[:0], Y_train=task.Y_train[:0])
    with pytest.raises(ValueError, match="the task has 0 training samples to shuffle"):
        lottery(empty, generator())


def test_the_whole_of_a_task_is_trained_and_tested_on():
    task = modular_addition(5, 0.5, generator()).whole()
    assert sorted(as_tuples(task.pairs_train)) == as_tuples(unordered_pairs(5))
    assert torch.equal(task.X_train, task.X_test) and task.labels_train.tolist() == task.labels_test.tolist()


def own(**changes):
    arrays = dict(X_train=np.eye(3), Y_train=[0.5, 1.0, -2.0], X_test=np.ones((2, 3)), Y_test=[0.0, 1.0])
    return Task.from_arrays(**{**arrays, **changes})


def test_arrays_of_ones_own():
    task = own()
    assert task.X_train.dtype == torch.float64 and task.Y_train.shape == (3, 1) and task.pairs_train is None
    assert own(Y_train=np.eye(3), Y_test=np.eye(3)[:2]).right is largest
    assert own(Y_train=[1, -1, 1], Y_test=[1, 1]).right is same_sign
    assert task.right is near
    spread = float(task.Y_train.std())
    outputs = task.Y_train + spread * torch.tensor([[0.4], [-0.4], [0.6]], dtype=torch.float64)
    assert task.right(outputs, task.Y_train).tolist() == [True, True, False]
    assert own(right=same_sign).right is same_sign


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(Y_test=[0.0]), "X_test has 2 rows and Y_test 1; give each sample, at least one, a target"),
        (dict(X_test=np.zeros((0, 3)), Y_test=[]), "X_test has 0 rows"),
        (dict(X_train=np.full((3, 3), np.nan)), "9 of the 9 entries of X_train are not finite"),
        (dict(X_train=np.ones(3)), r"X_train has shape \(3,\); it must be \(any, any\)"),
        (dict(X_test=np.ones((2, 4))), r"differ in their columns: X_train \(3, 3\), Y_train \(3, 1\), X_test \(2, 4\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        own(**changes)


def test_the_largest_output_of_a_sample_is_the_answer():
    outputs, Y = torch.tensor([[[1.0, 3.0, 2.0], [5.0, 0.0, 4.0]]]), torch.eye(3)[[1, 2]]
    assert largest(outputs, Y).tolist() == [[True, False]]


def test_several_outputs_are_right_together():
    Y = torch.tensor([[1.0, -1.0], [1.0, 1.0]])
    assert same_sign(torch.tensor([[2.0, 3.0], [0.1, 0.1]]), Y).tolist() == [False, True]
