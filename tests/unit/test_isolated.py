import re
from functools import partial

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokbook import checkpoint, eq20
from grokbook.descent import Descent
from grokbook.dual import largest_ratio
from grokbook.eq20 import Isolated, lower_gram
from grokbook.isolated import SimulationError, cost, initial_embedding, minimise, readout, simulate, velocity
from grokbook.network import FeatureMap, ManyLayers, OneLayer
from grokbook.tasks import boolean, modular_addition, split

P, WIDTH = 5, 16  # 10 of 15 pairs are trained on
HOMOGENEOUS = {"relu": 1, "leaky_relu": 1, "square": 2}
SEEDS = st.integers(0, 10_000)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def case(seed=0, *leading, width=WIDTH):
    """A task and an embedding with leading batch dimensions."""
    task = modular_addition(P, 0.7, generator(seed))
    return task, torch.randn(*leading, P, width, generator=generator(seed + 1), dtype=torch.float64)


SIGMA = {
    "relu": torch.nn.functional.relu,
    "gelu": torch.nn.functional.gelu,
    "square": torch.square,
    "tanh": torch.tanh,
    "softplus": lambda z: torch.nn.functional.softplus(z, beta=5),
}


def dense_cost(E, task, sigma, decay):
    """R/λ with matrices, an explicit inverse and a trace, as Eqs 16 and 19 are printed."""
    H = sigma(task.X_train @ E)
    A = torch.linalg.inv(H @ H.mT + decay * torch.eye(len(H), dtype=H.dtype))
    return (E**2).sum() + torch.trace(task.Y_train.T @ A @ task.Y_train)


# The formulas


@pytest.mark.parametrize("activation", SIGMA)
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_a_reader_may_differentiate_the_cost_by_autograd(activation, decay):
    task, E = case(width=40)
    E.requires_grad_()
    (gradient,) = torch.autograd.grad(cost(E, task, activation, decay), E)
    found = velocity(E.detach(), task, activation, decay)
    torch.testing.assert_close(gradient, -2 * found, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("activation", SIGMA)
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_velocity_is_half_the_negative_gradient_of_the_cost(activation, decay):
    task, E = case(width=40)
    E.requires_grad_()
    (gradient,) = torch.autograd.grad(dense_cost(E, task, SIGMA[activation], decay), E)
    found = velocity(E.detach(), task, activation, decay)
    assert (found + gradient / 2).norm() < 1e-9 * gradient.norm()


@pytest.mark.parametrize("activation", ["relu", "gelu", "square"])
@pytest.mark.parametrize("leading", [(1,), (3,), (2, 3)])
def test_leading_dimensions_are_separate_runs(activation, leading):
    task, E = case(2, *leading)
    for function in (readout, cost, velocity):
        together = function(E, task, activation, 0.1)
        alone = [function(run, task, activation, 0.1) for run in E.reshape(-1, P, WIDTH)]
        torch.testing.assert_close(together.reshape(-1, *alone[0].shape), torch.stack(alone), rtol=1e-9, atol=1e-9)
        assert together.shape[: len(leading)] == leading


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.sampled_from(["relu", "gelu", "tanh"]))
def test_readout_is_the_shortest_exact_fit_of_scipy(seed, activation):
    task, E = case(seed, width=30)
    H = SIGMA[activation](task.X_train @ E).numpy()
    expected = scipy.linalg.lstsq(H, task.Y_train.numpy())[0]
    found = readout(E, task, activation).numpy()
    assert np.abs(found - expected).max() < 1e-10 * np.linalg.cond(H) ** 2 * (1 + np.abs(expected).max())
    assert np.abs(H @ found - task.Y_train.numpy()).max() < 1e-12 * np.linalg.cond(H) ** 2


