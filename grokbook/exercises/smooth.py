"""Checks of the exercises of *From smooth to kinked*."""

import torch

from grokbook.activations import gelu
from grokbook.exercises.answers import check, expect, function, number
from grokbook.isolated import cost, initial_embedding
from grokbook.tasks import modular_addition


def _squares(E, task, sharpness):
    """‖βE‖², and ‖W‖² of GELU's readout there. -> two floats."""
    embedding = float((sharpness * E).square().sum())
    return embedding, float(cost(sharpness * E, task, "gelu")) - embedding


def _near(value, other):
    return abs(value / other - 1) < 1e-6


def _factor(E, task, sharpness):
    """How much more the readout's square counts than the embedding's, by R/λ at two embeddings."""
    squares = torch.tensor([_squares(c * E, task, sharpness) for c in (1, 2)], dtype=torch.float64)
    costs = torch.stack([cost(c * E, task, gelu(sharpness)) for c in (1, 2)])
    prices = torch.linalg.solve(squares, costs)
    return float(prices[1] / prices[0])


@check
def check_decays(factor, by_prices):
    """The readout's decay over the embedding's for sharpness 4, and by_prices(embedding, readout, sharpness): R/λ."""
    factor, by_prices = number("factor", factor), function("by_prices", by_prices)
    generator = torch.Generator().manual_seed(0)
    task, E = modular_addition(7, 0.75, generator), initial_embedding(7, 64, generator)
    wanted = _factor(E, task, 4)
    expect(
        not _near(factor * wanted, 1),
        f"your factor is {factor:.3g}, so that the embedding's decay is the larger one. But E′ = βE is longer than E, "
        "and costs the same: its square must count less.",
    )
    expect(
        not _near(factor**2, wanted),
        f"your factor is {factor:.3g}, which one decay is beside 1. The other one differs from 1, too.",
    )
    expect(not _near(factor**4, wanted), f"your factor is {factor:.3g}; R counts the squares of both norms.")
    expect(_near(factor, wanted), f"your factor is {factor:.4g}; R/λ of two embeddings tells {wanted:.4g}.")
    for sharpness in (4, 2, 0.5):
        embedding, readout = _squares(E, task, sharpness)
        found = number("by_prices(...)", by_prices(embedding, readout, sharpness))
        least = float(cost(E, task, gelu(sharpness)))
        case = f"for the sharpness {sharpness:g} your R/λ is {found:.5g}, and that of σ_β at E is {least:.5g}"
        expect(
            not _near(found, embedding * sharpness**2 + readout / sharpness**2),
            f"{case}: you have exchanged the two prices.",
        )
        expect(
            not _near(found, embedding / sharpness + readout * sharpness),
            f"{case}: you have divided and multiplied the squares by β itself.",
        )
        expect(not _near(found, embedding + readout), f"{case}: you have counted both squares as GELU does.")
        expect(_near(found, least), f"{case}. Put E = E′/β and W = βW′ into ‖E‖² + ‖W‖².")
    return "The same network costs the same, by either count."
