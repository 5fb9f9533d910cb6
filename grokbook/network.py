"""Networks without biases as functions of one flat parameter vector, and the feature maps before their readout."""

import itertools
import math

import torch

from grokbook import checks, linalg
from grokbook.activations import ACTIVATIONS, activation_of


class FeatureMap:
    """H = h(θ), the last hidden layer before a linear readout. `ndim` dimensions of θ are one point, the rest are
    runs."""

    ndim = 1

    def hidden(self, theta):
        """H. -> (..., n, d_hidden)."""
        raise NotImplementedError

    def linearised(self, theta):
        """H and the function `(G, onto) -> onto + J_HᵀG`, which may write over both. By autograd unless overridden.

        -> (..., n, d_hidden), ((..., n, d_hidden), like θ -> like θ).
        """
        H, pull = torch.func.vjp(self.hidden, theta)
        return H, lambda G, onto: onto.add_(pull(G)[0])


class OneLayer(FeatureMap):
    """H = σ(XE) with the closed form of its pull. inputs: X, one of `grokbook.operators`; E: (..., n_in, d)."""

    ndim = 2

    def __init__(self, inputs, activation="relu"):
        self.inputs, self.activation = inputs, activation_of(activation)

    def hidden(self, E):
        """σ(XE). -> (..., n, d)."""
        return self.activation.sigma(self.inputs.times(E))

    def linearised(self, E):
        """H and `(G, onto) -> onto + Xᵀ(G ⊙ σ′(XE))`. -> (..., n, d), ((..., n, d), like E -> like E)."""
        Z = self.inputs.times(E)

        def pull(G, onto):
            return self.inputs.add_transposed(self.activation.pull(G, Z), onto)

        return self.activation.sigma(Z), pull


class ManyLayers(FeatureMap):
    """H = σ(… σ(XE₁) … E_l) of any depth. widths: of the hidden layers; θ: (..., d), all E one after another."""

    def __init__(self, inputs, n_inputs, widths, activation="relu"):
        self.inputs, self.activation = inputs, activation_of(activation)
        self.shapes = _shapes([n_inputs, *widths])
        self.size = sum(map(math.prod, self.shapes))

    def hidden(self, theta):
        """The last hidden layer. -> (..., n, widths[-1])."""
        first, *rest = unstacked(theta, self.shapes)
        return _through(self.activation.sigma(self.inputs.times(first)), rest, self.activation.sigma)


def _shapes(widths):
    return list(itertools.pairwise(widths))


def _through(H, layers, sigma):
    for E in layers:
        H = sigma(H @ E)
    return H


def unstacked(theta, shapes):
    """Views of a flat θ as matrices. θ: (..., d) -> [(..., r, c)]. Raises ValueError for another length."""
    sizes = [math.prod(shape) for shape in shapes]
    if theta.shape[-1:] != (sum(sizes),):
        raise ValueError(f"theta has shape {tuple(theta.shape)}, this network needs (..., {sum(sizes)})")
    return [part.unflatten(-1, shape) for part, shape in zip(theta.split(sizes, -1), shapes, strict=True)]


def uniform(shape, generator, dtype=torch.float64):
    """PyTorch's default for Linear layers: each weight uniform within ± 1/√(fan in). -> (fan_in, fan_out)."""
    draw = torch.rand(shape, generator=checks.random(generator), dtype=torch.float64)
    return ((2 * draw - 1) / math.sqrt(shape[0])).to(dtype)


