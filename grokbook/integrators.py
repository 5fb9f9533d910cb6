"""One stretch of θ' = v(θ) for any callable v: steps of a fixed or an adapted size, and optimisers.

Every method is `advance(field, point, span, memory, tolerance) -> (point, memory)`: it carries the point on by the time
`span`. memory is a dict of tensors and plain numbers, {} at the start; whoever keeps point and memory can go on later
and gets the numbers of an uninterrupted run. point: (..., d) -> like point; leading dimensions are separate runs that
share the step. field: (..., d) -> (..., d). An optimiser is an integrator with memory whose step is its learning rate.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from grokbook import checks

GROWTH = 2.0  # one step is at most this many times the one before
MAX_STEPS = 100_000  # in one stretch


def euler(field, point, span, memory, tolerance=None):
    """θ + h v(θ) with h = span: one evaluation, order 1; gradient descent with learning rate h for v = −∇L."""
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


def rk4(field, point, span, memory, tolerance=None):
    """The classical Runge–Kutta step: four evaluations, order 4."""
    first = field(point)
    second = field(point + span / 2 * first)
    third = field(point + span / 2 * second)
    fourth = field(point + span * third)
    return point + span / 6 * (first + 2 * second + 2 * third + fourth), memory


def adams_bashforth(field, point, span, memory, tolerance=None):
    """Extrapolates from the velocity one step ago: one evaluation, order 2, its first step Euler's."""
    velocity = field(point)
    average = velocity
    if memory:
        average = velocity + span / (2 * memory["step"]) * (velocity - memory["velocity"])
    return torch.add(point, average, alpha=span), {"velocity": velocity, "step": span}


def momentum(field, point, span, memory, tolerance=None, *, beta=0.9):
    """Heavy ball, m ← β m + v, θ ← θ + h m: PyTorch's SGD(momentum=β)."""
    velocity = field(point)
    heavy = velocity if not memory else beta * memory["heavy"] + velocity
    return torch.add(point, heavy, alpha=span), {"heavy": heavy}


def adam(field, point, span, memory, tolerance=None, *, betas=(0.9, 0.999), epsilon=1e-8, decay=0.0):
    """PyTorch's AdamW for v = −∇L, the decay decoupled: θ ← (1 − h decay) θ + h m̂ / (√ŝ + ε)."""
    velocity = field(point)
    k = memory.get("k", 0) + 1
    mean = (1 - betas[0]) * velocity + (betas[0] * memory["mean"] if memory else 0)
    square = (1 - betas[1]) * velocity**2 + (betas[1] * memory["square"] if memory else 0)
    scale = (square / (1 - betas[1] ** k)).sqrt() + epsilon
    moved = (1 - span * decay) * point + span / (1 - betas[0] ** k) * mean / scale
    return moved, {"k": k, "mean": mean, "square": square}


def adaptive(field, point, span, memory, tolerance):
    """Euler steps, each as long as the change of the velocity allows: h² |v'| / 2 = tolerance |θ|, one evaluation each.

    v' is the difference to the velocity one step ago, so no step is taken twice. At a kink v jumps by J however short
    the step, and h settles at 2 tolerance |θ| / |J|: kinks shorten the steps in proportion, and never stop the run.
    """
    for taken in _steps(span, tolerance):
        velocity = field(point)
        wanted = _wanted_step(point, velocity, memory, tolerance)
        step = taken(wanted)
        point = torch.add(point, velocity, alpha=step)
        memory = {"velocity": velocity, "step": step, "wanted": wanted}
    return point, memory


def _wanted_step(point, velocity, memory, tolerance):
    """The step at which Euler's local error is tolerance |θ|, for the run that needs the shortest."""
    size = point.norm(dim=-1)
    if not memory:
        return _step((0.01 * tolerance * size / velocity.norm(dim=-1)).min())
    change = (velocity - memory["velocity"]).norm(dim=-1) / memory["step"]
    wanted = (2 * tolerance * size / change).sqrt().min()
    return min(_step(wanted), GROWTH * memory["wanted"])