@pytest.mark.parametrize("width", [3, 10, 40])
def test_readout_with_decay_is_ridge_regression_at_every_width(width):
    task, E = case(width=width)
    decay, H = 0.2, torch.relu(task.X_train @ E).numpy()
    stacked = np.vstack([H, np.sqrt(decay) * np.eye(width)])
    expected = scipy.linalg.lstsq(stacked, np.vstack([task.Y_train.numpy(), np.zeros((width, P))]))[0]
    np.testing.assert_allclose(readout(E, task, decay=decay).numpy(), expected, atol=1e-12)


def test_cost_is_the_sum_of_the_two_squared_norms():
    task, E = case(3, 2, width=30)
    W = readout(E, task)
    norms = (E**2).sum((-2, -1)) + (W**2).sum((-2, -1))
    torch.testing.assert_close(cost(E, task), norms, rtol=1e-10, atol=0)


def test_cost_with_decay_is_the_penalised_loss_over_decay():
    task, E = case(4)
    decay, W = 0.05, readout(E, task, decay=0.05)
    residual = torch.relu(task.X_train @ E) @ W - task.Y_train
    expected = (residual**2).sum() / decay + (E**2).sum() + (W**2).sum()
    torch.testing.assert_close(cost(E, task, decay=decay), expected, rtol=1e-11, atol=0)


def test_no_other_readout_is_cheaper():
    task, E = case(5)
    decay, H = 0.1, torch.relu(task.X_train @ E)

    def penalised(W):
        return ((H @ W - task.Y_train) ** 2).sum() / decay + (E**2).sum() + (W**2).sum()

    W, lowest = readout(E, task, decay=decay), cost(E, task, decay=decay)
    for seed in range(20):
        away = 0.1 * torch.randn(W.shape, generator=generator(seed), dtype=torch.float64)
        assert penalised(W + away) > lowest


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.sampled_from(sorted(HOMOGENEOUS)))
def test_growth_of_the_embedding_is_the_difference_of_the_norms(seed, activation):
    """Euler's identity for σ of degree q: <E, dE/dt> = q |W|² − |E|²."""
    task, E = case(seed, width=30)
    growth = (E * velocity(E, task, activation)).sum()
    norms = (E**2).sum(), (readout(E, task, activation) ** 2).sum()
    assert growth == pytest.approx(float(HOMOGENEOUS[activation] * norms[1] - norms[0]), rel=1e-7)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
def test_norms_balance_at_the_end(activation):
    task, E = case(width=30)
    result = simulate(0.5 * E, task, step=5e-3, steps=1500, activation=activation, record_every=100, progress=False)
    norm_E, norm_W = result.norms[-1]
    assert norm_E == pytest.approx(float(norm_W), rel=0.01)
    assert result.train_error.max() < 1e-9


def test_the_cost_falls_at_every_small_step_where_the_activation_is_smooth():
    task, E = case(width=30)
    result = simulate(E, task, step=1e-3, steps=500, activation="gelu", record_every=1, progress=False)
    assert (result.cost.diff() < 0).all()


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 5, 17, 64, 65, 130, 530])
def test_lower_gram_has_the_lower_triangle(rows):
    H = torch.randn(rows, 7, generator=generator(), dtype=torch.float64)
    torch.testing.assert_close(lower_gram(H).tril(), (H @ H.T).tril())


def test_the_factor_takes_the_place_of_hht(monkeypatch):
    task, E = case()
    made = []
    monkeypatch.setattr(eq20, "lower_gram", lambda H: made.append(lower_gram(H)) or made[-1])
    H = Isolated(task, E).solve(E).H
    L = made[0].tril()
    torch.testing.assert_close(L @ L.T, H @ H.T)


def test_lower_gram_of_a_batch():
    H = torch.randn(2, 3, 5, 7, generator=generator(), dtype=torch.float64)
    torch.testing.assert_close(lower_gram(H), torch.einsum("abik,abjk->abij", H, H))


def test_the_upper_triangle_is_never_read(monkeypatch):
    task, E = case()
    expected = velocity(E, task)

    def spoiled(H):
        gram = H @ H.mT
        return gram.masked_fill(torch.ones_like(gram).triu(1).bool(), float("nan"))

    monkeypatch.setattr(eq20, "lower_gram", spoiled)
    torch.testing.assert_close(velocity(E, task), expected, rtol=1e-10, atol=1e-10)


