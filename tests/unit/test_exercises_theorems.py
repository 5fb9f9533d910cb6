"""Right and wrong answers to the exercises on the theorems, on phases and on more layers."""

import math

import pytest
import torch
from scipy.optimize import brentq
from test_exercises_begin import sees_through

from grokbook import linalg
from grokbook.direction import norm_minimising_direction
from grokbook.exercises import deeper, norm_minimization, orthogonality, phases, regularity, stability
from grokbook.levelset import LevelSet
from grokbook.measure import cosine
from grokbook.network import TwoLayer
from grokbook.training import train


def rest(q, decay):
    return brentq(lambda delta: q * delta ** (2 * q - 1) - decay * (1 - delta), 0, 1, xtol=1e-15)


WRONG_RESTS = {
    "what the budget allows": (lambda q, decay: decay ** (1 / (2 * q)), "what the budget affords"),
    "to leading order": (
        lambda q, decay: (decay / q) ** (1 / (2 * q - 1)),
        "leading order in λ only. There decay pulls",
    ),
    "where it rests": (lambda q, decay: 1 - rest(q, decay), "its distance from 1 is asked for"),
    "a decay of λx²/2": (lambda q, decay: rest(q, decay / 2), "the loss pulls 0.5 times as hard"),
    "a loss of (x - 1)^q": (lambda q, decay: rest(q, 2 * decay), "the loss pulls 2 times as hard"),
    "the inner derivative forgotten": (lambda q, decay: rest(q, q * decay), "rest(q=2, decay=0.01)"),
    "signed": (lambda q, decay: -rest(q, decay), "the weight starts at 1"),
    "the power": (lambda q, decay: 1 / (2 * q - 1), "comes to rest before"),
    "nearly right": (lambda q, decay: 1.02 * rest(q, decay), "the loss pulls 1.02 times as hard"),
}


def test_where_a_flat_bottom_lets_the_weight_rest():
    assert stability.check_power(rest)
    assert stability.check_power(lambda q, decay: torch.tensor([1.001 * rest(q, decay)]))


@pytest.mark.parametrize("name", WRONG_RESTS)
def test_wrong_rests(name):
    answer, hint = WRONG_RESTS[name]
    assert sees_through(stability.check_power(answer), hint)


def missed(H, Y):
    return (H @ linalg.min_norm(H, Y) - Y).norm()


def apart(H, Y):
    """The distance between the targets of the first two samples that H does not tell apart."""
    alike = [(i, j) for i in range(3) for j in range(i) if torch.equal(H[i], H[j])]
    return float((Y[alike[0][0]] - Y[alike[0][1]]).norm()) if alike else 0.0


WRONG_MISSED = {
    "squared": (lambda H, Y: missed(H, Y) ** 2, "the square of the distance"),
    "a mean of squares": (lambda H, Y: missed(H, Y) ** 2 / 9, "a mean of squares"),
    "the largest entry": (lambda H, Y: (H @ linalg.min_norm(H, Y) - Y).abs().max(), "the largest entry"),
    "between the targets": (apart, "The best readout answers both with their mean"),
    "for two equal rows": (lambda H, Y: apart(H, Y) / 2**0.5, "equal rows [1, 2, 3]"),
    "the first two samples only": (lambda H, Y: (Y[0] - Y[1]).norm() / 2**0.5, "equal rows [2, 3]"),
    "a readout of its own": (lambda H, Y: (H @ H.T @ Y - Y).norm(), "W = H⁺Y is the best"),
    "always out of reach": (lambda H, Y: missed(H, Y) + 0.1 * (apart(H, Y) == 0), "There H has rank 3"),
    "nearly right": (lambda H, Y: 1.001 * missed(H, Y), "the best readout leaves"),
    "by an inverse": (lambda H, Y: (H @ H.T @ torch.linalg.inv(H @ H.T) @ Y - Y).norm(), "HHᵀ has no inverse"),
}


def test_what_stops_a_singular_point():
    assert regularity.check_rank(missed)
    assert regularity.check_rank(lambda H, Y: (H @ torch.linalg.pinv(H) @ Y - Y).norm().item())


@pytest.mark.parametrize("name", WRONG_MISSED)
def test_wrong_distances_from_the_target(name):
    answer, hint = WRONG_MISSED[name]
    assert sees_through(regularity.check_rank(answer), hint)


def on_a_kink(count, entry=0):
    generator = torch.Generator().manual_seed(3)
    weights = torch.randn(count, 9, generator=generator, dtype=torch.float64)
    weights[:, entry] = 0
    return weights


