"""The Jacobian J at one point as an operator: as a matrix, or as products that never form it."""

import torch

from grokbook import checks, linalg


class Dense:
    """J as a matrix, what small problems use. J: (m, d)."""

    def __init__(self, J):
        self.J, self.gram = J, J @ J.T

    def rank(self, tolerance=None):
        """The rank of J."""
        return linalg.rank(self.J, tolerance)

    def tangent(self, v):
        """(I - J⁺J)v: (d,) -> (d,)."""
        return linalg.null_space_projection(self.J, v)

    def min_norm(self, residual):
        """J⁺ applied to a residual padded with zeros for extra rows: (at most m,) -> (d,)."""
        return linalg.min_norm(self.J, _padded(residual, len(self.J)))

    def multipliers(self, v):
        """The least-squares μ with Jᵀμ ≈ v, the shortest one: (d,) -> (m,)."""
        return linalg.min_norm(self.J.T, v)


class MatrixFree:
    """J through products.jvp, .vjp and .gram at θ: (d,), with the rows of extra: (r, d) beneath it, or None."""

    def __init__(self, products, theta, extra=None):
        self.products, self.theta = products, theta
        self.extra = theta.new_zeros(0, len(theta)) if extra is None else extra
        self.gram = self._bordered(products.gram(theta))
        self.solve = linalg.gram_solver(self.gram)

    def rank(self, tolerance=None):
        """The rank of JJᵀ, in which ratios of singular values are squared."""
        return linalg.rank(self.gram, tolerance)

    def tangent(self, v):
        """(I - J⁺J)v: (d,) -> (d,)."""
        once = v - self._transposed(self.multipliers(v))
        # The second pass removes what rounding left of the first: orthogonal to rounding however long v is.
        return once - self._transposed(self.multipliers(once))

    def min_norm(self, residual):
        """J⁺ applied to a residual padded with zeros for extra rows: (at most m + r,) -> (d,)."""
        return self._transposed(self.solve(_padded(residual, len(self.gram))))

    def multipliers(self, v):
        """The least-squares μ with Jᵀμ ≈ v: (d,) -> (m + r,)."""
        checks.real("the vector", v, self.theta.shape)
        return self.solve(torch.cat([self.products.jvp(self.theta, v), self.extra @ v]))

    def _transposed(self, u):
        m = len(u) - len(self.extra)
        return self.products.vjp(self.theta, u[:m]) + self.extra.T @ u[m:]

    def _bordered(self, gram):
        """JJᵀ with the products of the extra rows around it."""
        if len(self.extra) == 0:
            return gram
        side = torch.stack([self.products.jvp(self.theta, row) for row in self.extra], dim=1)
        return torch.cat([torch.cat([gram, side], 1), torch.cat([side.T, self.extra @ self.extra.T], 1)])


def _padded(residual, size):
    return torch.cat([residual, residual.new_zeros(size - len(residual))])
