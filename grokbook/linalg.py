"""Rank, projections and linear solves, with one rule for what counts as singular."""

import torch

# Repeated rows of H leave a squared pivot of at most 0.3 rounding units beside the largest diagonal entry of HHᵀ, and
# the paper's runs one of 8e-4; a tolerance that grew with n would stop float32 at widths just above n.
NOISE_PIVOT = 8
# A row belongs to a dependency when at least this share of its unit vector lies in the null space of the Gram matrix.
SHARE_IN_DEPENDENCY = 1e-6


class SingularGramError(ValueError):
    """A Gram matrix without full rank: `.rank`, `.size`, `.tolerance` (relative) and `.rows`, the indices to blame."""

    def __init__(self, message, rank, size, tolerance, rows):
        super().__init__(message)
        self.rank, self.size, self.tolerance, self.rows = rank, size, tolerance, rows


def rank_tolerance(matrix):
    """The package's relative tolerance for rank: max(r, c) times the dtype's rounding unit. (r, c) -> float."""
    return max(matrix.shape) * torch.finfo(matrix.dtype).eps


def counted(singular_values, tolerance):
    """Which singular values count: those above tolerance times the largest. (k,) -> (k,) bool."""
    if singular_values.numel() == 0:
        return torch.zeros(0, dtype=torch.bool, device=singular_values.device)
    return singular_values > tolerance * singular_values.max()


def rank(matrix, tolerance=None):
    """Rank relative to the largest singular value. (r, c) -> int. Raises ValueError where an entry is not finite.

    Only ratios matter: rank(c A) = rank(A) for c > 0, a zero matrix has rank 0, and one non-zero row has rank 1.
    """
    if matrix.ndim != 2:
        raise ValueError(f"the matrix has shape {tuple(matrix.shape)}; pass one (r, c), or each of a batch in turn")
    _require_finite(matrix, "matrix")
    tolerance = rank_tolerance(matrix) if tolerance is None else tolerance
    return int(counted(torch.linalg.svdvals(matrix), tolerance).sum())


def factorised(gram, overwrite=False):
    """Lower L with L Lᵀ = gram, and where gram is singular: no factor, or a smallest pivot that is rounding noise.

    (..., n, n) -> (..., n, n), (...) bool. Only the lower triangle is read. A NaN counts as singular. overwrite: L may
    take the place of gram, and does where that saves a copy: kept by columns, and out of autograd's sight.
    """
    if gram.shape[-1] == 0:
        return gram, gram.new_zeros(gram.shape[:-2], dtype=torch.bool)
    largest = gram.diagonal(dim1=-2, dim2=-1).amax(-1)
    in_place = overwrite and gram.mT.is_contiguous() and not gram.requires_grad
    out = (gram, torch.empty(gram.shape[:-2], dtype=torch.int32, device=gram.device)) if in_place else None
    factor, failed = torch.linalg.cholesky_ex(gram, out=out)
    pivot = factor.diagonal(dim1=-2, dim2=-1).amin(-1).square()
    return factor, (failed > 0) | ~(pivot > NOISE_PIVOT * torch.finfo(gram.dtype).eps * largest)


def orthonormal_rows(matrix):
    """An orthonormal basis of the row space. (r, c) -> (rank, c)."""
    _, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return right[counted(values, rank_tolerance(matrix))]


def cholesky_or_explain(gram, name="the Gram matrix"):
    """Lower L with L L^T = gram. (n, n) -> (n, n). Raises SingularGramError that names the rows to blame."""
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1]:
        raise ValueError(f"{name} must be square, and has shape {tuple(gram.shape)}; pass H @ H.T, not H")
    factor, singular = factorised(gram)
    if singular:
        raise explain_singular(gram, name)
    return factor


def explain_singular(gram, name="the Gram matrix"):
    """The error that says why gram: (n, n) has no Cholesky factor: rank, relative tolerance and the rows involved."""
    tolerance = max(rank_tolerance(gram), NOISE_PIVOT * torch.finfo(gram.dtype).eps)
    size = gram.shape[0]
    finite = torch.isfinite(gram)
    if not finite.all():
        # One bad row spoils a whole column too, so blame the rows that spoil their own diagonal entry first.
        on_diagonal = (~finite.diagonal()).nonzero().flatten().tolist()
        rows = on_diagonal or (~finite).any(dim=1).nonzero().flatten().tolist()
        message = f"{name} is not finite in rows {_shortened(rows)}; lower the step that led here"
        return SingularGramError(message, None, size, tolerance, rows)
    values, vectors = torch.linalg.eigh(gram)
    kept = counted(values.clamp(min=0), tolerance)
    found = int(kept.sum())
    share = (vectors[:, ~kept] ** 2).sum(dim=1)
    rows = (share > SHARE_IN_DEPENDENCY).nonzero().flatten().tolist()
    message = (
        f"{name} ({size} x {size}) has rank {found} of {size} at relative tolerance {tolerance:.1e}; rows "
        f"{_shortened(rows)} depend on each other (repeated, zero or more rows than columns); remove some of them, "
        "widen the matrix they come from, or add a ridge (decay > 0)"
    )
    return SingularGramError(message, found, size, tolerance, rows)


