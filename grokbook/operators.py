"""The inputs X as an operator, which forms XE and XᵀG as cheaply as X allows."""

from typing import NamedTuple

import torch


class Matrix(NamedTuple):
    """X as an operator. X: (n, n_in), any real matrix."""

    X: torch.Tensor

    def times(self, E):
        """XE. (..., n_in, d) -> (..., n, d)."""
        return self.X.to(E) @ E

    def add_transposed(self, G, onto):
        """onto + XᵀG, written over onto. G: (..., n, d), onto: (..., n_in, d) -> like onto."""
        return onto.add_(self.X.T.to(G) @ G)


class PairSums(NamedTuple):
    """X as an operator whose rows are e_a + e_b: by indexing, a twentieth of the product."""

    first: torch.Tensor  # (n,) a
    second: torch.Tensor  # (n,) b

    def times(self, E):
        """XE. (..., n_in, d) -> (..., n, d)."""
        return E.index_select(-2, self.first).add_(E.index_select(-2, self.second))

    def add_transposed(self, G, onto):
        """onto + XᵀG, written over onto. G: (..., n, d), onto: (..., n_in, d) -> like onto."""
        return onto.index_add_(-2, self.first, G).index_add_(-2, self.second, G)


def operator(X):
    """X as an operator: PairSums where every row is a sum of two one-hots, else Matrix. X: (n, n_in)."""
    if not bool(((X == 0) | (X == 1) | (X == 2)).all() and (X.sum(1) == 2).all()):
        return Matrix(X)
    last = X.shape[1] - 1
    return PairSums((X > 0).int().argmax(1), last - (X.flip(1) > 0).int().argmax(1))
