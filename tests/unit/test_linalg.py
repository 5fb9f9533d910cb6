import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokbook import linalg

SEEDS = st.integers(0, 10_000)
SIDES = st.integers(1, 9)


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of_rank(rows, columns, rank, seed=0):
    return gaussian(rows, rank, seed=seed) @ gaussian(rank, columns, seed=seed + 1)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SEEDS)
def test_min_norm_is_the_pseudo_inverse_of_scipy(rows, columns, seed):
    A, b = gaussian(rows, columns, seed=seed), gaussian(rows, 2, seed=seed + 1)
    expected = scipy.linalg.pinv(A.numpy()) @ b.numpy()
    scale = np.linalg.cond(A.numpy()) * (1 + np.abs(expected).max())
    assert np.abs(linalg.min_norm(A, b).numpy() - expected).max() < 1e-12 * scale


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, SEEDS)
def test_null_space_projection_is_a_projection_onto_the_kernel(rows, columns, seed):
    A, v = gaussian(rows, columns, seed=seed), gaussian(columns, seed=seed + 1)
    p = linalg.null_space_projection(A, v)
    assert (A @ p).norm() < 1e-12 * A.norm() * (1 + v.norm())
    assert (linalg.null_space_projection(A, p) - p).norm() < 1e-12 * (1 + v.norm())
    kernel = torch.as_tensor(scipy.linalg.null_space(A.numpy()))
    assert (kernel @ (kernel.T @ v) - p).norm() < 1e-11 * (1 + v.norm())


@pytest.mark.parametrize("shape", [(4, 9), (9, 4), (6, 6)])
@pytest.mark.parametrize("missing", [0, 2])
def test_ridge_tends_to_min_norm_at_every_shape_and_rank(shape, missing):
    rank = min(shape) - missing
    A, b = of_rank(*shape, rank), gaussian(shape[0], seed=7)
    limit = linalg.min_norm(A, b)
    errors = [float((linalg.ridge(A, b, decay) - limit).norm()) for decay in (1e-3, 1e-4, 1e-5)]
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(10, rel=0.05)
    assert (linalg.ridge(A, b, 1e-30) - limit).norm() < 1e-7 * limit.norm()


@pytest.mark.parametrize("shape", [(4, 9), (9, 4)])
def test_ridge_solves_the_stacked_least_squares_problem(shape):
    A, b, decay = gaussian(*shape), gaussian(shape[0], 3, seed=1), 0.3
    stacked = np.vstack([A.numpy(), np.sqrt(decay) * np.eye(shape[1])])
    expected = np.linalg.lstsq(stacked, np.vstack([b.numpy(), np.zeros((shape[1], 3))]), rcond=None)[0]
    np.testing.assert_allclose(linalg.ridge(A, b, decay).numpy(), expected, atol=1e-12)


def test_rank_looks_at_ratios_only():
    A = of_rank(7, 5, 3)
    assert linalg.rank(A) == linalg.rank(1e-200 * A) == linalg.rank(1e150 * A) == 3
    assert linalg.rank(torch.zeros(3, 4, dtype=torch.float64)) == 0
    assert linalg.rank(torch.tensor([[1e-300]], dtype=torch.float64)) == 1
    assert linalg.rank(torch.diag(torch.tensor([1.0, 1e-3])), tolerance=1e-2) == 1


def graded(digits):
    """A (6, 9) matrix whose singular values span so many digits: its left and right vectors, its values, itself."""
    left, right = torch.linalg.qr(gaussian(6, 6))[0], torch.linalg.qr(gaussian(9, 9, seed=1))[0]
    values = torch.logspace(0, -digits, 6, dtype=torch.float64)
    return left, values, right, left @ (values[:, None] * right[:, :6].T)


def test_ill_conditioned_systems_keep_the_digits_the_gram_matrix_would_lose():
    _, _, right, A = graded(7)
    w = right[:, :6] @ gaussian(6, seed=2)
    assert (linalg.min_norm(A, A @ w) - w).norm() < 1e-8  # (cond A)^2 times rounding would be 1e-2


def test_ridge_filters_ill_conditioned_systems_as_their_singular_values_say():
    left, values, right, A = graded(6)
    b, decay = gaussian(6, seed=2), 1e-9
    expected = right[:, :6] @ (values / (values**2 + decay) * (left.T @ b))
    assert (linalg.ridge(A, b, decay) - expected).norm() < 1e-8 * expected.norm()


def test_a_long_vector_leaves_nothing_in_the_row_space():
    _, _, right, A = graded(3.5)
    v = 1e6 * gaussian(9, seed=3)
    kernel = right[:, 6:]
    assert (linalg.null_space_projection(A, v) - kernel @ (kernel.T @ v)).norm() < 1e-12 * v.norm()


