import itertools
import math
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokbook import integrators
from grokbook.eq20 import Isolated
from grokbook.integrators import METHODS
from grokbook.isolated import SimulationError, initial_embedding, simulate
from grokbook.tasks import modular_addition

OPTIMISERS = ("momentum", "adam")  # they follow no flow to any order
FOLLOWERS = [name for name in METHODS if name not in OPTIMISERS]
ADAPTIVE = [name for name, method in METHODS.items() if method.adapts]
ORDERS = {"euler": 1, "heun": 2, "ralston": 2, "rk4": 4, "adams_bashforth": 2}


def follow(name, field, point, time, pieces, tolerance=None):
    """The point after `pieces` equal stretches, and how many evaluations it took."""
    method, memory, calls = integrators.method(name, tolerance), {}, 0

    def counted(at):
        nonlocal calls
        calls += 1
        return field(at)

    for _ in range(pieces):
        point, memory = method.advance(counted, point, time / pieces, memory, method.tolerance)
    return point, calls


def spiral(point):
    """A linear field, solved by a matrix exponential."""
    return point @ SPIN.T


def spiral_at(start, time):
    return start @ torch.linalg.matrix_exp(time * SPIN).T


SPIN = torch.tensor([[0.3, -1, 0], [1, 0.3, 0], [0, 0, -0.2]], dtype=torch.float64)
START = torch.tensor([1.0, 0.5, -2.0], dtype=torch.float64)


# Order and accuracy on fields with a closed form


@pytest.mark.parametrize("name", ORDERS)
def test_error_falls_with_the_order_of_the_method(name):
    errors = [(follow(name, spiral, START, 2.0, pieces)[0] - spiral_at(START, 2.0)).norm() for pieces in (80, 160, 320)]
    for coarse, fine in itertools.pairwise(errors):
        assert math.log2(coarse / fine) == pytest.approx(ORDERS[name], abs=0.1)


CALLS = {"euler": 1, "adams_bashforth": 1, "heun": 2, "ralston": 2, "rk4": 4, "momentum": 1, "adam": 1}


@pytest.mark.parametrize(("name", "calls"), CALLS.items())
def test_evaluations_a_step(name, calls):
    assert follow(name, spiral, START, 1.0, 7)[1] == 7 * calls


@pytest.mark.parametrize(("name", "power"), [("adaptive", 0.5), ("adaptive_heun", 1.0)])
def test_a_smaller_tolerance_buys_accuracy(name, power):
    """Steps go as √tolerance: Euler's error goes as its power 1/2, Heun's, of second order, as 1."""
    errors = [
        (follow(name, spiral, START, 2.0, 1, tolerance)[0] - spiral_at(START, 2.0)).norm() for tolerance in (4e-5, 1e-5)
    ]
    assert math.log(errors[0] / errors[1], 4) == pytest.approx(power, abs=0.15)


@pytest.mark.parametrize("name", ["adaptive", "adaptive_heun"])
def test_a_steep_start_costs_little(name):
    """θ' = −c(t) θ with a rate that falls from 1000 to 1 as θ falls: equal steps would have to be short all along."""

    def steep(point):
        return -(1 + 1000 * (point / 10) ** 4) * point

    start = torch.full((1,), 10.0, dtype=torch.float64)
    exact = (math.exp(12) * (1 + 1000) / 1e4 - 1000 / 1e4) ** -0.25  # q = θ⁻⁴ obeys q' = 4q + 0.4
    found, calls = follow(name, steep, start, 3.0, 1, 1e-4)
    assert float(found) == pytest.approx(exact, rel=0.05)
    equal, _ = follow("euler", steep, start, 3.0, calls)
    assert not abs(float(equal) - exact) < 0.05 * exact


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("pieces", [1, 3, 40])
def test_stretches_are_covered_whole(name, pieces):
    """However the time is cut into stretches, decay at rate 1 has fallen to 1/e after time 1."""
    found, _ = follow(name, lambda x: -x, START, 1.0, pieces, 0.02 if name == "clock" else 1e-4)
    assert (found - START / math.e).norm() < 0.02 * START.norm()


def test_a_kink_shortens_steps_in_proportion_to_the_tolerance():
    """x' = (−sign(x₁), 1): on the kink the point chatters, and evaluations go as 1 / tolerance."""

    def kinked(point):
        return torch.stack([-torch.sign(point[0]), torch.ones_like(point[1])])

    start = torch.tensor([0.1, 1.0], dtype=torch.float64)
    ends, calls = zip(*(follow("adaptive", kinked, start, 1.0, 1, tol) for tol in (1e-2, 2.5e-3)), strict=True)
    assert calls[1] / calls[0] == pytest.approx(4, rel=0.5)
    for end, tolerance in zip(ends, (1e-2, 2.5e-3), strict=True):
        assert abs(float(end[0])) < 5 * tolerance
        assert float(end[1]) == pytest.approx(2.0)


