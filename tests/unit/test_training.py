import math

import pytest
import torch

from grokbook import toys
from grokbook.direction import weighted_flow
from grokbook.flow import flow
from grokbook.isolated import readout
from grokbook.measure import power
from grokbook.network import Deep, TwoLayer
from grokbook.tasks import Task, modular_addition
from grokbook.training import TrainingError, train, train_to


@pytest.fixture
def task():
    return modular_addition(7, 0.75, torch.Generator().manual_seed(0))


@pytest.fixture
def network(task):
    return TwoLayer(task.X_train, 48, 7, activation="gelu")


@pytest.fixture
def start(network):
    return network.initial(torch.Generator().manual_seed(1))


@pytest.mark.parametrize("loss", ["mean", "sum"])
def test_training_is_torch_sgd_with_weight_decay(task, network, start, loss):
    step, decay = (0.5, 1e-2) if loss == "mean" else (1e-3, 1e-2)
    ours = train(network, task, step, decay, 40, theta=start, loss=loss, record_every=40)
    theta = start.clone().requires_grad_()
    optimiser = torch.optim.SGD([theta], lr=step, weight_decay=decay)
    for _ in range(40):
        optimiser.zero_grad()
        error = (network.outputs(theta) - task.Y_train) ** 2
        (error.mean() if loss == "mean" else error.sum()).backward()
        optimiser.step()
    torch.testing.assert_close(ours.theta, theta.detach(), rtol=1e-10, atol=1e-12)
    final = (network.outputs(theta) - task.Y_train).detach() ** 2
    torch.testing.assert_close(ours.train_loss[-1], final.mean() if loss == "mean" else final.sum())


@pytest.mark.parametrize("method", ["momentum", "adam"])
@pytest.mark.parametrize("loss", ["mean", "cross_entropy"])
def test_optimisers_are_those_of_torch(task, network, start, method, loss):
    step, decay = 0.02, 0.1
    ours = train(network, task, step, decay, 30, theta=start, loss=loss, method=method)
    theta = start.clone().requires_grad_()
    optimiser = (
        torch.optim.SGD([theta], lr=step, momentum=0.9, weight_decay=decay)
        if method == "momentum"
        else torch.optim.AdamW([theta], lr=step, weight_decay=decay)
    )
    objective = torch.nn.functional.mse_loss if loss == "mean" else torch.nn.functional.cross_entropy
    for _ in range(30):
        optimiser.zero_grad()
        objective(network.outputs(theta), task.Y_train).backward()
        optimiser.step()
    torch.testing.assert_close(ours.theta, theta.detach(), rtol=1e-8, atol=1e-10)


def test_a_faster_readout_is_a_parameter_group_of_torch(task, network, start):
    E, W = (layer.clone().requires_grad_() for layer in network.split(start))
    groups = [{"params": [E]}, {"params": [W], "lr": 5e-3}]
    optimiser = torch.optim.SGD(groups, lr=1e-3, weight_decay=1e-2)
    for _ in range(20):
        optimiser.zero_grad()
        (network.outputs(network.join(E, W)) - task.Y_train).square().sum().backward()
        optimiser.step()
    found = train(network, task, 1e-3, 1e-2, 20, theta=start, loss="sum", ratio=5).theta
    torch.testing.assert_close(found, network.join(E, W).detach())


def test_a_deep_network_trains_and_its_layers_are_recorded(task):
    deep = Deep(task.X_train, [24, 16], 7, "gelu")
    start = deep.initial(torch.Generator().manual_seed(1))
    history = train(deep, task, 0.5, 1e-3, 40, theta=start, record_every=20)
    assert history.norms.shape == (3, 3)
    squares = [float(layer.square().sum()) for layer in deep.split(history.theta)]
    assert history.norms[-1].tolist() == pytest.approx(squares)
    assert history.train_loss[-1] < history.train_loss[0]
    with pytest.raises(ValueError, match=r"Deep|theta has shape"):
        train(deep, task, theta=start[:-1])


def test_a_saved_run_goes_on(task, network, start, tmp_path):
    options = dict(theta=start, record_every=10, method="momentum", progress=False)
    whole = train(network, task, 0.1, 1e-3, 40, **options)
    train(network, task, 0.1, 1e-3, 15, state_file=tmp_path / "run.pt", **options)
    resumed = train(network, task, 0.1, 1e-3, 40, state_file=tmp_path / "run.pt", **options)
    assert torch.equal(whole.theta, resumed.theta) and torch.equal(whole.step, resumed.step)
    with pytest.raises(ValueError, match="holds a path of 40 strides, longer than 20; ask for as many"):
        train(network, task, 0.1, 1e-3, 20, state_file=tmp_path / "run.pt", **options)


