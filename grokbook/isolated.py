"""All layers but the readout, which is always optimal: Eqs 15 to 20 for any task and any feature map.

θ is what comes before the readout: E (..., n_in, d_hidden) for one layer, as in the paper, or whatever the feature map
takes; leading dimensions are separate runs. decay is λ of Eq. 13; decay=0 is the limit λ → 0, which needs d_hidden > n.
Time is measured in 1/(2λ): Eq. 20 is dθ/dt = −∇R/(2λ) with R/λ = ‖θ‖² + Tr Yᵀ(HHᵀ + λI)⁻¹Y at any depth.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from grokbook import checkpoint, checks, flow, integrators
from grokbook.activations import activation_of, smoothed
from grokbook.descent import Descent
from grokbook.eq20 import Isolated
from grokbook.flow import FlowError
from grokbook.network import OneLayer


def readout(E, task, activation="relu", decay=0.0, features=OneLayer):
    """Eq. 18, W = H⁺Y, or Eq. 15 for decay > 0. E: (..., p, d_hidden) -> (..., d_hidden, m).

    features as in `Isolated`. Raises ValueError where d_hidden <= n with decay=0, and for a singular HHᵀ with the
    training samples to blame."""
    return Isolated(task, E, activation, decay, features).solve(E).W_transposed.mT


def cost(E, task, activation="relu", decay=0.0, features=OneLayer):
    """R/λ of Eq. 19: ‖E‖² + Tr Yᵀ(HHᵀ + λI)⁻¹Y. E: (..., p, d_hidden) -> (...). Raises as `readout` does."""
    return Isolated(task, E, activation, decay, features).cost(E)


def velocity(E, task, activation="relu", decay=0.0, features=OneLayer):
    """Eq. 20: dE/dt = Xᵀ((AYYᵀAH) ⊙ σ'(XE)) − E = −∇R/(2λ). E: (..., p, d_hidden) -> like E.

    decay > 0 puts A = (HHᵀ + λI)⁻¹, the same formula for Eqs 15 to 17. Raises as `readout` does.
    """
    return Isolated(task, E, activation, decay, features).velocity(E)


def initial_embedding(p, d_hidden, generator, scale=None, dtype=torch.float64):
    """E ~ N(0, scale²) entrywise, scale = p^(−1/2) unless given. -> (p, d_hidden).

    Section 7.3 writes N(0, p^(−1/2)): a standard deviation of p^(−1/2) is one reading, p^(−1/4) the other.
    """
    shape = checks.whole("p", p, 1), checks.whole("d_hidden", d_hidden, 1)
    scale = p**-0.5 if scale is None else checks.positive("scale", scale)
    return scale * torch.randn(shape, generator=checks.random(generator), dtype=dtype)


@dataclass(frozen=True)
class Simulation:
    """What `simulate` recorded, r records of runs with the leading shape (...) of E.

    time: (r,) in 1/(2λ); test_accuracy, cost, train_error: (r, ...), cost as R/λ, the error as the largest |HW − Y|;
    norms: (r, 2, ...) with ‖E‖² and ‖W‖²; E: (..., p, d_hidden), the last; snapshot_time: (s,) and snapshots:
    (s, ..., p, d_hidden); evaluations: (r,) how many velocities the path took up to each record.
    """

    time: torch.Tensor
    test_accuracy: torch.Tensor
    cost: torch.Tensor
    train_error: torch.Tensor
    norms: torch.Tensor
    E: torch.Tensor
    snapshot_time: torch.Tensor
    snapshots: torch.Tensor
    evaluations: torch.Tensor


class SimulationError(FlowError):
    """A simulation that could not go on; `.result` is the Simulation up to the last good record."""


def simulate(
    E,
    task,
    step=1e-3,
    steps=5000,
    activation="relu",
    decay=0.0,
    *,
    features=OneLayer,
    record_every=10,
    snapshot_every=None,
    stop_at=None,
    state_file=None,
    save_every=500,
    device=None,
    dtype=None,
    progress=True,
    method="euler",
    tolerance=None,
):
    """Section 7.3: E ← E + step · velocity(E), recorded every `record_every` steps and at the end. -> Simulation.

    E: (..., p, d_hidden), or the θ of `features`. stop_at: end at the first record where every run has this test
    accuracy. state_file: the run is saved there every `save_every` steps and when it is interrupted; called again with
    the same arguments (steps may grow) it goes on from there and gives the numbers of an uninterrupted run. device,
    dtype: E and the task are moved. method: a name of `grokbook.integrators.METHODS`. "adaptive" needs the fewest
    velocities: it covers the same time, step · steps, and goes from record to record in steps of its own, set by
    `tolerance`. Raises ValueError for bad input or another run's state, SimulationError where the state stops being
    finite."""
    step, steps = checks.positive("step", step), checks.whole("steps", steps)
    record_every, save_every = checks.whole("record_every", record_every, 1), checks.whole("save_every", save_every, 1)
    snapshot_every = snapshot_every if snapshot_every is None else checks.whole("snapshot_every", snapshot_every, 1)
    stop_at = stop_at if stop_at is None else checks.not_negative("stop_at", stop_at, most=1)
    integrator = integrators.method(method, tolerance)
    stride = record_every if integrator.adapts else 1
    if steps % stride or (snapshot_every or 0) % stride:
        given = f"steps={steps}, snapshot_every={snapshot_every}, record_every={record_every}"
        raise ValueError(f"{given}: method={method!r} stops at records only; make the first two multiples of the last")
    if dtype not in (None, torch.float32, torch.float64):
        raise ValueError(f"dtype={dtype!r} must be torch.float32 or torch.float64")
    if checks.floating("E", E).numel() == 0:
        raise ValueError(f"E has shape {tuple(E.shape)}, which holds no run")
    if method == "clock" and activation_of(activation).degree != 1:
        raise ValueError(f"method='clock' needs a σ of degree 1, not {activation!r}; take 'adaptive'")
    E, task = E.to(device=device, dtype=dtype), task.to(device or E.device)
    layer = Isolated(task, E, activation, decay, features)
    shape, ndim = E.shape, layer.features.ndim
    latest = solved = None

    def solution(flat):
        nonlocal latest, solved
        if flat is not latest:
            latest, solved = None, layer.solve(flat.view(shape))
            latest = flat
        return solved

    def field(flat):
        return layer.velocity(flat.view(shape), solution(flat)).flatten(-ndim)

    def record(k, flat, last, evaluations):
        k, found = k * stride, {}
        if k % record_every == 0 or last:
            found = layer.record(flat.view(shape), solution(flat)) | {"evaluations": torch.tensor(evaluations)}
        if k % record_every and last:
            found["last"] = torch.tensor(True)
        if snapshot_every and k % snapshot_every == 0:
            found["snapshot"] = flat.view(shape)
        return found

    settings = dict(step=step, activation=str(activation), decay=decay, record_every=record_every)
    settings |= dict(snapshots=snapshot_every, method=method, tolerance=integrator.tolerance)
    identity = checkpoint.identity(settings, E, task.X_train, task.Y_train, task.X_test, task.Y_test)
    options = dict(store=checkpoint.Store(state_file, identity), save_every=max(1, save_every // stride))
    if stop_at is not None:
        options["stop"] = lambda found: "cost" in found and bool((found["test_accuracy"] >= stop_at).all())
    try:
        trail = flow.follow(
            field,
            E.flatten(-ndim).clone(),
            stride * step,
            steps // stride,
            integrator,
            record,
            progress=progress,
            **options,
        )
    except FlowError as error:
        where = (
            f"step {error.strides} (t = {error.strides * step:.4g}) could not be taken with step={step}; lower step."
        )
        if integrator.adapts:
            time = error.strides * stride * step
            where = f"t = {time:.4g} could not be left with tolerance={integrator.tolerance}; lower it."
        result = _simulation(error.result, step * stride, shape)
        raise SimulationError(f"{where} {error.__cause__}", result, error.strides) from error
    return _simulation(trail, step * stride, shape)


def _simulation(trail, stride, shape):
    columns = ("test_accuracy", "cost", "train_error", "norms", "evaluations")
    snapshots = trail.numbers("snapshot")
    return Simulation(
        time=stride * trail.numbers("cost"),
        E=trail.point.view(shape),
        snapshot_time=stride * snapshots,
        snapshots=trail.column("snapshot") if len(snapshots) else trail.point.new_empty(0, *shape),
        **{name: trail.column(name) for name in columns},
    )


class Minimum(NamedTuple):
    """Where `minimise` ended: its E: (p, d_hidden), R/λ there, velocities evaluated, ‖dE/dt‖/‖E‖ with the last
    rounding, and why."""

    E: torch.Tensor
    cost: float
    evaluations: int
    speed: float
    why: str


# How far kinks are rounded off beside the root mean square of H, one after another.
ROUNDINGS = (0.06, 0.015, 0.004)


def minimise(E, task, activation="relu", decay=0.0, *, features=OneLayer, evaluations=450, tolerance=1e-2):
    """The end of Eq. 20, t → ∞, directly: a local minimum of R by L-BFGS. E: (p, d_hidden), one run -> Minimum.

    Eq. 20 chatters on the kinks of ReLU, and so does every method along it. Here the kinks are rounded off, less and
    less, and each rounded R is minimised from where the last one ended, with an equal share of `evaluations`. A stage
    ends early where its velocity is at most `tolerance` ‖E‖. Raises ValueError for a batch, for a decay that leaves
    nothing of E, and as `readout` does."""
    activation, tolerance = activation_of(activation), checks.positive("tolerance", tolerance)
    exact = Isolated(task, E, activation, decay, features)
    if E.ndim != exact.features.ndim:
        raise ValueError(f"E has shape {tuple(E.shape)}; minimise takes one run, {exact.features.ndim} dimensions")
    exact.check(E)
    stages = ROUNDINGS if activation.kinked else (None,)
    share = checks.whole("evaluations", evaluations, len(stages)) // len(stages)
    used = 0
    for width in stages:
        size = exact.features.hidden(E).square().mean().sqrt()
        rounded = activation if width is None else smoothed(activation, width * float(size))
        descent = Descent(Isolated(task, E, rounded, decay, features), E, tolerance)
        E, used = descent.run(E, share), used + descent.evaluations
    cost = float(exact.cost(E))
    if decay and cost >= (1 - 1e-9) * float(task.Y_train.square().sum()) / decay:
        raise ValueError(
            f"decay={decay} leaves nothing to fit: from this start R/λ ends at {cost:.6g}, as much as E = 0 costs; "
            "lower the decay. For σ of degree 1, E = 0 is the minimum only above dual.largest_ratio(task.Y_train, task)"
        )
    return Minimum(E, cost, used, descent.speed, descent.why)
