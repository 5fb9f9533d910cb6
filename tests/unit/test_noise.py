import pytest
import torch

from grokbook.isolated import initial_embedding, readout
from grokbook.noise import noisy_descent
from grokbook.stored import matching, stored_runs
from grokbook.tasks import modular_addition

P, WIDTH = 5, 16


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def case(seed=0):
    task = modular_addition(P, 0.7, generator(seed))
    E = initial_embedding(P, WIDTH, generator(seed))
    W = torch.randn(WIDTH, P, generator=generator(seed + 1), dtype=torch.float64)
    return task, E, W


@pytest.mark.parametrize(("activation", "sigma"), [("relu", torch.relu), ("gelu", torch.nn.functional.gelu)])
def test_one_step_is_autograds_step_scaled_back(activation, sigma):
    task, E, W = case()

    def loss(E, W):
        return torch.nn.functional.mse_loss(sigma(task.X_train @ E) @ W, task.Y_train)

    slopes = torch.func.grad(loss, argnums=(0, 1))(E, W)
    found = noisy_descent(E, W, task, generator(), 0.3, 1, activation=activation)
    for begin, slope, after in zip((E, W), slopes, (found.E, found.W), strict=True):
        moved = begin - 0.3 * slope
        torch.testing.assert_close(after, moved * (begin.norm() / moved.norm()))
    assert float(found.train_loss[0]) == pytest.approx(float(loss(E, W)))
    assert found.step.tolist() == [0, 1]


def test_a_batch_is_a_part_of_the_samples():
    """With one sample a step, the rows of E that it does not touch are only scaled."""
    task, E, W = case()
    found = noisy_descent(E, W, task, generator(), 0.1, 1, batch=1)
    ratios = (found.E / E).std(dim=1)
    assert 3 <= int((ratios < 1e-12).sum()) < P


def test_both_lengths_are_held():
    task, E, W = case()
    found = noisy_descent(E, W, task, generator(), 0.5, 300, batch=3, label_noise=0.2)
    assert float(found.E.norm()) == pytest.approx(float(E.norm()))
    assert float(found.W.norm()) == pytest.approx(float(W.norm()))
    assert float(found.moved[-1]) == pytest.approx(
        float(((found.E - E).square().sum() + (found.W - W).square().sum()) / (E.square().sum() + W.square().sum()))
        ** 0.5
    )


@pytest.mark.parametrize("batch", [None, 3])
def test_at_zero_loss_no_batch_moves_anything_and_noisy_labels_do(batch):
    task, E, _ = case()
    W = readout(E, task)
    still = noisy_descent(E, W, task, generator(), 0.02, 200, batch=batch)
    assert still.moved[-1] < 1e-12
    noisy = noisy_descent(E, W, task, generator(), 0.02, 200, batch=batch, label_noise=0.3)
    assert noisy.moved[-1] > 1e-3
    assert still.train_loss[-1] < 1e-25 < 1e-6 < noisy.train_loss[-1]
    assert float(still.train_accuracy[-1]) == 1


def test_the_noise_of_labels_has_its_size():
    """A zero network and one step: E and W stay, the slope of W is −2/(nm) Hᵀ times what was drawn."""
    task, E, _ = case()
    W = readout(E, task)
    H = torch.relu(task.X_train @ E)
    sizes = []
    for seed in range(40):
        found = noisy_descent(E, W, task, generator(seed), 1e-6, 1, label_noise=0.3)
        sizes.append(float(((found.W - W) / 1e-6).square().sum()))
    n, m = task.Y_train.shape
    # What the scaling takes away is the part along W, one direction of many.
    expected = (2 * 0.3 / (n * m)) ** 2 * m * float(H.square().sum())
    assert sum(sizes) / len(sizes) == pytest.approx(expected, rel=0.15)


def test_the_run_comes_from_the_generator():
    task, E, W = case()
    first, again, other = (noisy_descent(E, W, task, generator(seed), 0.1, 5, batch=2).E for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(step=0.0), "step"),
        (dict(steps=0), "steps"),
        (dict(record_every=0), "record_every"),
        (dict(label_noise=-1.0), "label_noise"),
        (dict(batch=0), "batch"),
        (dict(batch=11), "batch=11 exceeds the 10 training samples"),
        (dict(W=torch.zeros(3, P, dtype=torch.float64)), r"this task needs \(5, d_hidden\) and \(d_hidden, 5\)"),
        (dict(generator=0), "generator"),
        (dict(step=1e200, steps=2), "not finite; lower step"),
    ],
)
def test_bad_input(options, message):
    task, E, W = case()
    with pytest.raises(ValueError, match=message):
        noisy_descent(**dict(E=E, W=W, task=task, generator=generator()) | options)


def test_the_stored_runs_know_their_pairs():
    runs = stored_runs("typical_noise")
    assert all(run["trains"][-1] == 1 and len(run["times"]) == 41 for run in runs)
    assert {run["times"][-1] for run in runs} == {run["steps"] for run in runs}
    for run in matching(runs, start="flow"):
        assert run["losses"][0] < 1e-20
        assert run["moves"][0] == 0