def min_norm(matrix, target):
    """The shortest least-squares solution w = A^+ b. A: (r, c), b: (r,) or (r, m) -> (c,) or (c, m).

    For full row rank w = A^T (A A^T)^{-1} b; ill-conditioned or tall systems go through the SVD and the rank rule.
    """
    _require_system(matrix, target)
    factor = _trusted_factor(matrix @ matrix.T) if matrix.shape[0] <= matrix.shape[1] else None
    if factor is not None:
        return matrix.T @ _solve(factor, target)
    return _filtered(matrix, target, lambda s: 1 / s)


def ridge(matrix, target, decay):
    """argmin |A w - b|^2 + decay |w|^2, Eq. 15. A: (r, c), b: (r,) or (r, m), decay > 0 -> (c,) or (c, m).

    Tends to min_norm(A, b) as decay -> 0, at any rank: both drop the same singular values. The smaller of the two
    systems is solved: A^T (A A^T + decay I)^{-1} b, or (A^T A + decay I)^{-1} A^T b.
    """
    _require_system(matrix, target)
    if not decay > 0:
        raise ValueError(f"decay={decay} must be positive; for the limit decay -> 0 use min_norm(matrix, target)")
    rows, columns = matrix.shape
    wide = rows < columns
    gram = matrix @ matrix.T if wide else matrix.T @ matrix
    factor = _trusted_factor(gram + decay * torch.eye(min(rows, columns), dtype=matrix.dtype, device=matrix.device))
    if factor is None:
        return _filtered(matrix, target, lambda s: s / (s**2 + decay))
    return matrix.T @ _solve(factor, target) if wide else _solve(factor, matrix.T @ target)


def null_space_projection(matrix, vector):
    """The part of v in the kernel of A: v - A^+ A v. A: (r, c), v: (c,) or (c, m) -> like v. Any rank."""
    if vector.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"{matrix.shape[1]} columns in the matrix, {vector.shape[0]} entries in the vector: match them"
        )
    projected = vector - min_norm(matrix, matrix @ vector)
    # The second pass removes what rounding left of the first: orthogonal to rounding however long v is.
    return projected - min_norm(matrix, matrix @ projected)


def gram_solver(gram):
    """b -> gram^+ b, factorised once. gram: (n, n), semi-definite, any rank -> ((n,) or (n, m) -> (n,) or (n, m))."""
    _require_finite(gram, "Gram matrix")
    factor = _trusted_factor(gram)
    if factor is not None:
        return lambda target: _solve(factor, target)
    values, vectors = torch.linalg.eigh(gram)
    if values[0] < -(torch.finfo(gram.dtype).eps ** 0.5) * values[-1].abs():
        raise ValueError(f"the Gram matrix has an eigenvalue of {values[0]:.2g} beside {values[-1]:.2g}; pass H @ H.T")
    kept = counted(values.clamp(min=0), rank_tolerance(gram))
    values, vectors = values[kept], vectors[:, kept]
    return lambda target: vectors @ _scaled(1 / values, vectors.T @ target)


def _trusted_factor(gram):
    """The Cholesky factor of gram where its pivots say that solving keeps half of the digits, else None."""
    factor, failed = torch.linalg.cholesky_ex(gram)
    if gram.shape[0] == 0:
        return factor
    pivots = factor.diagonal() ** 2
    floor = torch.finfo(gram.dtype).eps ** 0.5 * gram.diagonal().max()
    return factor if failed == 0 and pivots.min() > floor else None


def _filtered(matrix, target, filter_of):
    """V filter(s) U^T b over the singular values that count."""
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    kept = counted(values, rank_tolerance(matrix))
    return right[kept].T @ _scaled(filter_of(values[kept]), left[:, kept].T @ target)


def _solve(factor, target):
    columns = target if target.ndim == 2 else target[:, None]
    solution = torch.cholesky_solve(columns, factor)
    return solution if target.ndim == 2 else solution[:, 0]


def _scaled(weights, rows):
    return weights[:, None] * rows if rows.ndim == 2 else weights * rows


def _require_system(matrix, target):
    if matrix.ndim != 2 or target.ndim not in (1, 2) or target.shape[0] != matrix.shape[0]:
        raise ValueError(
            f"the matrix has shape {tuple(matrix.shape)} and the target {tuple(target.shape)}; "
            "pass an (r, c) matrix and a target with r rows"
        )
    _require_finite(matrix, "matrix")
    _require_finite(target, "target")


def _require_finite(tensor, name):
    if not torch.isfinite(tensor).all():
        bad = int((~torch.isfinite(tensor)).sum())
        raise ValueError(f"{bad} of the {tensor.numel()} entries of the {name} are not finite; look at what made them")


def _shortened(rows, most=8):
    listed = ", ".join(str(row) for row in rows[:most])
    return f"[{listed}]" if len(rows) <= most else f"[{listed}, ...] ({len(rows)} in all)"