def test_the_image_of_a_kink():
    assert regularity.check_boxes(on_a_kink(20_000), 0.0)
    assert regularity.check_boxes(on_a_kink(20_000, entry=4), -0.01)
    assert sees_through(regularity.check_boxes(on_a_kink(20_000), -2), "the number of boxes grows")
    assert sees_through(regularity.check_boxes(on_a_kink(20_000), 0.64), "count inside, on coarse grids")
    assert sees_through(regularity.check_boxes(on_a_kink(20_000), 0.1), "count inside, on coarse grids")
    assert sees_through(regularity.check_boxes(on_a_kink(1000), 0.3), "Take ten times as many networks")
    assert sees_through(
        regularity.check_boxes(on_a_kink(20_000, entry=7), 0.0),
        "20000 of your 20000 have another number, the first of them 0",
    )
    assert sees_through(regularity.check_boxes(on_a_kink(20_000)[:, :8], 0.0), "(any, 9) is asked for")
    dead = on_a_kink(20_000)
    dead[:, 0:3] = 0
    assert sees_through(regularity.check_boxes(dead, 0.0), "the first of them 3")


WRONG_BOUNDS = {
    "the cosine": (lambda radius: 0.0, "So large is the cosine itself"),
    "Λ": (lambda radius: 2.0, "Λ alone"),
    "s squared": (lambda radius: 2 / (2 * radius) ** 2, "s enters once"),
    "J = θᵀ": (lambda radius: 2 / radius, "its 2 is in s as well"),
    "Λ = 1": (lambda radius: 1 / (2 * radius), "its 2 is in Λ as well"),
    "the unit circle": (lambda radius: 1.0, "3 times Λ/s"),
    "upside down": (lambda radius: radius, "bound(3) is 3, and that is 9 times"),
    "nearly right": (lambda radius: 1.005 / radius, "times Λ/s"),
}


def test_the_bound_on_a_circle():
    assert orthogonality.check_circle(lambda radius: 1 / radius)


@pytest.mark.parametrize("name", WRONG_BOUNDS)
def test_wrong_bounds(name):
    answer, hint = WRONG_BOUNDS[name]
    assert sees_through(orthogonality.check_circle(answer), hint)


def cosines(net, Y, phi, x, at_theta=False, full=False):
    Z = LevelSet(net.F, Y, products=net)
    ways = torch.linalg.svd(Z.jacobian(phi), full_matrices=full).Vh
    found = []
    for theta in (phi - x * way for way in ways):
        gradient = net.gradient(theta, Y)
        found.append(Z.tangent(theta if at_theta else phi, gradient).norm() / gradient.norm())
    return torch.stack(found)


def in_one_direction(net, Y, phi, x):
    return cosines(net, Y, phi, x)[0]


WRONG_COSINES = {
    "tangents at θ": (lambda *given: cosines(*given, at_theta=True).mean(), "take the tangent space at φ"),
    "over the distance": (lambda net, Y, phi, x: cosines(net, Y, phi, x).mean() / x, "the cosine over the distance"),
    "the largest": (lambda *given: cosines(*given).max(), "the largest of the singular vectors"),
    "squared": (lambda *given: cosines(*given).square().mean(), "the mean of its square"),
    "along tangents, too": (lambda *given: cosines(*given, full=True).mean(), "that span its row space"),
    "one direction": (in_one_direction, "that span its row space"),
    "a distance of its own": (lambda net, Y, phi, x: cosines(net, Y, phi, 1e-3).mean(), "a network of 48 units"),
    "nearly right": (lambda *given: 1.03 * cosines(*given).mean(), "1.03 times"),
}


def test_the_cosine_along_the_singular_vectors():
    assert orthogonality.check_width(lambda *given: cosines(*given).mean())


@pytest.mark.parametrize("name", WRONG_COSINES)
def test_wrong_cosines(name):
    answer, hint = WRONG_COSINES[name]
    assert sees_through(orthogonality.check_width(answer), hint)


def missing(net, task, theta, decay, at="nearest", of_update=None, steps=100, sign=1):
    Z = LevelSet(net.F, task.Y_train, products=net)
    options = dict(record_every=steps, progress=False)
    moved = train(net, task, 1.0, of_update or decay, steps, theta=theta, **options).theta - theta
    return 1 - cosine(moved, sign * norm_minimising_direction(Z, theta, at=at).vector)


def by_the_nearest_point(net, task, theta, decay):
    Z = LevelSet(net.F, task.Y_train, products=net)
    moved = train(net, task, 1.0, decay, 100, theta=theta, progress=False).theta - theta
    return 1 - cosine(moved, Z.tangent(Z.project(theta), -theta))


def of_another_network(net, task, theta, decay):
    other = TwoLayer(task.X_train, 24, 5, "relu")
    return missing(other, task, theta, decay)


