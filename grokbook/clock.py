"""Eq. 20 from starts of any size: with its decay, without it, and with the norm held.

For σ of degree 1 the readout's cost f(E) = Tr Yᵀ(HHᵀ)⁻¹Y has degree −2, and Eq. 20 is E' = −½∇f(E) − E. If ψ' = −½∇f(ψ)
is the same without the decay, then E(t) = e^{−t} ψ(s) with s = (e^{4t} − 1)/4: the decay changes the clock and the
length, and nothing else.
"""

import itertools
import math
from dataclasses import dataclass

import torch

from grokbook import checks, flow, integrators
from grokbook.eq20 import Isolated

WAYS = ("decaying", "undecayed", "held")


@dataclass(frozen=True)
class Course:
    """What `follow` recorded at r times. time: (r,) as asked for; test_accuracy: (r,); norms: (r, 2) with ‖E‖² and
    ‖W‖²; E: (p, d_hidden), the last."""

    time: torch.Tensor
    test_accuracy: torch.Tensor
    norms: torch.Tensor
    E: torch.Tensor


def follow(E, task, times, way="decaying", activation="relu", tolerance=2e-3):
    """Eq. 20 from E, recorded at `times`, one of three ways. E: (p, d_hidden), times: (r,) from 0 on -> Course.

    way: "decaying" is Eq. 20, E' = v; "undecayed" leaves its decay out, E' = v + E = −½∇f; "held" keeps ‖E‖ as it is,
    E' = v − ⟨v, u⟩u with u = E/‖E‖. tolerance: of the adaptive steps. Raises ValueError for bad input and as `simulate`
    does."""
    times, start = [float(time) for time in times], checks.real("E", E, (None, None)).flatten()
    gaps = [end - begin for begin, end in itertools.pairwise(times)]
    if not gaps or times[0] != 0 or not all(0 < gap < math.inf for gap in gaps):
        raise ValueError(f"times={times} must be a list of finite times that increases, from 0 on")
    if way not in WAYS:
        raise ValueError(f"unknown way {way!r}; known are {', '.join(WAYS)}")
    layer, size = Isolated(task, E, activation), start.norm()
    latest = solved = None

    def solution(flat):
        nonlocal latest, solved
        if flat is not latest:
            latest, solved = flat, layer.solve(flat.view(E.shape))
        return solved

    def field(flat):
        velocity = layer.velocity(flat.view(E.shape), solution(flat)).flatten()
        if way == "decaying":
            return velocity
        return velocity + flat if way == "undecayed" else velocity - (velocity @ flat) / (flat @ flat) * flat

    def advance(field, point, span, memory, tolerance):
        point, memory = integrators.adaptive(field, point, span, memory, tolerance)
        return (point * (size / point.norm()) if way == "held" else point), memory

    def record(k, flat, last, evaluations):
        return layer.record(flat.view(E.shape), solution(flat))

    method = integrators.Method(advance, True, checks.positive("tolerance", tolerance))
    trail = flow.follow(field, start, gaps, len(gaps), method, record, progress=False)
    columns = trail.column("test_accuracy"), trail.column("norms")
    return Course(torch.tensor(times, dtype=torch.float64), *columns, trail.point.view(E.shape))
