"""How small ‖E‖² + ‖W‖² can be at all: a bound for every width by convex duality, and the minimum it bounds.

For σ(cz) = cσ(z), c > 0, a unit's two norms can be balanced, so the least R/λ with HW = Y is 2 min Σ ‖w_h‖ over unit
directions e_h with Σ σ(Xe_h) w_hᵀ = Y: convex once the width is free (Ergen and Pilanci, 2012.13329). Its dual is
2 max ⟨M, Y⟩ over the M (n, m) with ‖Mᵀσ(Xu)‖ <= 1 for every unit direction u.
"""

from typing import NamedTuple

import torch
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from grokbook import checks, linalg
from grokbook.activations import activation_of
from grokbook.display.progress import bar
from grokbook.eq20 import Isolated
from grokbook.isolated import initial_embedding, minimise

ASCENT = 150  # steps to the most lacking neurons
STEPS = 1000  # evaluations for the best sizes
ALIKE = 0.9999  # directions with a larger cosine are one
TIGHT = 0.98  # a neuron with this ratio stays, in use or not
SMALLEST = 1e-4  # a unit of less than this share of the largest squared norm is not in use
FLOOR = 1e-7  # the least share of the largest squared norm, which keeps HHᵀ regular
BLENDS = (0.0, 0.3, 0.6)  # shares of the best multiplier so far
CUTS = 150  # neurons that join in a round


class Bound(NamedTuple):
    """No network of any width with HW = Y has R/λ below `value`, if `ratio`, c, is the largest there is.

    ratio: the largest ‖Mᵀσ(Xu)‖ found, beside 1 for a network's own units where Eq. 20 is at rest; neuron: (p,) that u,
    which a network lacks if c > 1.
    """

    value: float
    ratio: float
    neuron: torch.Tensor


def lower_bound(E, task, activation="relu", decay=0.0, *, starts=2000, generator=None):
    """2⟨M, Y⟩/c with M = AY, the multiplier of Eq. 20, and c the largest ratio of a neuron. E: (p, d_hidden) -> Bound.

    For decay > 0 a bound of Eq. 19 with its λ. c comes from an ascent from `starts` random directions and from E's
    own: it is a maximum over starts and no proof. Raises ValueError as `isolated.readout` does, and for an activation
    that is not homogeneous of degree 1."""
    activation, generator = _homogeneous(activation), _random(generator)
    solution = Isolated(task, E, activation, decay).solve(E)
    M = solution.multiplier
    ratios, U = _ascent(M, task, activation, E, checks.whole("starts", starts, 1), generator)
    best, gain = int(ratios.argmax()), float((M * task.Y_train.to(M)).sum())
    size = 1 / float(ratios[best])  # M is feasible for the dual after division by c, or by more where λ asks for it
    if decay:
        size = min(size, gain / (decay * float(M.square().sum())))
    value = 2 * size * gain - decay * size**2 * float(M.square().sum())
    return Bound(value, float(ratios[best]), U[:, best])


class MinimumNorm(NamedTuple):
    """A network E: (p, k), W: (k, m) with HW = Y, and the `bound` that says how near R/λ, its `cost`, is to the least.

    gap: cost/bound − 1; above what was asked for where the rounds ran out. As in `Bound`, the bound is numerical.
    """

    cost: float
    bound: float
    gap: float
    test_accuracy: float
    E: torch.Tensor
    W: torch.Tensor


def minimum_norm(task, generator, activation="relu", *, gap=0.01, rounds=100, starts=2000, progress=True):
    """The smallest R/λ at any width, up to a relative `gap`, in at most `rounds` rounds. -> MinimumNorm.

    Column generation: the best sizes of the units there are, which is a convex problem, give a multiplier M; the
    neurons with a ratio above 1 join; those in use slide downhill by `isolated.minimise`. Raises ValueError as
    `lower_bound` does."""
    activation, gap = _homogeneous(activation), checks.positive("gap", gap)
    starts, rounds = checks.whole("starts", starts, 1), checks.whole("rounds", rounds, 1)
    E = initial_embedding(task.p, 2 * len(task.Y_train) + 1, generator, dtype=torch.float64)
    E, best, certified = minimise(E, task, activation).E, None, None
    with bar(rounds, 0, progress) as shown:
        for _ in range(rounds):
            U, H = _unit(E), activation.sigma(task.inputs.times(_unit(E)))
            sizes, M, cost = _sized(H, task.Y_train, E.square().sum(0))
            if best is None or cost < best[0]:
                best = cost, U * sizes.sqrt()
            # The newest multiplier swings from round to round; on the way to it from the best one are better ones.
            blends = [M] if certified is None else [M + share * (certified.M - M) for share in BLENDS]
            found = [_certified(blend, task, activation, U, starts, generator) for blend in blends]
            better = max(found, key=lambda one: one.value)
            certified = max(certified or better, better, key=lambda one: one.value)
            shown.update()
            if best[0] <= (1 + gap) * certified.value:
                break
            in_use = sizes > SMALLEST * sizes.max()
            tight = ~in_use & ((M.T @ H).norm(dim=0) > TIGHT)
            joining = torch.cat([U[:, tight], found[0].lacking, better.lacking], 1) * (SMALLEST * sizes.max()).sqrt()
            E = torch.cat([_slid(U[:, in_use] * sizes[in_use].sqrt(), task, activation), joining], 1)
    cost, E = best
    H = activation.sigma(task.inputs.times(E))
    W = linalg.min_norm(H, task.Y_train)
    accuracy = float(task.accuracy(activation.sigma(task.inputs_test.times(E)) @ W))
    cost, bound = float(E.square().sum() + W.square().sum()), certified.value
    return MinimumNorm(cost, bound, cost / bound - 1, accuracy, E, W)


