"""Right and wrong answers to the exercises of the chapters on the simulation and its clock."""

import functools
import math

import pytest
import torch

from grokbook import isolated
from grokbook.eq20 import Isolated
from grokbook.exercises import circles, clock, cost_of_a_run, path, simulated_or_trained, simulation
from grokbook.fourier import cosines
from grokbook.isolated import simulate
from grokbook.measure import sharpness
from grokbook.network import TwoLayer, uniform
from grokbook.tasks import modular_addition
from grokbook.training import train, train_to
from grokbook.ways import also_trained_on, descend


def sees_through(verdict, hint):
    return not verdict and hint in repr(verdict)


def every(answers):
    return [pytest.param(*answer, id=name) for name, answer in answers.items()]


def ridge(E, task, decay):
    H = torch.relu(task.X_train @ E)
    return H.T @ torch.linalg.solve(H @ H.T + decay * torch.eye(len(H)), task.Y_train)


def linear_ridge(E, task, decay):
    Z = task.X_train @ E
    return Z.T @ torch.linalg.solve(Z @ Z.T + decay * torch.eye(len(Z)), task.Y_train)


WRONG_RIDGES = {
    "no decay": (lambda E, task, decay: torch.linalg.pinv(torch.relu(task.X_train @ E)) @ task.Y_train, "is H⁺Y"),
    "a decay that is not asked for": (
        lambda E, task, decay: ridge(E, task, 1.0),
        "decay=0.1, your W is 0.75 of its length away",
    ),
    "twice the decay": (lambda E, task, decay: ridge(E, task, 2 * decay), "that of twice the decay"),
    "a decay for the mean": (lambda E, task, decay: ridge(E, task, len(task.X_train) * decay), "n times the decay"),
    "no activation": (linear_ridge, "readout of H = XE"),
    "transposed": (lambda E, task, decay: ridge(E, task, decay).T, "has the shape (7, 30); (30, 7) is asked for"),
    "nearly": (lambda E, task, decay: ridge(E, task, 1.0001 * decay), "of its length away"),
}


def test_the_ridge():
    assert simulation.check_ridge(ridge)
    assert simulation.check_ridge(lambda E, task, decay: isolated.readout(E, task, decay=decay))


@pytest.mark.parametrize("answer, hint", every(WRONG_RIDGES))
def test_wrong_ridges(answer, hint):
    assert sees_through(simulation.check_ridge(answer), hint)


def alike(amplitude, phase, change=torch.abs):
    return cosines(change(amplitude * torch.stack([phase.cos(), phase.sin()])))[0, 1]


WRONG_COSINES = {
    "with signs": (lambda amplitude, phase: alike(amplitude, phase, lambda rows: rows), "Take absolute values"),
    "of squares": (lambda amplitude, phase: alike(amplitude, phase, torch.square), "cosine of the squares"),
    "without amplitudes": (lambda amplitude, phase: alike(torch.ones(2000), phase), "Multiply by the amplitudes"),
    "in degrees": (lambda amplitude, phase: alike(amplitude, phase.deg2rad()), "in radians"),
    "an angle": (lambda amplitude, phase: alike(amplitude, phase).acos(), "That is the angle"),
    "the known value": (lambda amplitude, phase: 2 / math.pi, "is 0.637, where the vectors"),
    "one part": (lambda amplitude, phase: amplitude @ phase.cos() / amplitude.norm(), "two parts"),
    "nearly": (lambda amplitude, phase: alike(amplitude, phase) + 5e-4, "have the cosine"),
}


def test_the_cosine_of_the_parts():
    assert circles.check_alike(alike)
    assert circles.check_alike(lambda amplitude, phase: alike(amplitude.float(), phase.float()))


@pytest.mark.parametrize("answer, hint", every(WRONG_COSINES))
def test_wrong_cosines(answer, hint):
    assert sees_through(circles.check_alike(answer), hint)


def descent(net, task, theta, factor, decay, time, doubled=2, clock=2, kappas=1, loss="sum"):
    step = factor / (kappas * sharpness(net, theta))
    steps = round(time / (clock * decay * step))
    options = dict(steps=steps, record_every=steps, loss=loss, progress=False)
    return train(net, task, step, doubled * decay, theta=theta, **options).theta


def stable(net, task, theta, factor, decay, time):
    return train_to(net, task, [0, time], decay, theta)[-1]


WRONG_DESCENTS = {
    "half of the decay": (functools.partial(descent, doubled=1), "half of λ"),
    "the mean of squares": (functools.partial(descent, loss="mean"), "mean of the squares"),
    "steps over the Hessian's eigenvalue": (functools.partial(descent, kappas=2), "the Hessian of the loss has twice"),
    "another clock": (functools.partial(descent, clock=4), "half of the time"),
    "a clock without the 2": (functools.partial(descent, clock=1), "twice the time"),
    "steps that stay stable": (stable, "where stable steps end"),
    "the embedding alone": (lambda net, *rest: net.split(descent(net, *rest))[0], "has the shape (5, 32)"),
    "nearly": (lambda *arguments: 1.05 * descent(*arguments), "Is κ that of the start"),
}


