import math
from dataclasses import replace

import pytest
import torch

from grokbook.eq20 import Isolated
from grokbook.isolated import initial_embedding, minimise, readout
from grokbook.measure import power
from grokbook.scale_free import balanced, descended, norm_of, of_norms, raised
from grokbook.stored import stored_runs
from grokbook.tasks import modular_addition
from grokbook.typical import Wandering, _Motion, wander

P, WIDTH = 5, 16


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def case(seed=0, *leading):
    task = modular_addition(P, 0.7, generator(seed))
    return task, torch.randn(*leading, P, WIDTH, generator=generator(seed + 1), dtype=torch.float64)


def readout_norm(E, task, sigma):
    """‖W‖² with matrices and an explicit inverse, for autograd."""
    H = sigma(task.X_train @ E)
    return torch.trace(task.Y_train.T @ torch.linalg.inv(H @ H.T) @ task.Y_train)


def cross_field(task, sigma, triples):
    """E ↦ E', each triple x of E's entries moving by x × ∂‖W‖²/∂x."""

    def field(flat):
        slope = torch.func.grad(lambda E: readout_norm(E.view(P, WIDTH), task, sigma))(flat)
        moved = torch.linalg.cross(flat[triples], slope[triples], dim=0)
        return torch.zeros_like(flat).index_add(0, triples.reshape(-1), moved.reshape(-1))

    return field