def _sized(H, Y, sizes):
    """The sizes ‖e_h‖² that minimise Eq. 19 with all directions held, which is convex in them; M = AY; and R/λ.

    H: (n, k) for units of length 1, Y: (n, m), sizes: (k,), where to start -> (k,), (n, m), float.
    """
    H, Y, sizes = (tensor.numpy(force=True) for tensor in (H, Y, sizes))
    floor = FLOOR * sizes.max()

    def multiplier(sizes):
        return cho_solve(cho_factor((H * sizes) @ H.T, lower=True), Y)

    def cost(sizes):
        M = multiplier(sizes)
        return sizes.sum() + (M * Y).sum(), 1 - ((M.T @ H) ** 2).sum(0)

    options = dict(maxiter=STEPS, maxfun=STEPS, maxcor=30, ftol=0, gtol=1e-6)
    bounds = [(floor, None)] * len(sizes)
    found = minimize(cost, sizes.clip(floor), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return torch.as_tensor(found.x), torch.as_tensor(multiplier(found.x)), float(found.fun)


class _Certified(NamedTuple):
    """A feasible multiplier of the dual, its value 2⟨M, Y⟩, and the neurons that had a ratio above 1 before."""

    value: float
    M: torch.Tensor
    lacking: torch.Tensor


def _certified(M, task, activation, E, starts, generator):
    ratios, U = _ascent(M, task, activation, E, starts, generator)
    M, high = M / ratios.max(), ratios > 1 + 0.1 * (ratios.max() - 1)
    return _Certified(2 * float((M * task.Y_train).sum()), M, _distinct(U[:, high], ratios[high], CUTS))


def _ascent(M, task, activation, E, starts, generator):
    """Ratios ‖Mᵀσ(Xu)‖ and their u after an ascent from E's units and from random ones. -> (k,), (p, k)."""
    random = torch.randn(task.p, starts, generator=generator, dtype=torch.float64).to(M)
    U = _unit(torch.cat([E, random], 1))
    squares, slope = _ratio(M, task, activation, U)
    step = torch.ones_like(squares)
    for _ in range(ASCENT):
        V = U + step * slope / squares.clamp(min=torch.finfo(M.dtype).tiny)
        V = V / V.norm(dim=0)
        higher, new_slope = _ratio(M, task, activation, V)
        climbs = higher > squares
        U, slope = torch.where(climbs, V, U), torch.where(climbs, new_slope, slope)
        squares, step = torch.where(climbs, higher, squares), torch.where(climbs, 2 * step, step / 4)
    return squares.sqrt(), U


def _ratio(M, task, activation, U):
    """‖Mᵀσ(Xu)‖² and half of its gradient, for the columns of U. -> (k,), (p, k)."""
    Z = task.inputs.times(U)
    answer = M.T @ activation.sigma(Z)
    return answer.square().sum(0), task.inputs.add_transposed(activation.pull(M @ answer, Z), torch.zeros_like(U))


def _slid(E, task, activation):
    """E after R was lowered from there, without units that got small; E itself where Eq. 20 has no solution."""
    try:
        E = minimise(E, task, activation, evaluations=300).E
    except ValueError:  # no more units than samples, or units that depend on each other
        return E
    return E[:, E.square().sum(0) > SMALLEST * E.square().sum(0).max()]


def _distinct(U, worth, most=None):
    """The columns in the order of their worth, without those that are like one before. -> (p, <= most)."""
    kept = U[:, :0]
    for i in worth.argsort(descending=True).tolist():
        if kept.shape[1] == most:
            break
        if not bool((kept.T @ U[:, i] > ALIKE).any()):
            kept = torch.cat([kept, U[:, i : i + 1]], 1)
    return kept


def _unit(E):
    """The columns that are not zero, at length 1."""
    lengths = E.norm(dim=0)
    return E[:, lengths > 0] / lengths[lengths > 0]


def _homogeneous(activation):
    activation = activation_of(activation)
    if activation.degree != 1:
        raise ValueError(
            f"activation={activation.name!r} has degree {activation.degree}; the two norms of a unit can only be "
            "balanced for degree 1, such as 'relu' or 'leaky_relu'"
        )
    return activation


def _random(generator):
    return torch.Generator().manual_seed(0) if generator is None else checks.random(generator)