class Deep:
    """f(θ, x) = σ(… σ(x E₁) … E_l) W on the inputs X, no biases; θ holds all layers, row by row.

    X: (n, n_in); widths: of the hidden layers; θ: (..., d). F(θ): (..., n outputs), sample by sample. Leading
    dimensions of θ are separate networks. Device and dtype follow X. Products with J come from torch.func, JJᵀ has a
    closed form."""

    def __init__(self, X, widths, outputs, activation="relu"):
        checks.real("X", X, (None, None))
        widths = [checks.whole(f"widths[{i}]", width, 1) for i, width in enumerate(widths)]
        self.X, self.n_outputs, self.activation = X, checks.whole("outputs", outputs, 1), activation_of(activation)
        self.sigma, self.sigma_prime = self.activation.sigma, self.activation.sigma_prime
        self.shapes = _shapes([X.shape[1], *widths, self.n_outputs])
        self.size = sum(map(math.prod, self.shapes))

    def split(self, theta):
        """The layers' matrices, views of θ. θ: (..., d) -> [(..., r, c)]."""
        if checks.floating("theta", theta).dtype != self.X.dtype:
            raise ValueError(f"theta is {theta.dtype}, X {self.X.dtype}; bring them together with .to(...)")
        return unstacked(theta, self.shapes)

    def join(self, *layers):
        """θ from the layers' matrices. layers: [(..., r, c)] -> (..., d)."""
        theta = torch.cat([layer.flatten(-2) for layer in layers], -1)
        self.split(theta)
        return theta

    def speeds(self, ratio):
        """The diagonal of D: `ratio` for the readout's parameters, 1 for all others. -> (d,)."""
        speeds = self.X.new_ones(self.size)
        speeds[-math.prod(self.shapes[-1]) :] = checks.positive("ratio", ratio)
        return speeds

    def initial(self, generator):
        """PyTorch's default for Linear layers. -> θ: (d,)."""
        return self.join(*(uniform(shape, generator).to(self.X) for shape in self.shapes))

    def hidden(self, theta, X=None):
        """The last hidden layer. -> (..., n, width)."""
        return _through(self.X if X is None else X, self.split(theta)[:-1], self.sigma)

    def outputs(self, theta, X=None):
        """The outputs, on other inputs if X is given. -> (..., n, outputs)."""
        return self.hidden(theta, X) @ self.split(theta)[-1]

    def F(self, theta):
        """All outputs stacked, Eq. 2. -> (..., n outputs)."""
        return self.outputs(theta).flatten(-2)

    def linearised(self, theta):
        """The outputs and the function U -> JᵀU. (..., d) -> (..., n, outputs), ((..., n, outputs) -> (..., d))."""
        outputs, pull = torch.func.vjp(self.outputs, theta)
        return outputs, lambda U: pull(U)[0]

    def gradient(self, theta, Y):
        """∇L(θ) = 2 Jᵀ(F − y) of the sum of squares, Eq. 1. Y: (n, outputs) -> (..., d)."""
        if Y.shape != (len(self.X), self.n_outputs):
            raise ValueError(f"Y has shape {tuple(Y.shape)}; the outputs are ({len(self.X)}, {self.n_outputs})")
        outputs, pull = self.linearised(theta)
        return pull(2 * (outputs - Y))

    def vjp(self, theta, u):
        """Jᵀu without J. u: (..., n outputs) -> (..., d)."""
        return self.linearised(theta)[1](u.unflatten(-1, (-1, self.n_outputs)))

    def jvp(self, theta, v):
        """Jv without J. v: (..., d) -> (..., n outputs)."""
        return torch.func.jvp(self.F, (theta,), (v,))[1]

    def gram(self, theta):
        """JJᵀ = Σ_l (B_l B_lᵀ) ⊙ (H_{l−1}H_{l−1}ᵀ ⊗ 1) without J, one term a layer.

        θ: (d,) -> (n outputs, n outputs). H_{l−1}: (n, r) enters the layer l, H₀ = X; row (i, c) of B_l:
        (n outputs, width) is the derivative of the output c of sample i by what E_l makes of it. ⊗ 1 repeats each entry
        over an (outputs, outputs) block; the readout's term is HHᵀ ⊗ I.
        """
        if theta.ndim != 1:
            raise ValueError(f"theta has shape {tuple(theta.shape)}; a Gram matrix needs one point ({self.size},)")
        *layers, W = self.split(theta)
        entering, slopes = [self.X], []
        for E in layers:
            Z = entering[-1] @ E
            entering.append(self.sigma(Z))
            slopes.append(self.sigma_prime(Z))
        n, m = len(self.X), self.n_outputs
        B = (slopes[-1][:, None] * W.T.contiguous()).view(n * m, -1)
        total = _by_sample(B, entering[-2], m)
        for E, H, slope in zip(layers[:0:-1], entering[-3::-1], slopes[-2::-1], strict=True):
            B = slope.repeat_interleave(m, 0).mul_(B @ E.T)
            total += _by_sample(B, H, m)
        total.view(n, m, n, m).diagonal(dim1=1, dim2=3).add_((entering[-1] @ entering[-1].T)[..., None])
        return total


