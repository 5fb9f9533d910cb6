"""What chapters measure again and again: exponents, rates, first passages, cosines, and how steep a loss is."""

import math

import numpy as np
import torch

from grokbook import checks


def power(x, y):
    """The exponent a of y ≈ c xᵃ, by least squares on logarithms. x, y: (k,) positive, k >= 2 -> float."""
    x, y = (np.asarray([float(value) for value in values]) for values in (x, y))
    if len(x) != len(y) or len(x) < 2 or not (np.isfinite([x, y]).all() and (x > 0).all() and (y > 0).all()):
        raise ValueError(f"a power law needs two or more positive pairs, got x={x} and y={y}")
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def powers(y, *columns):
    """The exponents aᵢ of y ≈ c Π xᵢ^aᵢ, and c, by least squares on logarithms. y: (k,), columns: (k,) -> list, float.

    Raises ValueError for values that are not positive and for fewer points than unknowns."""
    values = np.asarray([y, *columns], dtype=float)
    if values.shape[1] < len(values) or not (np.isfinite(values).all() and (values > 0).all()):
        raise ValueError(f"{values.shape[1]} points, positive and finite, must be at least {len(values)}, got {values}")
    logs = np.log(values)
    design = np.column_stack([*logs[1:], np.ones(logs.shape[1])])
    solution, _, rank, _ = np.linalg.lstsq(design, logs[0], rcond=None)
    if rank < len(values):
        raise ValueError(f"the columns {columns} do not tell the exponents apart; vary each by itself")
    return solution[:-1].tolist(), float(np.exp(solution[-1]))


def rate(time, values):
    """The r of values ≈ c exp(−r time), by least squares on logarithms. time: (k,), values: (k,) positive -> float."""
    time, values = (np.asarray([float(value) for value in column]) for column in (time, values))
    fitting = len(time) == len(values) and np.isfinite([time, values]).all() and (values > 0).all()
    if not fitting or len(set(time)) < 2:
        raise ValueError(f"a rate needs positive values at two or more times, got time={time} and values={values}")
    return -float(np.polyfit(time, np.log(values), 1)[0])


def first_passage(time, values, level):
    """The first recorded time at which values >= level. time: (r,), values: (r,) -> (), an entry of time.

    Raises ValueError, with the highest value, where none reaches the level: a run that did not get there.
    """
    reached = torch.as_tensor(values) >= level
    if not bool(reached.any()):
        raise ValueError(
            f"the highest of the {len(reached)} values is {float(max(values)):.4g}, below level={level}; run longer"
        )
    return time[int(reached.nonzero()[0, 0])]


def crossing(values, level, *columns):
    """The columns where `values` first reach `level`, on straight lines between records. values, columns: (r,) -> list
    of floats, one a column.

    Raises ValueError where the values begin at the level or above, and where none reaches it.
    """
    values, *columns = (torch.as_tensor(column, dtype=torch.float64) for column in (values, *columns))
    reached = (values >= level).nonzero()
    if not len(reached):
        raise ValueError(f"the highest of the {len(values)} values is {float(values.max()):.4g}, below level={level}")
    if (k := int(reached[0])) == 0:
        raise ValueError(f"the first value is {float(values[0]):.4g}, at or above level={level}; choose a higher level")
    share = (level - values[k - 1]) / (values[k] - values[k - 1])
    return [float(column[k - 1] + share * (column[k] - column[k - 1])) for column in columns]


def cosine(a, b):
    """cos∠(a, b) along the last dimension. (..., d), (..., d) -> (...). Raises ValueError for a zero vector or NaN."""
    lengths = a.norm(dim=-1) * b.norm(dim=-1)
    if not bool((lengths > 0).all() and lengths.isfinite().all()):
        raise ValueError(
            "one of the vectors is zero or not finite and has no direction; for an update, take more or larger steps"
        )
    return (a * b).sum(-1) / lengths


def chatter(values):
    """The share of entries that cross 0 from one row to the next and back to the row after. -> float.

    values: (k, ...). Raises ValueError for fewer than three rows.
    """
    side = checks.real("values", values) > 0
    if len(side) < 3:
        raise ValueError(f"values has {len(side)} rows; to cross and come back takes three")
    crossed = side[1:] != side[:-1]
    return (crossed[1:] & crossed[:-1]).double().mean().item()


def explained(values, groups):
    """The share of the variance over samples that a sample's group explains (η², the correlation ratio). -> float.

    values: (n, d), the d columns taken together; groups: (n,), equal within a group. 1 where all samples of a group are
    alike; a column that knows nothing of them has (groups − 1)/(n − 1) on average. Raises ValueError for values without
    variance.
    """
    values = checks.real("values", values, (None, None))
    if groups.shape != values.shape[:1]:
        raise ValueError(f"groups has shape {tuple(groups.shape)}; give each of the {len(values)} samples its group")
    member = (groups[:, None] == groups.unique()).to(values)
    means = member.T @ values / member.sum(0)[:, None]
    centred = values - values.mean(0)
    total = float(centred.square().sum())
    if not total > 0:
        raise ValueError(f"all {len(values)} samples have the same values, and there is no variance to explain")
    return 1 - float((values - member @ means).square().sum()) / total


def sharpness(network, theta, iterations=30, speeds=None):
    """The largest eigenvalue of JJᵀ, by power iteration; L's Hessian has twice that where L = 0. θ: (d,) -> float.

    network: with products .jvp and .vjp. Each iteration comes closer from below. speeds: (d,), the diagonal of D; then
    the largest eigenvalue of JDJᵀ. Raises ValueError where JJᵀ(1, …, 1) is zero or not finite.
    """
    v = torch.ones_like(theta)
    root = v if speeds is None else speeds.sqrt()
    for _ in range(checks.whole("iterations", iterations, 1)):
        v = root * network.vjp(theta, network.jvp(theta, root * v / v.norm()))
    found = v.norm().item()
    if not 0 < found < math.inf:
        raise ValueError(f"J sends (1, …, 1) to zero or is not finite, |θ| = {theta.norm():.3g}; take another theta")
    return found
