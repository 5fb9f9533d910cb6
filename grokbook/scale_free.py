"""The norm of a network that no rescaling of its layers can change, and networks that have a given one."""

import math

import torch
from scipy.optimize import brentq

from grokbook import checks
from grokbook.activations import activation_of
from grokbook.eq20 import Isolated
from grokbook.isolated import simulate


def norm_of(E, task, activation="relu"):
    """2‖E‖‖W‖ with W of Eq. 18: what R = ‖E‖² + ‖W‖² becomes once the layers are balanced. E: (..., p, d) -> (...)."""
    return 2 * (E.square().sum((-2, -1)) * Isolated(task, E, activation).solve(E).readout_cost).sqrt()


def balanced(E, task, activation="relu"):
    """E scaled so that ‖E‖ = ‖W‖; outputs stay as they are. E: (..., p, d_hidden) -> like E.

    Raises ValueError for a σ that is not homogeneous of degree 1."""
    _homogeneous(activation)
    factor = (Isolated(task, E, activation).solve(E).readout_cost / E.square().sum((-2, -1))) ** 0.25
    return factor[..., None, None] * E


def _homogeneous(activation):
    if activation_of(activation).degree != 1:
        raise ValueError(f"the scale-free norm needs a σ of degree 1, not {activation!r}; take 'relu' or 'leaky_relu'")


def _one_homogeneous_run(E, activation):
    _homogeneous(activation)
    _one_run(E)


def _one_run(E):
    if E.ndim != 2:
        raise ValueError(f"E has shape {tuple(E.shape)}; give one run, (p, d_hidden), as each needs a way of its own")


def descended(E, task, norm, activation="relu", longest=20.0):
    """Where Eq. 20 from E first has the scale-free norm `norm`, balanced. E: (p, d_hidden), one run -> like E.

    Raises ValueError for a batch, if E lies below `norm`, and if it is still above it at time `longest`."""
    _one_homogeneous_run(E, activation)
    longest = checks.positive("longest", longest)
    if not (now := float(norm_of(E, task, activation))) > norm:
        raise ValueError(f"2‖E‖‖W‖ = {now:.4g} is below norm={norm}; raise E instead")
    time, stretch = 0.0, 0.05
    while time < longest:
        path = simulate(
            E, task, stretch / 20, 20, activation, method="adaptive", record_every=1, snapshot_every=1, progress=False
        )
        norms = 2 * path.norms.prod(dim=1).sqrt()
        if bool((norms <= norm).any()):
            k = int((norms <= norm).nonzero()[0])
            before, after = path.snapshots[k - 1], path.snapshots[k]
            return balanced(_between(before, after, task, norm, activation), task, activation)
        E, time = path.E, time + stretch
    raise ValueError(f"2‖E‖‖W‖ = {float(norms[-1]):.4g} at time {longest:g}, above norm={norm}; raise norm or longest")


def raised(E, task, norm, generator, activation="relu"):
    """E mixed with Gaussian noise of its own length until 2‖E‖‖W‖ = `norm`, balanced. E: (p, d_hidden) -> like E.

    Raises ValueError for a batch, and if `norm` lies outside what mixing reaches."""
    _one_homogeneous_run(E, activation)
    return balanced(_between(E, _noise(E, generator), task, norm, activation), task, activation)


def of_norms(E, task, squares, generator, activation="relu"):
    """E mixed with Gaussian noise at ‖E‖² = squares[0] until ‖W‖² = squares[1], for any σ. E: (p, d_hidden) -> like E.

    Raises ValueError for a batch, and if ‖W‖² lies outside what mixing reaches."""
    _one_run(E)
    length, wanted = (checks.positive(f"squares[{i}]", squares[i]) for i in (0, 1))
    layer, noise = Isolated(task, E, activation), _noise(E, generator)

    def point(angle):
        mixed = math.cos(angle) * E + math.sin(angle) * noise
        return mixed * (math.sqrt(length) / mixed.norm())

    return _where(point, lambda mixed: layer.solve(mixed).readout_cost, wanted)


def _noise(E, generator):
    noise = torch.randn(E.shape, generator=checks.random(generator), dtype=E.dtype).to(E.device)
    return noise * E.norm() / noise.norm()


def _between(first, last, task, norm, activation):
    """The point of the arc from `first` to `last` with this scale-free norm."""

    def point(angle):
        return math.cos(angle) * first + math.sin(angle) * last

    return _where(point, lambda E: norm_of(E, task, activation), norm)


def _where(point, size, norm):
    """point(angle), 0 <= angle <= π/2, where its size is `norm`."""

    def excess(angle):
        return float(size(point(angle))) - norm

    ends = excess(0.0), excess(math.pi / 2)
    if ends[0] * ends[1] > 0:
        low, high = sorted(end + norm for end in ends)
        raise ValueError(f"norm={norm} lies outside {low:.4g} to {high:.4g}, which mixing reaches; choose one inside")
    return point(brentq(excess, 0.0, math.pi / 2, xtol=1e-10))
