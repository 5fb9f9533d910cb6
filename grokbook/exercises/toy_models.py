"""Checks of the exercises of *Toy models*."""

import math

import torch

from grokbook import toys
from grokbook.exercises.answers import array, check, expect, function, number

START = torch.tensor([-1.0, 1.0], dtype=torch.float64)


def _test_loss(decay, time):
    """The test loss, expected over samples, on the way of descent from START on 1 + 1 = 2."""
    sample, target = torch.ones(1, 2, dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64)
    at = toys.linear_descent(sample, target, decay, START, torch.tensor([float(time)], dtype=torch.float64))[0]
    return float((at - 1).square().sum())


@check
def check_delay(delay):
    """delay(q, decay, step): after how many steps the expected test loss has fallen to a fraction q of its start."""
    delay = function("delay", delay)
    for q, decay, step in [(0.1, 1e-3, 0.1), (0.01, 1e-3, 0.1), (0.01, 1e-3, 0.05), (0.01, 1e-4, 0.1)]:
        steps = number("delay(...)", delay(q, decay, step))
        case = f"delay(q={q}, decay={decay}, step={step}) is {steps:.4g}"
        expect(steps > 0, f"{case}; a number of steps is positive.")
        left = _test_loss(decay, step * steps) / _test_loss(decay, 0)
        early = "too early" if left > q else "too late"
        expect(
            abs(math.log(left / q)) < 0.15,
            f"{case}, but after so many steps a fraction of {left:.2g} of the test loss is left: {early}. The start "
            "has a part across the line, which is gone after a few steps, and one along it; the loss is their square.",
        )
    return "The test loss falls to your fraction when you say."


@check
def check_wrong_sample(end):
    """Where training on the one sample (1, 2) with target 3 ends."""
    end = array("end", end, 2)
    off = float(end[0] + 2 * end[1] - 3)
    expect(abs(off) < 1e-2, f"your end misses the target by {abs(off):.2g}: it is not on w₁ + 2w₂ = 3. Train longer.")
    along = float(end @ torch.tensor([2.0, -1.0], dtype=torch.float64)) / 5**0.5
    expect(
        abs(along) < 1e-2,
        f"your end is on the line w₁ + 2w₂ = 3, {abs(along):.2g} away from its shortest point. The shortest point is "
        "perpendicular to the line. Train longer, or with a larger decay.",
    )
    return "It fits its sample, it is the shortest that does, and it does not add."