def test_float32_in_float32_out():
    task, E = case(width=40)
    for function in (readout, cost, velocity):
        single, double = function(E.float(), task), function(E, task)
        assert single.dtype == torch.float32
        assert (single.double() - double).norm() < 1e-4 * double.norm()


def test_the_embedding_is_left_as_it_was():
    task, E = case()
    before = E.clone()
    for activation in ("relu", "gelu", "square"):
        velocity(E, task, activation, 0.1)
        simulate(E, task, steps=3, activation=activation, decay=0.1, progress=False)
    assert torch.equal(E, before)


def test_initial_embedding_is_seeded_and_has_the_scale_asked_for():
    first, again = (initial_embedding(37, 512, generator(4)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, initial_embedding(37, 512, generator(5)))
    assert first.std() == pytest.approx(37**-0.5, rel=0.02)
    assert initial_embedding(37, 512, generator(4), scale=37**-0.25).std() == pytest.approx(37**-0.25, rel=0.02)
    assert initial_embedding(37, 8, generator(4), dtype=torch.float32).dtype == torch.float32


# Any task and any feature map


def bits_and_start(seed=0, width=20):
    task = boolean(4, lambda bits: bits.sum(1) % 2, 0.75, generator(seed))
    return task, torch.randn(4, width, generator=generator(seed + 1), dtype=torch.float64)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_dense_inputs_and_one_output(activation, decay):
    task, E = bits_and_start()
    (gradient,) = torch.autograd.grad(dense_cost(E.requires_grad_(), task, SIGMA[activation], decay), E)
    found = velocity(E.detach(), task, activation, decay)
    assert (found + gradient / 2).norm() < 1e-9 * gradient.norm()
    result = simulate(E.detach(), task, steps=3, activation=activation, decay=decay, progress=False)
    W = readout(result.E, task, activation, decay)
    outputs = SIGMA[activation](task.X_test @ result.E) @ W
    assert result.test_accuracy[-1] == ((outputs > 0) == (task.Y_test > 0)).double().mean()


def test_the_closed_form_of_one_layer_is_autograd_through_it():
    task, E = bits_and_start()
    layer = OneLayer(task.inputs, "gelu")
    H, pull = layer.linearised(E)
    same_H, by_autograd = FeatureMap.linearised(layer, E)
    G = torch.randn(H.shape, generator=generator(3), dtype=torch.float64)
    torch.testing.assert_close(H, same_H)
    torch.testing.assert_close(pull(G.clone(), E.clone()), by_autograd(G, E.clone()))


@pytest.mark.parametrize("make", [bits_and_start, case])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_any_depth(make, decay):
    task, _ = make()
    features = partial(ManyLayers, n_inputs=task.p, widths=(6, 20))
    theta = torch.randn(features(task.inputs).size, generator=generator(2), dtype=torch.float64)

    def dense(theta):
        first, second = theta[: task.p * 6].view(-1, 6), theta[task.p * 6 :].view(6, 20)
        H = SIGMA["gelu"](SIGMA["gelu"](task.X_train @ first) @ second)
        A = torch.linalg.inv(H @ H.T + decay * torch.eye(len(H), dtype=H.dtype))
        return theta @ theta + torch.trace(task.Y_train.T @ A @ task.Y_train)

    expected = torch.func.grad(dense)(theta)
    found = velocity(theta, task, activation="gelu", decay=decay, features=features)
    assert (found + expected / 2).norm() < 1e-8 * expected.norm()
    torch.testing.assert_close(
        cost(theta, task, activation="gelu", decay=decay, features=features), dense(theta), rtol=1e-9, atol=0
    )
    both = torch.stack([theta, 0.9 * theta])
    run = simulate(
        both, task, steps=4, record_every=2, activation="gelu", decay=decay, features=features, progress=False
    )
    alone = simulate(
        theta, task, steps=4, record_every=2, activation="gelu", decay=decay, features=features, progress=False
    )
    torch.testing.assert_close(run.E[0], alone.E, rtol=1e-8, atol=1e-10)
    assert run.cost.shape == (3, 2) and run.norms.shape == (3, 2, 2)


def test_a_theta_of_other_features_is_refused():
    task, E = bits_and_start()
    with pytest.raises(ValueError, match=r"theta has shape \(4, 20\), this network needs \(..., 144\)"):
        velocity(E, task, features=partial(ManyLayers, n_inputs=4, widths=(6, 20)))


# What a simulation records


def test_simulate_takes_euler_steps_of_the_velocity():
    task, E = case(width=30)
    result = simulate(E, task, step=1e-2, steps=3, record_every=1, snapshot_every=1, progress=False)
    expected = [E]
    for _ in range(3):
        expected.append(expected[-1] + 1e-2 * velocity(expected[-1], task))
    torch.testing.assert_close(result.snapshots, torch.stack(expected), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(result.cost, torch.stack([cost(point, task) for point in expected]), rtol=1e-12, atol=0)
    assert result.time.tolist() == result.snapshot_time.tolist() == pytest.approx([0, 1e-2, 2e-2, 3e-2])
    assert torch.equal(result.E, result.snapshots[-1])


def test_simulate_records_at_the_end_even_between_records():
    task, E = case()
    result = simulate(E, task, step=1e-3, steps=25, record_every=10, snapshot_every=20, progress=False)
    assert result.time.tolist() == pytest.approx([0, 0.01, 0.02, 0.025])
    assert result.snapshot_time.tolist() == pytest.approx([0, 0.02])
    assert simulate(E, task, steps=0, progress=False).time.tolist() == [0]


def test_test_accuracy_counts_right_answers():
    task, E = case(width=30)
    result = simulate(E, task, steps=0, progress=False)
    outputs = torch.relu(task.X_test @ E) @ readout(E, task)
    right = sum(int(torch.argmax(row)) == int(label) for row, label in zip(outputs, task.labels_test, strict=True))
    assert result.test_accuracy[0] == right / len(task.labels_test)


def test_simulate_runs_a_batch_as_it_runs_each():
    task, E = case(1, 3, width=30)
    together = simulate(E, task, step=1e-3, steps=20, snapshot_every=10, progress=False)
    assert together.test_accuracy.shape == together.cost.shape == (3, 3)
    assert together.norms.shape == (3, 2, 3)
    assert together.snapshots.shape == (3, 3, P, 30)
    for run in range(3):
        alone = simulate(E[run], task, step=1e-3, steps=20, progress=False)
        torch.testing.assert_close(together.norms[:, :, run], alone.norms, rtol=1e-9, atol=0)
        torch.testing.assert_close(together.E[run], alone.E, rtol=1e-9, atol=1e-9)


def test_simulate_moves_the_embedding_to_the_dtype_asked_for():
    task, E = case(width=30)
    result = simulate(E, task, steps=5, dtype=torch.float32, progress=False)
    assert result.E.dtype == torch.float32
    assert E.dtype == torch.float64
    assert (result.E.double() - simulate(E, task, steps=5, progress=False).E).norm() < 1e-5 * E.norm()


def test_stop_at_ends_at_the_first_record_where_every_run_is_there():
    task = modular_addition(11, 0.85, generator(3))
    E = torch.stack([initial_embedding(11, 80, generator(seed)) for seed in (1, 2)])
    target = 0.5
    whole = simulate(E, task, step=1e-2, steps=400, record_every=20, progress=False)
    reached = (whole.test_accuracy >= target).all(1)
    assert reached.any() and not reached[0], "the case must start below the target and get there"
    first = int(reached.nonzero()[0])
    stopped = simulate(E, task, step=1e-2, steps=400, record_every=20, stop_at=target, progress=False)
    assert stopped.time[-1] == whole.time[first]
    assert torch.equal(stopped.cost, whole.cost[: first + 1])


def test_runs_are_the_same_bit_for_bit():
    task, E = case()
    first, again = (simulate(E, task, steps=30, progress=False) for _ in range(2))
    assert torch.equal(first.E, again.E)
    assert torch.equal(first.cost, again.cost)


# The end point directly


def test_the_end_of_a_smooth_network_is_where_its_velocity_vanishes():
    task, E = case(width=30)
    found = minimise(E, task, "gelu", evaluations=4000, tolerance=1e-4)
    assert found.why == "the velocity is down to 0.0001 ‖E‖"
    assert velocity(found.E, task, "gelu").norm() <= 1e-4 * found.E.norm()
    assert found.cost == pytest.approx(float(cost(found.E, task, "gelu")))
    there = simulate(found.E, task, step=1e-3, steps=100, activation="gelu", record_every=50, progress=False)
    assert (there.E - found.E).norm() < 1e-3 * found.E.norm()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_end_of_relu_is_at_least_as_low_as_a_long_simulation_with_a_quarter_of_its_velocities(seed):
    task, E = modular_addition(11, 0.75, generator(seed)), initial_embedding(11, 80, generator(seed + 5))
    long = simulate(E, task, step=1e-2, steps=1500, method="adaptive", record_every=100, progress=False)
    found = minimise(E, task, evaluations=int(long.evaluations[-1]) // 4)
    assert found.evaluations <= long.evaluations[-1] / 4 + 6
    assert found.cost < 1.005 * long.cost[-1]
    norm_E, norm_W = (found.E**2).sum(), (readout(found.E, task) ** 2).sum()
    assert norm_E == pytest.approx(float(norm_W), rel=0.02), "the norms balance at a minimum"


def test_a_step_too_long_for_the_line_search_is_taken_back_and_the_best_point_kept(monkeypatch):
    task, E = case(width=30)
    solve, calls = Isolated.solve, []

    def sometimes(self, theta):
        calls.append(1)
        if len(calls) % 5 == 4:
            raise ValueError("singular")
        return solve(self, theta)

    monkeypatch.setattr(Isolated, "solve", sometimes)
    found = minimise(E, task, "gelu", evaluations=60)
    monkeypatch.undo()
    assert torch.isfinite(found.E).all() and found.cost < cost(E, task, "gelu")


def test_the_end_is_the_best_point_seen_and_a_speed_that_is_low_enough_ends_the_search():
    task, E = case(width=30)
    quick, slow = (minimise(E, task, "gelu", evaluations=2000, tolerance=tolerance) for tolerance in (0.5, 1e-6))
    assert slow.speed < 0.1 < quick.speed <= 0.5 and quick.evaluations < slow.evaluations
    descent = Descent(Isolated(task, E, "gelu"), E, 1e-3)
    for point in (E, quick.E, E):
        descent(point.reshape(-1).numpy())
    assert torch.equal(descent.best, quick.E) and descent.lowest == pytest.approx(quick.cost)
    assert descent.speed == pytest.approx(quick.speed)


def test_the_descent_is_given_the_gradient_of_the_cost():
    task, E = case(width=30)
    descent = Descent(Isolated(task, E, "gelu"), E, 1e-3)
    step = 1e-5 * torch.randn(E.shape, generator=torch.Generator().manual_seed(1), dtype=E.dtype)
    (low, _), (_, gradient), (high, _) = (descent((E + s * step).reshape(-1).numpy()) for s in (-1, 0, 1))
    assert (high - low) / 2 == pytest.approx(float(gradient @ step.reshape(-1).numpy()), rel=1e-5)


def test_a_rounded_start_that_cannot_be_solved_is_an_error(monkeypatch):
    task, E = case(width=30)
    solve, calls = Isolated.solve, []

    def once(self, theta):
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("singular")
        return solve(self, theta)

    monkeypatch.setattr(Isolated, "solve", once)
    with pytest.raises(ValueError, match="singular"):
        minimise(E, task, "gelu", evaluations=60)


def test_minimise_solves_with_nothing_but_what_it_descends(monkeypatch):
    # Where the exact kernel is singular the rounded one need not be, so only the last cost asks for the exact one.
    task, E = case(width=30)
    solve, sigmas = Isolated.solve, []

    def noted(self, theta):
        sigmas.append(self.features.activation.name)
        return solve(self, theta)

    monkeypatch.setattr(Isolated, "solve", noted)
    end = minimise(E, task, evaluations=60)
    assert sigmas[-1] == "relu"
    assert len(sigmas) == end.evaluations + 1
    assert all("rounded" in name for name in sigmas[:-1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            dict(E=torch.ones(2, P, 30, dtype=torch.float64)),
            r"shape \(2, 5, 30\); minimise takes one run, 2 dimensions",
        ),
        (dict(E=torch.ones(P - 1, 30, dtype=torch.float64)), r"E has shape \(4, 30\), but p=5"),
        (dict(evaluations=2), "evaluations=2 must be a whole number of at least 3"),
        (dict(tolerance=0), "tolerance=0 must be a positive number"),
        (dict(E=torch.zeros(P, 30, dtype=torch.float64)), "has rank 0 of 10"),
    ],
)
def test_minimise_refuses(change, message):
    task, E = case(width=30)
    with pytest.raises(ValueError, match=message):
        minimise(**{**dict(E=E, task=task), **change})


# Going on from a saved state


def same(one, other):
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in one.__dataclass_fields__)


OPTIONS = dict(step=1e-3, record_every=10, snapshot_every=15, progress=False)


@pytest.mark.parametrize("first", [0, 1, 20, 33, 60])
@pytest.mark.parametrize("leading", [(), (2,)])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(tmp_path, first, leading):
    task, E = case(1, *leading)
    file = tmp_path / "folder" / "state.pt"
    whole = simulate(E, task, steps=60, **OPTIONS)
    simulate(E, task, steps=first, state_file=file, **OPTIONS)
    assert same(simulate(E, task, steps=60, state_file=file, **OPTIONS), whole)
    assert same(simulate(E, task, steps=60, state_file=file, **OPTIONS), whole), "a finished run is only read back"


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("calls", [1, 7, 31])
def test_an_interrupted_run_goes_on(tmp_path, monkeypatch, fatal, calls):
    task, E = case()
    file = tmp_path / "state.pt"
    whole = simulate(E, task, steps=60, **OPTIONS)
    done, step = 0, Isolated.velocity

    def interrupted(self, E, solution=None):
        nonlocal done
        done += 1
        if done == calls:
            raise fatal
        return step(self, E, solution)

    with monkeypatch.context() as patch:
        patch.setattr(Isolated, "velocity", interrupted)
        with pytest.raises(fatal):
            simulate(E, task, steps=60, state_file=file, **OPTIONS)
    calls_left = []
    monkeypatch.setattr(Isolated, "velocity", lambda self, E, s=None: (calls_left.append(1), step(self, E, s))[1])
    assert same(simulate(E, task, steps=60, state_file=file, **OPTIONS), whole)
    assert len(calls_left) == 60 - (calls - 1), "no step that was done is done again"


def test_a_run_killed_between_saves_goes_on_from_the_last_one(tmp_path, monkeypatch):
    task, E = case()
    file = tmp_path / "state.pt"
    whole = simulate(E, task, steps=60, **OPTIONS)
    saved, save = [], checkpoint.Store.save

    def twice(*arguments):
        if len(saved) < 2:
            saved.append(save(*arguments))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Store, "save", twice)
        simulate(E, task, steps=60, state_file=file, save_every=7, **OPTIONS)
    assert torch.load(file, weights_only=True)["state"]["now"][0] == 14
    assert same(simulate(E, task, steps=60, state_file=file, **OPTIONS), whole)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (dict(task=modular_addition(P, 0.7, generator(99))), "start"),
        (dict(E=case(7)[1]), "start"),
        (dict(E=case()[1].float()), "start"),
        (dict(step=2e-3), "step"),
        (dict(activation="gelu"), "activation"),
        (dict(decay=0.1), "decay"),
        (dict(record_every=20), "record_every"),
    ],
)
def test_the_state_of_another_run_is_refused(tmp_path, change, named):
    task, E = case()
    file = tmp_path / "state.pt"
    given = dict(E=E, task=task, steps=5, state_file=file, **OPTIONS)
    simulate(**given)
    before = file.read_bytes()
    with pytest.raises(ValueError, match=rf"another run: {named} is .* there and .* here; choose another"):
        simulate(**{**given, **change})
    assert file.read_bytes() == before


