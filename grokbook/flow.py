"""Following θ' = v(θ): one driver that advances, records, stops, saves and goes on; and paths at given times."""

import math
from dataclasses import dataclass

import torch
from scipy.integrate import solve_ivp

from grokbook import checkpoint, checks, integrators
from grokbook.display.progress import bar

# DOP853 is left out: between its long steps it interpolates with errors a thousand times the tolerance.
SOLVERS = ("RK45", "Radau", "LSODA")


class FlowError(ValueError):
    """A path that could not go on: `.result` is what was recorded, `.strides` how many strides were taken."""

    def __init__(self, message, result, strides):
        super().__init__(message)
        self.result, self.strides = result, strides


@dataclass(frozen=True)
class Trail:
    """Records by their number of strides, the point at the end, point: (..., d), and the evaluations of the field."""

    records: dict
    point: torch.Tensor
    evaluations: int

    def column(self, name):
        """One entry of all records that have it, stacked. -> (r, ...) on the CPU."""
        return torch.stack([record[name] for record in self.records.values() if name in record]).cpu()

    def numbers(self, name):
        """The numbers of strides at which `name` was recorded. -> (r,) float64."""
        return torch.tensor([k for k, record in self.records.items() if name in record], dtype=torch.float64)


def follow(field, point, span, strides, method, record, *, stop=None, store=None, save_every=None, progress=True):
    """Advance by `strides` stretches of time `span` each, or of the times in the list `span`. -> Trail.

    field: (..., d) -> (..., d), point: (..., d); record(k, point, last, evaluations) returns a dict of tensors after k
    strides, {} where nothing is due and with an entry `last` where it is due only because the path ends; stop(record)
    ends the path. store: a `checkpoint.Store`, saved every `save_every` strides and at the end, also when an error or
    an interruption ends the path; a path that was saved goes on from there. Raises FlowError with the records so far
    where a stride fails or leaves the finite numbers."""
    store = store or checkpoint.Store(None, {})
    now, records = store.load(point.device) or ((0, point, {}, 0), {})
    if now[0] > strides:
        raise ValueError(
            f"{store.path} holds a path of {now[0]} strides, longer than {strides}; ask for as many, or choose "
            "another file"
        )
    counted, saved = _Counted(field, now[3]), now[0]
    records = {k: kept for k, kept in records.items() if "last" not in kept or k == strides}
    try:
        with bar(strides, now[0], progress) as shown:
            while True:
                k, point, memory, _ = now
                if k not in records and (found := record(k, point, k >= strides, counted.evaluations)):
                    records[k] = found
                if k >= strides or (stop is not None and k in records and stop(records[k])):
                    break
                stretch = span[k] if isinstance(span, list) else span
                point, memory = method.advance(counted, point, stretch, memory, method.tolerance)
                if not bool(point.sum().isfinite()):
                    raise ValueError("the path leaves the finite numbers")
                now = (k + 1, point, memory, counted.evaluations)
                shown.update()
                if save_every and now[0] - saved >= save_every:
                    store.save(now, records)
                    saved = now[0]
    except ValueError as error:
        if not records:
            raise
        raise FlowError(f"after {now[0]} strides: {error}", Trail(records, now[1], now[3]), now[0]) from error
    finally:
        # A start that failed leaves no file behind: it would refuse the corrected one as another run.
        if records:
            store.save(now, records)
    return Trail(records, now[1], now[3])


class _Counted:
    """A field that counts how often it was asked."""

    def __init__(self, field, evaluations):
        self.field, self.evaluations = field, evaluations

    def __call__(self, point):
        velocity = self.field(point)
        self.evaluations += 1
        return velocity


@dataclass(frozen=True)
class Path:
    """A curve at recorded times. time: (T,), points: (T, ...), one point a time."""

    time: torch.Tensor
    points: torch.Tensor

    @property
    def end(self):
        """The last point. -> (...)."""
        return self.points[-1]


