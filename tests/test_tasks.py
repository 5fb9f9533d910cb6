import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokbook.tasks import Task, inputs, modular_addition, split, unordered_pairs

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
        task.p = 7
    moved = task.to("meta")
    assert isinstance(moved, Task)
    assert moved.p == 5
    for name in ("pairs_train", "labels_train", "pairs_test", "labels_test"):
        assert getattr(moved, name).device.type == "meta"
        assert getattr(task, name).device.type == "cpu"


@pytest.mark.parametrize("p", [1, 0, -3])
def test_p_below_two_gives_no_task(p):
    with pytest.raises(ValueError, match=f"p={p} gives no task; p must be at least 2"):
        modular_addition(p, 0.5, generator())


@pytest.mark.parametrize("fraction", [0, 1, -0.2, 1.7, float("nan")])
def test_a_fraction_lies_strictly_between_zero_and_one(fraction):
    with pytest.raises(ValueError, match=rf"train_fraction={fraction} must lie strictly between 0 and 1"):
        modular_addition(5, fraction, generator())


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (dict(train_fraction=0.01), "train_fraction=0.01 leaves 0 of 15"),
        (dict(test_size=15), "test_size=15 leaves 0 of 15"),
        (dict(test_size=0), "test_size=0 leaves 15 of 15"),
        (dict(test_size=99), "test_size=99 leaves -84 of 15"),
        (dict(test_size=-1), "test_size=-1 leaves 16 of 15"),
    ],
)
def test_a_side_left_empty_is_refused(options, left):
    with pytest.raises(ValueError, match=f"{left} pairs to train on; both sides need at least one pair"):
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
    with pytest.raises(ValueError, match="15 pairs and 14 labels; give one label a pair"):
        split(5, unordered_pairs(5), torch.zeros(14, dtype=torch.long), 0.5, generator())


@pytest.mark.parametrize(("pair", "label"), [([0, 5], 0), ([-1, 2], 0), ([0, 1], 5), ([0, 1], -1)])
def test_symbols_and_labels_lie_below_p(pair, label):
    pairs, labels = torch.tensor([[1, 1], pair]), torch.tensor([1, label])
    with pytest.raises(ValueError, match=r"run from -?\d to \d, but p=5 allows 0 to 4"):
        split(5, pairs, labels, 0.5, generator())