def test_a_run_with_another_ratio_is_another_run(task, network, start, tmp_path):
    options = dict(theta=start, record_every=10, progress=False)
    for saved, asked in ((1, 2), (2, 1), (2, 3)):
        file = tmp_path / f"run{saved}{asked}"
        train(network, task, 0.1, 1e-3, 10, ratio=saved, state_file=file, **options)
        with pytest.raises(ValueError, match="another run: method is"):
            train(network, task, 0.1, 1e-3, 20, ratio=asked, state_file=file, **options)


def test_a_network_on_another_split_is_refused(network, start):
    other = modular_addition(7, 0.75, torch.Generator().manual_seed(5))
    with pytest.raises(ValueError, match="one network a split"):
        train(network, other, theta=start)


def test_networks_trained_together_are_those_trained_alone(task, network, start):
    other = network.initial(torch.Generator().manual_seed(2))
    together = train(network, task, 0.5, 1e-3, 30, theta=torch.stack([start, other]), record_every=10, snapshots=True)
    alone = train(network, task, 0.5, 1e-3, 30, theta=other, record_every=10, snapshots=True)
    assert together.train_loss.shape == (4, 2)
    assert together.norms.shape == (4, 2, 2)
    torch.testing.assert_close(together.snapshots[:, 1], alone.snapshots)
    torch.testing.assert_close(together.test_loss[:, 1], alone.test_loss)


def test_the_start_is_not_changed(task, network, start):
    before = start.clone()
    train(network, task, 0.5, 1e-3, 5, theta=start)
    assert torch.equal(start, before)


def test_without_a_step_nothing_moves(task, network, start):
    history = train(network, task, 0.5, 1e-3, 0, theta=start)
    assert history.step.tolist() == [0]
    assert torch.equal(history.theta, start)
    assert history.snapshots.shape == (0, network.size)
    assert train(network, task, steps=0, theta=start, snapshots=True).snapshots.shape == (1, network.size)


def test_pure_decay_shrinks_geometrically(task):
    network = TwoLayer(task.X_train, 48, 7)
    start = network.initial(torch.Generator().manual_seed(1))
    silent = network.join(start.new_zeros(7, 48), network.split(start)[1])
    history = train(network, task, 0.1, 0.5, 10, theta=silent, record_every=10)
    # With E = 0 a ReLU layer neither answers nor feels a gradient.
    ratio = history.norms[-1, 1] / history.norms[0, 1]
    assert ratio.item() == pytest.approx((1 - 0.1 * 0.5) ** 20)


def test_accuracy_counts_right_answers(task, network, start):
    history = train(network, task, 0.5, 0.0, 0, theta=start)
    right = network.outputs(start, task.X_test).argmax(1) == task.labels_test
    assert history.test_accuracy.item() == pytest.approx(right.double().mean().item())


def test_stop_at_ends_at_a_record(task, network, start):
    history = train(network, task, 0.5, 1e-3, 100, theta=start, record_every=10, stop_at=0.0)
    assert history.step.tolist() == [0]


def test_divergence_names_the_step_and_keeps_the_history(task, start):
    square = TwoLayer(task.X_train, 48, 7, activation="square")
    with pytest.raises(TrainingError, match=r"by step \d+ with step=50.0.*lower step") as caught:
        train(square, task, 50.0, 0.0, 500, theta=10 * start, record_every=1)
    assert caught.value.history.train_loss.isfinite().all()
    assert len(caught.value.history.step) >= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(step=0.0), "step=0.0"),
        (dict(decay=-1.0), "decay=-1.0"),
        (dict(record_every=0), "record_every=0"),
        (dict(record_every=2.5), "record_every=2.5"),
        (dict(stop_at=80), "stop_at=80"),
        (dict(method="adaptive"), "method='adaptive' chooses its own steps"),
        (dict(theta=torch.zeros(3, dtype=torch.long)), "theta is torch.int64"),
        (dict(loss="median"), "median"),
        (dict(generator=torch.Generator()), "exactly one"),
        (dict(theta=None), "exactly one"),
        (dict(ratio=0), "ratio=0"),
        (dict(ratio=2, method="adam"), "ratio=2 means nothing to method='adam'"),
    ],
)
def test_bad_settings_are_named(task, network, start, change, message):
    arguments = dict(step=0.5, decay=0.0, steps=2, theta=start) | change
    with pytest.raises(ValueError, match=message):
        train(network, task, **arguments)


def test_a_network_on_other_inputs_is_refused(task, start):
    other = TwoLayer(task.X_test, 48, 7)
    with pytest.raises(ValueError, match=r"built on \(7, 7\) inputs .* not on this task's X_train, \(21, 7\)"):
        train(other, task, theta=start)


