"""Checks of the exercises of *One part alone*."""

import torch

from grokbook import linalg, toys
from grokbook.exercises.answers import array, check, expect, function, number
from grokbook.levelset import LevelSet

PRODUCT = toys.Toy(lambda theta: theta.prod().reshape(1), torch.ones(1, dtype=torch.float64))


def _best_last(a, b, decay):
    """The best c for a·b·c = 1, by ridge regression of 1 on the one feature ab."""
    return float(linalg.ridge(torch.tensor([[a * b]], dtype=torch.float64), PRODUCT.y, decay))


@check
def check_three(R_three, end):
    """R_three(a, b, decay): the minimum over c of (a·b·c − 1)² + λ(a² + b² + c²); end: where its flow ends."""
    R_three, end = function("R_three", R_three), array("end", end, 3)
    for a, b, decay in [(0.8, 1.1, 0.05), (1.2, -0.6, 0.3), (1.5, 0.7, 1e-3)]:
        found, c = number("R_three(...)", R_three(a, b, decay)), _best_last(a, b, decay)
        right = float(PRODUCT.loss(torch.tensor([a, b, c], dtype=torch.float64), decay))
        case = f"R_three({a}, {b}, {decay}) is {found:.5g}, the minimum over c is {right:.5g}"
        lacks = right - found
        mistakes = [
            (decay * (a**2 + b**2), "Your R leaves out the decay of a and b. They are fixed, and they still cost."),
            (decay * c**2, "Your R leaves out the decay of c: its best value has a cost as well."),
            ((a * b * c - 1) ** 2, "Your R leaves out the loss: with λ > 0 the best c does not fit exactly."),
            (right - decay * (a**2 + b**2 + (a * b) ** -2), "Your R is the limit of small λ, not the minimum."),
            (right - right / decay, "Your R is divided by λ."),
        ]
        for missing, hint in mistakes:
            expect(abs(lacks - missing) > 1e-5 * right, f"{case}. {hint}")
        expect(
            abs(lacks) < 1e-5 * right,
            f"{case}. For fixed s = ab it is a parabola in c, with its minimum at c = s/(s² + λ).",
        )
    off = float((PRODUCT.F(end) - 1).abs())
    expect(
        off < 0.03,
        f"at your end a·b·c is {float(end.prod()):.3g}, which misses 1 by {off:.2g}. The last weight is always at its "
        "best, c = s/(s² + λ) with s = ab. Take a smaller λ if it is that already.",
    )
    along = float(LevelSet(PRODUCT.F, PRODUCT.y).tangent(end, end).norm())
    expect(
        along < 0.03,
        f"your end is on a·b·c = 1, but not where the norm is least: the weights have a part of length {along:.2g} "
        "along the set, and can become shorter. Follow the flow for several units of 1/(2λ).",
    )
    return "Nothing that you used depends on how ab comes about."
