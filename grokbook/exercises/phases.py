"""Checks of the exercises of *Phases*."""

import torch
from scipy.optimize import brentq

from grokbook.exercises.answers import Hint, check, expect, function, number
from grokbook.integrators import momentum


def _growth(step, beta, mu):
    """By what factor an error grows a step in the long run: the spectral radius of heavy-ball descent on μx²/2."""
    columns = []
    for x, heavy in torch.eye(2, dtype=torch.float64):
        moved, memory = momentum(lambda at: -mu * at, x, step, {"heavy": heavy}, beta=beta)
        columns.append(torch.stack([moved, memory["heavy"]]))
    return float(torch.linalg.eigvals(torch.stack(columns, 1)).abs().max())


def _edge(beta, mu):
    """The longest stable step."""
    return brentq(lambda step: _growth(step, beta, mu) - 1, 0.1 / mu, 10 / mu)


def _mistaken(edge, beta, mu):
    """What else `longest_time` may have measured, and what it is called."""
    return [
        (edge, "the longest η itself. Its clock runs by η/(1 - β) a step: divide."),
        (edge * (1 - beta), "η(1 - β). Steps the same way add up to η(1 + β + β² + …), which is η/(1 - β)."),
        (2 / mu, "the edge of plain descent. Momentum moves the edge, and its clock runs faster as well."),
        (2 / mu / (1 - beta), "plain descent's edge on momentum's clock; momentum has an edge of its own."),
        (edge * mu / (2 * (1 - beta)), "how many times as long as without momentum; the time itself is asked for."),
    ]


@check
def check_momentum(longest_time):
    """longest_time(beta, mu): the largest stable η/(1 - β) of descent with momentum β on μx²/2."""
    longest_time = function("longest_time", longest_time)
    for beta, mu in [(0.9, 1.0), (0.9, 5.0), (0.5, 1.0), (0.0, 3.0)]:
        found, edge = number("longest_time(...)", longest_time(beta, mu)), _edge(beta, mu)
        if abs(found * (1 - beta) / edge - 1) < 5e-3:
            continue
        case = f"longest_time(beta={beta:g}, mu={mu:g}) is {found:.4g}"
        expect(found > 0, f"{case}; a time is positive.")
        for wrong, name in _mistaken(edge, beta, mu):
            expect(abs(found / wrong - 1) > 5e-3, f"{case}, which is {name}")
        growth = _growth(found * (1 - beta), beta, mu)
        then = "the weight is thrown out" if growth > 1 else "a longer step is stable, too"
        raise Hint(f"{case}. With that η an error is multiplied by {growth:.3g} a step in the long run: {then}.")
    return "On decay's clock momentum gains the more, the closer β is to 1."
