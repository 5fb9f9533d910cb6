import math

import pytest
import torch

from grokbook import cross_entropy
from grokbook.cross_entropy import largest_decay, log_loss, lower_bound, margins, multipliers, settle, sink
from grokbook.flow import flow
from grokbook.losses import loss_of
from grokbook.network import TwoLayer
from grokbook.tasks import Task, modular_addition

DECAY = 1e-3


def small(activation="gelu", seed=0, size=2.0, p=5, d_hidden=12):
    """A task, a network and a start."""
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, 0.8, generator)
    network = TwoLayer(task.X_train, d_hidden, p, activation)
    return task, network, size * network.initial(generator)


def loss_and_decay(network, task, theta, decay):
    return loss_of("cross_entropy").value(network.outputs(theta), task.Y_train) + decay / 2 * theta.square().sum()


def gauss_newton(network, task, theta, decay):
    """JᵀGJ/λ from autograd's Jacobian and the textbook's G."""
    J = torch.func.jacrev(network.F)(theta)
    n = len(task.Y_train)
    G = torch.block_diag(*[(torch.diag(p) - torch.outer(p, p)) / n for p in network.outputs(theta).softmax(-1)])
    return J.T @ G @ J / decay


def two_samples(decay):
    """Two unit vectors as inputs, a label each, the least L + (λ/2)‖θ‖² and how long its weights are.

    A unit for each sample, ‖e‖ = s and w = ± s (1, −1)/√2: the margin is √2 s²."""
    eye = torch.eye(2, dtype=torch.float64)
    task = Task.from_arrays(eye, eye, eye, eye)
    squares = torch.linspace(0.1, 10, 100_000, dtype=torch.float64)
    least, at = (torch.log1p((-(2**0.5) * squares).exp()) + decay / 2 * 4 * squares).min(0)
    return task, float(least), squares[at].sqrt()


def test_margins_stand_on_the_wrong_outputs():
    outputs = torch.tensor([[3.0, 1.0, -1.0], [0.5, 0.0, 2.0]], dtype=torch.float64)
    Y = torch.eye(3, dtype=torch.float64)[[0, 1]]
    expected = torch.tensor([[math.inf, 2.0, 4.0], [-0.5, math.inf, -2.0]], dtype=torch.float64)
    assert torch.equal(margins(outputs, Y), expected)


def test_the_loss_is_cross_entropy_and_does_not_underflow():
    task, network, theta = small()
    outputs = network.outputs(theta)
    assert torch.allclose(log_loss(outputs, task.Y_train).exp(), loss_of("cross_entropy").value(outputs, task.Y_train))
    assert float(log_loss(2000.0 * task.Y_train, task.Y_train)) == pytest.approx(math.log(4) - 2000)
    near = torch.tensor([[s, 0.0] for s in (29.9, 30.1)], dtype=torch.float64)  # both sides of the switch
    for row in near:
        expected = math.log(math.log1p(math.exp(-float(row[0]))))
        assert float(log_loss(row[None], torch.tensor([[1.0, 0.0]]))) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_the_multipliers_are_the_gradient_over_decay(scale):
    task, network, theta = small()
    outputs = scale * network.outputs(theta)
    q = multipliers(outputs, task.Y_train, DECAY)
    expected = -loss_of("cross_entropy").gradient(outputs, task.Y_train) / DECAY
    push = task.Y_train * q.sum(-1, keepdim=True) - q
    assert torch.allclose(push, expected, rtol=1e-9, atol=1e-12)
    assert (q[task.Y_train > 0] == 0).all()


def test_multipliers_far_below_the_smallest_number_but_for_decay():
    Y = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    outputs = torch.tensor([[600.0, 0.0]], dtype=torch.float64)
    assert float(multipliers(outputs, Y, math.exp(-600.0))[0, 1]) == pytest.approx(1)


