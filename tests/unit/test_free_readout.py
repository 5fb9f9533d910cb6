import itertools
import math

import pytest
import torch

from grokbook.free_readout import FreeReadout, on_sphere
from grokbook.isolated import readout
from grokbook.stored import stored_runs
from grokbook.tasks import modular_addition

P, WIDTH = 5, 16


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def case(seed=0):
    task = modular_addition(P, 0.7, generator(seed))
    E = torch.randn(P, WIDTH, generator=generator(seed + 1), dtype=torch.float64)
    return task, E, 2 * float(readout(E, task).square().sum())


def network(task, square, thin):
    return FreeReadout(task, square, thin=thin)


# The weight of E


@pytest.mark.parametrize("thin", [False, True])
def test_the_gradient_is_that_of_the_weight(thin):
    task, E, square = case()
    n, m = task.Y_train.shape

    def weight(E):
        H = torch.relu(task.X_train @ E)
        least = torch.trace(task.Y_train.T @ torch.linalg.inv(H @ H.T) @ task.Y_train)
        value = ((WIDTH - n) * m / 2 - 1) * torch.log(square - least)
        return value - thin * m / 2 * torch.logdet(H @ H.T)

    value, slope = network(task, square, thin).log_weight(E)
    assert float(value) == pytest.approx(float(weight(E)))
    torch.testing.assert_close(slope, torch.func.grad(weight)(E), rtol=1e-8, atol=1e-8)


def test_the_weight_is_the_volume_that_is_left():
    """By counting, with one sample, one output and four units: of all W in a box, those near both conditions."""
    task, E, _ = case()
    task = type(task)(task.X_train[:1], task.Y_train[:1, :1] * 0 + 1.0, task.X_test, task.Y_test)
    W = 4 * torch.rand(1_000_000, 4, generator=generator(), dtype=torch.float64) - 2
    counts, weights = [], []
    for scale in (0.4, 1.0):
        H = torch.relu(task.X_train @ (scale * E[:, :4].abs()))
        hit = ((W @ H[0] - 1).abs() < 0.1) & ((W.square().sum(1) - 3).abs() < 0.3)
        counts.append(float(hit.sum()))
        weights.append(float(network(task, 3.0, True).log_weight(scale * E[:, :4].abs())[0]))
    assert math.log(counts[1] / counts[0]) == pytest.approx(weights[1] - weights[0], abs=0.12)
    assert abs(weights[1] - weights[0]) > 0.5


def test_what_asks_for_too_much_or_is_singular_has_no_weight():
    task, E, square = case()
    for point, allowed in ((E, square / 3), (E * 0, square)):
        value, slope = network(task, allowed, False).log_weight(point)
        assert float(value) == -math.inf and slope is None


def test_a_readout_without_freedom_is_refused():
    task, E, square = case()
    with pytest.raises(ValueError, match=r"d_hidden=3 leaves the readout of 10 training samples no freedom"):
        network(task, square, False).log_weight(E[:, :3])
    with pytest.raises(ValueError, match="square"):
        FreeReadout(task, 0.0)


# The readout


def test_a_free_readout_fits_and_has_its_norm():
    task, E, square = case()
    H = torch.relu(task.X_train @ E)
    drawn = [network(task, square, False).readout(E, generator(seed)) for seed in range(300)]
    for W in drawn[:3]:
        torch.testing.assert_close(H @ W, task.Y_train, rtol=1e-9, atol=1e-9)
        assert float(W.square().sum()) == pytest.approx(square)
    rest = torch.stack(drawn) - readout(E, task)
    # Without a preferred direction: the mean of 300 is √300 times shorter than one of them.
    assert rest.mean(0).norm() < 2 / math.sqrt(300) * rest[0].norm()
    with pytest.raises(ValueError, match="raise square"):
        network(task, square / 3, False).readout(E, generator())


# Drawing on a sphere


