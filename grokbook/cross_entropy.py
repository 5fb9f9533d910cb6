"""Cross-entropy near rest: no zero-loss set, but walls. With decay, without, which way, and how near to the best.

L is the mean over samples, with decay L + (λ/2)‖θ‖², T = ηλk is the slow time of k steps of η. z: (n, m), the margins
f_y − f_c of a sample's right output over the others, ∞ at the right one; q = p_c/(nλ), the multipliers with which they
push: θ' = Σ q ∇z − θ in T. A = JᵀGJ/λ, G the metric of L on outputs, so that A v = Σ q (∇z·v − Σ p ∇z·v) ∇z.
"""

import itertools
import math
from typing import NamedTuple

import torch
from scipy.sparse.linalg import LinearOperator, cg

from grokbook import checks
from grokbook.dual import largest_ratio

LONGEST = 0.05  # step of T
SAFETY = 1.0  # step times the largest eigenvalue of A + 1; descent is stable below 2
AFRESH = 5  # steps between two looks at that eigenvalue
SUDDEN = 8.0  # times as much push since then are a reason to look at once
FIRST, FURTHER = 10, 2  # power iterations of such a look, as of the first, and of the others
MAX_STEPS = 200_000
DEEP = -30.0  # below it ln(1 + eˢ) is eˢ to the last bit


class Followed(NamedTuple):
    """points: (k, d) at the times, or depths, that were asked for; steps: (k,) how many it had taken by then."""

    points: torch.Tensor
    steps: torch.Tensor


class Bound(NamedTuple):
    """No network of any width has L + (λ/2)‖θ‖² below `value`, nor a least margin above `margin` ‖θ‖², if `ratio`,
    beside 1 for a network's own units at rest, is the largest there is; neuron: (p,) that unit. cost: this network's
    own L + (λ/2)‖θ‖²."""

    value: float
    cost: float
    ratio: float
    margin: float
    neuron: torch.Tensor


def margins(outputs, Y):
    """z = f_y − f_c, ∞ at the right output. outputs: (n, m), Y: (n, m), rows one-hot -> (n, m)."""
    one_hot = outputs.shape == Y.shape and bool(((Y == 0) | (Y == 1)).all() and (Y.sum(-1) == 1).all())
    if not one_hot:
        found = f"outputs are {tuple(outputs.shape)}, Y is {tuple(Y.shape)}"
        raise ValueError(f"{found}; give Y rows with a single 1, as torch.nn.functional.one_hot makes them")
    return ((outputs * Y).sum(-1, keepdim=True) - outputs).masked_fill(Y.bool(), math.inf)


def log_loss(outputs, Y):
    """ln L of the mean cross-entropy, without underflow. (n, m), (n, m) -> ()."""
    s = torch.logsumexp(-margins(outputs, Y), -1)
    each = torch.where(s < DEEP, s, torch.nn.functional.softplus(s).log())
    return torch.logsumexp(each, 0) - math.log(len(Y))


def multipliers(outputs, Y, decay):
    """q = p_c/(nλ) of the wrong outputs, 0 at the right one. (n, m), (n, m) -> (n, m)."""
    return _scaled(outputs, Y, math.log(checks.positive("decay", decay)))


def _scaled(outputs, Y, log_scale):
    """p_c/(n scale): with exponents that are added before e is raised to them."""
    z = margins(outputs, Y)
    log_p = -z - torch.nn.functional.softplus(torch.logsumexp(-z, -1, keepdim=True))
    return (log_p - log_scale - math.log(len(Y))).exp()


def _push(q, Y):
    """Σ q ∇z by the outputs: what a wrong output loses the right one gains. (n, m) -> (n, m), rows add up to 0."""
    return Y * q.sum(-1, keepdim=True) - q


def _stiffness(network, theta, Y, q, log_scale):
    """v -> Av with e^log_scale in the place of λ."""
    p = q * len(Y) * math.exp(log_scale)

    def times(v):
        change = network.jvp(theta, v).view_as(Y)
        change = (change * Y).sum(-1, keepdim=True) - change  # of the margins
        return network.vjp(theta, _push(q * (change - (p * change).sum(-1, keepdim=True)), Y).flatten())

    return times