def flow(field, start, times, *, step=None, method="rk4", tolerance=None, max_steps=1_000_000):
    """The path of θ' = field(θ) with θ(times[0]) = start, recorded at times. start: (...), times: (T,) -> Path.

    method: a name of `grokbook.integrators.METHODS`, with fixed steps of at most `step`, an even number of them
    between two recorded times, or with steps of its own to `tolerance`; or SciPy's "RK45", "Radau" or "LSODA", with a
    local error below `tolerance` (1e-10), relative and absolute. The last two are for stiff fields, such as -∇L_λ with
    a small λ over times of 1/λ. Raises ValueError for bad input, a path that leaves the finite numbers (FlowError with
    what there is of it) and one that needs more than `max_steps` steps (evaluations of the field, for SciPy's
    solvers)."""
    checks.real("start", start)
    if (shape := field(start).shape) != start.shape:
        raise ValueError(f"the field returns {tuple(shape)} at a start of {tuple(start.shape)}; give them one shape")
    times = torch.as_tensor(times, dtype=start.dtype, device=start.device)
    if times.ndim != 1 or len(times) < 1 or not bool((times.diff() > 0).all() and times.isfinite().all()):
        raise ValueError(
            f"times has shape {tuple(times.shape)} and must be a list of finite times that increases, the start's first"
        )
    found = None if method in SOLVERS else integrators.method(method, tolerance)
    fixed = found is not None and not found.adapts
    if fixed and step is None:
        raise ValueError(f"step={step} must be positive and finite for method={method!r}; or pass method='RK45'")
    if not fixed and step is not None:
        raise ValueError(f"step={step} means nothing to method={method!r}, which takes its own; pass tolerance")
    if method in SOLVERS:
        accuracy = checks.positive("tolerance", 1e-10 if tolerance is None else tolerance)
        return _solved(method, field, start, times, accuracy, max_steps)
    longest = checks.positive("step", step) if fixed else math.inf
    gaps = times.diff().tolist()
    counts = [max(1, math.ceil(gap / longest - 1e-9)) for gap in gaps]
    if sum(counts) > max_steps:
        raise ValueError(f"{sum(counts)} steps of {step} reach time {times[-1]:g}, over max_steps={max_steps}")
    spans = [gap / count for gap, count in zip(gaps, counts, strict=True) for _ in range(count)]
    recorded = {0, *torch.tensor(counts).cumsum(0).tolist()}

    def record(k, point, last, evaluations):
        return {"point": point.reshape(start.shape)} if k in recorded else {}

    def flat_field(point):
        return field(point.reshape(start.shape)).reshape(-1)

    try:
        trail = follow(flat_field, start.reshape(-1), spans, len(spans), found, record, progress=False)
    except FlowError as error:
        k, known = error.strides, error.result.column("point").to(start.device)
        moment = times[0].item() + sum(spans[: k + 1])
        message = f"the path is not finite at time {moment:g} with steps of {spans[k]:g}; lower the step"
        raise FlowError(f"{message}. {error.__cause__}", Path(times[: len(known)], known), k) from error
    return Path(times, trail.column("point").to(start.device))


def _solved(method, field, start, times, tolerance, max_steps):
    """SciPy's solver on the flattened state; torch in and out."""
    if len(times) == 1:
        return Path(times, start[None])
    evaluations = 0

    def flat_field(time, flat):
        nonlocal evaluations
        evaluations += 1
        if evaluations > max_steps:
            raise ValueError(
                f"{method} reached time {time:g} of {times[-1]:g} after {max_steps} evaluations of the field; "
                "raise the tolerance, take method='LSODA' if the field is stiff, or raise max_steps"
            )
        velocity = field(torch.as_tensor(flat, dtype=start.dtype, device=start.device).reshape(start.shape))
        if not torch.isfinite(velocity).all():
            raise ValueError(f"the field is not finite at time {time:g}; end before it, or lower the tolerance")
        return velocity.detach().reshape(-1).cpu().numpy()

    flat_start = start.detach().reshape(-1).cpu().numpy()
    span = (times[0].item(), times[-1].item())
    solved = solve_ivp(
        flat_field, span, flat_start, method=method, t_eval=times.cpu().numpy(), rtol=tolerance, atol=tolerance
    )
    if not solved.success:
        reached = solved.t[-1] if len(solved.t) else span[0]
        raise ValueError(f"{method} gave up after time {reached:g} of {span[1]:g}: {solved.message}; end earlier")
    points = torch.as_tensor(solved.y.T, dtype=start.dtype, device=start.device)
    return Path(times, points.reshape(len(times), *start.shape))