def test_cholesky_is_that_of_scipy():
    A = gaussian(5, 9)
    L = linalg.cholesky_or_explain(A @ A.T)
    np.testing.assert_allclose(L.numpy(), scipy.linalg.cholesky((A @ A.T).numpy(), lower=True), atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(3, 12), st.data(), SEEDS)
def test_a_repeated_row_is_named(size, data, seed):
    first, second = data.draw(st.lists(st.integers(0, size - 1), min_size=2, max_size=2, unique=True))
    A = gaussian(size, size + 4, seed=seed)
    A[second] = -3 * A[first]
    with pytest.raises(linalg.SingularGramError, match=f"rank {size - 1} of {size}.*relative tolerance") as error:
        linalg.cholesky_or_explain(A @ A.T, "H Hᵀ")
    assert error.value.rows == sorted([first, second])
    assert (error.value.rank, error.value.size) == (size - 1, size)
    assert "H Hᵀ" in str(error.value)


def test_a_zero_row_and_too_many_rows_are_named():
    A = gaussian(4, 8)
    A[2] = 0
    with pytest.raises(linalg.SingularGramError, match=r"rows \[2\]"):
        linalg.cholesky_or_explain(A @ A.T)
    tall = gaussian(12, 5)
    with pytest.raises(linalg.SingularGramError, match=r"rank 5 of 12.*\(12 in all\)"):
        linalg.cholesky_or_explain(tall @ tall.T)
    with pytest.raises(linalg.SingularGramError, match="rank 0 of 2"):
        linalg.cholesky_or_explain(torch.zeros(2, 2, dtype=torch.float64))


def test_rows_that_are_not_finite_are_named():
    A = gaussian(4, 8)
    A[1, 3] = torch.nan
    with pytest.raises(linalg.SingularGramError, match="not finite") as error:
        linalg.cholesky_or_explain(A @ A.T)
    assert error.value.rows == [1]
    gram = A.nan_to_num() @ A.nan_to_num().T
    gram[3, 2] = torch.inf  # with a sound diagonal, all rows that have such an entry
    assert linalg.explain_singular(gram).rows == [3]


def test_a_gram_matrix_of_deficient_rank_is_solved_as_its_pseudo_inverse():
    A, b = of_rank(6, 8, 4), gaussian(6, 2, seed=5)
    expected = scipy.linalg.pinvh((A @ A.T).numpy(), rtol=1e-12) @ b.numpy()
    np.testing.assert_allclose(linalg.gram_solver(A @ A.T)(b).numpy(), expected, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: linalg.ridge(gaussian(2, 3), gaussian(2), 0.0), "decay=0.0 must be positive.*min_norm"),
        (lambda: linalg.ridge(gaussian(2, 3), gaussian(2), float("nan")), "decay=nan"),
        (lambda: linalg.min_norm(gaussian(2, 3), gaussian(3)), r"\(2, 3\) and the target \(3,\)"),
        (lambda: linalg.min_norm(gaussian(2, 3) / 0, gaussian(2)), "6 of the 6 entries of the matrix"),
        (lambda: linalg.null_space_projection(gaussian(2, 3), gaussian(2)), "3 columns.*2 entries"),
        (lambda: linalg.cholesky_or_explain(gaussian(2, 3)), r"must be square.*\(2, 3\)"),
        (lambda: linalg.rank(gaussian(2, 2) * torch.nan), "not finite"),
        (lambda: linalg.rank(gaussian(2, 3, 3)), r"\(2, 3, 3\); pass one"),
        (lambda: linalg.gram_solver(torch.diag(torch.tensor([1.0, -1.0, 2.0]))), "eigenvalue of -1 beside 2"),
    ],
)
def test_bad_input_says_both_values_and_the_way_out(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_factor_takes_the_place_of_a_gram_matrix_only_where_it_may():
    H = torch.randn(9, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    gram = H @ H.T
    expected = torch.linalg.cholesky(gram)
    for kept, overwrite, in_place in ((gram.mT, False, False), (gram, True, False), (gram.mT, True, True)):
        given = kept.clone()  # with its strides
        factor, singular = linalg.factorised(given, overwrite)
        torch.testing.assert_close(factor, expected)
        assert not singular
        assert (factor.data_ptr() == given.data_ptr()) == in_place
        assert torch.equal(given, kept) != in_place
    seen = gram.mT.clone().requires_grad_()
    linalg.factorised(seen, overwrite=True)[0].sum().backward()
    assert seen.grad.isfinite().all()