def test_a_start_that_fails_leaves_no_state(tmp_path):
    task, E = case()
    file = tmp_path / "state.pt"
    with pytest.raises(ValueError, match="must exceed the 10 training samples"):
        simulate(E[:, :10], task, state_file=file, progress=False)
    assert not file.exists()
    simulate(E, task, steps=2, state_file=file, progress=False)


# Bad input


@pytest.mark.parametrize("function", [readout, cost, velocity, simulate])
@pytest.mark.parametrize("width", [4, 10])
def test_a_width_not_above_the_pairs_needs_decay(function, width):
    task, E = case(width=width)
    message = (
        f"d_hidden={width} must exceed the 10 training samples for Eq. 20; raise it, or pass decay > 0 to use Eq. 15"
    )
    with pytest.raises(ValueError, match=message):
        function(E, task)
    assert torch.isfinite(velocity(E, task, decay=1e-3)).all()


@pytest.mark.parametrize(
    ("E", "message"),
    [
        (torch.zeros(P + 1, WIDTH, dtype=torch.float64), r"shape \(6, 16\), but p=5; E must be \(..., p, d_hidden\)"),
        (torch.zeros(WIDTH, dtype=torch.float64), r"shape \(16,\), but p=5"),
        (torch.zeros(P, WIDTH, dtype=torch.int64), r"torch.int64.*\.double\(\)"),
        (torch.zeros(P, WIDTH, dtype=torch.complex128), r"torch.complex128.*float32 or float64"),
        (torch.zeros(P, WIDTH, dtype=torch.float64, device="meta"), r"E is on meta, the task on cpu; move one"),
    ],
)
def test_shapes_dtypes_and_devices_must_match(E, message):
    task, _ = case()
    with pytest.raises(ValueError, match=message):
        velocity(E, task)


