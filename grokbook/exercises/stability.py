"""Checks of the exercises of *Stability*."""

import torch
from scipy.optimize import brentq

from grokbook import toys
from grokbook.exercises.answers import check, expect, function, number


def _pulls(q, decay, distance):
    """What loss and decay pull at x = 1 - distance on F = (x - 1)^q, the loss upwards. -> float, float."""
    toy = toys.Toy(lambda x: (x - 1) ** q, torch.zeros(1, dtype=torch.float64))
    x = torch.tensor([1 - distance], dtype=torch.float64)
    of_loss = float(toy.descent(0.0)(x))
    return of_loss, of_loss - float(toy.descent(decay)(x))


def _rest(q, decay):
    """How far below 1 both pulls cancel."""

    def left(distance):
        of_loss, of_decay = _pulls(q, decay, distance)
        return of_loss - of_decay

    return brentq(left, 0, 1, xtol=1e-15)


@check
def check_power(rest):
    """rest(q, decay): D(λ) for F = (x - 1)^q with target 0, how far the weight is from 1 when it comes to rest."""
    rest = function("rest", rest)
    for q, decay in [(1, 0.1), (2, 0.01), (3, 1e-3), (2, 1e-4)]:
        distance, right = number("rest(...)", rest(q, decay)), _rest(q, decay)
        case = f"rest(q={q}, decay={decay:g}) is {distance:.4g}"
        expect(0 < distance < 1, f"{case}; the weight starts at 1, and comes to rest before it reaches 0.")
        expect(
            abs(distance / decay ** (1 / (2 * q)) - 1) > 5e-3,
            f"{case}: that is what the budget affords. The weight stops where both pulls cancel, and there the loss is "
            "smaller.",
        )
        expect(
            abs(distance / (1 - right) - 1) > 5e-3,
            f"{case}, which is where the weight comes to rest; its distance from 1 is asked for.",
        )
        of_loss, of_decay = _pulls(q, decay, distance)
        expect(
            abs(distance / (decay / q) ** (1 / (2 * q - 1)) - 1) > 1e-6,
            f"{case}, which is right to leading order in λ only. There decay pulls {of_decay / (2 * decay):.2f} times "
            "as hard as at x = 1: leave the factor 1 - δ where it is, and solve for δ.",
        )
        expect(
            abs(distance / right - 1) < 5e-3,
            f"{case}. At this distance the loss pulls {of_loss / of_decay:.3g} times as hard as decay; at rest both "
            "pull alike. They are the derivatives of (x - 1)^(2q) and of λx².",
        )
    return "It falls like the power 1/(2q - 1) of λ, faster than the budget's 1/(2q)."