def test_clock_solves_the_norm_exactly_where_the_pull_is_radial():
    """g = c θ/|θ|⁴: the direction stands still, and |θ|⁴ = c + (r₀⁴ − c) e^{−4t} at any number of steps."""
    found, calls = follow("clock", lambda x: 3 * x / x.norm() ** 4 - x, START, 1.0, 1, 0.5)
    quartic = 3 + (float(START.norm()) ** 4 - 3) * math.exp(-4)
    assert float(found.norm()) == pytest.approx(quartic**0.25, rel=1e-12)
    torch.testing.assert_close(found / found.norm(), START / START.norm(), rtol=1e-12, atol=0)
    assert calls < 60


@pytest.mark.parametrize("name", METHODS)
def test_the_point_and_a_saved_memory_are_left_as_they_were(name):
    method = integrators.method(name)
    start = START.clone()
    first, memory = method.advance(spiral, start, 0.1, {}, method.tolerance)
    saved = {key: value.clone() if torch.is_tensor(value) else value for key, value in memory.items()}
    method.advance(spiral, first, 0.1, memory, method.tolerance)
    assert torch.equal(start, START)
    assert memory.keys() == saved.keys()
    assert all(torch.as_tensor(memory[key] == saved[key]).all() for key in saved)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(ADAPTIVE), st.floats(1e-3, 5e-2))
def test_equal_runs_of_a_batch_go_as_one_alone(name, tolerance):
    alone, calls = follow(name, spiral, START, 1.0, 2, tolerance)
    together, calls_together = follow(name, spiral, torch.stack([START, START]), 1.0, 2, tolerance)
    torch.testing.assert_close(together, torch.stack([alone, alone]), rtol=1e-12, atol=1e-12)
    assert calls == calls_together


@pytest.mark.parametrize("name", ["adaptive", "adaptive_heun"])
def test_a_batch_takes_the_steps_of_the_run_that_needs_the_shortest(name):
    rates = torch.tensor([[1.0], [30.0]], dtype=torch.float64)
    start = torch.ones(2, 3, dtype=torch.float64)
    together, calls = follow(name, lambda x: -rates * x + 1, start, 1.0, 1, 1e-4)
    alone, calls_alone = follow(name, lambda x: -30 * x + 1, start[1], 1.0, 1, 1e-4)
    assert calls >= calls_alone
    assert (together[1] - 1 / 30).norm() < 1.5 * (alone - 1 / 30).norm() + 1e-6


# simulate(method=...)