def test_a_layer_refuses_another_dtype():
    task, E = case()
    with pytest.raises(ValueError, match=r"float32 on cpu, what was prepared torch.float64 on cpu; use .to"):
        Isolated(task, E).solve(E.float())


@pytest.mark.parametrize("decay", [-1e-3, float("nan"), float("inf")])
def test_decay_must_be_a_number_from_zero_on(decay):
    task, E = case()
    with pytest.raises(ValueError, match="must be a number from 0 on and finite"):
        velocity(E, task, decay=decay)


def test_an_unknown_activation_lists_the_known_ones():
    task, E = case()
    with pytest.raises(ValueError, match="unknown activation 'swish'; known are gelu, identity, leaky_relu, relu"):
        simulate(E, task, activation="swish")


@pytest.mark.parametrize(
    "bad",
    [
        dict(step=0),
        dict(step=-0.5),
        dict(step=float("nan")),
        dict(steps=-1),
        dict(record_every=0),
        dict(save_every=0),
        dict(steps=10.5),
        dict(snapshot_every=-5),
    ],
)
def test_simulate_refuses_steps_that_lead_nowhere(bad):
    task, E = case()
    ((name, value),) = bad.items()
    with pytest.raises(ValueError, match=rf"\b{name}={value} must be a (positive|whole) number"):
        simulate(E, task, **bad)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_equal_symbols_make_equal_pairs_and_the_error_names_them(seed):
    """With E_0 = E_1 the pairs (0, 2) and (1, 2) have the same hidden row; rounding may hide it from the factor."""
    pairs = torch.tensor([[0, 2], [1, 2], [3, 3], [2, 4], [4, 4]])
    task = split(P, pairs, pairs.sum(1) % P, test_size=1, generator=generator(3))
    assert {(0, 2), (1, 2)} <= {tuple(pair) for pair in task.pairs_train.tolist()}
    E = torch.randn(P, WIDTH, generator=generator(seed), dtype=torch.float64)
    E[1] = E[0]
    with pytest.raises(ValueError, match=r"rank 3 of 4.*training pairs \[\(0, 2\), \(1, 2\)\]\)"):
        velocity(E, task)
    assert torch.isfinite(velocity(E, task, decay=1e-2)).all()


