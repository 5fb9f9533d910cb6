"""What a typical network knows when its readout is free as well: all (E, W) with HW = Y and both norms given.

For one E these W are H⁺Y plus any W⊥ with HW⊥ = 0 and ‖W⊥‖² = s² − g(E), g(E) = ‖H⁺Y‖²: a sphere, in D = (d_hidden −
n) m dimensions. Its volume is the weight of E, and Hamiltonian Monte Carlo on the sphere ‖E‖ = const draws E by it.
"""

import math

import torch

from grokbook import checks, linalg
from grokbook.network import OneLayer


class FreeReadout:
    """The zero-loss networks with ‖W‖² = square. thin=False: (E, W) uniform in E, and in W on what E leaves to it;
    thin=True: uniform among the networks whose outputs miss Y by less than ε, ε → 0.

    E: (p, d_hidden), W: (d_hidden, m). Raises ValueError for a `square` that is not positive."""

    def __init__(self, task, square, activation="relu", thin=False):
        self.task, self.square, self.thin = task, checks.positive("square", square), bool(thin)
        self.features = OneLayer(task.inputs, activation)

    def log_weight(self, E):
        """((D − 2)/2) log(s² − g), and for thin −(m/2) log det HHᵀ more; its gradient. -> (), like E.

        −∞ and no gradient where HHᵀ is singular or g is s² or more."""
        H, pull = self.features.linearised(E)
        (n, width), m = H.shape, self.task.Y_train.shape[1]
        if width <= n:
            raise ValueError(f"d_hidden={width} leaves the readout of {n} training samples no freedom; raise it")
        factor, singular = linalg.factorised(H @ H.T)
        if singular:
            return torch.tensor(-math.inf), None
        multiplier = torch.cholesky_solve(self.task.Y_train.to(E), factor)
        left = self.square - (self.task.Y_train * multiplier).sum()
        if left <= 0:
            return torch.tensor(-math.inf), None
        power = ((width - n) * m - 2) / 2
        value, slope = power * left.log(), 2 * power / left * multiplier @ (multiplier.T @ H)
        if self.thin:
            value = value - m * factor.diagonal().log().sum()
            slope = slope - m * torch.cholesky_solve(H, factor)
        return value, pull(slope, torch.zeros_like(E))

    def readout(self, E, generator):
        """A W of this E, uniform on its sphere. E: (p, d_hidden) -> (d_hidden, m).

        Raises ValueError where E asks for more than `square`."""
        H, Y = self.features.hidden(E), self.task.Y_train.to(E)
        least = linalg.min_norm(H, Y)
        if (left := self.square - least.square().sum()) < 0:
            raise ValueError(f"E asks for ‖W‖² = {least.square().sum():.4g}, over square={self.square}; raise square")
        drawn = torch.randn(least.shape, generator=checks.random(generator), dtype=E.dtype).to(E)
        spare = linalg.null_space_projection(H, drawn)
        return least + spare * (left.sqrt() / spare.norm())


def on_sphere(log_weight, point, generator, steps, step, turns=10):
    """Hamiltonian Monte Carlo on |x| = const: `turns` leaps along great circles a step, then accepted or not.

    log_weight(x) -> value, gradient; x is drawn by e^value, uniformly on the sphere where that is constant. A leap
    takes a time drawn anew for each step, from 0 to `step`. Yields the point and whether it moved, `steps` times.
    point: (k,) or (p, d_hidden). Raises ValueError for bad input and a start of weight zero."""
    steps, step, turns = checks.whole("steps", steps, 1), checks.positive("step", step), checks.whole("turns", turns, 1)
    checks.random(generator)
    value, slope = log_weight(checks.floating("point", point))
    if not math.isfinite(value):
        raise ValueError(f"the start has log weight {float(value)}; start where the weight is positive")
    for _ in range(steps):
        drawn = torch.randn(point.shape, generator=generator, dtype=torch.float64).to(point)
        length, chance = torch.rand(2, generator=generator, dtype=torch.float64).tolist()
        moved = _leaps(log_weight, point, value, slope, _tangent(drawn, point), step * length, turns)
        if accepted := moved is not None and math.log1p(-chance) < moved[3]:
            point, value, slope, _ = moved
        yield point, accepted


def _leaps(log_weight, point, value, slope, speed, step, turns):
    """The end of the path, its value and gradient, and the log of the chance to accept it; None where it leaves."""
    energy = value - speed.square().sum() / 2
    for _ in range(turns):
        speed = speed + step / 2 * _tangent(slope, point)
        rate = speed.norm() / point.norm()
        cosine, sine = (rate * step).cos(), (rate * step).sin()
        point, speed = cosine * point + sine / rate * speed, cosine * speed - rate * sine * point
        value, slope = log_weight(point)
        if slope is None:
            return None
        speed = speed + step / 2 * _tangent(slope, point)
    return point, value, slope, float(value - speed.square().sum() / 2 - energy)


def _tangent(vector, point):
    return vector - (vector * point).sum() / point.square().sum() * point
