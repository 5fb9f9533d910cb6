"""Loss functions of the outputs: value, gradient, and the Gauss–Newton metric on outputs, for any leading
dimensions."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Loss:
    """ℓ of outputs and targets Y, its gradient by the outputs, and metric(outputs, V) = ∇²ℓ V.

    value(outputs, Y): (..., n, m), (n, m) -> (...); gradient(outputs, Y): (..., n, m), (n, m) -> (..., n, m);
    metric(outputs, V): (..., n, m), (..., n, m) -> (..., n, m).
    """

    value: Callable
    gradient: Callable
    metric: Callable


def _cross_entropy_value(outputs, Y):
    return -(Y * outputs.log_softmax(-1)).sum((-2, -1)) / len(Y)


def _cross_entropy_metric(outputs, V):
    shares = outputs.softmax(-1)
    return shares * (V - (shares * V).sum(-1, keepdim=True)) / outputs.shape[-2]


LOSSES = {
    # Eq. 1: the sum of squares.
    "sum": Loss(
        lambda outputs, Y: (outputs - Y).square().sum((-2, -1)),
        lambda outputs, Y: 2 * (outputs - Y),
        lambda outputs, V: 2 * V,
    ),
    # The mean over all entries, which App. D must have used.
    "mean": Loss(
        lambda outputs, Y: (outputs - Y).square().mean((-2, -1)),
        lambda outputs, Y: 2 / Y.numel() * (outputs - Y),
        lambda outputs, V: 2 / outputs.shape[-2:].numel() * V,
    ),
    # The mean over samples; rows of Y are distributions.
    "cross_entropy": Loss(
        _cross_entropy_value, lambda outputs, Y: (outputs.softmax(-1) - Y) / len(Y), _cross_entropy_metric
    ),
}


def loss_of(name):
    """The Loss of this name. Raises ValueError with the known names."""
    if name not in LOSSES:
        raise ValueError(f"unknown loss {name!r}; known are {', '.join(LOSSES)}")
    return LOSSES[name]
