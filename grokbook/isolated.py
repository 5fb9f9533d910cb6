"""The first layer alone, its readout always optimal: Eqs 15 to 20 for inputs that are sums of two one-hots.

Everywhere E is (..., p, d_hidden); leading dimensions are separate runs. decay is λ of Eq. 13; decay=0 is the limit
λ → 0, which needs d_hidden > n. Time is measured in 1/(2λ): Eq. 20 is dE/dt = −∇R/(2λ).
"""

import itertools
import math
from typing import NamedTuple

import torch

from grokbook import checkpoint, integrators
from grokbook.linalg import explain_singular
from grokbook.network import activation_pair
from grokbook.simulation import Simulation, SimulationError, follow

__all__ = [
    "Layer",
    "Simulation",
    "SimulationError",
    "Solution",
    "accuracy",
    "cost",
    "embed",
    "initial_embedding",
    "lower_gram",
    "readout",
    "simulate",
    "velocity",
]

GRAM_BLOCKS = 4
# Repeated rows of H leave a squared pivot of at most 0.3 rounding units beside the largest diagonal entry, and the
# paper's runs one of 8e-4; a tolerance that grew with n would stop float32 at widths just above n.
NOISE_PIVOT = 8


class Solution(NamedTuple):
    """The optimal second layer for one E, and what the derivation meets on the way."""

    Z: torch.Tensor  # (..., n, d_hidden) pre-activations XE
    H: torch.Tensor  # (..., n, d_hidden) σ(XE)
    multiplier: torch.Tensor  # (..., n, p) AY with A = (HHᵀ + λI)⁻¹
    W_transposed: torch.Tensor  # (..., p, d_hidden) (HᵀAY)ᵀ, Eqs 15 and 18
    readout_cost: torch.Tensor  # (...) Tr YᵀAY


class Layer:
    """Eqs 15 to 20 on one task with everything that does not change prepared: index lists, targets, σ and σ'."""

    def __init__(self, task, like, activation="relu", decay=0.0):
        if not 0 <= decay < math.inf:
            raise ValueError(f"decay={decay} must be finite and not negative; 0 is the limit λ → 0")
        if not like.is_floating_point():
            raise ValueError(f"E is {like.dtype}, but Eqs 15 to 20 need real numbers; pass E.double()")
        if task.pairs_train.device != like.device:
            raise ValueError(f"E is on {like.device}, the task on {task.pairs_train.device}; move one with .to(...)")
        self.task, self.decay, self.activation = task, decay, activation
        self.sigma, self.sigma_prime = activation_pair(activation)
        self.first, self.second = task.pairs_train.T.contiguous()
        self.Y = task.Y_train.to(like)

    def solve(self, E):
        """The optimal readout for E by one Cholesky factor of HHᵀ + λI and two triangular solves. -> Solution."""
        self._check(E)
        Z = embed(E, self.first, self.second)
        H = self.sigma(Z)
        gram = lower_gram(H)
        if self.decay:
            gram.diagonal(dim1=-2, dim2=-1).add_(self.decay)
        factor, failed = torch.linalg.cholesky_ex(gram)
        diagonal = gram.diagonal(dim1=-2, dim2=-1)
        noise = NOISE_PIVOT * torch.finfo(H.dtype).eps * diagonal.amax(-1)
        singular = (failed > 0) | (factor.diagonal(dim1=-2, dim2=-1).amin(-1).square() <= noise)
        if singular.any():
            raise self._explain(H, singular)
        half = torch.linalg.solve_triangular(factor, self.Y, upper=False)
        multiplier = torch.linalg.solve_triangular(factor.mT, half, upper=True)
        return Solution(Z, H, multiplier, multiplier.mT @ H, half.square().sum((-2, -1)))

    def velocity(self, E, solution=None):
        """Eq. 20: Xᵀ((AY Wᵀ) ⊙ σ'(XE)) − E, since AYYᵀAH = AY Wᵀ. -> like E."""
        Z, _, multiplier, W_transposed, _ = self.solve(E) if solution is None else solution
        pull = multiplier @ W_transposed
        if self.activation == "relu":
            # The kernel that autograd uses for ReLU: one pass, where the mask and the product take three.
            pull = torch.ops.aten.threshold_backward(pull, Z, 0)
        else:
            pull.mul_(self.sigma_prime(Z))
        return torch.neg(E).index_add_(-2, self.first, pull).index_add_(-2, self.second, pull)

    def record(self, E, solution):
        """What is worth noting at one E, each entry of the leading shape of E, norms with (2, ...)."""
        norms = torch.stack([E.square().sum((-2, -1)), solution.W_transposed.square().sum((-2, -1))])
        cost = norms[0] + solution.readout_cost
        if not bool(cost.isfinite().all()):
            raise ValueError(f"R/λ is {cost.max().item()} at an embedding of squared norm {norms[0].max().item():.3g}")
        residual = solution.H @ solution.W_transposed.mT - self.Y
        return dict(
            test_accuracy=accuracy(E, solution, self.task, self.sigma),
            cost=cost,
            train_error=residual.abs().amax((-2, -1)),
            norms=norms,
        )

    def _check(self, E):
        n = len(self.first)
        if E.ndim < 2 or E.shape[-2] != self.task.p:
            raise ValueError(f"E has shape {tuple(E.shape)}, but p={self.task.p}; E must be (..., p, d_hidden)")
        if (E.dtype, E.device) != (self.Y.dtype, self.Y.device):
            raise ValueError(f"E is {E.dtype} on {E.device}, the layer {self.Y.dtype} on {self.Y.device}; use .to(...)")
        if self.decay == 0 and E.shape[-1] <= n:
            raise ValueError(
                f"d_hidden={E.shape[-1]} must exceed the {n} training pairs for Eq. 20; raise it, or pass decay > 0 "
                "to use Eq. 15"
            )

    def _explain(self, H, singular):
        """The error for a Gram matrix that cannot be solved with, and the training pairs to blame. singular: (...)."""
        n, width = H.shape[-2:]
        run = int(singular.reshape(-1).nonzero()[0])
        rows_of_run = H.reshape(-1, n, width)[run]
        error = explain_singular(rows_of_run @ rows_of_run.mT, "HHᵀ")
        blamed = [tuple(self.task.pairs_train[row].tolist()) for row in error.rows[:5]]
        where = f"in run {run} " if singular.numel() > 1 else ""
        return ValueError(f"{error} {where}(training pairs {blamed}{' …' if len(error.rows) > 5 else ''})")


