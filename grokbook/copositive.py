"""A bound on ‖Mᵀσ(Xu)‖ that is proved and not searched for, for sums of pairs and few symbols.

Where no entry of Xu changes its sign, ReLU is linear: ‖Mᵀσ(Xu)‖ = ‖Bu‖ with B = MᵀDX. On a cone u = Σ α_i v_i, α >= 0,
‖Bu‖ <= c‖u‖ follows from v_iᵀ(c² − BᵀB)v_j >= 0 for all i, j. Where that fails, the cone is split in two (Bundfuss
and Dür). The first cones are the chambers of u_a = 0 and u_a = ±u_b, on which no row of X = e_a + e_b changes sign.
"""

import itertools
import math

import torch

from grokbook import checks

LARGEST = 6  # symbols: there are 2^p p! chambers


def chambers(p):
    """The k = 2^p p! cones s₁u_a >= s₂u_b >= … >= 0, for every order of the symbols and all signs.

    -> (k, p, p): the p rays of a cone, of length 1, in its rows. Raises ValueError for p > 6."""
    if checks.whole("p", p, 1) > LARGEST:
        raise ValueError(f"p={p} has 2^p p! = {2**p * math.factorial(p)} chambers; take p <= {LARGEST}")
    orders = torch.tensor(list(itertools.permutations(range(p))))
    signs = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=p)), dtype=torch.float64)
    steps = torch.ones(p, p, dtype=torch.float64).tril()  # ray k: the first k + 1 symbols of an order
    rays = torch.stack([steps[:, order.argsort()] for order in orders])
    rays = (rays[:, None] * signs[:, None]).flatten(0, 1)
    return rays / rays.norm(dim=-1, keepdim=True)


def proved(M, task, ratio, most=1_000_000):
    """Whether ‖Mᵀσ(Xu)‖ <= `ratio` for every unit u and ReLU is proved (True) or false (False). M: (n, m) -> bool.

    Up to rounding. Raises ValueError for tasks whose rows are not e_a + e_b, for p > 6, and if more than `most` cones
    do not settle it, which happens where the largest ratio is `ratio` itself."""
    X, ratio, most = task.X_train.to(M), checks.positive("ratio", ratio), checks.whole("most", most, 1)
    if not bool((X.sum(1) == 2).all() and (X >= 0).all()):
        raise ValueError("the rows of X_train must be e_a + e_b, as in `grokbook.tasks.table`")
    rays = chambers(task.p).to(M)
    signs, which = torch.unique(rays.sum(1) @ X.T > 0, dim=0, return_inverse=True)
    B = M.T @ (signs.to(M)[:, :, None] * X)
    Q = ratio**2 * torch.eye(task.p).to(M) - B.mT @ B
    seen = 0
    while len(rays):
        seen += len(rays)
        if seen > most:
            raise ValueError(f"{most} cones do not settle ratio={ratio}, {len(rays)} are open; raise ratio or most")
        products = rays @ Q[which] @ rays.mT
        if bool((products.diagonal(dim1=1, dim2=2) < 0).any()):
            return False
        open_ = products.amin((1, 2)) < 0
        rays, which = _split(rays[open_]), which[open_].repeat(2)
    return True


def _split(rays):
    """Each cone cut in two through the middle of its longest edge. (k, p, p) -> (2k, p, p)."""
    edge = (rays @ rays.mT).flatten(1).argmin(1)
    cone, first, last = torch.arange(len(rays)), edge // rays.shape[1], edge % rays.shape[1]
    middle = rays[cone, first] + rays[cone, last]
    halves = rays.clone(), rays.clone()
    halves[0][cone, first] = halves[1][cone, last] = middle / middle.norm(dim=-1, keepdim=True)
    return torch.cat(halves)