def case(p=7, width=40, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return initial_embedding(p, width, generator), modular_addition(p, 0.7, generator)


def simulated(E, task, name, **options):
    return simulate(E, task, **{**dict(steps=40, step=1e-3, record_every=10, method=name, progress=False), **options})


@pytest.mark.parametrize("name", METHODS)
def test_simulate_records_at_the_same_times_with_every_method(name):
    E, task = case()
    result = simulated(E, task, name, snapshot_every=20)
    assert result.time.tolist() == pytest.approx([0, 0.01, 0.02, 0.03, 0.04])
    assert result.snapshot_time.tolist() == pytest.approx([0, 0.02, 0.04])
    assert result.evaluations[0] == 0
    assert (result.evaluations.diff() > 0).all()


PATH = dict(step=2e-4, steps=200, activation="leaky_relu", record_every=50)


@cache
def end_of_the_path():
    return simulated(*case(), "heun", **{**PATH, "step": 1e-4, "steps": 400}).E


@pytest.mark.parametrize("name", FOLLOWERS)
def test_simulate_converges_to_the_same_path_with_every_method(name):
    """The clock's formula needs a homogeneous σ: all take the leaky ReLU, whose kinks leave a small difference."""
    E, task = case()
    fine = dict(tolerance=1e-4 if name == "clock" else 4e-5) if METHODS[name].adapts else {}
    found, expected = simulated(E, task, name, **PATH, **fine).E, end_of_the_path()
    assert (found - expected).norm() < 0.02 * (expected - E).norm()


@pytest.mark.parametrize("name", METHODS)
def test_simulate_counts_the_velocities_it_asks_for(name, monkeypatch):
    E, task = case()
    calls, velocity = [], Isolated.velocity
    monkeypatch.setattr(Isolated, "velocity", lambda *arguments: (calls.append(1), velocity(*arguments))[1])
    assert simulated(E, task, name).evaluations[-1] == len(calls)


def test_a_record_costs_no_second_solution(monkeypatch):
    E, task = case()
    calls, solve = [], Isolated.solve
    monkeypatch.setattr(Isolated, "solve", lambda *arguments: (calls.append(1), solve(*arguments))[1])
    result = simulated(E, task, "adaptive")
    assert len(calls) == result.evaluations[-1] + 1


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("first", [0, 10, 30])
def test_every_method_resumes_bit_for_bit(name, first, tmp_path):
    E, task = case()
    whole, file = simulated(E, task, name), tmp_path / "state.pt"
    simulated(E, task, name, steps=first, state_file=file)
    resumed = simulated(E, task, name, state_file=file)
    assert all(torch.equal(getattr(whole, column), getattr(resumed, column)) for column in whole.__dataclass_fields__)


def test_the_state_of_another_method_or_tolerance_is_refused(tmp_path):
    E, task = case()
    simulated(E, task, "adaptive", state_file=tmp_path / "state.pt")
    with pytest.raises(ValueError, match="method is 'adaptive' there and 'euler' here"):
        simulated(E, task, "euler", state_file=tmp_path / "state.pt")
    with pytest.raises(ValueError, match=r"tolerance is 0.01 there and 0.001 here"):
        simulated(E, task, "adaptive", tolerance=1e-3, state_file=tmp_path / "state.pt")


# Bad input


def test_an_unknown_method_lists_the_known_ones():
    E, task = case()
    with pytest.raises(ValueError, match="unknown method 'rk5'; known are euler, heun, ralston, rk4, adams_bash"):
        simulated(E, task, "rk5")


def test_a_tolerance_for_fixed_steps_is_refused():
    E, task = case()
    with pytest.raises(ValueError, match=r"tolerance=0\.1 means nothing to method='euler'; leave it out, and set step"):
        simulated(E, task, "euler", tolerance=0.1)


@pytest.mark.parametrize("tolerance", [0, -1, math.inf, math.nan])
def test_a_tolerance_must_be_a_positive_number(tolerance):
    with pytest.raises(ValueError, match=f"tolerance={tolerance} must be a positive number"):
        integrators.method("adaptive", tolerance)


@pytest.mark.parametrize("bad", [dict(steps=45), dict(snapshot_every=15)])
def test_an_adaptive_method_stops_at_records_only(bad):
    E, task = case()
    ((name, value),) = bad.items()
    with pytest.raises(ValueError, match=rf"{name}={value}.*stops at records only; make the first two multiples"):
        simulated(E, task, "adaptive", **bad)


@pytest.mark.parametrize("name", ADAPTIVE)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_field_that_is_not_finite_is_an_error(name, value):
    with pytest.raises(ValueError, match="not finite"):
        follow(name, lambda x: x * value, START, 1.0, 1)


@pytest.mark.parametrize("name", ADAPTIVE)
def test_steps_are_bounded(name, monkeypatch):
    monkeypatch.setattr(integrators, "MAX_STEPS", 20)
    with pytest.raises(ValueError, match=r"20 steps covered .* of 1; raise tolerance="):
        follow(name, spiral, START, 1.0, 1, 1e-9)


def test_a_blown_up_adaptive_run_keeps_its_records():
    E, task = case()
    with pytest.raises(SimulationError, match=r"t = .* could not be left with tolerance=1e\+20; lower it") as caught:
        simulated(E, task, "adaptive", tolerance=1e20, step=1e30, steps=400)
    assert torch.isfinite(caught.value.result.cost).all()


def test_a_step_of_the_clock_turns_a_point_as_far_whatever_its_length():
    """Eq. 20's path on the sphere does not know the norm: g(cθ) = g(θ)/c³."""
    matrix = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def field(at):
        return (at @ matrix) / at.norm() ** 4 - at

    point = torch.randn(6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    memory = {"unit": 1e-3 / float(point.norm()) ** 4}
    ends = [integrators.clock(field, c * point, 0.999e-3 * c**4, memory, 1e-3)[0] for c in (1.0, 3.0)]  # one step each
    turned = [end / end.norm() for end in ends]
    assert (turned[0] - point / point.norm()).norm() > 1e-5
    torch.testing.assert_close(*turned, rtol=0, atol=1e-13)


def test_the_first_step_of_adaptive_heun_is_short():
    """A hundredth of what the tolerance allows to move, for nothing is known yet of how the field bends."""
    seen = []

    def field(at):
        seen.append(at)
        return torch.ones_like(at)

    point = torch.tensor([30.0, 40.0], dtype=torch.float64)
    integrators.adaptive_heun(field, point, 100.0, {}, 0.1)
    assert float((seen[1] - seen[0]).norm()) == pytest.approx(0.01 * 0.1 * 50, rel=1e-2)