def stiffnesses(network, theta, task, decay):
    """The eigenvalues of A that can differ from 0: how hard the loss holds a direction, beside decay, which has 1.

    θ: (d,) -> (n m,), increasing, one a sample 0; by a dense matrix of (n m)²."""
    theta, Y = _point(network, theta), task.Y_train.to(network.X)
    n, m = Y.shape
    p = multipliers(network.outputs(theta), Y, decay) * (n * decay)
    root, right = p.sqrt(), 1 - p.sum(-1)
    # BBᵀ = diag p − ppᵀ over the wrong outputs, whose p add up to 1 − right.
    B = torch.diag_embed(root) - p[:, :, None] * root[:, None, :] / (1 + right.sqrt())[:, None, None]
    B = Y[:, :, None] * B.sum(1, keepdim=True) - B  # from margins to outputs
    K = torch.einsum("iab,iajc->ibjc", B, network.gram(theta).view(n, m, n, m))
    K = torch.einsum("ibjc,jcd->ibjd", K, B).reshape(n * m, n * m)
    return torch.linalg.eigvalsh(K) / (n * decay)


def settle(network, task, times, decay, theta):
    """Gradient descent on L + (λ/2)‖θ‖² with steps that follow the stiffness, at `times` of T = ηλk. -> Followed.

    times: (k,), increasing, θ's the first; θ: (d,). A step of T is 1 over 1 + A's largest eigenvalue, at most 0.05. A
    has no 1/λ in it, so that a tenth of the decay takes hardly more steps: ηλ stays, not η. Raises ValueError for times
    that do not increase, for labels that are not one-hot and where θ stops being finite."""
    return _descended(network, task, _increasing("times", times), checks.positive("decay", decay), theta)


def sink(network, task, depths, theta):
    """Gradient descent on L alone with steps that grow as L falls, where ln(1/L) first reaches `depths`. -> Followed.

    depths: (k,), increasing; θ: (d,). A step is 1 over the largest eigenvalue of JᵀGJ, an Euler step of θ' = −∇ln L.
    Raises ValueError as `settle` does."""
    return _descended(network, task, _increasing("depths", depths), 0.0, theta)


def _point(network, theta):
    return checks.real("theta", theta, (network.size,)).detach()


def _increasing(name, marks):
    marks = [float(mark) for mark in marks]
    if not marks or not all(0 < end - begin < math.inf for begin, end in itertools.pairwise(marks)):
        raise ValueError(f"{name}={marks} must be a list of finite numbers that increases")
    return marks


def _descended(network, task, marks, decay, theta):
    """θ' = Σ q ∇z − θ until T reaches each mark; without decay q has L in place of λ, and the marks are of ln(1/L)."""
    theta = _point(network, theta)
    Y, along, points, taken = task.Y_train.to(network.X), torch.ones_like(theta), [], []
    time, pushed = marks[0], 0.0
    for steps in range(MAX_STEPS):
        outputs, pull = network.linearised(theta)
        log_scale = math.log(decay) if decay else float(log_loss(outputs, Y))
        here = time if decay else -log_scale
        while here >= marks[len(points)]:
            points.append(theta)
            taken.append(steps)
            if len(points) == len(marks):
                return Followed(torch.stack(points), torch.tensor(taken))
        q = _scaled(outputs, Y, log_scale)
        sudden = float(q.sum()) > SUDDEN * pushed
        if steps % AFRESH == 0 or sudden:
            pushed = float(q.sum())
            along = _stiffest(_stiffness(network, theta, Y, q, log_scale), along, FIRST if sudden else FURTHER)
            largest = float(along.norm())
        velocity = pull(_push(q, Y))
        if decay:
            left = marks[len(points)] - time
            step = min(SAFETY / (1 + largest), LONGEST, left)
            time = marks[len(points)] if step == left else time + step
            velocity -= theta
        elif not largest:
            raise ValueError(f"nothing moves at |θ| = {float(theta.norm()):.3g}, where J is zero; start elsewhere")
        else:
            step = SAFETY / largest
        theta = theta + step * velocity
        if not bool(theta.sum().isfinite()):
            raise ValueError(f"after {steps} steps θ is not finite; start from smaller weights, or in float64")
    reached = f"T = {time:.3g}" if decay else f"ln(1/L) = {here:.3g}"
    raise ValueError(f"{MAX_STEPS} steps reached {reached} of {marks[-1]:.3g}; ask for less")


