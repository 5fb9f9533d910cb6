"""All layers but the readout, which is always optimal: Eqs 15 to 20 for any task and any feature map.

θ is what comes before the readout: E (..., n_in, d_hidden) for one layer, as in the paper, or whatever the feature map
takes; leading dimensions are separate runs. decay is λ of Eq. 13; decay=0 is the limit λ → 0, which needs d_hidden > n.
Time is measured in 1/(2λ): Eq. 20 is dθ/dt = −∇R/(2λ) with R/λ = ‖θ‖² + Tr Yᵀ(HHᵀ + λI)⁻¹Y at any depth.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from grokbook import checkpoint, checks, flow, integrators, linalg
from grokbook.flow import FlowError
from grokbook.network import OneLayer

GRAM_BLOCKS = 8


class Solution(NamedTuple):
    """The optimal readout for one θ, and what the derivation meets on the way."""

    H: torch.Tensor  # (..., n, d_hidden) the last hidden layer
    pull: Callable  # (G, onto) -> onto + J_HᵀG
    multiplier: torch.Tensor  # (..., n, m) AY with A = (HHᵀ + λI)⁻¹
    W_transposed: torch.Tensor  # (..., m, d_hidden) (HᵀAY)ᵀ, Eqs 15 and 18
    readout_cost: torch.Tensor  # (...) Tr YᵀAY


class Isolated:
    """Eqs 15 to 20 on one task with everything that does not change prepared.

    features: takes X as an operator and returns a `grokbook.network.FeatureMap`; σ(XE) with `activation` if it is None.
    """

    def __init__(self, task, like, activation="relu", decay=0.0, features=None):
        if not torch.is_tensor(like) or like.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"E is {getattr(like, 'dtype', type(like))}; pass float32 or float64: E.double()")
        if task.X_train.device != like.device:
            raise ValueError(f"E is on {like.device}, the task on {task.X_train.device}; move one with .to(...)")
        features = features or (lambda inputs: OneLayer(inputs, activation))
        self.task, self.decay = task, checks.not_negative("decay", decay)
        self.features, self.test_features = features(task.inputs), features(task.inputs_test)
        self.Y = task.Y_train.to(like)

    def solve(self, theta):
        """The optimal readout for θ by one Cholesky factor of HHᵀ + λI and two triangular solves. -> Solution."""
        self._check(theta)
        H, pull = self.features.linearised(theta)
        n, width = H.shape[-2:]
        if self.decay == 0 and width <= n:
            raise ValueError(
                f"d_hidden={width} must exceed the {n} training samples for Eq. 20; raise it, or pass decay > 0 "
                "to use Eq. 15"
            )
        gram = lower_gram(H)
        if self.decay:
            gram.diagonal(dim1=-2, dim2=-1).add_(self.decay)
        factor, singular = linalg.factorised(gram)
        if singular.any():
            raise self._explain(H, singular)
        half = torch.linalg.solve_triangular(factor, self.Y, upper=False)
        multiplier = torch.linalg.solve_triangular(factor.mT, half, upper=True)
        return Solution(H, pull, multiplier, multiplier.mT @ H, half.square().sum((-2, -1)))

    def velocity(self, theta, solution=None):
        """Eq. 20: J_Hᵀ(AY Wᵀ) − θ, for one layer Xᵀ((AYYᵀAH) ⊙ σ'(XE)) − E. -> like θ."""
        solution = self.solve(theta) if solution is None else solution
        return solution.pull(solution.multiplier @ solution.W_transposed, torch.neg(theta))

    def cost(self, theta, solution=None):
        """R/λ of Eq. 19. -> (...)."""
        solution = self.solve(theta) if solution is None else solution
        return self._squares(theta) + solution.readout_cost

    def record(self, theta, solution):
        """What is worth noting at one θ, each entry of the leading shape of θ, norms with (2, ...)."""
        cost = self.cost(theta, solution)
        if not bool(cost.isfinite().all()):
            raise ValueError(f"R/λ is {cost.max().item()} at a θ of squared norm {self._squares(theta).max():.3g}")
        residual = solution.H @ solution.W_transposed.mT - self.Y
        return dict(
            test_accuracy=self.task.accuracy(self.test_features.hidden(theta) @ solution.W_transposed.mT),
            cost=cost,
            train_error=residual.abs().amax((-2, -1)),
            norms=torch.stack([self._squares(theta), solution.W_transposed.square().sum((-2, -1))]),
        )

    def _squares(self, theta):
        return theta.square().flatten(-self.features.ndim).sum(-1)

    def _check(self, theta):
        if self.features.ndim == 2 and (theta.ndim < 2 or theta.shape[-2] != self.task.p):
            raise ValueError(f"E has shape {tuple(theta.shape)}, but p={self.task.p}; E must be (..., p, d_hidden)")
        if (theta.dtype, theta.device) != (self.Y.dtype, self.Y.device):
            raise ValueError(
                f"E is {theta.dtype} on {theta.device}, what was prepared {self.Y.dtype} on {self.Y.device}; use .to(...)"
            )

    def _explain(self, H, singular):
        """The error for a Gram matrix that cannot be solved with, and the samples to blame. singular: (...)."""
        run = int(singular.reshape(-1).nonzero()[0])
        rows_of_run = H.reshape(-1, *H.shape[-2:])[run]
        error = linalg.explain_singular(rows_of_run @ rows_of_run.mT, "HHᵀ")
        pairs = self.task.pairs_train
        blamed = [row if pairs is None else tuple(pairs[row].tolist()) for row in error.rows[:5]]
        where = f"in run {run} " if singular.numel() > 1 else ""
        kind = "samples" if pairs is None else "pairs"
        return ValueError(f"{error} {where}(training {kind} {blamed}{' …' if len(error.rows) > 5 else ''})")


def lower_gram(H):
    """The lower triangle of HHᵀ; above it, blocks stay unset. H: (..., n, d) -> (..., n, n).

    A Cholesky factor reads no more than this, and leaving out what it does not read saves two fifths of the largest
    product. On a GPU one full product is faster, and autograd needs one.
    """
    if H.is_cuda or H.ndim > 2 or H.requires_grad:
        return H @ H.mT  # autograd cannot see what is written in place
    n = len(H)
    gram = H.new_empty(n, n)
    cuts = [i * n // GRAM_BLOCKS for i in range(GRAM_BLOCKS + 1)]
    for low, high in itertools.pairwise(cuts):
        torch.mm(H[low:high], H[:high].mT, out=gram[low:high, :high])
    return gram


def readout(E, task, activation="relu", decay=0.0, features=None):
    """Eq. 18, W = H⁺Y, or Eq. 15 for decay > 0. E: (..., p, d_hidden) -> (..., d_hidden, m).

    features as in `Isolated`. Raises ValueError where d_hidden <= n with decay=0, and for a singular HHᵀ with the training
    samples to blame.
    """
    return Isolated(task, E, activation, decay, features).solve(E).W_transposed.mT


def cost(E, task, activation="relu", decay=0.0, features=None):
    """R/λ of Eq. 19: ‖E‖² + Tr Yᵀ(HHᵀ + λI)⁻¹Y. E: (..., p, d_hidden) -> (...). Raises as `readout` does."""
    return Isolated(task, E, activation, decay, features).cost(E)


def velocity(E, task, activation="relu", decay=0.0, features=None):
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

    time: (r,) in 1/(2λ); test_accuracy, cost (R/λ) and train_error (largest |HW − Y|): (r, ...); norms: (r, 2, ...)
    with ‖E‖² and ‖W‖²; E: the final embedding; snapshot_time: (s,) and snapshots: (s, ..., p, d_hidden);
    evaluations: (r,) how many velocities the path took up to each record.
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
    features=None,
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
    accuracy. state_file: the run is saved there every `save_every` steps and when it is interrupted; called again with the
    same arguments (steps may grow) it goes on from there and gives the numbers of an uninterrupted run. device, dtype: E
    and the task are moved. method: a name of `grokbook.integrators.METHODS`. "adaptive" needs the fewest velocities: it
    covers the same time, step · steps, and goes from record to record in steps of its own, set by `tolerance`.
    Raises ValueError for bad input or another run's state, SimulationError where the state stops being finite.
    """
    step, steps = checks.positive("step", step), checks.whole("steps", steps)
    record_every, save_every = checks.whole("record_every", record_every, 1), checks.whole("save_every", save_every, 1)
    snapshot_every = snapshot_every if snapshot_every is None else checks.whole("snapshot_every", snapshot_every, 1)
    stop_at = stop_at if stop_at is None else checks.not_negative("stop_at", stop_at, most=1)
    integrator = integrators.method(method, tolerance)
    stride = record_every if integrator.adapts else 1
    if steps % stride or (snapshot_every or 0) % stride:
        given = f"steps={steps}, snapshot_every={snapshot_every}, record_every={record_every}"
        raise ValueError(f"{given}: method={method!r} stops at records only; make the first two multiples of the last")
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
