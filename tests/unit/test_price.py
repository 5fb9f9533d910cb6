import math

import numpy as np
import pytest
import torch

from grokbook.isolated import cost, initial_embedding, minimise
from grokbook.price import BITS, TABLES, least_price, price, task_of, transition, with_constant
from grokbook.tasks import Task, boolean, modular_addition, table


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def whole(name, size):
    return task_of(name, size, 1.0, generator())


# Tasks by name


@pytest.mark.parametrize(
    ("name", "a", "b", "answer"),
    [
        ("addition", 5, 6, 4),
        ("multiplication", 3, 6, 4),
        ("squares", 2, 6, 5),
        ("quadratic", 2, 6, 3),
        ("distance", 1, 6, 5),
        ("maximum", 1, 6, 6),
    ],
)
def test_tables_by_hand(name, a, b, answer):
    task = whole(name, 7)
    row = task.pairs_train.tolist().index([a, b])
    assert task.labels_train[row] == answer


def test_xor_is_a_group_in_which_everything_is_its_own_inverse():
    task = whole("xor", 8)
    a, b = task.pairs_train.T
    assert bool((task.labels_train[a == b] == 0).all())
    assert sorted(task.labels_train[(a == 3) | (b == 3)].tolist()) == list(range(8))
    with pytest.raises(ValueError, match="run from 0 to 7, but p=6 allows 0 to 5"):
        whole("xor", 6)


def test_the_random_table_is_one_table_whatever_the_split():
    answers = []
    for seed in (0, 1):
        task = task_of("random", 7, 0.5, generator(seed))
        pairs = torch.cat([task.pairs_train, task.pairs_test])
        labels = torch.cat([task.labels_train, task.labels_test])
        answers.append(sorted(zip(map(tuple, pairs.tolist()), labels.tolist(), strict=True)))
    assert answers[0] == answers[1]
    assert len({label for _, label in answers[0]}) > 4


def test_parity_and_majority_come_with_a_constant_input():
    for name, right in (("parity", lambda X: -(-X).prod(1)), ("majority", lambda X: X.sum(1).sign())):
        task = whole(name, 5)
        assert task.X_train.shape == (32, 6) and bool((task.X_train[:, -1] == 1).all())
        assert torch.equal(task.Y_train[:, 0], right(task.X_train[:, :-1]))


def test_without_a_constant_input_no_relu_layer_answers_majority():
    """Σ w σ(e·x) is even in x but for a linear part, and majority is odd and not linear."""
    plain = boolean(3, BITS["majority"], 0.5, generator()).whole()
    E = initial_embedding(3, 40, generator())
    with pytest.raises(ValueError, match="HHᵀ"):
        cost(E, plain)
    assert cost(initial_embedding(4, 40, generator()), with_constant(plain)) > 0


def test_shares_are_those_of_the_table_and_one_is_all_of_it():
    task = task_of("addition", 7, 0.5, generator())
    assert (len(task.X_train), len(task.X_test)) == (14, 14)
    assert torch.equal(whole("addition", 7).X_train, whole("addition", 7).X_test)
    assert len(whole("addition", 7).X_train) == 28


@pytest.mark.parametrize("share", [0, 1.5, -0.1, True, math.nan])
def test_a_share_lies_in_0_to_1(share):
    with pytest.raises(ValueError, match="share="):
        task_of("addition", 7, share, generator())


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"name='sum' is not known; choose from .*'addition'"):
        task_of("sum", 7, 0.5, generator())
    assert not set(TABLES) & set(BITS)


# Prices


@pytest.mark.parametrize("p", [3, 5, 8])
def test_a_constant_answer_costs_the_square_root_of_p(p):
    """One unit: e = α everywhere, w = 1/(2α), and pα² + 1/(4α²) is least at √p. No network is cheaper."""
    constant = table(p, lambda a, b: 0 * (a + b), 0.5, generator()).whole()
    assert least_price(constant) == pytest.approx(math.sqrt(p))
    found = price(constant, 2 * p**2, generator())
    assert math.sqrt(p) * (1 - 1e-5) < found.cost < 1.05 * math.sqrt(p)
    assert found.test_accuracy == 1


@pytest.mark.parametrize("p", [3, 5, 11, 17])
def test_the_lower_bound_of_the_whole_addition_table_is_p(p):
    assert least_price(modular_addition(p, 0.5, generator()).whole()) == pytest.approx(p)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_network_that_fits_is_below_the_bound(seed):
    task = modular_addition(7, 0.6, generator(seed))
    for scale in (0.1, 1.0, 10.0):
        assert cost(initial_embedding(7, 40, generator(seed), scale), task) > least_price(task)
    assert price(task, 40, generator(seed)).cost > least_price(task)


def test_a_price_is_that_of_the_network_it_returns_and_less_than_at_the_start():
    task = modular_addition(7, 0.6, generator())
    start = initial_embedding(7, 40, generator(1), dtype=torch.float32).double()
    found = price(task, 40, generator(1))
    assert found.cost == pytest.approx(float(cost(found.E, task)), rel=1e-5)
    assert found.cost < 0.8 * float(cost(start, task))
    H = torch.relu(task.X_train.to(found.E) @ found.E)
    W = torch.linalg.pinv(H.double()) @ task.Y_train
    outputs = torch.relu(task.X_test @ found.E.double()) @ W
    assert found.test_accuracy == float(task.accuracy(outputs))