def _stiffest(times, along, iterations):
    """Power iteration for A's largest eigenvalue, the length of what it returns. v -> Av, (d,) -> (d,)."""
    for _ in range(iterations):
        if not along.norm() > 0:  # nothing pushed: the walls are far away, and q is below the smallest number
            along = torch.ones_like(along)
        along = times(along / along.norm())
    return along


def soft_direction(network, theta, task, decay, rate=1.0, held=None, tolerance=1e-6):
    """−(1 + A/r)⁻¹θ, by conjugate gradients: decay's pull, as far as walls let it that yield at the rate r.

    θ: (d,) -> (d,). r → 0 is the projection of −θ on the kernel of A, the norm-minimising direction; r → ∞ is −θ.
    held: (k, d), orthonormal rows whose kernel the direction keeps to, such as `TwoLayer.holding_rows`. The number of
    iterations, each a product with J and one with Jᵀ, grows like 1/√r. Raises ValueError for a rate that is not
    positive, and where 10,000 iterations do not reach the tolerance."""
    decay, rate = checks.positive("decay", decay), checks.positive("rate", rate)
    theta, Y = _point(network, theta), task.Y_train.to(network.X)
    q = multipliers(network.outputs(theta), Y, decay)
    times = _stiffness(network, theta, Y, q, math.log(decay))
    keep = (lambda v: v) if held is None else (lambda v: v - held.T @ (held @ v))

    def product(v):
        v = keep(torch.as_tensor(v).to(theta))
        return (keep(times(v)) / rate + v).cpu().numpy()

    size, pull = len(theta), keep(-theta).cpu().numpy()
    operator = LinearOperator((size, size), matvec=product, dtype=pull.dtype)
    solution, missed = cg(operator, pull, rtol=checks.positive("tolerance", tolerance), maxiter=10_000)
    if missed:
        raise ValueError(f"10,000 iterations do not reach {tolerance=} with {rate=}; raise one of them")
    return torch.as_tensor(solution).to(theta)


def lower_bound(network, theta, task, decay, *, starts=500, generator=None):
    """How small L + (λ/2)‖θ‖² can be at any width, by the multipliers of a TwoLayer network. θ: (d,) -> Bound.

    As in `grokbook.dual`, the ratio is a maximum over starts, and so no proof. Raises ValueError for an activation that
    is not homogeneous of degree 1."""
    theta, Y = _point(network, theta), task.Y_train.to(network.X)
    outputs, q = network.outputs(theta), multipliers(network.outputs(theta), Y, decay)
    options = dict(starts=starts, generator=generator, near=network.split(theta)[0])
    ratio, neuron = largest_ratio(_push(q, Y), task, network.activation, **options)
    p = q * (len(Y) * decay * min(1.0, 1 / ratio))
    wrong = p.sum(-1)
    entropy = -(torch.special.xlogy(p, p).sum(-1) + (1 - wrong) * torch.log1p(-wrong)).mean()
    cost = log_loss(outputs, Y).exp() + decay / 2 * theta.square().sum()
    return Bound(float(entropy), float(cost), ratio, ratio / float(2 * q.sum()), neuron)


def largest_decay(task, activation="relu", *, starts=500, generator=None):
    """λ₁ = max ‖(Y − 1/m)ᵀσ(Xu)‖/n over unit directions u: from it on, zero is the best network. -> float."""
    Y = task.Y_train
    return largest_ratio(
        (Y - Y.sum(-1, keepdim=True) / Y.shape[1]) / len(Y), task, activation, starts=starts, generator=generator
    )[0]