def embed(E, first, second):
    """XE for X = sums of two one-hots, by indexing. E: (..., p, d); first, second: (n,) -> (..., n, d)."""
    return E.index_select(-2, first).add_(E.index_select(-2, second))


def lower_gram(H):
    """The lower triangle of HHᵀ; above it, blocks stay unset. H: (..., n, d) -> (..., n, n).

    A Cholesky factor reads no more than this, and leaving out what it does not read saves a third of the largest
    product. On a GPU one full product is faster, and autograd needs one.
    """
    if H.is_cuda or H.ndim > 2 or H.requires_grad:  # autograd cannot see what is written in place
        return H @ H.mT
    n = len(H)
    gram = H.new_empty(n, n)
    cuts = [i * n // GRAM_BLOCKS for i in range(GRAM_BLOCKS + 1)]
    for low, high in itertools.pairwise(cuts):
        torch.mm(H[low:high], H[:high].mT, out=gram[low:high, :high])
    return gram


def readout(E, task, activation="relu", decay=0.0):
    """Eq. 18, W = H⁺Y, or Eq. 15 for decay > 0. E: (..., p, d_hidden) -> (..., d_hidden, p).

    Raises ValueError where d_hidden <= n with decay=0, and for a singular HHᵀ with the training pairs to blame.
    """
    return Layer(task, E, activation, decay).solve(E).W_transposed.mT


def cost(E, task, activation="relu", decay=0.0):
    """R/λ of Eq. 19: ‖E‖² + Tr Yᵀ(HHᵀ + λI)⁻¹Y. E: (..., p, d_hidden) -> (...). Raises as `readout` does."""
    solution = Layer(task, E, activation, decay).solve(E)
    return E.square().sum((-2, -1)) + solution.readout_cost


def velocity(E, task, activation="relu", decay=0.0):
    """Eq. 20: dE/dt = Xᵀ((AYYᵀAH) ⊙ σ'(XE)) − E = −∇R/(2λ). E: (..., p, d_hidden) -> like E.

    decay > 0 puts A = (HHᵀ + λI)⁻¹, the same formula for Eqs 15 to 17. Raises as `readout` does.
    """
    return Layer(task, E, activation, decay).velocity(E)


def initial_embedding(p, d_hidden, generator, scale=None, dtype=torch.float64):
    """E ~ N(0, scale²) entrywise, scale = p^(−1/2) unless given. -> (p, d_hidden).

    Section 7.3 writes N(0, p^(−1/2)): a standard deviation of p^(−1/2) is one reading, p^(−1/4) the other.
    """
    scale = p**-0.5 if scale is None else scale
    return scale * torch.randn(p, d_hidden, generator=generator, dtype=dtype)


def accuracy(E, solution, task, sigma):
    """The share of test pairs whose largest output is the right one (Section 7.2). -> (...) float64."""
    outputs = sigma(embed(E, *task.pairs_test.T)) @ solution.W_transposed.mT
    return (outputs.argmax(-1) == task.labels_test).double().mean(-1)


def simulate(
    E,
    task,
    step=1e-3,
    steps=5000,
    activation="relu",
    decay=0.0,
    *,
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

    E: (..., p, d_hidden). stop_at: end at the first record where every run has this test accuracy. state_file: the run
    is saved there every `save_every` steps and when it is interrupted; called again with the same arguments (steps may
    grow) it goes on from there and gives the numbers of an uninterrupted run. device, dtype: E and the task are moved.
    method: a name of `grokbook.integrators.METHODS`. "adaptive" needs the fewest velocities: it covers the same time,
    step · steps, and goes from record to record in steps of its own, set by `tolerance`.
    Raises ValueError for bad input or another run's state, SimulationError where the state stops being finite.
    """
    if not step > 0 or steps < 0 or record_every < 1 or save_every < 1:
        given = f"step={step}, steps={steps}, record_every={record_every}, save_every={save_every}"
        raise ValueError(f"{given}: need > 0, >= 0, >= 1 and >= 1")
    integrator = integrators.method(method, tolerance)
    if integrator.adapts and (steps % record_every or (snapshot_every or 0) % record_every):
        given = f"steps={steps}, snapshot_every={snapshot_every}, record_every={record_every}"
        raise ValueError(f"{given}: method={method!r} stops at records only; make the first two multiples of the last")
    E = E.to(device=device, dtype=dtype).clone()
    task = task.to(E.device)
    layer = Layer(task, E, activation, decay)
    settings = dict(step=step, activation=activation, decay=decay, record_every=record_every, snapshots=snapshot_every)
    settings.update(method=method, tolerance=integrator.tolerance)
    identity = checkpoint.identity(settings, E, task.pairs_train, task.labels_train, task.pairs_test)
    due = dict(record=record_every, snapshot=snapshot_every, save=save_every)
    return follow(layer, E, integrator, step, steps, due, stop_at, state_file, identity, progress)
