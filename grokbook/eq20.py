"""Eqs 15 to 20 at one point, for any task and any feature map: the optimal readout, the cost, the velocity."""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from grokbook import checks, linalg
from grokbook.network import OneLayer

GRAM_BLOCKS, BLOCK_ROWS = 8, 64  # at most so many blocks, of about so many rows where there are fewer


class Solution(NamedTuple):
    """The optimal readout for one θ, and what the derivation meets on the way."""

    H: torch.Tensor  # (..., n, d_hidden) the last hidden layer
    pull: Callable  # (G, onto) -> onto + J_HᵀG
    multiplier: torch.Tensor  # (..., n, m) AY with A = (HHᵀ + λI)⁻¹
    W_transposed: torch.Tensor  # (..., m, d_hidden) (HᵀAY)ᵀ, Eqs 15 and 18
    readout_cost: torch.Tensor  # (...) Tr YᵀAY


class Isolated:
    """Eqs 15 to 20 on one task with everything that does not change prepared.

    θ, like: (..., p, d_hidden), or as `features` takes it; of `like` only dtype and device count.
    features(inputs, activation=...) returns a `grokbook.network.FeatureMap` on X as an operator.
    """

    def __init__(self, task, like, activation="relu", decay=0.0, features=OneLayer):
        checks.floating("E", like)
        if task.X_train.device != like.device:
            raise ValueError(f"E is on {like.device}, the task on {task.X_train.device}; move one with .to(...)")
        self.task, self.decay = task, checks.not_negative("decay", decay)
        self.features = features(task.inputs, activation=activation)
        self.test_features = features(task.inputs_test, activation=activation)
        self.Y = task.Y_train.to(like)

    def solve(self, theta):
        """The optimal readout for θ by one Cholesky factor of HHᵀ + λI and two triangular solves. -> Solution."""
        self.check(theta)
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
        factor, singular = linalg.factorised(gram, overwrite=True)
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
        """What is worth noting at one θ, in a dict. test_accuracy, cost, train_error: (...); norms: (2, ...)."""
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

    def check(self, theta):
        """Raise ValueError where θ is of another task, dtype or device than what was prepared."""
        if self.features.ndim == 2 and (theta.ndim < 2 or theta.shape[-2] != self.task.p):
            raise ValueError(f"E has shape {tuple(theta.shape)}, but p={self.task.p}; E must be (..., p, d_hidden)")
        if (theta.dtype, theta.device) != (self.Y.dtype, self.Y.device):
            raise ValueError(
                f"E is {theta.dtype} on {theta.device}, what was prepared {self.Y.dtype} on {self.Y.device}; "
                "use .to(...)"
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
    """The lower triangle of HHᵀ, kept by columns; above it, blocks stay unset. H: (..., n, d) -> (..., n, n).

    A Cholesky factor reads no more than this, and leaving out what it does not read saves two fifths of the largest
    product; by columns it can take the place of HHᵀ. On a GPU one full product is faster, and autograd needs one.
    """
    if H.is_cuda or H.requires_grad:
        return H @ H.mT  # autograd cannot see what is written in place
    n = H.shape[-2]
    blocks = min(GRAM_BLOCKS, math.ceil(n / BLOCK_ROWS))
    if H.ndim > 2 or blocks < 2:
        return (H @ H.mT).mT
    gram = H.new_empty(n, n)
    cuts = [i * n // blocks for i in range(blocks + 1)]
    for low, high in itertools.pairwise(cuts):
        torch.mm(H[low:high], H[low:].mT, out=gram[low:high, low:])
    return gram.mT
