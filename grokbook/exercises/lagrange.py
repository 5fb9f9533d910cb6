"""Checks of the exercises of *Lagrange multipliers*."""

import torch
from scipy.optimize import brentq

from grokbook import toys
from grokbook.exercises.answers import check, expect, function, number
from grokbook.levelset import LevelSet
from grokbook.measure import power
from grokbook.network import TwoLayer

UNIT = TwoLayer(torch.ones(1, 1, dtype=torch.float64), d_hidden=1, outputs=1, activation="tanh")
TARGET = torch.ones(1, dtype=torch.float64)
DECAY = 0.1
SMALL = [1e-9, 1e-8, 1e-6]


def _shortest():
    """The shortest weights of the two-weight network, and their multiplier."""
    valley, origin = LevelSet(UNIT.F, TARGET), torch.zeros(2, dtype=torch.float64)
    theta = valley.project(origin, start=valley.retract(torch.tensor([1.0, 1.3], dtype=torch.float64)))
    return theta, valley.multipliers(theta, theta)


def _read_off(target, decay, theta, mu):
    """−residual/λ at the minimum of the penalised loss for a target, by Newton's method on (θ, μ). -> float"""

    def conditions(point):
        theta, mu = point[:2], point[2:]
        return torch.cat([theta - UNIT.vjp(theta, mu), UNIT.F(theta) - target + decay * mu])

    point = torch.cat([theta, mu])
    for _ in range(8):
        point = point - torch.linalg.solve(torch.autograd.functional.jacobian(conditions, point), conditions(point))
    return float(point[2])


def _measured_ratio(theta, mu):
    """By which factor the third round of the method of multipliers multiplies the error of the multiplier."""
    estimates = [0.0]
    for _ in range(3):
        estimates.append(_read_off(1 + DECAY * estimates[-1], DECAY, theta, mu))
    return (estimates[3] - float(mu)) / (estimates[2] - float(mu))


@check
def check_augmented(one_round, ratio):
    """one_round(estimate, decay): the multiplier after a round; ratio: what a round makes of its error, at λ = 0.1."""
    one_round, ratio = function("one_round", one_round), number("ratio", ratio)
    theta, mu = _shortest()
    for estimate, decay in [(1.0, DECAY), (0.0, DECAY), (2.0, 0.3)]:
        answer = one_round(torch.full((1,), estimate, dtype=torch.float64), decay)
        found = number("one_round(...)", answer)
        raised = 1 + decay * estimate
        right = _read_off(raised, decay, theta, mu)
        case = f"one_round({estimate:g}, {decay}) is {found:.4g}"
        if estimate and abs(found - right) > 1e-3:
            lowered = _read_off(1 - decay * estimate, decay, theta, mu)
            expect(
                abs(found - _read_off(1, decay, theta, mu)) > 1e-3,
                f"{case}, which is the multiplier of the plain penalty, without the estimate. Train towards y + λμₖ.",
            )
            expect(
                min(abs(found - lowered - times * estimate) for times in range(3)) > 1e-3,
                f"{case}: you train towards y − λμₖ. The penalty rounds the target down, so round it *up* first.",
            )
            expect(
                abs(found - (right - estimate)) > 1e-3,
                f"{case}, which is what the estimate lacks. Measure the residual from the raised target, y + λμₖ, or "
                "add the estimate.",
            )
            expect(
                abs(found - decay * right) > 1e-3,
                f"{case}: that is the residual. The multiplier is the residual, turned round, over λ.",
            )
        expect(
            abs(found - right) < 1e-3,
            f"{case}; at the minimum for the target y + λμₖ = {raised:.2f} and the decay λ, (y + λμₖ − F)/λ is "
            f"{right:.4g}.",
        )
    measured = _measured_ratio(theta, mu)
    expect(
        abs(ratio / (measured / (1 - measured)) - 1) > 0.02,
        f"your ratio is {ratio:.3g}, which is λV''. The new error stands on both sides of eₖ₊₁ ≈ −λV''(eₖ₊₁ − eₖ): "
        "solve for it, or measure the ratio.",
    )
    expect(
        abs(ratio / measured - 1) < 0.02,
        f"your ratio is {ratio:.3g}. From one round to the next, the error of the multiplier is multiplied by "
        f"{measured:.3g} here. Divide the new error by the old one, with λ = {DECAY}.",
    )
    return "The method of multipliers needs no smaller λ: it converges at the one that it has."


