"""The norm-minimising direction on a level set, Eqs 28 and 29, when it exists, and its flow with a faster readout."""

from typing import NamedTuple

import torch

from grokbook import linalg

MEMORISED = 0.2  # |F - y| / (1 + |y|) above which a network has not memorised


class Direction(NamedTuple):
    """g̃ = (I − J⁺J)(−θ), of length |g̃|; J was taken at the point, `moved` away from θ. vector, point: (d,)."""

    vector: torch.Tensor
    point: torch.Tensor
    moved: float


def norm_minimising_direction(level_set, theta, *, at="nearest", memorised=MEMORISED):
    """Eq. 29, the direction along Z in which |θ| falls fastest: −θ projected on ker J. θ: (d,) -> Direction.

    level_set: a LevelSet, with constraint rows if some directions are held. at="nearest": J is taken at the point of Z
    that `retract` finds from θ; at="here": at θ itself, so that the direction is tangent to the level set F = F(θ)
    through θ rather than to Z. Where rows of J depend on each other the projection is still the one on ker J.

    Raises ValueError for fewer parameters than equations (Assumption 4.1), for a θ that has not memorised, that is
    |F − y| > memorised (1 + |y|), and for an unknown `at`; ConvergenceError where no point of Z is found.
    """
    if at not in ("nearest", "here"):
        raise ValueError(f"at={at!r}; known are 'nearest' (the point of Z near theta) and 'here' (theta itself)")
    require_memorised(level_set, theta, memorised)
    point = level_set.retract(theta) if at == "nearest" else theta
    return Direction(level_set.tangent(point, -theta), point, float((point - theta).norm()))


def require_memorised(level_set, theta, memorised=MEMORISED):
    """Raise ValueError where there is no direction along Z to speak of, at θ: (d,).

    That is for fewer parameters than equations (Assumption 4.1) and for |F − y| > memorised (1 + |y|)."""
    equations = len(level_set.y)
    if len(theta) < equations:
        raise ValueError(
            f"{len(theta)} parameters cannot fit {equations} targets in general (Assumption 4.1: d >= km), and leave "
            "no direction along Z; widen the network"
        )
    if not memorised > 0:
        raise ValueError(f"memorised={memorised} must be positive")
    missed, allowed = float(level_set.residual(theta).norm()), memorised * (1 + float(level_set.y.norm()))
    if missed > allowed:
        raise ValueError(
            f"not memorised: |F − y| is {missed:.2g} and must be at most {memorised:.2g} (1 + |y|) = {allowed:.2g}; "
            "train longer, lower the decay, or pass memorised= if this is meant"
        )


def weighted_flow(network, ratio):
    """θ' = D(−θ + Jᵀμ) with JDJᵀμ = JDθ: the norm falls, the outputs stay. -> a function (d,) -> (d,).

    D is `ratio` on the readout and 1 on the layers before it: 1 gives −(I − J⁺J)θ, a large one nears Eq. 20 with an
    error of order 1/ratio. network: a TwoLayer or Deep. Raises ValueError for a ratio that is not positive.
    """
    speeds = network.speeds(ratio)

    def field(theta):
        H = network.hidden(theta)
        of_readout = torch.kron(H @ H.T, torch.eye(network.n_outputs).to(H))
        solve = linalg.gram_solver(network.gram(theta) + (ratio - 1) * of_readout)
        return speeds * (network.vjp(theta, solve(network.jvp(theta, speeds * theta))) - theta)

    return field
