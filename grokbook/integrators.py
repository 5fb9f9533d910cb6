"""One stretch of θ' = v(θ) for any callable v, by steps of a fixed or an adapted size, with a memory that can be saved.

Every method is `advance(field, point, span, memory, tolerance) -> (point, memory)`: it carries the point on by the time
`span`. memory is a dict of tensors and plain numbers, {} at the start; whoever keeps point and memory can go on later
and gets the numbers of an uninterrupted run. point: (..., a, b); leading dimensions are separate runs that share the
step. field: (..., a, b) -> the same shape.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

GROWTH = 2.0  # one step is at most this many times the one before
MAX_STEPS = 100_000  # in one stretch


def euler(field, point, span, memory, tolerance=None):
    """θ + h v(θ) with h = span: one evaluation, order 1."""
    return torch.add(point, field(point), alpha=span), memory


def heun(field, point, span, memory, tolerance=None):
    """The mean of the velocities at both ends of an Euler step: two evaluations, order 2."""
    first = field(point)
    second = field(torch.add(point, first, alpha=span))
    return point + span / 2 * (first + second), memory


def ralston(field, point, span, memory, tolerance=None):
    """The two-evaluation method of order 2 with the smallest error bound: weights 1/4 and, at 2h/3, 3/4."""
    first = field(point)
    second = field(torch.add(point, first, alpha=2 * span / 3))
    return point + span * (first / 4 + 3 * second / 4), memory


def adams_bashforth(field, point, span, memory, tolerance=None):
    """Extrapolates from the velocity one step ago: one evaluation, order 2, its first step Euler's."""
    velocity = field(point)
    average = velocity
    if memory:
        average = velocity + span / (2 * memory["step"]) * (velocity - memory["velocity"])
    return torch.add(point, average, alpha=span), {"velocity": velocity, "step": span}


def adaptive(field, point, span, memory, tolerance):
    """Euler steps, each as long as the change of the velocity allows: h² |v'| / 2 = tolerance |θ|, one evaluation each.

    v' is the difference to the velocity one step ago, so no step is taken twice. At a kink v jumps by J however short
    the step, and h settles at 2 tolerance |θ| / |J|: kinks shorten the steps in proportion, and never stop the run.
    """
    left = span
    for _ in range(MAX_STEPS):
        velocity = field(point)
        wanted = _wanted_step(point, velocity, memory, tolerance)
        taken = _share(left, wanted)
        point = torch.add(point, velocity, alpha=taken)
        memory = {"velocity": velocity, "step": taken, "wanted": wanted}
        left -= taken
        if left <= 1e-9 * span:
            return point, memory
    raise _too_many(span, left, tolerance)


def _wanted_step(point, velocity, memory, tolerance):
    """The step at which Euler's local error is tolerance |θ|, for the run that needs the shortest."""
    size = _norm(point)
    if not memory:
        return _step((0.01 * tolerance * size / _norm(velocity)).min())
    change = _norm(velocity - memory["velocity"]) / memory["step"]
    wanted = (2 * tolerance * size / change).sqrt().min()
    return min(_step(wanted), GROWTH * memory["wanted"])


def adaptive_heun(field, point, span, memory, tolerance):
    """Heun steps with Euler's inside as the measure: h |v₂ − v₁| / 2 <= tolerance |θ|, or again with a shorter one."""
    left, wanted, first = span, memory.get("wanted"), None
    for _ in range(MAX_STEPS):
        first = field(point) if first is None else first
        if wanted is None:
            wanted = _step((0.01 * tolerance * _norm(point) / _norm(first)).min())
        taken = _share(left, wanted)
        second = field(torch.add(point, first, alpha=taken))
        slack = _step((2 * tolerance * _norm(point) / (taken * _norm(second - first))).min())
        proposal = taken * min(GROWTH, max(0.2, 0.9 * math.sqrt(slack)))
        if slack < 1:
            wanted = proposal
            continue
        # A step cut short by the end of the stretch says nothing against the one that was wanted.
        wanted = max(wanted, proposal) if taken < wanted else proposal
        point, first = point + taken / 2 * (first + second), None
        left -= taken
        if left <= 1e-9 * span:
            return point, {"wanted": wanted}
    raise _too_many(span, left, tolerance)


