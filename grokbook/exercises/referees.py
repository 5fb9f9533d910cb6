"""Checks of the exercises of *The referees' questions*."""

import torch

from grokbook import linalg
from grokbook.exercises.answers import check, expect, function, number
from grokbook.network import TwoLayer
from grokbook.tasks import modular_addition


def _counted(p, width):
    """The dimension of the kernel of J for pairs modulo p, and what rescalings leave of it, by their ranks."""
    generator = torch.Generator().manual_seed(0)
    task = modular_addition(p, 0.7, generator)
    network = TwoLayer(task.X_train, width, p, "relu")
    theta = network.initial(generator)
    E, W = network.split(theta)
    J = torch.func.jacrev(network.F)(theta)
    units = torch.eye(width, dtype=theta.dtype)
    rescalings = torch.stack([network.join(E * unit, -W * unit[:, None]) for unit in units])
    kernel = len(theta) - linalg.rank(J)
    return len(task.pairs_train), kernel, len(theta) - linalg.rank(torch.cat([J, rescalings]))


@check
def check_dimension(dimension):
    """dimension(p, n, width): of the zero-loss set of a ReLU network on n pairs modulo p, without the rescalings."""
    dimension = function("dimension", dimension)
    for p, width in [(5, 20), (5, 31), (7, 40)]:
        n, kernel, left = _counted(p, width)
        said = number("dimension(...)", dimension(p, n, width))
        case = f"dimension(p={p}, n={n}, width={width}) is {said:g}"
        expect(said != kernel, f"{case}, the dimension of the whole set. How many directions only rescale a unit?")
        expect(
            said == left,
            f"{case}; by the ranks of J and of the rescalings it is {left}. Count the weights of both layers, and take "
            "away one for each output of each pair and one for each unit.",
        )
    return "The ranks of J and of the rescalings say so, too."
