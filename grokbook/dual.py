"""How small ‖E‖² + ‖W‖² can be at all: a bound for every width by convex duality, and the minimum it bounds.

For σ(cz) = cσ(z), c > 0, a unit's two norms can be balanced, so the least R/λ with HW = Y is 2 min Σ ‖w_h‖ over unit
directions e_h with Σ σ(Xe_h) w_hᵀ = Y: convex once the width is free (Sahiner and others, 2012.13329). Its dual is
2 max ⟨M, Y⟩ over the M (n, m) with ‖Mᵀσ(Xu)‖ <= 1 for every unit direction u.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve

from grokbook import checks, linalg
from grokbook.activations import activation_of
from grokbook.display.progress import bar
from grokbook.eq20 import Isolated
from grokbook.isolated import initial_embedding, minimise

ASCENT = (50, 150)  # steps towards the most lacking neurons, and further ones of the best
BEST = 300  # that many go on
SIZINGS = 40  # Newton steps to the best sizes
CENTRAL = 0.1  # what the barrier may cost, as a share of the gap so far
WIDEST = 0.1  # a gap above this counts as this, for the barrier
NEAR = 0.3  # how much M is drawn to the best one so far, in units of the mean eigenvalue of HHᵀ
TIGHT = 0.9  # a neuron with this ratio stays, in use or not
SMALLEST = 1e-2  # a unit of less than this share of the largest squared norm is not in use
FRESH = 10  # times as many starts try a bound again before it is given
NEW = 1e-3  # the share with which a neuron joins
CUTS = 500  # neurons that join in a round
SLIDE_EVERY = 3  # rounds from one descent along the directions to the next
ALIKE = 0.9999  # directions with a larger cosine are one


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
    M = Isolated(task, E, activation, decay).solve(E).multiplier
    ratio, neuron = largest_ratio(M, task, activation, starts=starts, generator=generator, near=E)
    gain, size = float((M * task.Y_train.to(M)).sum()), 1 / ratio  # M is feasible for the dual after division by c
    if decay:  # or by more, where that is worth more
        size = min(size, gain / (decay * float(M.square().sum())))
    value = 2 * size * gain - decay * size**2 * float(M.square().sum())
    return Bound(value, ratio, neuron)


def largest_ratio(M, task, activation="relu", *, starts=2000, generator=None, near=None):
    """c, the largest ‖Mᵀσ(Xu)‖ over unit directions u that an ascent from `starts` random ones finds, and its u.

    M: (n, m), near: (p, k), further directions to start from -> float, (p,). Raises ValueError for an activation that
    is not homogeneous of degree 1, and for an M of another shape than Y."""
    activation, starts, generator = _homogeneous(activation), checks.whole("starts", starts, 1), _random(generator)
    if M.shape != task.Y_train.shape:
        raise ValueError(f"M has shape {tuple(M.shape)}; it needs that of Y_train, {tuple(task.Y_train.shape)}")
    ratios, U = _ascent(M, task, activation, M.new_empty(task.p, 0) if near is None else near, starts, generator)
    return float(ratios.max()), U[:, ratios.argmax()]


class MinimumNorm(NamedTuple):
    """A network E: (p, k), W: (k, m) with HW = Y, and the `bound` that says how near R/λ, its `cost`, is to the least.

    gap: cost/bound − 1; above what was asked for where the rounds ran out. multiplier: (n, m) the M with bound = 2⟨M,
    Y⟩, which `largest_ratio` tries again. As in `Bound`, the bound is numerical.
    """

    cost: float
    bound: float
    gap: float
    test_accuracy: float
    E: torch.Tensor
    W: torch.Tensor
    multiplier: torch.Tensor


def minimum_norm(task, generator, activation="relu", *, gap=0.01, rounds=100, starts=1000, progress=True):
    """The smallest R/λ at any width, up to a relative `gap`, in at most `rounds` rounds. -> MinimumNorm.

    Column generation: the best sizes of the units there are, which is a convex problem, give a multiplier M; the
    neurons with a ratio above 1 join; now and then those in use slide downhill by `isolated.minimise`. Raises
    ValueError as `lower_bound` does."""
    activation, gap = _homogeneous(activation), checks.positive("gap", gap)
    starts, rounds = checks.whole("starts", starts, 1), checks.whole("rounds", rounds, 1)
    E = initial_embedding(task.p, 2 * len(task.Y_train) + 1, generator, dtype=torch.float64)
    E, cost = minimise(E, task, activation)[:2]
    best, so_far = (cost, E), WIDEST
    M = Isolated(task, E, activation).solve(E).multiplier
    certified = _certified(M, task, activation, E, starts, generator)
    with bar(rounds, 0, progress) as shown:
        for k in range(rounds):
            U = _unit(E)
            H = activation.sigma(task.inputs.times(U))
            share = CENTRAL * max(gap, min(so_far, WIDEST))
            sizes, M, cost = _sized(H, task.Y_train, E.square().sum(0), certified.M, share)
            best = min(best, (cost, U * sizes.sqrt()), key=lambda one: one[0])
            found = _certified(M, task, activation, U, starts, generator)
            certified = max(certified, found, key=lambda one: one.value)
            shown.update()
            if best[0] <= (1 + gap) * certified.value or k == rounds - 1:
                # The best of many rounds is the one whose worst neurons were missed: look for them again, harder.
                certified = found = _certified(certified.M, task, activation, U, FRESH * starts, generator)
            so_far = best[0] / certified.value - 1
            if so_far <= gap:
                break
            in_use = sizes > SMALLEST * sizes.max()
            tight = ~in_use & ((M.T @ H).norm(dim=0) > TIGHT)
            kept = U[:, in_use] * sizes[in_use].sqrt()
            if k % SLIDE_EVERY == SLIDE_EVERY - 1:
                kept, cost = _slid(kept, task, activation)
                best = min(best, (cost, kept), key=lambda one: one[0])
            E = torch.cat([kept, U[:, tight] * sizes[tight].sqrt(), found.lacking * (NEW * sizes.max()).sqrt()], 1)
    cost, E = best
    H = activation.sigma(task.inputs.times(E))
    W = linalg.min_norm(H, task.Y_train)
    used = (E.norm(dim=0) > 0) & (W.norm(dim=1) > 0)
    E, W = E[:, used], W[used]
    stretch = (W.norm(dim=1) / E.norm(dim=0)).sqrt()
    E, W = E * stretch, W / stretch[:, None]
    accuracy = float(task.accuracy(activation.sigma(task.inputs_test.times(E)) @ W))
    cost, bound = float(E.square().sum() + W.square().sum()), certified.value
    return MinimumNorm(cost, bound, cost / bound - 1, accuracy, E, W, certified.M)


def _sized(H, Y, sizes, centre, share):
    """The sizes s of units of fixed directions that make R/λ least, which is convex in them; M; and R/λ.

    Newton steps on Σ s + Tr Tᵀ(H diag(s) Hᵀ + δ)⁻¹T − μ Σ log s with T = Y + δ centre: the barrier keeps M inside of
    what the dual allows, and δ keeps it near `centre`; without either it swings from round to round. H: (n, k) for
    units of length 1, Y, centre: (n, m), sizes: (k,), where to start; share: what the barrier may cost, of Σ s ->
    (k,), (n, m), float.
    """
    H, Y, s, centre = (tensor.numpy(force=True) for tensor in (H, Y, sizes, centre))
    s = s.clip(NEW * s.max() / 10)
    barrier, pull = share * s.mean(), NEAR * float((H * H * s).sum()) / len(Y)
    target = Y + pull * centre

    def at(s):
        factor = cho_factor((H * s) @ H.T + pull * np.eye(len(Y)), lower=True)
        M = cho_solve(factor, target)
        return s.sum() + (M * target).sum() - barrier * np.log(s).sum(), M, factor

    value, M, factor = at(s)
    for _ in range(SIZINGS):
        answers = M.T @ H
        slope = s * (1 - (answers**2).sum(0)) - barrier  # in log s
        curvature = 2 * (H.T @ cho_solve(factor, H)) * (answers.T @ answers) * np.outer(s, s)
        curvature[np.diag_indices(len(s))] += barrier
        step = -cho_solve(cho_factor(curvature, lower=True), slope)
        gain, part = -slope @ step, min(1.0, 0.95 / max(-step.min(), 0.95))
        while (tried := at(s * (1 + part * step)))[0] > value - 1e-4 * part * gain and part > 1e-6:
            part /= 2
        s, (value, M, factor) = s * (1 + part * step), tried
        if gain < 0.01 * barrier * len(s):
            break
    exact = cho_solve(cho_factor((H * s) @ H.T, lower=True), Y)
    return torch.as_tensor(s), torch.as_tensor(M), float(s.sum() + (exact * Y).sum())


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
    """Ratios ‖Mᵀσ(Xu)‖ and their u after an ascent from E's units and from random ones. -> (k,), (p, k), the best."""
    random = torch.randn(task.p, starts, generator=generator, dtype=torch.float64).to(M)
    U = _unit(torch.cat([E, random], 1))
    for steps in ASCENT:
        squares, slope = _ratio(M, task, activation, U)
        step = torch.ones_like(squares)
        for _ in range(steps):
            V = U + step * slope / squares.clamp(min=torch.finfo(M.dtype).tiny)
            V = V / V.norm(dim=0)
            higher, new_slope = _ratio(M, task, activation, V)
            climbs = higher > squares
            U, slope = torch.where(climbs, V, U), torch.where(climbs, new_slope, slope)
            squares, step = torch.where(climbs, higher, squares), torch.where(climbs, 2 * step, step / 4)
        U = U[:, squares.topk(min(BEST, len(squares))).indices]
    return _ratio(M, task, activation, U)[0].sqrt(), U


def _ratio(M, task, activation, U):
    """‖Mᵀσ(Xu)‖² and half of its gradient, for the columns of U. -> (k,), (p, k)."""
    Z = task.inputs.times(U)
    answer = M.T @ activation.sigma(Z)
    return answer.square().sum(0), task.inputs.add_transposed(activation.pull(M @ answer, Z), torch.zeros_like(U))


def _slid(E, task, activation):
    """E after R was lowered from there, and R/λ; E itself and inf where Eq. 20 has no solution."""
    try:
        return minimise(E, task, activation, evaluations=300)[:2]
    except ValueError:  # no more units than samples, or units that depend on each other
        return E, math.inf


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