def _singular_minimum(decay):
    """‖θ_λ − θ*‖ and −residual/λ for F = (x₁ − 1)², y = 0, at the root of the gradient of the penalised loss."""
    toy = toys.Toy(lambda theta: (theta[:1] - 1) ** 2, torch.zeros(1, dtype=torch.float64))
    field = toy.descent(decay)
    x = brentq(lambda x: float(field(torch.tensor([x, 0.0], dtype=torch.float64))[0]), 0, 1, xtol=1e-14)
    return 1 - x, -((x - 1) ** 2) / decay


@check
def check_singular(gap, price):
    """gap(decay) and price(decay): ‖θ_λ − θ*‖ and −residual/λ for F = (x₁ − 1)² and y = 0, to leading order in λ."""
    gap, price = function("gap", gap), function("price", price)
    gaps = [number("gap(...)", gap(decay)) for decay in SMALL]
    prices = [number("price(...)", price(decay)) for decay in SMALL]
    exact_gaps, exact_prices = zip(*map(_singular_minimum, SMALL), strict=True)
    expect(min(gaps) > 0, f"gap({SMALL[gaps.index(min(gaps))]}) is {min(gaps):.3g}; a distance is positive.")
    found, right = power(SMALL, gaps), power(SMALL, exact_gaps)
    expect(
        abs(found - 1) > 0.02,
        f"your gap falls like λ, as it does at regular points. Here the slope of F vanishes on the whole line; at the "
        f"minimum of (x₁ − 1)⁴ + λx₁² the gap falls like λ to the power {right:.2f}.",
    )
    expect(
        abs(found - 0.25) > 0.02,
        "your gap falls like the fourth root of λ. That is what the bound L(θ_λ) ≤ λ‖θ*‖² allows; the minimum itself, "
        "where the gradient is zero, is nearer to the line.",
    )
    expect(
        abs(found - right) < 0.02,
        f"your gap falls like λ to the power {found:.2f}, the minimum's like λ to the power {right:.2f}. Set the "
        "derivative of (x₁ − 1)⁴ + λx₁² to zero.",
    )
    for decay, mine, exact in zip(SMALL, gaps, exact_gaps, strict=True):
        expect(
            abs(mine / exact - 1) < 0.01,
            f"gap({decay}) is {mine:.4g}, and the minimum is {exact:.4g} away from (1, 0). The power is right, the "
            "factor is not: (x₁ − 1)⁴ has the derivative 4(x₁ − 1)³, and λx₁² has 2λx₁.",
        )
    expect(
        max(prices) < 0,
        f"price({SMALL[prices.index(max(prices))]}) is {max(prices):.3g}. The residual F − y = (x₁ − 1)² is positive; "
        "the multiplier is −residual/λ.",
    )
    found, right = power(SMALL, [-value for value in prices]), power(SMALL, [-value for value in exact_prices])
    expect(
        abs(found - right) < 0.02,
        f"the size of your price goes like λ to the power {found:.2f}, at the minimum like λ to the power {right:.2f}. "
        "The residual is (x₁ − 1)², the square of the gap; divide it by λ once.",
    )
    for decay, mine, exact in zip(SMALL, prices, exact_prices, strict=True):
        expect(
            abs(mine / exact - 1) < 0.01,
            f"price({decay}) is {mine:.4g}, and at the minimum −residual/λ is {exact:.4g}. The power is right, the "
            "factor is not: put your gap into (x₁ − 1)².",
        )
    return "No multiplier exists, and what should tend to it grows without bound."
