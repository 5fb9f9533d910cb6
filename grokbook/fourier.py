"""The embedding as a sum of circles: Fourier features over the residues, their planes, and who serves them."""

from typing import NamedTuple

import torch

from grokbook import checks


def features(E):
    """Section 7.3.2: F_k = (1/p) Σ_j exp(−2πi jk/p) E_j, k = 1..(p−1)/2. E: (..., p, d) -> (..., (p−1)/2, d) complex.

    Row k − 1 belongs to frequency k; frequency p − k is its complex conjugate. Raises ValueError for p < 3.
    """
    p = E.shape[-2] if E.ndim >= 2 else 0
    if p < 3:
        raise ValueError(f"E has shape {tuple(E.shape)}; it must be (..., p, d) with p at least 3 to have a frequency")
    return torch.fft.fft(checks.real("E", E), dim=-2)[..., 1 : (p - 1) // 2 + 1, :] / p


class CircleMeasures(NamedTuple):
    """How circular each frequency is, one entry a frequency."""

    aspect: torch.Tensor  # (f,) shorter over longer of ‖Re F_k‖ and ‖Im F_k‖: 1 for a circle
    cosine: torch.Tensor  # (f,) |cos| of the angle between Re F_k and Im F_k: 0 for a circle
    power: torch.Tensor  # (f,) share of Σ_k ‖F_k‖²


def circle_measures(F):
    """Aspect ratio, orthogonality and power of every frequency. F: complex (f, d) -> CircleMeasures."""
    real, imaginary = F.real.norm(dim=1), F.imag.norm(dim=1)
    longer = torch.maximum(real, imaginary)
    power = real**2 + imaginary**2
    if bool((torch.minimum(real, imaginary) == 0).any()):
        raise ValueError("a frequency has no real or no imaginary part; its plane is a line and no circle")
    cosine = (F.real * F.imag).sum(1).abs() / (real * imaginary)
    return CircleMeasures(torch.minimum(real, imaginary) / longer, cosine, power / power.sum())


def parts(F):
    """Re and Im of all frequencies, in the order Re F_1, Im F_1, Re F_2, ... F: complex (f, d) -> (2 f, d)."""
    return torch.view_as_real(F).permute(0, 2, 1).flatten(0, 1)


def cosines(rows):
    """All cosines between rows. (r, d) -> (r, r)."""
    unit = torch.nn.functional.normalize(rows, dim=1)
    return unit @ unit.T


def plane(E, k):
    """The embeddings in the plane of frequency k, coordinates along orthonormal axes, the first along Re F_k.

    E: (p, d) -> (p, 2).
    """
    p = E.shape[0]
    if not 1 <= k <= (p - 1) // 2:
        raise ValueError(f"frequency k={k} must lie in 1..{(p - 1) // 2} for p={p}")
    if E.shape[1] < 2:
        raise ValueError(f"E has shape {tuple(E.shape)}; a plane needs two or more hidden units")
    F = features(E)[k - 1]
    axes, sizes = torch.linalg.qr(torch.stack([F.real, F.imag], dim=1))
    return E @ (axes * sizes.diagonal().sign())


def order_round(points):
    """The residues in the order in which they stand round the origin, from residue 0 on. (p, 2) -> (p,)."""
    if not bool((points.norm(dim=1) > 0).all()):
        raise ValueError("a residue stands at the origin or is not finite, and has no place round the circle")
    order = torch.atan2(points[:, 1], points[:, 0]).argsort()
    return order.roll(-int((order == 0).nonzero()))


def step_round(points):
    """The difference of neighbours round the circle, mod p, or None where it is not the same all round.

    Direction is a matter of taste, so of s and p − s the smaller is returned. (p, 2) -> int or None.
    """
    p = len(points)
    order = order_round(points)
    differences = (order.roll(-1) - order).remainder(p).unique().tolist()
    return min(differences[0], p - differences[0]) if len(differences) == 1 else None


def served_by(F):
    """Each hidden unit's strongest frequency and its share of the unit's power. F: complex (f, d) -> k: (d,), (d,)."""
    power = F.abs() ** 2
    if not bool((power.sum(0) > 0).all()):
        raise ValueError(f"units {(~(power.sum(0) > 0)).nonzero().flatten().tolist()} are zero; leave them out")
    share, row = (power / power.sum(0)).max(0)
    return row + 1, share


def polygon_order(F, corners):
    """Σ_k |Σ zᶜ| / Σ |z|ᶜ: how near the units of each frequency stand to the corners of a regular polygon, c = corners.

    z is a unit's coefficient at its strongest frequency k; large units count more. F: complex (f, d) -> float, 1 where
    the phases within each frequency differ by multiples of 2π/c. Raises ValueError where no unit has a frequency.
    """
    own = F.abs().argmax(0)
    powers = F[own, torch.arange(F.shape[1])] ** checks.whole("corners", corners, 1)
    if not float(powers.abs().sum()) > 0:
        raise ValueError(f"all {F.shape[1]} units are zero or not finite, and have no phases")
    return float(sum(powers[own == k].sum().abs() for k in own.unique()) / powers.abs().sum())