def test_the_descent():
    assert simulated_or_trained.check_descent(descent)


@pytest.mark.parametrize("answer, hint", every(WRONG_DESCENTS))
def test_wrong_descents(answer, hint):
    assert sees_through(simulated_or_trained.check_descent(answer), hint)


@pytest.fixture(scope="module")
def starts():
    """The network, three starts with a random readout, and three networks that fit, all in single precision."""
    task = modular_addition(13, 0.8, torch.Generator().manual_seed(0))
    net, generator = TwoLayer(task.X_train.float(), 128, 13), torch.Generator().manual_seed(9)
    generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    E = torch.stack([isolated.initial_embedding(13, 128, one) for one in generators])
    W = torch.stack([uniform((128, 13), generator) for _ in range(3)])
    fitting = isolated.readout(E, task)
    return net, net.join(E.float(), W.float()), net.join(E.float(), fitting.float())


def scaled(net, start, fitting, time):
    """The fitting networks with ‖E‖² − ‖W‖² at e⁻²ᵗ times that of the start, which is all that the check asks of t."""
    (e, w), (E, W) = ([layer.square().sum((1, 2)) for layer in net.split(one)] for one in (fitting, start))
    gap = math.exp(-2 * time) * (E - W)
    factor = ((gap + (gap.square() + 4 * e * w).sqrt()) / (2 * e)).sqrt()[:, None, None]
    first, second = net.split(fitting)
    return net.join(factor * first, second / factor)


def test_the_default_start(starts):
    net, start, fitting = starts
    assert simulated_or_trained.check_default(start, scaled(net, start, fitting, 2.0))


def test_wrong_default_starts(starts):
    net, start, fitting = starts
    off = scaled(net, start, fitting, 2.0)
    E, W = net.split(start)
    fan = "fan in is the number of hidden units"
    for factor in ((128 / 13) ** 0.5, 1.1):
        assert sees_through(simulated_or_trained.check_default(net.join(E, factor * W), off), fan)
    gaussian = torch.randn(W.shape, generator=torch.Generator().manual_seed(0)) / (3 * 128) ** 0.5
    assert sees_through(simulated_or_trained.check_default(net.join(E, gaussian), off), "evenly within")
    assert sees_through(simulated_or_trained.check_default(fitting, off), "the readout that fits")
    assert sees_through(simulated_or_trained.check_default(net.join(2 * E, W), off), "Only W is drawn anew")
    assert sees_through(simulated_or_trained.check_default(start[0], off[0]), "(3, 3328) is asked for")


def test_wrong_ends_from_the_default_start(starts):
    net, start, fitting = starts
    for time in (0.0, 1.0, 2.1, 5.0):
        verdict = simulated_or_trained.check_default(start, scaled(net, start, fitting, time))
        assert sees_through(verdict, f"stands at t = {time:.2f}, not at 2")
    E, W = net.split(fitting)
    assert sees_through(simulated_or_trained.check_default(start, net.join(0.1 * E, 10 * W)), "changed its sign")
    assert sees_through(
        simulated_or_trained.check_default(start, scaled(net, start, start, 2.0)), "training pairs right"
    )


def apart(task, E, steps, read=lambda change: change[1:].abs().mean(), **options):
    common = dict(method="adaptive", record_every=50, progress=False)
    plain, other = (simulate(E, task, 1e-3, steps, **common, **more).cost.double() for more in ({}, options))
    return read(other / plain - 1)


def absolute(task, E, steps, **options):
    common = dict(method="adaptive", record_every=50, progress=False)
    plain, other = (simulate(E, task, 1e-3, steps, **common, **more).cost for more in ({}, options))
    return (other - plain)[1:].abs().mean()


def rounded(task, E, steps, **options):
    """Rounds what a double run has found."""
    if "dtype" not in options:
        return apart(task, E, steps, **options)
    cost = simulate(E, task, 1e-3, steps, method="adaptive", record_every=50, progress=False).cost
    return (cost.float() / cost - 1).abs().mean()


WRONG_DIFFERENCES = {
    "per cent": (functools.partial(apart, read=lambda change: 100 * change[1:].abs().mean()), "Give the share"),
    "the largest": (functools.partial(apart, read=lambda change: change.abs().max()), "the largest difference"),
    "the last": (functools.partial(apart, read=lambda change: change[-1].abs()), "difference at the end"),
    "with the start": (functools.partial(apart, read=lambda change: change.abs().mean()), "no record to count"),
    "with signs": (functools.partial(apart, read=lambda change: change[1:].mean()), "Take absolute values"),
    "not relative": (absolute, "Divide by the cost"),
    "without the option": (lambda task, E, steps, **options: apart(task, E, steps), "reach the run itself"),
    "rounded in the end": (rounded, "dtype=torch.float32) is"),
    "nearly": (functools.partial(apart, read=lambda change: 1.1 * change[1:].abs().mean()), "on average from the run"),
}


