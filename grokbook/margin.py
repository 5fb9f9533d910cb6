"""How far a zero-loss set stays from being singular: the least singular value of J on the set, within a ball."""

from typing import NamedTuple

import torch
from scipy.optimize import minimize

from grokbook import checks

OPTIONS = {"maxiter": 100, "ftol": 1e-12}
SLACK = 1e-6  # by which SLSQP may miss the set, and, relative to the radius, leave the ball


class Weakest(NamedTuple):
    """The least σ_min(J) that was found, a float, and where on the set. point: (d,)."""

    value: float
    point: torch.Tensor


def weakest(level_set, starts, radius):
    """The least σ_min(J) found on a LevelSet Z with |θ| <= radius, and where: SLSQP from each start, the best kept.

    starts: (k, d) -> Weakest. J needs m <= d rows. An upper bound of the true least value, as it is local; the
    point is retracted, so that it lies on Z. Raises ValueError where no start leads to Z within the ball.
    """
    radius = checks.positive("radius", radius)
    ball = {"type": "ineq", "fun": lambda x: radius**2 - x @ x, "jac": lambda x: -2 * x}
    on_Z = {
        "type": "eq",
        "fun": lambda x: level_set.residual(torch.as_tensor(x)).numpy(),
        "jac": lambda x: level_set.jacobian(torch.as_tensor(x)).numpy(),
    }

    def slope(x):
        """σ² with σ = uᵀJv and its gradient, for u and v are stationary."""
        theta = torch.as_tensor(x)
        left, values, right = torch.linalg.svd(level_set.jacobian(theta), full_matrices=False)
        u, v, least = left[:, -1], right[-1], values[-1]
        gradient = torch.func.grad(lambda at: torch.func.vjp(level_set.F, at)[1](u)[0] @ v)(theta)
        return least.item() ** 2, (2 * least * gradient).numpy()

    best = None
    for start in starts:
        end = minimize(slope, start.numpy(), jac=True, method="SLSQP", constraints=[on_Z, ball], options=OPTIONS)
        point = torch.as_tensor(end.x)
        if level_set.residual(point).norm() > SLACK:
            continue
        point = level_set.retract(point)
        found = float(torch.linalg.svdvals(level_set.jacobian(point))[-1])
        if point.norm() <= radius * (1 + SLACK) and (best is None or found < best.value):
            best = Weakest(found, point)
    if best is None:
        raise ValueError(f"none of {len(starts)} starts led to the set within {radius=}; take more or a larger ball")
    return best
