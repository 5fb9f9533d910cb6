"""Following θ' = v(θ) through time, with steps of a fixed size or with steps that adapt."""

import math
from dataclasses import dataclass

import torch
from scipy.integrate import solve_ivp


@dataclass(frozen=True)
class Path:
    """A curve at recorded times: time (T,), points (T, ...), one point a time."""

    time: torch.Tensor
    points: torch.Tensor

    @property
    def end(self):
        """The last point."""
        return self.points[-1]


def euler_step(field, point, step):
    """θ + h v(θ): an error of order h over a fixed time."""
    return point + step * field(point)


def rk4_step(field, point, step):
    """The classical Runge–Kutta step: an error of order h^4 over a fixed time."""
    first = field(point)
    second = field(point + step / 2 * first)
    third = field(point + step / 2 * second)
    fourth = field(point + step * third)
    return point + step / 6 * (first + 2 * second + 2 * third + fourth)


FIXED = {"euler": euler_step, "rk4": rk4_step}
# DOP853 is left out: between its long steps it interpolates with errors a thousand times the tolerance.
ADAPTIVE = ("RK45", "Radau", "LSODA")


def flow(field, start, times, *, step=None, method="rk4", tolerance=1e-10, max_steps=1_000_000):
    """The path of θ' = field(θ) with θ(times[0]) = start, recorded at times. start: (...) -> Path.

    method "euler" or "rk4": fixed steps of at most `step`, an even number of them between two recorded times.
    method "RK45", "Radau" or "LSODA": SciPy's adaptive solvers, local error below `tolerance`, relative and
    absolute; the last two are for stiff fields, such as -∇L_λ with a small λ over times of 1/λ.
    Raises ValueError for times that do not increase, a missing or non-positive step or an unknown method, and
    RuntimeError where the path leaves the finite numbers or needs more than `max_steps` steps (evaluations of the
    field, for the adaptive solvers).
    """
    times = torch.as_tensor(times, dtype=start.dtype, device=start.device)
    if times.ndim != 1 or len(times) < 1 or not bool((times.diff() > 0).all()):
        raise ValueError(
            f"times has shape {tuple(times.shape)} and must be a list that increases, the start's time first"
        )
    if method in FIXED:
        if step is None or not 0 < step < math.inf:
            raise ValueError(f"step={step} must be positive and finite for method={method!r}; or pass method='RK45'")
        return _fixed(FIXED[method], field, start, times, step, max_steps)
    if method not in ADAPTIVE:
        raise ValueError(f"unknown method {method!r}; known are {', '.join([*FIXED, *ADAPTIVE])}")
    return _adaptive(method, field, start, times, tolerance, max_steps)


def _fixed(advance, field, start, times, step, max_steps):
    """Equal steps of at most `step` between recorded times."""
    counts = [max(1, math.ceil(gap / step - 1e-9)) for gap in times.diff().tolist()]
    if sum(counts) > max_steps:
        raise RuntimeError(f"{sum(counts)} steps of {step} reach time {times[-1]:g}, over max_steps={max_steps}")
    point, points = start, [start]
    for begin, end, count in zip(times[:-1].tolist(), times[1:].tolist(), counts, strict=True):
        size = (end - begin) / count
        for done in range(count):
            point = advance(field, point, size)
            if not torch.isfinite(point).all():
                raise RuntimeError(
                    f"the path is not finite at time {begin + (done + 1) * size:g} with steps of {size:g}; "
                    "lower the step, or look for a field that grows without bound"
                )
        points.append(point)
    return Path(times, torch.stack(points))


def _adaptive(method, field, start, times, tolerance, max_steps):
    """SciPy's solver on the flattened state; torch in and out."""
    if len(times) == 1:
        return Path(times, start[None])
    evaluations = 0

    def flat_field(time, flat):
        nonlocal evaluations
        evaluations += 1
        if evaluations > max_steps:
            raise RuntimeError(
                f"{method} reached time {time:g} of {times[-1]:g} after {max_steps} evaluations of the field; "
                "raise the tolerance, take method='LSODA' if the field is stiff, or raise max_steps"
            )
        velocity = field(torch.as_tensor(flat, dtype=start.dtype, device=start.device).reshape(start.shape))
        if not torch.isfinite(velocity).all():
            raise RuntimeError(f"the field is not finite at time {time:g}; end before it, or lower the tolerance")
        return velocity.detach().reshape(-1).cpu().numpy()

    flat_start = start.detach().reshape(-1).cpu().numpy()
    span = (times[0].item(), times[-1].item())
    solved = solve_ivp(
        flat_field, span, flat_start, method=method, t_eval=times.cpu().numpy(), rtol=tolerance, atol=tolerance
    )
    if not solved.success:
        reached = solved.t[-1] if len(solved.t) else span[0]
        raise RuntimeError(f"{method} gave up after time {reached:g} of {span[1]:g}: {solved.message}; end earlier")
    points = torch.as_tensor(solved.y.T, dtype=start.dtype, device=start.device)
    return Path(times, points.reshape(len(times), *start.shape))