def test_the_difference_that_options_make():
    assert cost_of_a_run.check_apart(apart)


@pytest.mark.parametrize("answer, hint", every(WRONG_DIFFERENCES))
def test_wrong_differences(answer, hint):
    assert sees_through(cost_of_a_run.check_apart(answer), hint)


WRONG_WIDTHS = {
    "a ratio": (1.45, "not its ratio to the pairs"),
    "fewer units than pairs": (450, "492 training pairs"),
    "far too wide": (1e6, "far more than is needed"),
    "of a variance": (535, "read as a variance"),
    "of a step of length E": (520, "the first step is still"),
    "too wide": (1024, "Where does it cross?"),
    "nearly wide enough": (680, "the first step is still 0.01"),
    "nearly as narrow as it may be": (745, "Where does it cross?"),
}


def test_the_width():
    assert cost_of_a_run.check_width(712)


@pytest.mark.parametrize("answer, hint", every(WRONG_WIDTHS))
def test_wrong_widths(answer, hint):
    assert sees_through(cost_of_a_run.check_width(answer), hint)


def decayed(psi, t, degree=2, shrinks=True):
    k = 2 * degree + 2
    return (math.exp(-t) if shrinks else 1) * psi(math.expm1(k * t) / k)


WRONG_CLOCKS = {
    "of degree 1": (functools.partial(decayed, degree=1), "the clock of degree 1"),
    "of degree 3": (functools.partial(decayed, degree=3), "With which speed"),
    "none": (lambda psi, t: math.exp(-t) * psi(t), "s is not t"),
    "not divided": (lambda psi, t: math.exp(-t) * psi(math.expm1(6 * t)), "Which factor is missing"),
    "no shrinking": (functools.partial(decayed, shrinks=False), "is right at t = 0.1, but your embedding is 1.105"),
    "without psi": (lambda psi, t: torch.ones(5, 24), "never asks for psi"),
    "backwards": (lambda psi, t: psi(-t), "begins at s = 0"),
    "nearly": (lambda psi, t: math.exp(-t) * psi(1.01 * math.expm1(6 * t) / 6), "With which speed"),
}


def test_the_clock_of_the_square():
    assert clock.check_decayed(decayed)


@pytest.mark.parametrize("answer, hint", every(WRONG_CLOCKS))
def test_wrong_clocks(answer, hint):
    assert sees_through(clock.check_decayed(answer), hint)


def answers_of(E, task):
    return torch.relu(task.X_test @ E) @ isolated.readout(E, task)


def led(E, task, held, strides=20):
    """The last embedding of the way down on which these answers are held, and the readout of the larger task."""
    same = also_trained_on(task, held)
    layer = Isolated(same, E)
    E = descend(E, task, lambda E, v: layer.velocity(E), strides=strides).E
    return E, isolated.readout(E, same)


def silent(E, task):
    return led(E, task, answers_of(E, task))


def guesses(E, task):
    return led(E, task, torch.nn.functional.one_hot(answers_of(E, task).argmax(1), task.p).double())


def steepest(E, task, larger):
    last = descend(E, task, lambda E, v: v, strides=20).E
    return last, isolated.readout(last, also_trained_on(task, answers_of(E, task)) if larger else task)


def scaled_only(E, task):
    return 0.5 * E, 2 * isolated.readout(E, task)


WRONG_WAYS = {
    "the smaller task's readout": (
        lambda E, task: (silent(E, task)[0], isolated.readout(silent(E, task)[0], task)),
        "fits the training pairs alone",
    ),
    "right answers": (lambda E, task: led(E, task, task.Y_test), "you hold the right answers"),
    "guesses": (guesses, "you hold the guesses"),
    "Eq. 20": (functools.partial(steepest, larger=False), "fits the training pairs alone"),
    "Eq. 20 with the larger readout": (functools.partial(steepest, larger=True), "is within reach"),
    "scaled": (scaled_only, "‖E‖‖W‖ is 1 of what it was"),
    "no training": (lambda E, task: (0.5 * E, isolated.readout(E, task)), "a training output is off by 0.5"),
    "the embedding alone": (lambda E, task: silent(E, task)[0], "returns a Tensor; two things"),
    "nearly the answers": (lambda E, task: led(E, task, 1.001 * answers_of(E, task)), "Hold them as they are"),
    "not far enough": (lambda E, task: led(E, task, answers_of(E, task), 3), "is within reach"),
}


def test_the_way_on_which_no_answer_changes():
    assert path.check_silent(silent)


@pytest.mark.parametrize("answer, hint", every(WRONG_WAYS))
def test_wrong_silent_ways(answer, hint):
    assert sees_through(path.check_silent(answer), hint)
