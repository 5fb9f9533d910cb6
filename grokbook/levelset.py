"""The level set {θ : F(θ) = y} as geometry: tangent and normal directions, the way back to it."""

import torch

from grokbook import jacobians, linalg, nearest
from grokbook.nearest import HALVINGS, ConvergenceError


class LevelSet:
    """Z = {θ : F(θ) = y}. θ: (d,); F: (d,) -> (m,), differentiable by torch.func; y: (m,).

    products: an object with jvp(θ, v) = Jv, vjp(θ, u) = Jᵀu and gram(θ) = JJᵀ, such as a TwoLayer; without one, J is
    formed. constraints: (d,) -> (r, d), rows that join J, for directions that tangent vectors and retractions leave
    alone.
    """

    def __init__(self, F, y, products=None, constraints=None):
        y = y if torch.is_tensor(y) else torch.as_tensor(y, dtype=torch.float64)
        outputs = getattr(products, "n_outputs", y.shape[-1] if y.ndim else 1)
        if y.ndim > 1 and y.shape[-1] != outputs:
            raise ValueError(f"y has shape {tuple(y.shape)} and the network {outputs} outputs; a row is a sample: y.T")
        if hasattr(products, "F") and getattr(F, "__self__", products) is not products:
            raise ValueError("F is of one network and products another; pass net.F and products=net")
        self.y = y.reshape(-1)
        self.F = lambda theta: F(theta).reshape(-1)
        self.products, self.constraints = products, constraints
        if not torch.isfinite(self.y).all():
            raise ValueError("the target y holds entries that are not finite: F = y has no solution")

    def residual(self, theta):
        """F(θ) - y: (d,) -> (m,). Raises ValueError where F and y differ in length or F is not finite."""
        if theta.ndim != 1:
            raise ValueError(f"theta has shape {tuple(theta.shape)}; pass one flat point (d,)")
        value = self.F(theta)
        if value.shape != self.y.shape:
            raise ValueError(f"F returns {len(value)} numbers and y holds {len(self.y)}; give each output one target")
        if not torch.isfinite(value).all():
            raise ValueError(f"F is not finite at a point of norm {theta.norm():.3g}; start nearer to the set")
        return value - self.y

    def jacobian(self, theta):
        """J = ∇F(θ), the constraint rows below it: (d,) -> (m + r, d)."""
        self.residual(theta)
        J = torch.func.jacrev(self.F)(theta)
        return J if self.constraints is None else torch.cat([J, self._constraint_rows(theta)])

    def rank(self, theta, tolerance=None):
        """The rank of J by linalg's rule; with products, that of JJᵀ, where ratios of singular values are squared."""
        return self._rows(theta).rank(tolerance)

    def dimension(self, theta):
        """d - rank J: the dimension of the tangent space, and of Z around θ where θ is regular."""
        return len(theta) - self.rank(theta)

    def is_singular(self, theta, tolerance=None):
        """Def. 4.9: whether J has less than full row rank. Relative: a single row is singular only where it is 0."""
        rows = self._rows(theta)
        return rows.rank(tolerance) < len(rows.gram)

    def require_regular(self, theta):
        """Nothing where J has full row rank; else a ValueError with the rank, the tolerance and the rows to blame."""
        gram = self._rows(theta).gram
        if len(gram) > len(theta):
            raise ValueError(
                f"{len(gram)} equations in {len(theta)} unknowns are nowhere regular: the rank is {len(theta)} at "
                "most; drop equations or add parameters (Assumption 4.1: d >= km)"
            )
        linalg.cholesky_or_explain(gram, "JJᵀ")

    def multipliers(self, theta, v):
        """μ with JJᵀμ = Jv, so that v - Jᵀμ is tangent: (d,) -> (m + r,). ValueError at a singular point."""
        self.require_regular(theta)
        return self._rows(theta).multipliers(v)

    def normal(self, theta, v):
        """J⁺Jv, the part of v in the row space of J: (d,) -> (d,). At any rank."""
        return v - self.tangent(theta, v)

    def tangent(self, theta, v):
        """(I - J⁺J)v, the part of v in the kernel of J: (d,) -> (d,). At any rank."""
        return self._rows(theta).tangent(v)

    def retract(self, theta, tolerance=None, iterations=50):
        """A point of Z near θ by Gauss–Newton: θ <- θ - J⁺(F(θ) - y), a step halved while it does not help.

        (d,) -> (d,). Quadratic near a regular point. Ends when |F - y| <= tolerance (1 + |y|), by default 1e-12, in
        float32 1e-5. Raises ConvergenceError with the point reached after `iterations` steps, or where no fraction of a
        step lowers the residual.
        """
        tolerance = (1e-12 if theta.dtype == torch.float64 else 1e-5) if tolerance is None else tolerance
        allowed = tolerance * (1 + self.y.norm())
        residual = self.residual(theta)
        for done in range(iterations):
            if residual.norm() <= allowed:
                return theta
            step = self._rows(theta).min_norm(residual)
            for halvings in range(HALVINGS):
                moved = theta - step * 0.5**halvings
                moved_residual = self._residual_or_inf(moved)
                if moved_residual.norm() < residual.norm():
                    break
            else:
                raise self._stuck(theta, residual, done, allowed, "no step along -J⁺(F - y) lowers the residual")
            theta, residual = moved, moved_residual
        if residual.norm() <= allowed:
            return theta
        raise self._stuck(theta, residual, iterations, allowed, "the steps ran out")

    def project(self, theta, start=None, **options):
        """The nearest point of Z, by `grokbook.nearest.project`. θ, start: (d,) -> (d,)."""
        return nearest.project(self, theta, start, **options)

    def distance(self, theta, start=None):
        """dist_Z(θ), Def. 4.7, by `project`, and local as it is. θ, start: (d,) -> ()."""
        return (theta - self.project(theta, start)).norm()

    def _rows(self, theta):
        """J at θ as an operator with gram, tangent, min_norm and multipliers."""
        if self.products is None:
            return jacobians.Dense(self.jacobian(theta))
        self.residual(theta)
        extra = None if self.constraints is None else self._constraint_rows(theta)
        return jacobians.MatrixFree(self.products, theta, extra)

    def _constraint_rows(self, theta):
        extra = self.constraints(theta)
        if extra.ndim != 2 or extra.shape[1] != len(theta):
            raise ValueError(f"constraints return shape {tuple(extra.shape)}; for this θ it must be (r, {len(theta)})")
        return extra

    def _residual_or_inf(self, theta):
        """A trial step may leave the domain of F; that is a bad step, not an error."""
        value = self.F(theta) - self.y
        return value if torch.isfinite(value).all() else torch.full_like(value, torch.inf)

    def _stuck(self, theta, residual, done, allowed, reason):
        size, rows = float(residual.norm()), self._rows(theta)
        tolerance = linalg.rank_tolerance(rows.gram)
        return ConvergenceError(
            f"retraction stopped after {done} steps: {reason}; |F - y| is {size:.1e} and should be {allowed:.1e}. "
            f"There J has rank {linalg.rank(rows.gram)} of {len(rows.gram)} (from JJᵀ, relative tolerance "
            f"{tolerance:.1e}); start nearer, raise tolerance or iterations, or check that F = y can be met",
            theta,
            size,
        )
