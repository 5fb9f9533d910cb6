"""What chapters measure again and again: the exponent of a power law, the first passage of a level, a cosine."""

import numpy as np
import torch


def power(x, y):
    """The exponent a of y ≈ c xᵃ, by least squares on logarithms. x, y: (k,) positive, k >= 2 -> float."""
    x, y = (np.asarray([float(value) for value in values]) for values in (x, y))
    if len(x) != len(y) or len(x) < 2 or not (np.isfinite([x, y]).all() and (x > 0).all() and (y > 0).all()):
        raise ValueError(f"a power law needs two or more positive pairs, got x={x} and y={y}")
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def first_passage(time, values, level):
    """The first recorded time at which values >= level. time: (r,), values: (r,) -> the entry of time.

    Raises ValueError, with the highest value, where none reaches the level: a run that did not get there.
    """
    reached = torch.as_tensor(values) >= level
    if not bool(reached.any()):
        raise ValueError(
            f"the highest of the {len(reached)} values is {float(max(values)):.4g}, below level={level}; run longer"
        )
    return time[int(reached.nonzero()[0, 0])]


def cosine(a, b):
    """cos∠(a, b) along the last dimension. (..., d), (..., d) -> (...). Raises ValueError for a zero vector or NaN."""
    lengths = a.norm(dim=-1) * b.norm(dim=-1)
    if not bool((lengths > 0).all() and lengths.isfinite().all()):
        raise ValueError(
            "one of the vectors is zero or not finite and has no direction; for an update, take more or larger steps"
        )
    return (a * b).sum(-1) / lengths
