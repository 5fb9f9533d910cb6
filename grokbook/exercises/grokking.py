"""Checks of the exercises of *Grokking*."""

import torch

from grokbook import toys
from grokbook.exercises.answers import check, expect, function, number
from grokbook.measure import crossing

DECAY = 1e-3


def _wait(decay):
    """When the smallest model that groks, two weights and the one sample 1 + 1 = 2, has 1 % of its test loss left."""
    sample, target = torch.ones(1, 2, dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64)
    start = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    time = torch.linspace(0, 5 / DECAY, 5001, dtype=torch.float64)
    test_loss = (toys.linear_descent(sample, target, decay, start, time) - 1).square().sum(1)
    return crossing(-test_loss, -0.01 * test_loss[0], time)[0]


@check
def check_decay(guess, factor):
    """guess(k): by which factor k times the decay changes the number of steps; factor: the same for k = 2, measured."""
    guess, factor = function("guess", guess), number("factor", factor)
    for k in (2, 5, 0.5):
        guessed, exact = number("guess(...)", guess(k)), _wait(k * DECAY) / _wait(DECAY)
        expect(
            abs(guessed * exact - 1) > 0.03,
            f"guess({k}) is {guessed:.3g}, which is upside down: more decay, fewer steps. Divide the new number of "
            "steps by the old one.",
        )
        expect(
            abs(guessed / exact - 1) < 0.03,
            f"guess({k}) is {guessed:.3g}; the smallest model that groks, two weights and one sample, needs "
            f"{exact:.3g} times as many steps with {k} times the decay. The decay moves the weights with a speed "
            "proportional to λ; how long does the same way take?",
        )
    halved = _wait(2 * DECAY) / _wait(DECAY)
    expect(
        abs(factor * halved - 1) > 0.25,
        f"your factor is {factor:.3g}: divide the number of steps with twice the decay by the one with the decay as it "
        "was, not the other way round.",
    )
    expect(
        abs(factor - 1) > 0.2,
        f"your factor is {factor:.3g}: nothing changed. So it is with the *training* pairs, which are memorised as "
        "early. Look when 95 % of the held-back pairs are right, and hand twice the decay to `train`.",
    )
    expect(
        abs(factor / halved - 1) < 0.25,
        f"your factor is {factor:.3g}, far from what t = η × steps says. Start both runs from the same weights, with "
        "the same step η, and take the first record at which 95 % of the held-back pairs are right.",
    )
    return "A network is no model of two weights, but its time is counted in units of 1/λ as well."
