"""Models of two or three weights that show what large ones do: a map F, a target y, and so a loss."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from grokbook import checks
from grokbook.activations import leaky_relu


@dataclass(frozen=True)
class Toy:
    """L(θ) = |F(θ) - y|^2, Eq. 1. F: (d,) -> (m,); y: (m,); its zero-loss set is F = y."""

    F: Callable
    y: torch.Tensor

    def loss(self, theta, decay=0.0):
        """L_λ(θ) = |F(θ) - y|^2 + λ |θ|^2. (d,) -> ()."""
        return ((self.F(theta) - self.y) ** 2).sum() + decay * (theta**2).sum()

    def descent(self, decay=0.0):
        """The field -∇L_λ of Eq. 3. -> a function (d,) -> (d,)."""

        def field(theta):
            theta = theta.detach().requires_grad_()
            with torch.enable_grad():
                return -torch.autograd.grad(self.loss(theta, decay), theta)[0]

        return field


def _toy(output, target):
    return Toy(lambda theta: output(theta).reshape(1), torch.tensor([float(target)], dtype=torch.float64))


def linear(X, targets):
    """F(w) = X w, one output a sample. X: (k, d), targets: (k,)."""
    if X.ndim != 2 or targets.shape != X.shape[:1]:
        raise ValueError(f"X is {tuple(X.shape)} and targets {tuple(targets.shape)}; pass (k, d) and (k,)")
    return Toy(lambda w: X @ w, targets)


def addition(weights=2):
    """Figs 1 and 2: a linear model learns 1 + ... + 1 = d from that one sample; F = w_1 + ... + w_d, y = d."""
    return linear(torch.ones(1, weights, dtype=torch.float64), torch.tensor([float(weights)], dtype=torch.float64))


def two_layers(target=1.0):
    """Fig. 3, left and centre: a linear network with one hidden unit, F = w_1 w_2; for y = 0 the origin is singular."""
    return _toy(lambda w: w[0] * w[1], target)


def leaky_addition(target=2.0):
    """Fig. 3, right: one layer of two leaky ReLU units, F = σ(w_1) + σ(w_2); corners where a weight is 0."""
    return _toy(lambda w: leaky_relu(w).sum(), target)


def parabola():
    """Fig. 4: L(x, y) = (y - x^2)^2."""
    return _toy(lambda point: point[1] - point[0] ** 2, 0.0)


def circle(radius=1.0):
    """F = |θ|^2, y = r^2: the circle in the plane, the sphere in space."""
    return _toy(lambda theta: (theta**2).sum(), radius**2)


def line(normal, offset):
    """F = n·θ, y = c: a line in the plane, a plane in space. normal: (d,)."""
    return linear(normal[None], torch.tensor([float(offset)], dtype=normal.dtype))


def linear_descent(X, targets, decay, start, times):
    """The exact path of θ' = -∇L_λ for F = Xθ, one exponential for each right singular vector of X.

    θ(t) = θ* + exp(-2 (XᵀX + λ) t)(θ(0) - θ*) with θ* = (XᵀX + λ)⁻¹Xᵀy; for λ = 0 the part no sample sees stays.
    X: (k, d), targets: (k,), start: (d,), times: (T,) -> (T, d). Raises ValueError for a negative decay.
    """
    decay = checks.not_negative("decay", decay)
    left, values, right = torch.linalg.svd(X)
    squares, pull = torch.zeros_like(start), torch.zeros_like(start)
    squares[: len(values)] = values**2
    pull[: len(values)] = values * (left.T @ targets)[: len(values)]
    # The clamp lets the second term, 2 pull t (1 - e^{-x}) / x, take its limit at x = 0, where θ* is not defined.
    x = (2 * times[:, None] * (squares + decay)).clamp(min=torch.finfo(start.dtype).tiny)
    along = (right @ start) * torch.exp(-x) - 2 * pull * times[:, None] * torch.expm1(-x) / x
    return along @ right
