"""The point of a level set nearest to a given one, by Newton's method within the set."""

import torch

from grokbook import linalg

HALVINGS = 40  # a step shortened 2^40-fold is lost in rounding
FLAT = 1e-4  # a curvature beside that of |φ − θ|²/2 in flat space, which is 1


class ConvergenceError(RuntimeError):
    """An iteration that did not arrive: `.point` is where it ended and `.left` what remained there."""

    def __init__(self, message, point, left):
        super().__init__(message)
        self.point, self.left = point, left


def project(level_set, theta, start=None, *, tolerance=1e-11, iterations=200):
    """The point φ of a LevelSet nearest to θ, that is, min |φ − θ|² subject to F(φ) = y. θ, start: (d,) -> (d,).

    Newton steps in the tangent space, where curvatures count by their size, so that they lead downhill; each is
    retracted, and halved until the distance falls. It leaves saddles, but is local: where several points of Z are
    candidates, pass another `start`. J and the Hessian (d, d) are formed. Ends when the tangential part of θ − φ is
    below tolerance (1 + |θ|), and raises ConvergenceError otherwise. Extra constraint rows count as straight.
    """
    point = level_set.retract(theta if start is None else start)
    allowed = tolerance * (1 + theta.norm())
    for _ in range(iterations):
        basis, curvatures = _principal(level_set, theta, point)
        gap = theta - point
        slopes = basis.T @ gap
        arrived = slopes.norm() <= allowed
        if arrived and not bool((curvatures < -FLAT).any()):
            return point
        # At a saddle, down the steepest descent of curvature, as far as the gap is long.
        step = basis[:, 0] * gap.norm() if arrived else basis @ (slopes / curvatures.abs().clamp(min=FLAT))
        nearer = _shorten(level_set, theta, point, step)
        if nearer is None:
            break
        point = nearer
    left = float(level_set.tangent(point, theta - point).norm())
    if left <= allowed:
        return point
    raise ConvergenceError(
        f"no nearest point after {iterations} steps at most: the tangential part of θ - φ is {left:.1e} and should "
        f"be {allowed:.1e}; start nearer, pass start=, or raise the tolerance (a nearest point on a kink of F, as "
        "ReLU has them, is out of reach: its gap is not normal)",
        point,
        left,
    )


def _principal(level_set, theta, point):
    """Orthonormal tangent vectors as columns and the curvatures of |φ − θ|²/2 along them, rising. -> (d, k), (k,)."""
    J = level_set.jacobian(point)
    _, values, right = torch.linalg.svd(J)
    tangent = right[int(linalg.counted(values, linalg.rank_tolerance(J)).sum()) :].T
    weights = linalg.min_norm(J.T, theta - point)[: len(level_set.y)]
    # Reverse over reverse: forward mode would cost seconds on its first call.
    hessian = torch.func.jacrev(torch.func.grad(lambda phi: level_set.F(phi) @ weights))(point)
    curvatures, turn = torch.linalg.eigh(tangent.T @ (tangent + hessian @ tangent))
    return tangent @ turn, curvatures


def _shorten(level_set, theta, point, step):
    """The retracted step, halved until it is not farther from θ than before, or None."""
    rounding = 8 * torch.finfo(theta.dtype).eps * (1 + theta.norm())
    before = (theta - point).norm()
    for halvings in range(HALVINGS):
        try:
            trial = level_set.retract(point + step * 0.5**halvings)
        except ConvergenceError:
            continue
        if (theta - trial).norm() <= before + rounding:
            return trial
    return None