def test_a_singular_run_of_a_batch_is_named():
    task, E = case(1, 3)
    E[2] = 0
    with pytest.raises(ValueError, match=r"HHᵀ .*in run 2 \(training pairs \[.*…\)"):
        cost(E, task)


def test_a_nan_is_an_error_where_it_enters():
    task, E = case()
    symbol = task.pairs_train[3, 0]
    E[symbol, 0] = float("nan")
    with pytest.raises(ValueError, match="HHᵀ is not finite in rows") as caught:
        velocity(E, task)
    assert str(tuple(task.pairs_train[3].tolist())) in str(caught.value)


@pytest.mark.parametrize("step", [1e30, 1e160])
@pytest.mark.parametrize("activation", ["relu", "square"])
def test_a_huge_step_says_where_it_failed_and_keeps_the_records(step, activation):
    task, E = case(width=30)
    message = rf"step \d+ .*could not be taken with step={re.escape(str(step))}; lower step"
    with pytest.raises(SimulationError, match=message) as caught:
        simulate(E, task, step=step, steps=50, record_every=1, activation=activation, progress=False)
    result = caught.value.result
    assert torch.isfinite(result.cost).all()
    assert len(result.time) >= 1
    assert result.cost[0] == cost(E, task, activation)


def test_a_step_that_fails_late_keeps_all_that_came_before(monkeypatch):
    task, E = case()
    solve, calls = Isolated.solve, []

    def spoiled(self, E):
        calls.append(E)
        return solve(self, E * float("nan") if len(calls) == 8 else E)

    monkeypatch.setattr(Isolated, "solve", spoiled)
    with pytest.raises(SimulationError, match="step 7 ") as caught:
        simulate(E, task, step=1e-3, steps=50, record_every=1, progress=False)
    assert caught.value.result.time.tolist() == pytest.approx([k * 1e-3 for k in range(7)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(dtype="float32"), "dtype='float32' must be torch.float32"),
        (dict(method="clock", activation="tanh"), "needs a σ of degree 1, not 'tanh'"),
    ],
)
def test_simulate_refuses_what_it_could_only_do_wrongly(change, message):
    task, E = case()
    with pytest.raises(ValueError, match=message):
        simulate(E, task, 1e-2, 10, **change)


def test_simulate_refuses_starts_of_another_kind():
    task, E = case()
    with pytest.raises(ValueError, match="E is a ndarray; pass a torch tensor"):
        simulate(E.numpy(), task, 1e-2, 10)
    with pytest.raises(ValueError, match=r"\(0, 5, 16\), which holds no run"):
        simulate(E.expand(0, *E.shape), task, 1e-2, 10, method="adaptive")


def test_a_decay_that_leaves_nothing_is_named():
    """Above λ₁, the pull of the labels on the best single unit, zero is the only minimum; below it, it is none."""
    task = modular_addition(5, 0.8, torch.Generator().manual_seed(0))
    E = initial_embedding(5, 30, torch.Generator().manual_seed(1))
    strongest = largest_ratio(task.Y_train.double(), task, starts=50)[0]
    assert minimise(E, task, decay=0.95 * strongest).cost < float(task.Y_train.sum()) / (0.95 * strongest)
    with pytest.raises(ValueError, match=r"leaves nothing to fit: from this start R/λ ends at .* lower the decay"):
        minimise(E, task, decay=1.05 * strongest)
