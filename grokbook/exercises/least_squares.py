"""Checks of the exercises of *Least squares*."""

import torch

from grokbook import linalg
from grokbook.exercises.answers import array, check, expect, function


def _cases():
    """H, y and s of several sizes, none so uneven that gradient descent would be slow on H·s."""
    generator = torch.Generator().manual_seed(0)
    for n, d in [(2, 5), (3, 7), (1, 4)]:
        rows = torch.linalg.qr(torch.randn(d, n, generator=generator, dtype=torch.float64))[0].T
        sizes = torch.linspace(0.8, 1.2, n, dtype=torch.float64)[:, None]
        scales = 0.6 + 1.4 * torch.rand(d, generator=generator, dtype=torch.float64)
        yield sizes * rows, torch.randn(n, generator=generator, dtype=torch.float64), scales


@check
def check_norm(fit):
    """fit(H, y, s): the weights w = s u that gradient descent on u finds from u = 0, for ‖Hw − y‖²."""
    fit = function("fit", fit)
    for H, y, s in _cases():
        n, d = H.shape
        w = array("fit(...)", fit(H.clone(), y.clone(), s.clone()), d)
        case = f"for {n} samples, {d} weights and random s"

        def is_near(other, w=w):
            return bool((w - other).norm() < 1e-3 * w.norm())

        u = linalg.min_norm(H * s, y)
        expect(not is_near(u), f"{case} your fit is u, by which H·s fits. The weights that H sees are w = s·u.")
        miss = float((H @ w - y).norm() / y.norm())
        expect(
            miss < 1e-3,
            f"{case} your fit misses the targets by {miss:.2g} of their size. The model is H w with w = s·u, so that "
            "the matrix for u is H with its columns multiplied by s. Take a step below 1/σ², with σ its largest "
            "singular value, and enough steps.",
        )
        expect(
            not is_near(linalg.min_norm(H, y)),
            f"{case} your fit is the shortest w: s has changed nothing. Descend in u, from the gradient by u.",
        )
        root = s.sqrt()
        expect(
            not is_near(root * linalg.min_norm(H * root, y)),
            f"{case} your fit has the smallest Σ w²/s. The gradient by u is s times the one by w, and w moves by s "
            "times what u moves: s counts twice.",
        )
        expect(
            not is_near(linalg.min_norm(H / s, y) / s),
            f"{case} your fit is the shortest for w = u/s. Here w = s·u, and a weight with a large s is cheap.",
        )
        kernel = float(linalg.null_space_projection(H * s, w / s).norm() / (w / s).norm())
        expect(
            kernel < 1e-3,
            f"{case} your fit is exact, but its u = w/s has a part of relative size {kernel:.2g} that the samples do "
            "not see. Gradient descent leaves this part as it starts: start at u = 0.",
        )
    return "Of all exact fits it has the smallest Σ w²/s²: a weight with a large s is cheap."
