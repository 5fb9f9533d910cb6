import math

import pytest
import torch
from scipy.integrate import solve_ivp

from grokbook.clock import WAYS, follow
from grokbook.isolated import initial_embedding, readout
from grokbook.stored import matching, stored_runs
from grokbook.tasks import modular_addition

P, WIDTH = 5, 24
FINE = 1e-5


def case(seed=0, scale=0.6):
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(P, 0.7, generator)
    return task, initial_embedding(P, WIDTH, generator, scale)


def readout_norm(E, task, sigma):
    """‖W‖² with matrices and an explicit inverse, for autograd."""
    H = sigma(task.X_train @ E)
    return torch.trace(task.Y_train.T @ torch.linalg.inv(H @ H.T) @ task.Y_train)


def oracle(E, task, sigma, time, radial):
    """SciPy's solution of E' = −½∇‖W‖² + radial(E, −½∇‖W‖²) E, the gradient by autograd."""
    slope = torch.func.grad(lambda E: readout_norm(E, task, sigma))

    def field(_, flat):
        point = torch.as_tensor(flat).view(P, WIDTH)
        pull = -slope(point) / 2
        return (pull + radial(point, pull) * point).reshape(-1).numpy()

    solved = solve_ivp(field, (0, time), E.reshape(-1).numpy(), rtol=1e-9, atol=1e-9)
    return torch.as_tensor(solved.y[:, -1]).view(P, WIDTH)


def apart(E, other):
    return float((E - other).norm() / other.norm())


RADIAL = {
    "decaying": lambda E, pull: -1.0,
    "undecayed": lambda E, pull: 0.0,
    "held": lambda E, pull: -float((pull * E).sum() / (E * E).sum()),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_is_the_equation_that_its_name_says(way):
    task, E = case()
    expected = oracle(E, task, torch.nn.functional.gelu, 0.1, RADIAL[way])
    found = follow(E, task, [0, 0.05, 0.1], way, "gelu", FINE)
    assert apart(found.E, expected) < 2e-3
    assert apart(E, expected) > 0.05


@pytest.mark.parametrize(("activation", "degree", "close"), [("leaky_relu", 1, 1e-3), ("square", 2, 3e-3)])
def test_the_decay_changes_nothing_but_length_and_clock(activation, degree, close):
    """E(t) = e^{−t} ψ(s) with s = (e^{kt} − 1)/k, k = 2 degree + 2."""
    task, E = case()
    k, t = 2 * degree + 2, 0.1
    with_it = follow(E, task, [0, t / 2, t], "decaying", activation, 1e-4).E
    without = follow(E, task, [0, math.expm1(k * t) / k], "undecayed", activation, 1e-4).E
    assert apart(with_it, math.exp(-t) * without) < close
    assert apart(with_it, without) > 5 * close
    assert apart(with_it, math.exp(-t) * E) > 5 * close
    assert apart(with_it, math.exp(-t) * follow(E, task, [0, t], "undecayed", activation, 1e-4).E) > 2 * close


@pytest.mark.parametrize(
    ("way", "activation", "power"), [("undecayed", "square", 6), ("held", "square", 6), ("held", "leaky_relu", 4)]
)
def test_without_decay_time_goes_with_a_power_of_the_size(way, activation, power):
    task, E = case()
    small = follow(E, task, [0, 0.1], way, activation, 1e-4).E
    large = follow(3 * E, task, [0, 0.1 * 3**power], way, activation, 1e-4).E
    assert apart(large, 3 * small) < 1e-3
    assert apart(small, E) > 0.015


def test_held_keeps_the_length_and_the_others_do_not():
    task, E = case()
    courses = {way: follow(E, task, [0, 0.1, 0.3], way) for way in WAYS}
    for way, course in courses.items():
        lengths = course.norms[:, 0] / E.square().sum()
        assert (lengths[-1] - 1).abs() < 1e-12 if way == "held" else (lengths[-1] - 1).abs() > 1e-3
    assert float(courses["undecayed"].norms[-1, 0]) > float(E.square().sum())


def test_the_records_are_of_the_networks_at_their_times():
    task, E = case()
    course = follow(E, task, [0, 0.05, 0.3])
    assert course.time.tolist() == [0, 0.05, 0.3]
    for k, point in ((0, E), (-1, course.E)):
        W = readout(point, task)
        assert course.norms[k, 0] == pytest.approx(float(point.square().sum()))
        assert course.norms[k, 1] == pytest.approx(float(W.square().sum()))
        right = (torch.relu(task.X_test @ point) @ W).argmax(1) == task.labels_test
        assert course.test_accuracy[k] == right.double().mean()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda task, E: follow(E, task, [0.1, 0.2]), "from 0 on"),
        (lambda task, E: follow(E, task, [0, 0.2, 0.2]), "increases"),
        (lambda task, E: follow(E, task, [0]), "increases"),
        (lambda task, E: follow(E, task, [0, math.inf]), "finite"),
        (lambda task, E: follow(E, task, [0, 1], "upwards"), "unknown way 'upwards'; known are decaying"),
        (lambda task, E: follow(E, task, [0, 1], tolerance=0), "tolerance=0"),
        (lambda task, E: follow(E[None], task, [0, 1]), r"E has shape \(1, 5, 24\)"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(*case())


# The stored runs


def test_stored_courses_obey_the_law_of_the_decay():
    """One T of half accuracy for every size of a direction, whatever the size, for ReLU and not for GELU."""
    spreads = {}
    for activation in ("relu", "gelu"):
        rows = matching(stored_runs("clock"), kind="course", p=23, way="decaying", activation=activation, seed=0)
        melted = [math.expm1(4 * row["half"]) / (4 * row["size"] ** 4) for row in rows]
        spreads[activation] = max(melted) / min(melted)
    assert spreads["relu"] < 1.3 < 3 < spreads["gelu"]


def test_stored_networks_memorised():
    rows = matching(stored_runs("clock"), kind="trained")
    assert all(0 < row["memorised"] < 0.2 and row["loss"] < 2e-3 for row in rows)