def some_triples(seed=0):
    return torch.randperm(P * WIDTH, generator=generator(seed))[: P * WIDTH // 3 * 3].view(3, -1)


# The motion keeps both norms and volume


def test_the_motion_keeps_both_norms_and_volume():
    task, E = case()
    field = cross_field(task, torch.nn.functional.gelu, some_triples())
    flat = E.reshape(-1)
    velocity = field(flat)
    slope = torch.func.grad(lambda E: readout_norm(E.view(P, WIDTH), task, torch.nn.functional.gelu))(flat)
    assert abs(velocity @ flat) < 1e-12 * velocity.norm() * flat.norm()
    assert abs(velocity @ slope) < 1e-12 * velocity.norm() * slope.norm()
    derivative = torch.func.jacrev(field)(flat)
    assert abs(derivative.trace()) < 1e-10 * derivative.norm()
    assert derivative.norm() > 1


@pytest.mark.parametrize(("activation", "sigma"), [("gelu", torch.nn.functional.gelu), ("relu", torch.relu)])
def test_a_short_step_goes_along_the_field(activation, sigma):
    task, E = case()
    motion = _Motion(Isolated(task, E, activation), E, seed=3, step=1e-6, triples_every=10)
    flat = E.reshape(-1)
    moved, memory = motion.advance(motion.gradient, flat, 1.0, {})
    velocity = cross_field(task, sigma, motion.triples)(flat)
    torch.testing.assert_close((moved - flat) / memory["time"], velocity, rtol=1e-4, atol=1e-4 * float(velocity.norm()))


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_both_norms_stay_and_the_loss_stays_zero(activation):
    task, E = case()
    found = wander(E, task, generator(), steps=150, step=0.003, activation=activation, progress=False)
    assert (found.norms[:, 0] / E.square().sum() - 1).abs().max() < 1e-12
    # A step over a kink misses ‖W‖² by its length, not by its cube.
    assert (found.norms[:, 1] / found.norms[0, 1] - 1).abs().max() < (1e-5 if activation == "gelu" else 0.01)
    assert (found.E - E).norm() > 0.1 * E.norm()
    H = Isolated(task, E, activation).features.hidden(found.E)
    torch.testing.assert_close(H @ readout(found.E, task, activation), task.Y_train, rtol=1e-8, atol=1e-8)


def test_what_is_put_back_falls_with_the_square_of_the_step():
    task, E = case()
    steps = [0.02, 0.01, 0.005]
    runs = [wander(E, task, generator(), int(0.4 / step), step, "gelu", progress=False) for step in steps]
    assert power(steps, [float(run.put_back[-1]) for run in runs]) == pytest.approx(2, abs=0.5)


def test_entries_that_make_no_triple_rest_until_the_triples_are_drawn_anew():
    task, E = case()
    options = dict(step=1e-4, activation="gelu", triples_every=4, progress=False)
    early, late = (wander(E, task, generator(), steps, **options).E for steps in (4, 8))
    # 80 entries leave two over; putting ‖W‖² back moves them by next to nothing.
    still = ((early - E).abs() < 1e-4 * (early - E).abs().max()).sum()
    assert still == 2
    assert ((late - E).abs() < 1e-4 * (late - E).abs().max()).sum() < 2


def test_several_runs_each_keep_their_own_norms():
    task, E = case(0, 3)
    found = wander(E, task, generator(), steps=20, step=0.001, progress=False)
    assert found.test_accuracy.shape == (5, 3)
    assert (found.norms / found.norms[:1] - 1).abs().max() < 1e-3


def test_no_run_of_a_batch_steps_farther_than_it_is_asked_to():
    task, E = case(0, 3)
    moved = wander(E, task, generator(), steps=1, step=0.01, activation="gelu", progress=False).E
    lengths = (moved - E).flatten(-2).norm(dim=-1) / E.flatten(-2).norm(dim=-1)
    assert lengths.max() == pytest.approx(0.01, rel=0.05)
    assert lengths.min() < 0.008


def test_triples_are_dealt_out_at_random_and_anew():
    task, E = case()
    motion = _Motion(Isolated(task, E), E, seed=3, step=0.01, triples_every=10)
    drawn = []
    for block in (0, 1):
        motion._draw(block, P * WIDTH)
        drawn.append(motion.triples)
        assert len(motion.triples.unique()) == P * WIDTH // 3 * 3
        assert len(motion.triples.diff(dim=0).unique()) > P * WIDTH // 3  # no pattern in who stands with whom
    assert not torch.equal(*drawn)


def test_a_run_goes_on_where_it_was(tmp_path):
    task, E = case()
    options = dict(triples_every=7, record_every=4, progress=False)
    whole = wander(E, task, generator(), 40, **options)
    wander(E, task, generator(), 18, state_file=tmp_path / "run", **options)
    rest = wander(E, task, generator(), 40, state_file=tmp_path / "run", **options)
    assert torch.equal(rest.E, whole.E)
    assert torch.equal(rest.time, whole.time)
    assert torch.equal(rest.put_back, whole.put_back)
    with pytest.raises(ValueError, match="another run: seed"):
        wander(E, task, generator(1), 40, state_file=tmp_path / "run", **options)
    with pytest.raises(ValueError, match="another run: start"):
        other = replace(task, X_test=task.X_test.flip(0), Y_test=task.Y_test.flip(0))
        wander(E, other, generator(), 40, state_file=tmp_path / "run", **options)


def test_the_triples_come_from_the_generator():
    task, E = case()
    first, again, other = (wander(E, task, generator(seed), 3, progress=False).E for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert (first - other).norm() > 1e-3 * E.norm()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(steps=0), "steps"),
        (dict(step=0.0), "step"),
        (dict(step=math.nan), "step"),
        (dict(record_every=0), "record_every"),
        (dict(triples_every=0), "triples_every"),
    ],
)
def test_bad_input_to_the_motion(options, message):
    task, E = case()
    with pytest.raises(ValueError, match=message):
        wander(E, task, generator(), progress=False, **options)


def test_the_motion_needs_a_generator():
    task, E = case()
    with pytest.raises((TypeError, ValueError), match="generator"):
        wander(E, task, 0, progress=False)


# Averages over time


def test_averages_weigh_by_time():
    time, accuracy = torch.tensor([0.0, 1.0, 4.0]), torch.tensor([0.0, 1.0, 1.0])
    found = Wandering(time, accuracy, None, None, None)
    assert found.means().tolist() == pytest.approx([3.5 / 4])
    assert found.means(2).tolist() == pytest.approx([0.5, 1.0])
    with pytest.raises(ValueError, match="3 records make no 3 parts"):
        found.means(3)