def walk(steps, log_weight, step=1.0, seed=0, size=3):
    start = torch.zeros(size, dtype=torch.float64)
    start[0] = 1.0
    return torch.stack([point for point, _ in on_sphere(log_weight, start, generator(seed), steps, step, turns=3)])


def test_the_mean_is_that_of_langevin():
    """Weight e^(κx) on the sphere in three dimensions: the mean of x is coth κ − 1/κ."""
    pull = torch.tensor([0.0, 0.0, 2.0], dtype=torch.float64)
    points = walk(2500, lambda x: (pull @ x, pull))
    torch.testing.assert_close(points.norm(dim=1), torch.ones(2500, dtype=torch.float64))
    assert float(points[:, 2].mean()) == pytest.approx(1 / math.tanh(2) - 0.5, abs=0.06)
    assert points[:, :2].mean(0).abs().max() < 0.07


def test_without_a_weight_the_sphere_is_covered_evenly():
    zero = torch.zeros(4, dtype=torch.float64)
    points = walk(2500, lambda x: (zero.sum(), zero), size=4)
    torch.testing.assert_close(points.T @ points / 2500, torch.eye(4, dtype=torch.float64) / 4, rtol=0, atol=0.05)


def test_what_a_wrong_gradient_would_spoil_the_chance_mends():
    """The gradient only guides: with none of it the mean is the same, as long as steps are refused."""
    pull = torch.tensor([0.0, 0.0, 2.0], dtype=torch.float64)
    points = walk(2500, lambda x: (pull @ x, 0 * pull))
    assert float(points[:, 2].mean()) == pytest.approx(1 / math.tanh(2) - 0.5, abs=0.08)


def test_a_long_step_is_refused_at_times():
    """Each step from 0 to `step`, so that some are refused and some are not; a refused one leaves the point."""
    pull = torch.tensor([0.0, 0.0, 40.0], dtype=torch.float64)
    start = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    path = list(on_sphere(lambda x: (pull @ x, pull), start, generator(), 300, 1.0, turns=3))
    moved = [accepted for _, accepted in path]
    assert 30 < sum(moved) < 270
    stayed = [torch.equal(before[0], after[0]) for before, after in itertools.pairwise(path)]
    assert stayed == [not accepted for accepted in moved[1:]]


def test_where_there_is_no_weight_no_path_goes():
    zero = torch.zeros(3, dtype=torch.float64)
    points = walk(500, lambda x: (zero.sum(), zero) if x[0] > 0.5 else (torch.tensor(-math.inf), None))
    assert points[:, 0].min() > 0.5
    assert points[:, 0].std() > 0.05


def test_a_walk_of_networks_keeps_what_it_must():
    task, E, square = case()
    free = network(task, square, False)
    *_, (last, _) = on_sphere(free.log_weight, E, generator(), 60, 0.02)
    assert float(last.norm()) == pytest.approx(float(E.norm()))
    assert (last - E).norm() > 0.3 * E.norm()
    assert free.log_weight(last)[0].isfinite()


@pytest.mark.parametrize(
    ("options", "message"),
    [(dict(steps=0), "steps"), (dict(step=0.0), "step"), (dict(turns=0), "turns"), (dict(generator=0), "generator")],
)
def test_bad_input_to_the_walk(options, message):
    zero = torch.zeros(3, dtype=torch.float64)
    given = dict(generator=generator(), steps=1, step=0.1) | options
    with pytest.raises(ValueError, match=message):
        list(on_sphere(lambda x: (zero.sum(), zero), zero + 1, **given))


def test_a_start_of_weight_zero_is_refused():
    with pytest.raises(ValueError, match="the start has log weight -inf"):
        list(on_sphere(lambda x: (torch.tensor(-math.inf), None), torch.ones(3), generator(), 1, 0.1))


def test_the_stored_runs_moved_and_fit():
    for run in stored_runs("typical_free"):
        assert 0.2 < run["accepted"] < 1
        assert len(run["means"]) == len(run["log_weight"]) == 8
        assert all(0 < share < 1 for share in run["share_of_square"])
