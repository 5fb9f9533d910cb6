"""Checks of the exercises of *Norm minimisation*."""

import torch

from grokbook.direction import norm_minimising_direction
from grokbook.exercises.answers import Hint, check, expect, function, number
from grokbook.levelset import LevelSet
from grokbook.measure import cosine
from grokbook.network import TwoLayer
from grokbook.tasks import modular_addition
from grokbook.training import train

QUIET = dict(record_every=10**6, progress=False)


def _gap(net, task, theta, decay, at="nearest", steps=100, of_update=None):
    """1 - cos of the update of some steps, with a decay of its own if given, and Eq. 29."""
    Z = LevelSet(net.F, task.Y_train, products=net)
    moved = train(net, task, 1.0, of_update or decay, steps, theta=theta, **QUIET).theta - theta
    return 1 - float(cosine(moved, norm_minimising_direction(Z, theta, at=at, memorised=1.0).vector))


def _mistaken(net, task, theta, decay, gap):
    """What else `missing` may have measured, and what it is called."""
    at_theta, with_other, of_ten = (
        _gap(net, task, theta, decay, **other) for other in (dict(at="here"), dict(of_update=1e-4), dict(steps=10))
    )
    return [
        (1 - gap, "the cosine itself."),
        (2 - gap, "that of the opposite direction: the norm falls along -θ."),
        ((2 * gap - gap**2) ** 0.5, "the sine: the share of the update that lies outside, and not 1 - cos."),
        (at_theta, "that with J at θ itself; retract to the zero-loss set first."),
        (with_other, "that of an update with the chapter's λ, and not with the one that is given."),
        (of_ten, "that of ten steps; a hundred are asked for."),
    ]


@check
def check_decay(missing):
    """missing(net, task, theta, decay): 1 - cos of the update of 100 steps from theta and Eq. 29, J at the nearest."""
    missing = function("missing", missing)
    task = modular_addition(5, 0.75, torch.Generator().manual_seed(0))
    net = TwoLayer(task.X_train, 24, 5, "gelu")
    theta = train(net, task, 1.0, 2e-3, 300, generator=torch.Generator().manual_seed(1), **QUIET).theta
    for decay in (1e-3, 5e-4):
        theta = train(net, task, 1.0, decay, 300, theta=theta, **QUIET).theta
        found = number("missing(...)", missing(net, task, theta.clone(), decay))
        gap = _gap(net, task, theta, decay)
        if abs(found / gap - 1) < 0.05:
            continue
        case = f"for a small network that has settled at λ = {decay:g} your 1 - cos is {found:.4g}"
        for wrong, name in _mistaken(net, task, theta, decay, gap):
            expect(abs(found / wrong - 1) > 0.02, f"{case}, which is {name}")
        raise Hint(
            f"{case}; with J at the nearest point and a hundred steps of 1 it is {gap:.4g}. Use the network, the task "
            "and the λ that the function is given."
        )
    return "Now train with the three λ, and compare."