# Starts of a given norm


def test_balancing_makes_the_layers_equal_and_keeps_the_outputs():
    task, E = case()
    even = balanced(E, task)
    W = readout(even, task)
    assert even.square().sum() == pytest.approx(float(W.square().sum()))
    torch.testing.assert_close(
        torch.relu(task.X_test @ even) @ W, torch.relu(task.X_test @ E) @ readout(E, task), rtol=1e-8, atol=1e-8
    )
    assert float(norm_of(even, task)) == pytest.approx(2 * float(W.square().sum()))
    assert float(norm_of(3 * E, task)) == pytest.approx(float(norm_of(E, task)))


def test_descending_and_raising_reach_the_norm_that_is_asked_for():
    task = modular_addition(P, 0.7, generator())
    E = initial_embedding(P, WIDTH, generator())
    end = minimise(E, task).E
    low, high = float(norm_of(end, task)), float(norm_of(E, task))
    wanted = (low * high) ** 0.5
    for found in (descended(E, task, wanted), raised(end, task, wanted, generator())):
        assert float(norm_of(found, task)) == pytest.approx(wanted, rel=1e-6)
        assert found.square().sum() == pytest.approx(float(readout(found, task).square().sum()))
    with pytest.raises(ValueError, match="is below norm"):
        descended(end, task, high)
    with pytest.raises(ValueError, match=r"above norm=.*raise norm or longest"):
        descended(E, task, low / 2, longest=0.2)
    with pytest.raises(ValueError, match="longest"):
        descended(E, task, wanted, longest=0.0)
    with pytest.raises(ValueError, match="lies outside"):
        raised(end, task, low / 2, generator())
    for function in (lambda E: descended(E, task, wanted), lambda E: raised(E, task, wanted, generator())):
        with pytest.raises(ValueError, match=r"shape \(2, 5, 16\); give one run"):
            function(torch.stack([E, E]))


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_pair_of_norms_is_reached(activation):
    task, E = case()
    end = minimise(E, task, activation, evaluations=60).E
    length, low = float(end.square().sum()), float(readout(end, task, activation).square().sum())
    found = of_norms(3 * end, task, [length, 1.3 * low], generator(), activation)
    assert float(found.square().sum()) == pytest.approx(length)
    assert float(readout(found, task, activation).square().sum()) == pytest.approx(1.3 * low)
    with pytest.raises(ValueError, match="lies outside"):
        of_norms(end, task, [length, low / 2], generator(), activation)
    with pytest.raises(ValueError, match=r"squares\[1\]"):
        of_norms(end, task, [length, 0.0], generator(), activation)
    with pytest.raises(ValueError, match="give one run"):
        of_norms(torch.stack([end, end]), task, [length, low], generator(), activation)


@pytest.mark.parametrize("function", [balanced, lambda E, task, activation: descended(E, task, 1.0, activation)])
def test_a_scale_free_norm_needs_degree_one(function):
    task, E = case()
    with pytest.raises(ValueError, match="degree 1, not 'gelu'"):
        function(E, task, "gelu")


def test_the_stored_runs_kept_their_norms():
    for run in stored_runs("typical"):
        assert run["norm"] == pytest.approx(run["ratio"] * run["smallest"])
        # 256 units for 248 samples at 90 %: HHᵀ is nearly singular, and a step misses by more.
        assert run["norm_error"] < (0.02 if run["share"] == 0.9 else 0.01)
        assert len(run["means"]) == 8
        assert all(0 <= share < 1 + 1e-9 for share in run["means"])  # a mean of ones may round up


def test_the_stored_runs_with_a_pair_of_norms_kept_them():
    for run in stored_runs("typical_gelu"):
        assert sum(run["squares"]) <= run["level"] < 1.05 * sum(run["squares"])
        assert run["norm_error"] < 0.01