def test_the_stiffness_is_gauss_newton_s():
    task, network, theta = small()
    A = gauss_newton(network, task, theta, DECAY)
    found = cross_entropy.stiffnesses(network, theta, task, DECAY)
    n, m = task.Y_train.shape
    assert torch.allclose(found[n:], torch.linalg.eigvalsh(A)[-n * (m - 1) :], atol=1e-9 * float(found[-1]))
    assert found[:n].abs().max() < 1e-10 * found[-1]


@pytest.mark.parametrize("rate", [10.0, 1.0, 0.1])
def test_the_soft_direction_solves_its_equation(rate):
    task, network, theta = small()
    A = gauss_newton(network, task, theta, DECAY)
    expected = -torch.linalg.solve(torch.eye(len(theta)).to(A) + A / rate, theta)
    found = cross_entropy.soft_direction(network, theta, task, DECAY, rate, tolerance=1e-10)
    assert torch.allclose(found, expected, atol=1e-7)


def test_the_ends_of_the_soft_direction_are_no_walls_and_hard_walls():
    task, network, theta = small(d_hidden=40)
    free = cross_entropy.soft_direction(network, theta, task, DECAY, 1e9)
    assert torch.allclose(free, -theta, rtol=1e-4)
    hard = cross_entropy.soft_direction(network, theta, task, DECAY, 1e-5, tolerance=1e-9)
    values, vectors = torch.linalg.eigh(gauss_newton(network, task, theta, DECAY))
    kernel = vectors[:, values < 1e-9 * values[-1]]
    assert torch.allclose(hard, -kernel @ (kernel.T @ theta), atol=2e-4)


def test_a_direction_that_holds_kinks_keeps_to_their_kernel():
    task, network, theta = small("relu")
    held = network.holding_rows(network.pinned(theta, 0.1))
    assert len(held) > 3
    found = cross_entropy.soft_direction(network, theta, task, DECAY, held=held, tolerance=1e-10)
    assert (held @ found).abs().max() < 1e-10
    keep = torch.eye(len(theta)).to(theta) - held.T @ held
    A = keep @ gauss_newton(network, task, theta, DECAY) @ keep
    assert torch.allclose(found, -torch.linalg.solve(torch.eye(len(theta)).to(A) + A, keep @ theta), atol=1e-7)


def test_descent_comes_to_rest_where_decay_and_loss_balance():
    task, least, _ = two_samples(0.05)
    network = TwoLayer(task.X_train, 20, 2)
    theta = network.initial(torch.Generator().manual_seed(0))
    end = settle(network, task, [0, 40], 0.05, theta).points[1]
    assert float(loss_and_decay(network, task, end, 0.05)) == pytest.approx(least, rel=1e-9)
    outputs = network.outputs(end)
    q = multipliers(outputs, task.Y_train, 0.05)
    pushed = 2 * (q * margins(outputs, task.Y_train).clamp_max(1e9)).sum()  # Euler: F has degree 2
    assert float(pushed) == pytest.approx(float(end.square().sum()), rel=1e-6)


def test_descent_is_an_euler_method_of_the_flow(monkeypatch):
    task, network, theta = small()

    def field(at):
        return torch.func.grad(lambda at: -loss_and_decay(network, task, at, DECAY))(at) / DECAY

    exact = flow(field, theta, [0.0, 0.2, 0.5], method="LSODA", tolerance=1e-8).points
    errors = []
    for safety in (1.0, 0.1):
        monkeypatch.setattr(cross_entropy, "SAFETY", safety)
        found = settle(network, task, [0.0, 0.2, 0.5], DECAY, theta).points
        errors.append((found - exact).norm(dim=1)[1:] / (exact - theta).norm(dim=1)[1:])
    assert (errors[0] < 0.1).all() and (errors[1] < 0.2 * errors[0]).all() and torch.equal(found[0], theta)