WRONG_MISSING = {
    "the cosine": (lambda *given: 1 - missing(*given), "the cosine itself"),
    "the wrong sign": (lambda *given: missing(*given, sign=-1), "the norm falls along -θ"),
    "the sine": (lambda *given: math.sqrt(1 - (1 - missing(*given)) ** 2), "the sine"),
    "J here": (lambda *given: missing(*given, at="here"), "retract to the zero-loss set"),
    "another decay": (lambda *given: missing(*given, of_update=1e-4), "with the chapter's λ"),
    "ten steps": (lambda *given: missing(*given, steps=10), "ten steps"),
    "ReLU": (of_another_network, "Use the network, the task"),
    "nearly right": (lambda *given: 1.1 * missing(*given), "it is 0.0"),
}


@pytest.mark.parametrize("answer", [missing, by_the_nearest_point])
def test_what_is_missing_of_the_cosine(answer):
    assert norm_minimization.check_decay(answer)


@pytest.mark.parametrize("name", WRONG_MISSING)
def test_wrong_gaps(name):
    answer, hint = WRONG_MISSING[name]
    assert sees_through(norm_minimization.check_decay(answer), hint)


WRONG_TIMES = {
    "η itself": (lambda beta, mu: 2 * (1 + beta) / mu, "the longest η itself"),
    "multiplied": (lambda beta, mu: 2 * (1 + beta) * (1 - beta) / mu, "which is η(1 - β)"),
    "plain descent": (lambda beta, mu: 2 / mu, "the edge of plain descent"),
    "plain descent, its clock": (lambda beta, mu: 2 / mu / (1 - beta), "momentum has an edge of its own"),
    "the gain": (lambda beta, mu: (1 + beta) / (1 - beta), "how many times as long"),
    "without μ": (lambda beta, mu: 2 * (1 + beta) / (1 - beta), "mu=5) is 38"),
    "for 0.9 only": (lambda beta, mu: 38 / mu, "longest_time(beta=0.5, mu=1)"),
    "nearly right": (lambda beta, mu: 2.02 * (1 + beta) / (1 - beta) / mu, "the weight is thrown out"),
    "nearly as long": (lambda beta, mu: 1.98 * (1 + beta) / (1 - beta) / mu, "a longer step is stable, too"),
    "negative": (lambda beta, mu: -2 * (1 + beta) / (1 - beta) / mu, "is positive"),
}


def test_the_longest_time_of_momentum():
    assert phases.check_momentum(lambda beta, mu: 2 * (1 + beta) / (1 - beta) / mu)


@pytest.mark.parametrize("name", WRONG_TIMES)
def test_wrong_times(name):
    answer, hint = WRONG_TIMES[name]
    assert sees_through(phases.check_momentum(answer), hint)


def shared(M, depth, powers):
    """Layers with these powers of the singular values."""
    P, s, Qt = torch.linalg.svd(M, full_matrices=False)
    layers = [(s**power).diag() for power in powers(depth)]
    return [P @ layers[0], *layers[1:-1], layers[-1] @ Qt] if depth > 1 else [P @ layers[0] @ Qt]


def evenly(depth):
    return [1 / depth] * depth


def at_the_ends(depth):
    return [0.5, *[0.0] * (depth - 2), 0.5] if depth > 1 else [1.0]


WRONG_FACTORS = {
    "all in the first": (lambda M, depth: [M, *[torch.eye(M.shape[1]).double()] * (depth - 1)], "share S out evenly"),
    "at the ends": (lambda M, depth: shared(M, depth, at_the_ends), "share S out evenly"),
    "roots": (lambda M, depth: shared(M, depth, lambda depth: [0.5] * depth), "have to add up to 1"),
    "always three": (lambda M, depth: shared(M, 3, evenly), "2 layers your list has 3 matrices"),
    "not transposed": (lambda M, depth: [layer.T for layer in shared(M, depth, evenly)], "no product of shape (5, 7)"),
    "the price": (lambda M, depth: depth * torch.linalg.svdvals(M).pow(2 / depth).sum(), "a list is asked for"),
    "numbers": (lambda M, depth: [1.0] * depth, "(any, any) is asked for"),
    "unequal": (lambda M, depth: [1.1**k * E for k, E in zip((1, -1, 0), shared(M, depth, evenly), strict=False)], "M"),
}


def test_the_factors_of_least_price():
    assert deeper.check_schatten(lambda M, depth: shared(M, depth, evenly))


@pytest.mark.parametrize("name", WRONG_FACTORS)
def test_wrong_factors(name):
    answer, hint = WRONG_FACTORS[name]
    assert sees_through(deeper.check_schatten(answer), hint)