def clock(field, point, span, memory, tolerance):
    """Equal steps of τ, dτ = dt/|θ|⁴, along the sphere; the first lasts `tolerance` in t, others change with |θ|⁴.

    Only for velocities g(θ) − θ with g of degree −3, as in Eq. 20 with a σ homogeneous of degree 1. With
    f = <θ, g> |θ|² the norm obeys (|θ|⁴)' = −4|θ|⁴ + 4f, which is solved exactly for f held fixed during a step.
    """
    left = span
    for _ in range(MAX_STEPS):
        velocity, size = field(point), _norm(point)
        memory = memory or {"unit": tolerance / float(size.max()) ** 4}
        taken = _share(left, _step(memory["unit"] * size.min() ** 4))
        size = size[..., None, None] if point.ndim > 2 else size
        direction = point / size
        radial = (velocity * direction).sum((-2, -1), keepdim=point.ndim > 2)
        quartic = _relax(size**4, size**3 * (radial + size), taken)
        moved = point + taken * (velocity - radial * direction)
        length = _norm(moved)[..., None, None] if point.ndim > 2 else _norm(moved)
        point = moved * (quartic**0.25 / length)
        left -= taken
        if left <= 1e-9 * span:
            return point, memory
    raise _too_many(span, left, tolerance)


def _relax(quartic, target, time):
    """The solution of q' = −4 (q − target)."""
    return target + (quartic - target) * math.exp(-4 * time)


def _share(left, wanted):
    """The longest of equal steps that cover `left` and are not longer than wanted: no tiny rest is left at the end."""
    return left / max(1, math.ceil(left / wanted))


def _too_many(span, left, tolerance):
    done = f"{MAX_STEPS} steps covered {span - left:.3g} of {span:.3g}"
    return ValueError(f"{done}; raise tolerance={tolerance}, or integrate a shorter time")


def _norm(point):
    """The Euclidean norm of every run. (..., a, b) -> (...)."""
    return torch.linalg.vector_norm(point, dim=(-2, -1) if point.ndim > 2 else None)


def _step(number):
    """A step as a float; infinite where nothing changes. Raises ValueError for NaN and for 0."""
    value = float(number)
    if not value > 0:
        raise ValueError(f"the next step would be {value}: the point or its velocity is zero or not finite")
    return value


@dataclass(frozen=True)
class Method:
    """How a method is called and used: adapts says that it chooses its own steps, to the given tolerance."""

    advance: Callable
    adapts: bool = False
    tolerance: float | None = None


METHODS = {
    "euler": Method(euler),
    "heun": Method(heun),
    "ralston": Method(ralston),
    "adams_bashforth": Method(adams_bashforth),
    "adaptive": Method(adaptive, adapts=True, tolerance=1e-2),
    "adaptive_heun": Method(adaptive_heun, adapts=True, tolerance=1e-2),
    "clock": Method(clock, adapts=True, tolerance=1e-2),
}


def method(name, tolerance=None):
    """The Method of this name with its tolerance settled. Raises ValueError with the known names, or for a tolerance
    that is not positive or that a method of fixed steps has no use for."""
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; known are {', '.join(METHODS)}")
    found = METHODS[name]
    if tolerance is None:
        return found
    if not found.adapts:
        raise ValueError(f"tolerance={tolerance} means nothing to method={name!r}; leave it out, and set step")
    if not 0 < tolerance < math.inf:
        raise ValueError(f"tolerance={tolerance} must be positive and finite")
    return Method(found.advance, True, tolerance)
