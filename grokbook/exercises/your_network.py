"""Checks of the exercises of *Your own network*."""

import torch
from torch import nn

from grokbook.exercises.answers import array, check, expect, function
from grokbook.probe import Probe

SMALL = 1e-6


def _probe(generator):
    """A network of 38 weights on its zero-loss set, of 8 equations."""
    module = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    for weights in module.parameters():
        weights.data = 0.4 * torch.randn(weights.shape, generator=generator, dtype=torch.float64)
    inputs = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    return Probe(module, inputs, module(inputs).detach())


@check
def check_old_way(old_way):
    """old_way(probe, D): the way of Adam with the old decay along the zero-loss set, -Q_D Dθ. -> (d,)."""
    old_way = function("old_way", old_way)
    generator = torch.Generator().manual_seed(0)
    probe = _probe(generator)
    theta, along = probe.theta(), probe.projection()

    def pulled(force):
        """Whether a force is JᵀU for some U, as all forces of the loss are."""
        return float(along(force).norm() / force.norm()) < SMALL

    for spread in (1.0, 2.0):
        D = (spread * torch.randn(len(theta), generator=generator, dtype=torch.float64)).exp()
        way = array("old_way(...)", old_way(probe, D.clone()), len(theta))
        expect(bool(way.any()), "your way is zero, and there is norm left to lower.")
        leaves = float((way - along(way)).norm() / way.norm())
        expect(
            leaves < SMALL,
            f"a share of {leaves:.2g} of your way leaves the zero-loss set. Scale first, then take what is tangent.",
        )
        expect(not pulled((way + theta) / D), "this is AdamW's way, -Q_Dθ. The old decay is scaled by D, too.")
        expect(not pulled(way + theta), "this is gradient descent's way g, which knows nothing of D.")
        expect(
            not pulled(way + D * theta),
            "this is the tangent part of -Dθ by the ordinary lengths. The loss pulls with D times its force, not with "
            "its force: the projection needs `metric=D`, too.",
        )
        expect(
            not pulled(way / D - theta),
            f"your way raises the norm: ‖θ‖²/2 rises by {float(way @ theta):.2g} a unit of time. Mind the sign.",
        )
        right = probe.tangent(-D * theta, metric=D)
        length = float(way @ right / (right @ right))
        expect(
            abs(length - 1) < SMALL or float((way - length * right).norm() / way.norm()) > SMALL,
            f"your way has the right direction, and is {length:.3g} times as long as -Q_D Dθ.",
        )
        apart = float(along(way / D + theta).norm() / along(theta).norm())
        expect(
            apart < SMALL,
            "on the set, D⁻¹ times the way of Adam is -θ and what the loss can pull, Jᵀr. Of yours and θ a share of "
            f"{apart:.2g} is neither.",
        )
    return "It stays on the set and lowers the norm."