def test_times_are_relative_and_a_stretch_can_be_cut_in_two():
    task, network, theta = small()
    whole = settle(network, task, [3.0, 3.5, 4.0], DECAY, theta)
    shifted = settle(network, task, [0.0, 0.5, 1.0], DECAY, theta)
    assert torch.allclose(whole.points, shifted.points, atol=1e-9) and torch.equal(whole.steps, shifted.steps)
    assert whole.steps[0] == 0 and (whole.steps.diff() > 0).all()
    part = settle(network, task, [0.0, 0.5], DECAY, whole.points[1]).points[1]
    assert (part - whole.points[2]).norm() < 0.01 * (whole.points[2] - theta).norm()


def test_a_hundredth_of_the_decay_takes_about_as_many_steps():
    task, network, theta = small(p=7, d_hidden=32)
    steps = [int(settle(network, task, [0, 1, 4], decay, theta).steps.diff()[-1]) for decay in (1e-4, 1e-6)]
    assert steps[1] < 2 * steps[0]


def test_without_decay_the_loss_goes_as_deep_as_asked():
    task, network, theta = small("relu", p=7, d_hidden=32)
    found = sink(network, task, [1.0, 20.0, 300.0], theta)
    depths = torch.stack([-log_loss(network.outputs(point), task.Y_train) for point in found.points])
    assert (depths >= torch.tensor([1.0, 20.0, 300.0])).all() and (depths < torch.tensor([2.0, 22.0, 305.0])).all()
    assert (found.points.square().sum(1).diff() > 0).all() and (found.steps.diff() > 0).all()
    assert task.right(network.outputs(found.points[-1]), task.Y_train).all()


def test_a_network_that_no_wall_pushes_shrinks_with_decay_alone():
    task, least, s = two_samples(0.05)
    network, half = TwoLayer(task.X_train, 2, 2), s / 2**0.5
    theta = 60 * network.join(s * torch.eye(2).to(s), torch.stack([half, -half, -half, half]).view(2, 2))
    assert (multipliers(network.outputs(theta), task.Y_train, 0.05) == 0).all()
    found = settle(network, task, [0, 0.5, 12], 0.05, theta).points
    assert torch.allclose(found[1], 0.95**10 * theta)
    assert float(loss_and_decay(network, task, found[2], 0.05)) == pytest.approx(least, rel=1e-6)


def test_a_wall_that_is_met_at_once_does_not_throw_the_network_out():
    task, network, theta = small("relu", p=7, d_hidden=32)
    end = settle(network, task, [0, 4], 1e-6, theta).points[1]
    for factor in (2.5, 3.0, 3.5, 4.0, 5.0):  # from behind the walls, which it meets between two looks or not
        again = settle(network, task, [0, 0.5, 1, 1.5, 2, 2.5], 1e-6, factor * end).points[-1]
        costs = [float(loss_and_decay(network, task, point, 1e-6)) for point in (end, again)]
        assert costs[1] == pytest.approx(costs[0], rel=0.05)


def test_no_run_costs_less_than_the_bound():
    for seed, decay in [(0, 1e-2), (1, 1e-3), (2, 1e-4)]:
        task, network, theta = small("relu", seed, p=7, d_hidden=32)
        points = settle(network, task, [0, 1, 12], decay, theta).points
        costs = [float(loss_and_decay(network, task, point, decay)) for point in points]
        bounds = [lower_bound(network, point, task, decay) for point in points]
        assert [bound.cost for bound in bounds] == pytest.approx(costs)
        assert max(bound.value for bound in bounds) <= min(costs)
        assert bounds[-1].value > 0.7 * costs[-1] and bounds[0].value < bounds[-1].value
        least = margins(network.outputs(points[-1]), task.Y_train).min() / points[-1].square().sum()
        assert least <= min(bound.margin for bound in bounds)
        from_own = lower_bound(network, points[-1], task, decay, starts=1).ratio
        assert from_own > own_ratio(network, task, points[-1], decay) - 1e-6 > 0.9


def own_ratio(network, task, theta, decay):
    """The largest ‖Mᵀσ(Xe)‖ of a network's own units."""
    E, _ = network.split(theta)
    q = multipliers(network.outputs(theta), task.Y_train, decay)
    M = task.Y_train * q.sum(-1, keepdim=True) - q
    return float((M.T @ (task.X_train @ (E / E.norm(dim=0))).relu()).norm(dim=0).max())