class TestTrainTo:
    @pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # PyTorch's own forward mode
    @pytest.mark.parametrize("decay", [3e-2, 1e-2])
    def test_a_linear_network_is_at_the_closed_form_at_every_time(self, decay):
        """From a fit, what no sample sees decays as exp(−t); the rest waits at the ridge solution."""
        X = torch.tensor([[1.0, 2.0, 0.0, -1.0], [0.0, 1.0, 1.0, 2.0]], dtype=torch.float64)
        Y = torch.tensor([[1.0], [-2.0]], dtype=torch.float64)
        start = torch.linalg.pinv(X) @ Y[:, 0] + torch.tensor([5.0, -1.0, -3.0, 3.0], dtype=torch.float64)
        times = torch.tensor([0.0, 0.25, 1.0, 3.0], dtype=torch.float64)
        found = train_to(Deep(X, [], 1), Task.from_arrays(X, Y, X, Y), times, decay, start)
        exact = toys.linear_descent(X, Y[:, 0], decay, start, times / (2 * decay))
        assert torch.equal(found[0], start)
        assert (found - exact).norm(dim=1).max() < decay * start.norm()
        # With equal steps, 0.8 over the largest singular value squared, descent has a closed form of its own.
        squares = X.T @ X + decay * torch.eye(4, dtype=torch.float64)
        rest, longest = torch.linalg.solve(squares, X.T @ Y[:, 0]), 0.8 / float(torch.linalg.svdvals(X)[0] ** 2)
        count = math.ceil(0.25 / (2 * decay * longest))
        one_step = torch.eye(4, dtype=torch.float64) - 0.25 / (decay * count) * squares
        torch.testing.assert_close(found[1], rest + torch.linalg.matrix_power(one_step, count) @ (start - rest))

    def test_only_what_passes_between_two_times_counts(self, task, network, start):
        now, later = (train_to(network, task, [t, t + 0.1], 0.1, start) for t in (0.0, 64.0))
        torch.testing.assert_close(later, now)

    def test_the_balance_of_the_layers_falls_by_its_own_law(self, task):
        """ReLU: ‖E‖² − ‖W‖² feels the decay alone and falls as exp(−2t)."""
        network = TwoLayer(task.X_train, 48, 7)
        E = torch.randn(7, 48, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        E = torch.stack([E / 2, E])  # the second run needs the shorter steps
        start = network.join(E, readout(E, task))
        times = [0, 0.1, 0.5]
        E, W = network.split(train_to(network, task, times, 0.05, start))
        gap = E.square().sum((-2, -1)) - W.square().sum((-2, -1))
        assert gap.shape == (3, 2)
        law = torch.exp(-2 * torch.tensor(times, dtype=torch.float64))
        torch.testing.assert_close(gap, law[:, None] * gap[0], rtol=1e-3, atol=0)

    def test_a_faster_readout_follows_the_weighted_flow(self):
        task = modular_addition(5, 0.75, torch.Generator().manual_seed(1))
        network = TwoLayer(task.X_train, 20, 5, activation="gelu")
        E = torch.randn(5, 20, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        start = network.join(E, readout(E, task, "gelu"))
        exact = flow(weighted_flow(network, 4), start, [0, 0.3], step=0.02).end
        decays = [0.1, 0.05, 0.025]
        ends = [train_to(network, task, [0, 0.1, 0.3], decay, start, ratio=4)[-1] for decay in decays]
        assert power(decays, [(end - exact).norm() for end in ends]) == pytest.approx(1, abs=0.1)

    @pytest.mark.parametrize("ratio", [1, 3])
    def test_where_the_weights_are_small_the_decay_limits_the_step(self, task, ratio):
        """JJᵀ is next to nothing, and steps of 0.8/μ would throw the weights about."""
        network = TwoLayer(task.X_train, 48, 7)
        start = 1e-4 * network.initial(torch.Generator().manual_seed(1))
        norms = train_to(network, task, [0, 1, 3], 50.0, start, ratio=ratio).norm(dim=-1)
        fine = train_to(network, task, [0.01 * k for k in range(101)], 50.0, start, ratio=ratio).norm(dim=-1)
        assert float(norms[1] / fine[-1]) == pytest.approx(1, abs=0.2)
        assert bool((norms.diff() < 0).all())

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (dict(decay=0), "decay=0"),
            (dict(times=[]), "a list of finite times that increases"),
            (dict(times=[0, 2, 1]), "a list of finite times that increases"),
            (dict(times=[0, float("inf")]), "a list of finite times that increases"),
            (dict(theta=torch.zeros(3)), "theta has shape"),
        ],
    )
    def test_bad_settings_are_named(self, task, network, start, change, message):
        with pytest.raises(ValueError, match=message):
            train_to(network, task, **(dict(times=[0, 1], decay=0.1, theta=start) | change))