def test_float64_takes_over_where_float32_finds_a_singular_kernel(monkeypatch):
    def fussy(E, *arguments, **options):
        if E.dtype == torch.float32:
            raise ValueError("HHᵀ is singular")
        return minimise(E, *arguments, **options)

    monkeypatch.setattr("grokbook.price.minimise", fussy)
    task = modular_addition(5, 0.6, generator())
    found = price(task, 20, generator(1), evaluations=30)
    start = initial_embedding(5, 20, generator(1), dtype=torch.float32).double()
    assert found.E.dtype == torch.float64
    assert torch.equal(found.E, minimise(start, task, evaluations=30).E)


def test_a_ridge_takes_over_where_float64_finds_one_too(monkeypatch):
    def fussy(E, *arguments, **options):
        if not options["decay"]:
            raise ValueError("HHᵀ is singular")
        return minimise(E, *arguments, **options)

    task = modular_addition(5, 0.6, generator())
    exact = price(task, 20, generator(1), evaluations=30)
    monkeypatch.setattr("grokbook.price.minimise", fussy)
    found = price(task, 20, generator(1), evaluations=30)
    assert found.E.dtype == torch.float64
    assert found.cost == pytest.approx(exact.cost, rel=1e-3) and found.test_accuracy == exact.test_accuracy
    H = torch.relu(task.X_train @ found.E)
    squares = float((torch.linalg.pinv(H) @ task.Y_train).square().sum() + found.E.square().sum())
    assert found.cost == pytest.approx(squares, rel=1e-6)  # of weights that fit exactly


def test_a_part_costs_less_than_the_whole():
    task = modular_addition(7, 0.5, generator())
    assert price(task, 42, generator(1)).cost < price(task.whole(), 42, generator(1)).cost


def test_nonzero_products_cost_what_sums_cost():
    """Multiplication of residues that are not 0 is addition of their logarithms, with other names."""
    p, root = 7, 3
    powers_of_root = torch.tensor([root**k % p for k in range(p - 1)])  # a = root^k has the name a - 1
    logarithm = powers_of_root.argsort()
    sums = table(p - 1, lambda a, b: (a + b) % (p - 1), 0.5, generator()).whole()
    products = table(p - 1, lambda a, b: (a + 1) * (b + 1) % p - 1, 0.5, generator()).whole()
    E = initial_embedding(p - 1, 40, generator())
    assert float(cost(E, sums)) == pytest.approx(float(cost(E[logarithm], products)))


def test_the_width_must_exceed_the_samples():
    task = modular_addition(7, 0.6, generator())
    with pytest.raises(ValueError, match="d_hidden=16 must exceed the 16 training samples"):
        price(task, 16, generator())


def test_a_constant_input_goes_to_both_sides():
    task = with_constant(Task.from_arrays(np.zeros((2, 3)), [1.0, -1.0], np.zeros((4, 3)), [1.0, 1.0, 1.0, -1.0]))
    assert task.X_train.tolist() == [[0, 0, 0, 1]] * 2 and task.X_test.tolist() == [[0, 0, 0, 1]] * 4


# Rises


@pytest.mark.parametrize(("middle", "width"), [(0.9, 0.1), (0.85, 0.02), (50.0, 12.0)])
def test_a_rise_is_found_again(middle, width):
    x = np.linspace(middle - width, middle + width, 9)
    exact = 1 / (1 + 81 ** (-(x - middle) / width))
    found = transition(x, exact)
    assert found.middle == pytest.approx(middle) and found.width == pytest.approx(width)
    assert found.misfit < 1e-6
    assert found.at([middle - width / 2, middle, middle + width / 2]) == pytest.approx([0.1, 0.5, 0.9])


def test_the_misfit_is_the_root_of_the_mean_square():
    x, accuracy = [0.0, 1.0, 2.0, 3.0], [0.1, 0.7, 0.4, 0.9]
    found = transition(x, accuracy)
    assert found.misfit == pytest.approx(math.sqrt(np.mean((found.at(x) - accuracy) ** 2)))
    assert found.misfit > 0.1


@pytest.mark.parametrize(
    ("x", "accuracy", "message"),
    [
        ([1, 2], [0, 1], "three or more points"),
        ([1, 2, 3], [0, 1], "three or more points"),
        ([1, 2, 3], [0.0, 0.5, 1.2], "accuracies in 0..1"),
        ([1, 2, math.nan], [0, 0.5, 1], "three or more points"),
        ([1, 2, 3], [0.0, 0.1, 0.3], "run from 0 to 0.3 and do not pass 1/2"),
        ([1, 2, 3], [0.6, 0.8, 1.0], "do not pass 1/2; take points on both sides"),
    ],
)
def test_points_without_a_rise_are_refused(x, accuracy, message):
    with pytest.raises(ValueError, match=message):
        transition(x, accuracy)
