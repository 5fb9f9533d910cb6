"""Checks of the exercises of *Play*."""

import torch

from grokbook import isolated
from grokbook.exercises.answers import check, expect, number
from grokbook.tasks import modular_addition


def _times_slower():
    """By which factor Eq. 20 with z², without its decay, turns an embedding of twice the length more slowly."""
    generator = torch.Generator().manual_seed(0)
    task = modular_addition(5, 0.8, generator)
    E = isolated.initial_embedding(5, 40, generator)
    turns = [(isolated.velocity(c * E, task, "square") + c * E).norm() / (c * E.norm()) for c in (1, 2)]
    return float(turns[0] / turns[1])


@check
def check_power(power):
    """The power k of ‖E‖ in the clock dτ = dt/‖E‖ᵏ for σ(z) = z²."""
    power, slower = number("power", power), _times_slower()
    expect(
        abs(2 ** (power + 1) / slower - 1) > 0.01,
        "that is how fast the gradient falls with the length. A longer vector has also farther to turn: one more.",
    )
    expect(
        abs(2**power / slower - 1) < 0.01,
        f"by your power an embedding of twice the length turns {2**power:.3g} times as slowly; under Eq. 20 with z² it "
        f"turns {slower:.3g} times as slowly. Of which degree in E are H, HHᵀ and its inverse?",
    )
    return f"An embedding of twice the length turns {slower:.0f} times as slowly."