def adaptive_heun(field, point, span, memory, tolerance):
    """Heun steps with Euler's inside as the measure: h |v₂ − v₁| / 2 <= tolerance |θ|, or again with a shorter one."""
    wanted, first = memory.get("wanted"), None
    for taken in _steps(span, tolerance):
        first = field(point) if first is None else first
        if wanted is None:
            wanted = _step((0.01 * tolerance * point.norm(dim=-1) / first.norm(dim=-1)).min())
        step = taken(wanted)
        second = field(torch.add(point, first, alpha=step))
        slack = _step((2 * tolerance * point.norm(dim=-1) / (step * (second - first).norm(dim=-1))).min())
        proposal = step * min(GROWTH, max(0.2, 0.9 * math.sqrt(slack)))
        if slack < 1:
            wanted = proposal
            taken(0)
            continue
        # A step cut short by the end of the stretch says nothing against the one that was wanted.
        wanted = max(wanted, proposal) if step < wanted else proposal
        point, first = point + step / 2 * (first + second), None
    return point, {"wanted": wanted}


def clock(field, point, span, memory, tolerance):
    """Equal steps of τ, dτ = dt/|θ|⁴, along the sphere; the first lasts `tolerance` in t, others change with |θ|⁴.

    Only for velocities g(θ) − θ with g of degree −3, as in Eq. 20 with a σ homogeneous of degree 1. With
    f = <θ, g> |θ|² the norm obeys (|θ|⁴)' = −4|θ|⁴ + 4f, which is solved exactly for f held fixed during a step.
    """
    for taken in _steps(span, tolerance):
        velocity, size = field(point), point.norm(dim=-1, keepdim=True)
        memory = memory or {"unit": tolerance / float(size.max()) ** 4}
        step = taken(_step(memory["unit"] * size.min() ** 4))
        direction = point / size
        radial = (velocity * direction).sum(-1, keepdim=True)
        target = size**3 * (radial + size)
        quartic = target + (size**4 - target) * math.exp(-4 * step)  # solves q' = −4 (q − target)
        moved = point + step * (velocity - radial * direction)
        point = moved * (quartic**0.25 / moved.norm(dim=-1, keepdim=True))
    return point, memory


def _steps(span, tolerance):
    """Yields, until `span` is covered, a function that turns the step that is wanted into the one that is taken.

    Called again with 0 it takes the step back.
    """
    left, step = span, 0.0

    def taken(wanted):
        nonlocal step
        # The longest of equal steps that cover what is left and are not longer than wanted: no tiny rest at the end.
        step = left / max(1, math.ceil(left / wanted)) if wanted else 0.0
        return step

    for _ in range(MAX_STEPS):
        yield taken
        left -= step
        if left <= 1e-9 * span:
            return
    done = f"{MAX_STEPS} steps covered {span - left:.3g} of {span:.3g}"
    raise ValueError(f"{done}; raise tolerance={tolerance}, or integrate a shorter time")


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
    "rk4": Method(rk4),
    "adams_bashforth": Method(adams_bashforth),
    "momentum": Method(momentum),
    "adam": Method(adam),
    "adaptive": Method(adaptive, adapts=True, tolerance=1e-2),
    "adaptive_heun": Method(adaptive_heun, adapts=True, tolerance=1e-2),
    "clock": Method(clock, adapts=True, tolerance=1e-2),
}


def method(name, tolerance=None, **options):
    """The Method of this name with its tolerance and its options (beta=, betas=, decay=) settled.

    Raises ValueError with the known names, or for a tolerance that is not positive or that fixed steps have no use for.
    """
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; known are {', '.join(METHODS)}")
    found = METHODS[name]
    if tolerance is not None:
        if not found.adapts:
            raise ValueError(f"tolerance={tolerance} means nothing to method={name!r}; leave it out, and set step")
        found = replace(found, tolerance=checks.positive("tolerance", tolerance))
    return replace(found, advance=functools.partial(found.advance, **options)) if options else found
