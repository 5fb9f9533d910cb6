"""Checks of the exercises of *More layers*."""

import math
from itertools import pairwise

import torch

from grokbook.exercises.answers import array, check, expect, function


def _matrices():
    """The two of the exercise, turned, and a random one; each with what it is called."""
    generator = torch.Generator().manual_seed(0)
    P, Q = (torch.linalg.qr(torch.randn(2, 2, generator=generator, dtype=torch.float64)).Q for _ in range(2))
    yield "a random 5 x 7 matrix", torch.randn(5, 7, generator=generator, dtype=torch.float64)
    for values in ([1.0, 1.0], [math.sqrt(2), 0.0]):
        named = f"the matrix with singular values {values[0]:.3g} and {values[1]:g}"
        yield named, P @ torch.tensor(values, dtype=torch.float64).diag() @ Q


@check
def check_schatten(factors):
    """factors(M, depth): a list of `depth` matrices whose product is M, and whose squared norms have the least sum."""
    factors = function("factors", factors)
    for name, M in _matrices():
        for depth in (3, 2, 1):
            found = factors(M.clone(), depth)
            expect(isinstance(found, list | tuple), f"`factors` returns a {type(found).__name__}; a list is asked for.")
            case = f"for {name} and {depth} layer{'s' * (depth > 1)}"
            expect(len(found) == depth, f"{case} your list has {len(found)} matrices; there is one for each layer.")
            layers = [array(f"factors(...)[{i}]", layer, None, None) for i, layer in enumerate(found)]
            shapes = [tuple(layer.shape) for layer in layers]
            fit = shapes[0][0] == M.shape[0] and shapes[-1][1] == M.shape[1]
            fit = fit and all(left[1] == right[0] for left, right in pairwise(shapes))
            expect(fit, f"{case} your matrices have the shapes {shapes}, and no product of shape {tuple(M.shape)}.")
            off = float(((torch.linalg.multi_dot(layers) if depth > 1 else layers[0]) - M).norm() / M.norm())
            expect(
                off < 1e-5,
                f"{case} the product of your matrices is {off:.2g} of ‖M‖ away from M. The powers of S in them have to "
                "add up to 1.",
            )
            squares = [float(layer.square().sum()) for layer in layers]
            least = depth * float(torch.linalg.svdvals(M).pow(2 / depth).sum())
            paid = ", ".join(f"{square:.4g}" for square in squares)
            expect(
                sum(squares) < least * 1.001,
                f"{case} the product is M, but it costs {sum(squares):.4g}, and {least:.4g} is enough. Your layers pay "
                f"{paid}; at the least price each pays alike, in every direction: share S out evenly.",
            )
    return "With one layer the exercise's two matrices cost the same; with each further one low rank gets cheaper."
