"""Right and wrong answers to the exercises of Part I's chapters on grokking, its tools and its equations."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from grokbook import isolated, linalg
from grokbook.exercises import effective_theory, grokking, lagrange, least_squares, manifolds, two_layers
from grokbook.network import TwoLayer


def sees_through(verdict, hint):
    return not verdict and hint in repr(verdict)


def inverse(k):
    return 1 / k


def test_twice_the_decay():
    assert grokking.check_decay(inverse, 0.46)
    assert grokking.check_decay(lambda k: torch.tensor(1 / k), torch.tensor(0.52))


WRONG_WAITS = {
    "upside down": (lambda k: k, 0.46, "guess(2) is 2, which is upside down"),
    "no change": (lambda k: 1, 0.46, "guess(2) is 1; the smallest model"),
    "the square": (lambda k: k**-2, 0.46, "needs 0.5 times as many steps with 2"),
    "the root": (lambda k: k**-0.5, 0.46, "guess(2) is 0.707"),
    "right for 2 alone": (lambda k: 0.5, 0.46, "with 5 times the decay"),
    "a little off": (lambda k: k**-1.05, 0.46, "guess(2) is 0.483"),
    "measured upside down": (inverse, 2.1, "not the other way round"),
    "measured on training pairs": (inverse, 1.0, "memorised as early"),
    "measured with four times the decay": (inverse, 0.25, "far from what t"),
    "measured and a little off": (inverse, 0.65, "far from what t"),
}


@pytest.mark.parametrize("name", WRONG_WAITS)
def test_wrong_waits(name):
    guess, factor, hint = WRONG_WAITS[name]
    assert sees_through(grokking.check_decay(guess, factor), hint)


def rises(a, b, t):
    """Whether the distance from (a, b) rises along the ellipse at t, as signs."""
    return np.sign(-3 * np.cos(t) * np.sin(t) + 2 * a * np.sin(t) - b * np.cos(t))


AROUND = np.linspace(0, 2 * np.pi, 4001)


def normals(a, b, t=AROUND + 1e-4):
    return int((np.diff(rises(a, b, t)) != 0).sum())


def normals_of_fourth_degree(a, b):
    """From the roots of a polynomial in exp(it): those on the unit circle."""
    roots = np.roots([-3, 4 * a - 2j * b, 0, -4 * a - 2j * b, 3])
    return (np.abs(np.abs(roots) - 1) < 1e-9).sum()


@pytest.mark.parametrize("answer", [normals, normals_of_fourth_degree], ids=["on a grid", "roots"])
def test_the_normals_of_an_ellipse(answer):
    assert manifolds.check_ellipse(answer)


def inside_the_ellipse(a, b):
    return 4 if a**2 / 4 + b**2 < 1 else 2


def evolute_of_a_wrong_ellipse(a, b):
    return 4 if abs(a) ** (2 / 3) + abs(2 * b) ** (2 / 3) < 3 ** (2 / 3) else 2


def around_a_closed_grid(a, b):
    signs = rises(a, b, AROUND[:-1])
    return (signs != np.roll(signs, 1)).sum()


WRONG_NORMALS = {
    "the nearest only": (lambda a, b: normals(a, b) // 2, "count where it is largest as well"),
    "inside and outside exchanged": (lambda a, b: 6 - normals(a, b), "the wrong way round"),
    "the ellipse for its evolute": (inside_the_ellipse, "leaves the ellipse"),
    "as for a parabola": (lambda a, b: normals(a, b) - 1, "normals(0.3, 0.4) is 3. Around a closed curve"),
    "half a turn": (lambda a, b: normals(a, b, AROUND / 2 + 1e-4), "the number is even"),
    "the other axes": (lambda a, b: normals(b, a), "changes sign"),
    "the other evolute": (evolute_of_a_wrong_ellipse, "changes sign"),
    "a longer ellipse": (lambda a, b: normals(1.2 * a, b), "changes sign"),
    "a zero on the grid": (around_a_closed_grid, "shift the grid"),
    "always four": (lambda a, b: 4, "normals(1.9, -0.1) is 4"),
}


@pytest.mark.parametrize("name", WRONG_NORMALS)
def test_wrong_normals(name):
    answer, hint = WRONG_NORMALS[name]
    assert sees_through(manifolds.check_ellipse(answer), hint)


def penalised(target, decay):
    """What w tanh(e) is at the minimum of the penalised loss."""
    best = minimize(
        lambda x: (x[1] * np.tanh(x[0]) - target) ** 2 + decay * x @ x, [1, 1.3], tol=1e-12, method="Nelder-Mead"
    ).x
    return best[1] * np.tanh(best[0])


def one_round(estimate, decay):
    raised = 1 + decay * float(estimate)
    return (raised - penalised(raised, decay)) / decay


RATIO = 0.07504  # λV''/(1 + λV'') with V'' = 0.8112 from SciPy's minima


def test_the_method_of_multipliers():
    assert lagrange.check_augmented(one_round, RATIO)
    assert lagrange.check_augmented(lambda estimate, decay: torch.tensor([one_round(estimate, decay)]), RATIO)
    second, third = one_round(one_round(0, 0.1), 0.1), one_round(one_round(one_round(0, 0.1), 0.1), 0.1)
    fourth = one_round(third, 0.1)
    assert (fourth - third) / (third - second) == pytest.approx(RATIO, rel=1e-2)


def towards(sign, plus):
    """A round that trains towards 1 + sign λμ, reads the residual off against it, and adds plus μ."""

    def answer(estimate, decay):
        target = 1 + sign * decay * float(estimate)
        return (target - penalised(target, decay)) / decay + plus * float(estimate)

    return answer


WRONG_ROUNDS = {
    "no estimate": (towards(0, 0), RATIO, "Train towards y + λμₖ"),
    "rounded down": (towards(-1, 0), RATIO, "round it *up* first"),
    "rounded down and read off against the raised target": (towards(-1, 2), RATIO, "round it *up* first"),
    "against the target itself": (towards(1, -1), RATIO, "which is what the estimate lacks"),
    "a residual": (lambda e, decay: decay * one_round(e, decay), RATIO, "that is the residual"),
    "one λ for all": (lambda e, decay: one_round(e, 0.1), RATIO, "one_round(2, 0.3)"),
    "a little off": (lambda e, decay: one_round(e, decay) + 5e-3, RATIO, "at the minimum for the target"),
    "λV''": (one_round, 0.08112, "stands on both sides"),
    "λ": (one_round, 0.1, "your ratio is 0.1. From one round"),
    "upside down": (one_round, 1 / RATIO, "Divide the new error by the old one"),
    "a ratio a little off": (one_round, 1.04 * RATIO, "From one round"),
}


@pytest.mark.parametrize("name", WRONG_ROUNDS)
def test_wrong_rounds(name):
    answer, ratio, hint = WRONG_ROUNDS[name]
    assert sees_through(lagrange.check_augmented(answer, ratio), hint)


def gap(decay):
    return (decay / 2) ** (1 / 3)


def price(decay):
    return -(gap(decay) ** 2) / decay


def solved_gap(decay):
    """1 − x₁ from the cubic 4 (x₁ − 1)³ + 2λx₁ = 0."""
    return float(min(np.roots([4, 0, 2 * decay, -2 * decay]), key=lambda root: abs(root.imag)).real)


def test_a_singular_line():
    assert lagrange.check_singular(gap, price)
    assert lagrange.check_singular(solved_gap, lambda decay: -(solved_gap(decay) ** 2) / decay)


WRONG_LIMITS = {
    "as at regular points": (lambda decay: decay / 2, price, "as it does at regular points"),
    "the bound": (lambda decay: decay**0.25, price, "the fourth root"),
    "the root": (lambda decay: decay**0.5, price, "to the power 0.50, the minimum's like λ to the power 0.33"),
    "negative": (lambda decay: -gap(decay), price, "a distance is positive"),
    "half of a derivative": (lambda decay: decay ** (1 / 3), price, "is not: (x₁ − 1)⁴ has the derivative"),
    "a gap a little off": (lambda decay: 1.03 * gap(decay), price, "The power is right"),
    "the residual over λ": (gap, lambda decay: -price(decay), "is positive"),
    "the loss for the residual": (gap, lambda decay: -(gap(decay) ** 4) / decay, "the square of the gap"),
    "the residual alone": (gap, lambda decay: -(gap(decay) ** 2), "divide it by λ once"),
    "a factor": (gap, lambda decay: -(decay ** (-1 / 3)), "put your gap into"),
    "a price a little off": (gap, lambda decay: 1.03 * price(decay), "put your gap into"),
}


@pytest.mark.parametrize("name", WRONG_LIMITS)
def test_wrong_limits(name):
    answer, other, hint = WRONG_LIMITS[name]
    assert sees_through(lagrange.check_singular(answer, other), hint)


def fit(H, y, s):
    return s * linalg.min_norm(H * s, y)


def descended(H, y, u, steps=2000):
    step = 0.5 / torch.linalg.matrix_norm(H, 2) ** 2
    for _ in range(steps):
        u = u - 2 * step * (H.T @ (H @ u - y))
    return u


def test_the_shortest_by_another_ruler():
    assert least_squares.check_norm(fit)
    assert least_squares.check_norm(lambda H, y, s: s * descended(H * s, y, torch.zeros_like(s)))
    assert least_squares.check_norm(lambda H, y, s: fit(H, y, s).tolist())


WRONG_FITS = {
    "u": (lambda H, y, s: linalg.min_norm(H * s, y), "your fit is u"),
    "no ruler": (lambda H, y, s: linalg.min_norm(H, y), "s has changed nothing"),
    "a ruler afterwards": (lambda H, y, s: s * linalg.min_norm(H, y), "misses the targets"),
    "too early": (lambda H, y, s: s * descended(H * s, y, torch.zeros_like(s), 3), "enough steps"),
    "s counts once": (lambda H, y, s: fit(H, y, s.sqrt()), "s counts twice"),
    "a ruler turned round": (lambda H, y, s: fit(H, y, 1 / s), "a weight with a large s is cheap"),
    "from another start": (lambda H, y, s: s * descended(H * s, y, torch.ones_like(s)), "start at u = 0"),
    "a little off": (lambda H, y, s: (1 + 5e-3) * fit(H, y, s), "misses the targets by 0.005"),
    "from nearly zero": (lambda H, y, s: s * descended(H * s, y, 0.01 * torch.ones_like(s)), "start at u = 0"),
    "of another length": (lambda H, y, s: fit(H, y, s)[:-1], "has the shape (4,); (5) is asked for"),
}


@pytest.mark.parametrize("name", WRONG_FITS)
def test_wrong_fits(name):
    answer, hint = WRONG_FITS[name]
    assert sees_through(least_squares.check_norm(answer), hint)


def R_three(a, b, decay):
    return decay * (a**2 + b**2) + decay / ((a * b) ** 2 + decay)


def test_three_weights():
    assert effective_theory.check_three(R_three, [1, 1, 1])
    assert effective_theory.check_three(R_three, torch.full((3,), 0.9975))


def parts(a, b, decay):
    """The loss at the best c, and the decay of c."""
    c = a * b / ((a * b) ** 2 + decay)
    return (a * b * c - 1) ** 2, decay * c**2


WRONG_POTENTIALS = {
    "without a and b": (lambda a, b, decay: sum(parts(a, b, decay)), [1, 1, 1], "decay of a and b"),
    "without c": (lambda a, b, decay: R_three(a, b, decay) - parts(a, b, decay)[1], [1, 1, 1], "the decay of c"),
    "without the loss": (lambda a, b, decay: R_three(a, b, decay) - parts(a, b, decay)[0], [1, 1, 1], "out the loss"),
    "the limit": (lambda a, b, decay: decay * (a**2 + b**2 + (a * b) ** -2), [1, 1, 1], "the limit of small λ"),
    "over λ": (lambda a, b, decay: R_three(a, b, decay) / decay, [1, 1, 1], "divided by λ"),
    "s for its square": (
        lambda a, b, decay: decay * (a**2 + b**2) + decay / (a * b + decay),
        [1, 1, 1],
        "a parabola in c",
    ),
    "a little off": (lambda a, b, decay: (1 + 1e-4) * R_three(a, b, decay), [1, 1, 1], "a parabola in c"),
    "the start": (R_three, [1.5, 0.7, 1 / 1.05], "several units of 1/(2λ)"),
    "only a and b are balanced": (R_three, [1.05**0.5, 1.05**0.5, 1 / 1.05], "can become shorter"),
    "off the set": (R_three, [1, 1, 0.5], "which misses 1 by 0.5"),
    "two weights": (R_three, [1, 1], "(3) is asked for"),
    "nearly at the end": (R_three, [1.04, 1 / 1.04, 1], "can become shorter"),
}


@pytest.mark.parametrize("name", WRONG_POTENTIALS)
def test_wrong_potentials(name):
    answer, end, hint = WRONG_POTENTIALS[name]
    assert sees_through(effective_theory.check_three(answer, end), hint)


def pull(W1, task, activation):
    return isolated.velocity(W1, task, activation) + W1


def new_velocity(W1, task, activation, r):
    return r * pull(W1, task, activation) - W1


def through_a_network(W1, task, activation, r):
    """The same by backpropagation of the price, r times."""
    net = TwoLayer(task.X_train, W1.shape[1], task.p, activation)
    W = isolated.readout(W1, task, activation)
    price = torch.linalg.pinv(net.hidden(net.join(W1, W))).T @ W
    return r * net.split(net.vjp(net.join(W1, W), price.reshape(-1)))[0] - W1


def ratio(r):
    return r


def test_two_decays():
    assert two_layers.check_two_decays(new_velocity, ratio)
    assert two_layers.check_two_decays(through_a_network, lambda r: torch.tensor(1.002 * r))


def same(velocity):
    """An answer that is made of the pull of Eq. 20, W₁ and r."""
    return lambda W1, task, activation, r: velocity(pull(W1, task, activation), W1, r)


WRONG_DECAYS = {
    "Eq. 20": (same(lambda P, W1, r: P - W1), ratio, "does not depend on r"),
    "r at the rent": (same(lambda P, W1, r: P - r * W1), ratio, "has r at −W₁"),
    "in the other time": (same(lambda P, W1, r: P - W1 / r), ratio, "counted in 1/(2λ₂)"),
    "r times Eq. 20": (same(lambda P, W1, r: r * (P - W1)), ratio, "is r times Eq. 20"),
    "both factors": (same(lambda P, W1, r: r**2 * P - W1), ratio, "has r²"),
    "uphill": (same(lambda P, W1, r: W1 - r * P), ratio, "the opposite sign"),
    "a factor 2": (same(lambda P, W1, r: 2 * (r * P - W1)), ratio, "twice too fast"),
    "a little off": (same(lambda P, W1, r: (1 + 1e-4) * r * P - W1), ratio, "it differs by"),
    "balanced": (new_velocity, lambda r: 1, "as with equal decays"),
    "upside down": (new_velocity, lambda r: 1 / r, "upside down"),
    "of the norms": (new_velocity, math.sqrt, "square it"),
    "the square": (new_velocity, lambda r: r**2, "leaves a ratio of 4"),
    "a ratio a little off": (new_velocity, lambda r: 1.03 * r, "leaves a ratio of 4"),
}


@pytest.mark.parametrize("name", WRONG_DECAYS)
def test_wrong_decays(name):
    answer, balance, hint = WRONG_DECAYS[name]
    assert sees_through(two_layers.check_two_decays(answer, balance), hint)