def _by_sample(B, H, m):
    """(BBᵀ) ⊙ (HHᵀ ⊗ 1). B: (n m, width), H: (n, r) -> (n m, n m)."""
    n = len(H)
    blocks = (B @ B.T).view(n, m, n, m)
    blocks *= (H @ H.T)[:, None, :, None]
    return blocks.view(n * m, n * m)


class TwoLayer(Deep):
    """f(θ, x) = σ(x E) W: one hidden layer, with J's products in closed form. θ holds E, then W."""

    def __init__(self, X, d_hidden, outputs, activation="relu"):
        super().__init__(X, [d_hidden], outputs, activation)
        self.n_inputs, self.d_hidden = self.shapes[0]

    def preactivations(self, theta, X=None):
        """XE. -> (..., n, d_hidden)."""
        return (self.X if X is None else X) @ self.split(theta)[0]

    def linearised(self, theta):
        """The outputs and the function U -> JᵀU, which may write over U."""
        E, W = self.split(theta)
        Z = self.X @ E
        H = self.sigma(Z)

        def pull(U):
            by_E = self.X.T @ self.activation.pull(U @ W.mT, Z)
            by_W = (U.mT @ H).mT  # twice as fast as HᵀU for few outputs
            return torch.cat([by_E.flatten(-2), by_W.flatten(-2)], -1)

        return H @ W, pull

    def jvp(self, theta, v):
        """Jv without J. v: (..., d) -> (..., n outputs)."""
        _, W = self.split(theta)
        dE, dW = self.split(v)
        Z = self.preactivations(theta)
        return ((self.sigma_prime(Z) * (self.X @ dE)) @ W + self.sigma(Z) @ dW).flatten(-2)

    def pinned(self, theta, threshold):
        """The pairs (sample i, hidden unit h) that sit on the kink of σ: |x_i E[:, h]| < threshold. θ: (d,) -> (r, 2).

        Raises ValueError for an activation without a kink and for a threshold that is not positive.
        """
        if not self.activation.kinked:
            known = sorted(name for name, kind in ACTIVATIONS.items() if kind.kinked)
            raise ValueError(f"activation={self.activation.name!r} has no kink to sit on; those with one: {known}")
        # A pre-activation is rarely 0 to the last bit.
        return (self.preactivations(theta).abs() < checks.positive("threshold", threshold)).nonzero()

    def holding_rows(self, pairs):
        """Orthonormal rows whose kernel leaves the pre-activations of `pairs` as they are. (r, 2) -> (at most r, d).

        The row of the pair (i, h) is x_i in the column h of E. Several samples on one unit can depend on each other, so
        each unit gets an orthonormal basis of its rows; units do not meet.
        """
        if pairs.ndim != 2 or pairs.shape[1] != 2:
            raise ValueError(f"pairs have shape {tuple(pairs.shape)}; pass (r, 2): a sample and a hidden unit a row")
        n = len(self.X)
        if len(pairs) and not bool(((pairs >= 0) & (pairs < pairs.new_tensor([n, self.d_hidden]))).all()):
            raise ValueError(f"pairs reach {pairs.amax(0).tolist()}; there are {n} samples and {self.d_hidden} units")
        units = pairs[:, 1].unique().tolist()
        bases = [linalg.orthonormal_rows(self.X[pairs[pairs[:, 1] == unit, 0]]) for unit in units]
        rows = self.X.new_zeros(sum(map(len, bases)), self.size)
        first_layer = rows[:, : self.n_inputs * self.d_hidden].view(len(rows), self.n_inputs, self.d_hidden)
        start = 0
        for unit, basis in zip(units, bases, strict=True):
            first_layer[start : start + len(basis), :, unit] = basis
            start += len(basis)
        return rows
