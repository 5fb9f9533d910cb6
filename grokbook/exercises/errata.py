"""Checks of the exercises of *Errata*."""

import torch

from grokbook.exercises.answers import array, check, expect, function
from grokbook.network import TwoLayer
from grokbook.tasks import modular_addition


def _places():
    """Weights θ and Jacobians J of two small networks. -> [(θ: (d,), J: (m, d))]."""
    for seed in (0, 1):
        generator = torch.Generator().manual_seed(seed)
        task = modular_addition(5, 0.6, generator)
        network = TwoLayer(task.X_train, 24, 5, "gelu")
        theta = network.initial(generator)
        yield theta, torch.func.jacrev(network.F)(theta)


@check
def check_direction(direction):
    """direction(theta, J): Eq. 29, the unit vector of the kernel of J along which the norm falls fastest."""
    direction = function("direction", direction)
    for theta, J in _places():
        way = array("direction(theta, J)", direction(theta.clone(), J.clone()), len(theta))
        expect(way.norm() > 0, "your direction is zero, and points nowhere.")
        unit = way / way.norm()
        leaves = float((J @ unit).norm() / torch.linalg.matrix_norm(J, 2))
        expect(
            leaves < 1e-8,
            f"along your direction the outputs change, by {leaves:.1g} of the most that they can: it is no tangent "
            "vector. Take away what the rows of J span; with more weights than rows it is JJᵀ that has an inverse.",
        )
        slope = float(unit @ theta)
        expect(slope < 0, f"along your direction the norm does not fall: its slope is {slope:.2g}. Is the sign right?")
        kernel = torch.linalg.svd(J).Vh[len(J) :]
        steepest = -float((kernel @ theta).norm())
        expect(
            slope < (1 - 1e-8) * steepest,
            f"the norm falls along your direction with the slope {slope:.3g}, and along the best tangent vector with "
            f"{steepest:.3g}. Start from -theta, and project only once.",
        )
        expect(
            abs(way.norm() - 1) < 1e-8,
            f"your direction is right and has the length {way.norm():.3g}; Eq. 28 asks for a unit vector.",
        )
    return "It is tangent, of length 1, and no tangent vector is steeper."
