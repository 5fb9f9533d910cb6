"""Checks of the exercises of *The smallest norm of all*."""

import functools

import torch

from grokbook import dual
from grokbook.exercises.answers import check, expect, function, number
from grokbook.tasks import Task

TIGHT = 2e-3  # twice the gap that the search is told to reach


def _near(value, other):
    return abs(value / other - 1) < TIGHT


@functools.cache
def _case(n, m):
    """X, Y and the smallest R that the search finds, once for all answers that are tried. n, m -> (n, n), (n, m), R."""
    generator = torch.Generator().manual_seed(n)
    X, Y = (torch.randn(n, columns, generator=generator, dtype=torch.float64) for columns in (n, m))
    task = Task.from_arrays(X, Y, X, Y)
    found = dual.minimum_norm(task, generator, "identity", gap=TIGHT / 2, starts=100, progress=False)
    return X, Y, found.cost


@check
def check_linear(smallest):
    """smallest(X, Y): the smallest R = ‖E‖² + ‖W‖² of a linear network that maps a regular X to Y, at any width."""
    smallest = function("smallest", smallest)
    for n, m in ((5, 3), (3, 3)):
        X, Y, least = _case(n, m)
        found = number("smallest(X, Y)", smallest(X.clone(), Y.clone()))
        values = torch.linalg.svdvals(torch.linalg.solve(X, Y))
        case = f"for {n} samples with {m} outputs your number is {found:.5g}"
        expect(not _near(2 * found, least), f"{case}, half of {least:.5g}. A unit costs ‖e‖² + ‖w‖² ≥ 2‖e‖‖w‖.")
        expect(
            not _near(found, 2 * float(torch.linalg.svdvals(Y).sum())),
            f"{case}, for Y. The matrix that maps X to Y is another one.",
        )
        expect(
            not _near(found, 2 * float(values.norm())),
            f"{case}, from the root of the sum of the squares of the singular values. Units add up their costs: sum "
            "the singular values themselves.",
        )
        expect(not _near(found, 2 * float(values.max())), f"{case}, from the largest singular value. Sum them all.")
        side = "below every network" if found < least else "above the smallest network"
        expect(_near(found, least), f"{case}, {side}: `minimum_norm` finds one of {least:.5g}.")
    return "`minimum_norm` finds as much, at any width."
