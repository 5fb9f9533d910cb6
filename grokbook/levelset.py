"""The level set {θ : F(θ) = y} as geometry: tangent and normal directions, the way back, the nearest point."""

import torch

from grokbook import jacobians, linalg

HALVINGS = 40  # a step shortened 2^40-fold is lost in rounding
FLAT = 1e-8  # a curvature beside that of |φ - θ|²/2 in flat space, which is 1
KRYLOV = 200  # most steps of conjugate gradients for one Newton step


class ConvergenceError(RuntimeError):
    """An iteration that did not arrive: `.point` is where it ended and `.left` what remained there."""

    def __init__(self, message, point, left):
        super().__init__(message)
        self.point, self.left = point, left


class LevelSet:
    """Z = {θ : F(θ) = y}. F: (d,) -> (m,), differentiable by torch.func; y: (m,).

    products: an object with jvp(θ, v) = Jv, vjp(θ, u) = Jᵀu and gram(θ) = JJᵀ, such as a TwoLayer; without one, J is
    formed. constraints: θ -> (r, d), rows that join J, for directions that tangent vectors and retractions leave alone.
    """

    def __init__(self, F, y, products=None, constraints=None):
        self.y = torch.as_tensor(y).reshape(-1)
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

    def retract(self, theta, tolerance=1e-12, iterations=50):
        """A point of Z near θ by Gauss–Newton: θ <- θ - J⁺(F(θ) - y), a step halved while it does not help.

        (d,) -> (d,). Quadratic near a regular point. Ends when |F - y| <= tolerance (1 + |y|). Raises ConvergenceError
        with the point reached after `iterations` steps, or where no fraction of a step lowers the residual.
        """
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

    def project(self, theta, start=None, tolerance=1e-11, iterations=200):
        """The point φ of Z nearest to θ, that is, min |φ - θ|² subject to F(φ) = y. (d,) -> (d,).

        Newton's method within Z: conjugate gradients in the tangent space, with the curvature of Z; each step is
        retracted, and shortened until the distance falls. It leaves saddles, but is local: where several points of Z
        are candidates, pass another `start`. Ends when the tangential part of θ - φ is below tolerance (1 + |θ|), and
        raises ConvergenceError otherwise. Extra constraint rows count as straight.
        """
        point = self.retract(theta if start is None else start)
        allowed = tolerance * (1 + theta.norm())
        for _ in range(iterations):
            rows = self._rows(point)
            gap = theta - point
            pull = rows.tangent(gap)
            arrived = pull.norm() <= allowed
            step = self._escape(rows, point, gap) if arrived else self._newton_step(rows, point, gap, pull)
            if step is None:
                return point
            nearer = self._shorten(theta, point, step)
            if nearer is None and not arrived:
                nearer = self._shorten(theta, point, pull)
            if nearer is None:
                break
            point = nearer
        left = float(self._rows(point).tangent(theta - point).norm())
        if left <= allowed:
            return point
        raise ConvergenceError(
            f"no nearest point after {iterations} steps at most: the tangential part of θ - φ is {left:.1e} and should "
            f"be {allowed:.1e}; start nearer, pass start=, or raise the tolerance (a nearest point on a kink of F, as "
            "ReLU has them, is out of reach: its gap is not normal)",
            point,
            left,
        )

    def distance(self, theta, start=None):
        """dist_Z(θ), Def. 4.7, by `project`, and local as it is. (d,) -> ()."""
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

    def _curvature(self, rows, point, gap):
        """The Hessian of |φ - θ|²/2 along Z as a function of tangent vectors: v -> P(v + Σ μ_i ∇²F_i v)."""
        weights = rows.multipliers(gap)[: len(self.y)]

        def weighted_gradient(theta):
            return torch.func.vjp(self.F, theta)[1](weights)[0]

        # Hessians are symmetric, so reverse over reverse will do; forward mode would cost seconds on its first call.
        hessian = torch.func.vjp(weighted_gradient, point)[1]
        return lambda v: rows.tangent(v + hessian(v)[0])

    def _newton_step(self, rows, point, gap, pull):
        """Conjugate gradients for curvature s = pull, ended where the curvature turns negative or the step is good."""
        curvature = self._curvature(rows, point, gap)
        step, left, direction = torch.zeros_like(pull), pull, pull
        enough = pull.norm() * min(0.1, float(pull.norm()))
        for _ in range(min(KRYLOV, len(point))):
            bent = curvature(direction)
            bend = direction @ bent
            if bend <= FLAT * (direction @ direction):
                return step if step.any() else pull
            length = (left @ left) / bend
            step = step + length * direction
            smaller = left - length * bent
            if smaller.norm() <= enough:
                break
            direction, left = smaller + (smaller @ smaller) / (left @ left) * direction, smaller
        return step

    def _escape(self, rows, point, gap):
        """At a critical point: a tangent direction in which the distance falls, as long as the gap, or None."""
        curvature = self._curvature(rows, point, gap)
        noise = torch.randn(len(point), generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(point)
        left = direction = rows.tangent(noise)
        for _ in range(min(KRYLOV, len(point))):
            bent = curvature(direction)
            bend = direction @ bent
            if bend < -FLAT * (direction @ direction):
                return direction * (gap.norm() / direction.norm())
            length = (left @ left) / bend if bend > 0 else 0.0
            smaller = left - length * bent
            if not length or smaller.norm() <= 1e-8 * noise.norm():
                return None
            direction, left = smaller + (smaller @ smaller) / (left @ left) * direction, smaller
        return None

    def _shorten(self, theta, point, step):
        """The retracted step, halved until it is not farther from θ than before, or None."""
        rounding = 8 * torch.finfo(theta.dtype).eps * (1 + theta.norm())
        before = (theta - point).norm()
        for halvings in range(HALVINGS):
            try:
                trial = self.retract(point + step * 0.5**halvings)
            except ConvergenceError:
                continue
            if (theta - trial).norm() <= before + rounding:
                return trial
        return None