def test_the_bound_is_the_minimum_where_that_is_known():
    task, least, s = two_samples(0.05)
    network = TwoLayer(task.X_train, 2, 2)
    half = s / 2**0.5
    theta = network.join(s * torch.eye(2).to(s), torch.stack([half, -half, -half, half]).view(2, 2))
    found = lower_bound(network, theta, task, 0.05)
    assert found.cost == pytest.approx(least, rel=1e-9)
    assert found.value == pytest.approx(least, rel=1e-4) and found.ratio == pytest.approx(1, abs=1e-4)
    assert found.margin == pytest.approx(2**0.5 / 4, rel=1e-4)  # √2 s² over 4 s²


def test_from_the_largest_decay_on_nothing_is_left():
    task, network, theta = small("relu", size=0.3, p=7, d_hidden=32)
    limit = largest_decay(task)
    ends = [settle(network, task, [0, 30], factor * limit, theta).points[1].norm() for factor in (1.2, 0.8)]
    assert ends[0] < 1e-2 < 1 < ends[1]
    bound = lower_bound(network, ends[0] * theta / theta.norm() * 1e-6, task, 1.01 * limit)
    assert bound.value == pytest.approx(math.log(7), rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda task, network, theta: settle(network, task, [0, 1, 1], DECAY, theta), "increases"),
        (lambda task, network, theta: settle(network, task, [], DECAY, theta), "increases"),
        (lambda task, network, theta: settle(network, task, [0, math.inf], DECAY, theta), "finite"),
        (lambda task, network, theta: settle(network, task, [0, 1], 0, theta), "decay=0"),
        (lambda task, network, theta: settle(network, task, [0, 1], DECAY, theta[:-1]), "theta"),
        (lambda task, network, theta: settle(network, task, [0, 1], DECAY, theta * math.nan), "theta"),
        (lambda task, network, theta: sink(network, task, [2, 1], theta), "increases"),
        (lambda task, network, theta: sink(network, task, [2], 0 * theta), "nothing moves"),
        (lambda task, network, theta: cross_entropy.stiffnesses(network, theta / 0, task, DECAY), "theta"),
        (lambda task, network, theta: cross_entropy.soft_direction(network, theta / 0, task, DECAY), "theta"),
        (lambda task, network, theta: lower_bound(network, theta / 0, task, DECAY), "theta"),
        (lambda task, network, theta: multipliers(network.outputs(theta), task.Y_train / 2, DECAY), "single 1"),
        (lambda task, network, theta: log_loss(network.outputs(theta), 0 * task.Y_train), "single 1"),
        (lambda task, network, theta: margins(network.outputs(theta), task.Y_test), "outputs are"),
        (lambda task, network, theta: cross_entropy.soft_direction(network, theta, task, DECAY, 0), "rate=0"),
        (lambda task, network, theta: lower_bound(network, theta, task, DECAY), "degree None"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(*small())


def test_a_run_that_cannot_end_says_how_far_it_came(monkeypatch):
    monkeypatch.setattr(cross_entropy, "MAX_STEPS", 20)
    task, network, theta = small()
    with pytest.raises(ValueError, match=r"20 steps reached T = .* of 5"):
        settle(network, task, [0, 5], DECAY, theta)
    with pytest.raises(ValueError, match=r"20 steps reached ln\(1/L\) = .* of 50"):
        sink(network, task, [50], theta)


def test_steps_that_are_too_long_are_an_error_and_no_number(monkeypatch):
    monkeypatch.setattr(cross_entropy, "SAFETY", 1e200)
    monkeypatch.setattr(cross_entropy, "LONGEST", 1e200)
    task, network, theta = small()
    with pytest.raises(ValueError, match="not finite"):
        settle(network, task, [0, 1e300], DECAY, theta)
