"""The two-layer network F(θ) = σ(X E) W on fixed inputs, as a function of one flat parameter vector."""

import math

import torch

from grokbook import linalg

SOFTPLUS_SHARPNESS = 5.0
LEAK = 0.1


def _gelu_prime(z):
    normal = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return 0.5 * (1 + torch.erf(z / math.sqrt(2))) + z * normal


# name -> (σ, σ'). At a kink the derivative is 0, as in PyTorch's ReLU.
ACTIVATIONS = {
    "relu": (torch.relu, lambda z: (z > 0).to(z.dtype)),
    "leaky_relu": (lambda z: torch.where(z > 0, z, LEAK * z), lambda z: torch.where(z > 0, torch.ones_like(z), LEAK)),
    "gelu": (torch.nn.functional.gelu, _gelu_prime),
    "softplus": (
        # Beyond its threshold PyTorch's softplus is the identity: a jump, which at 40 is below rounding.
        lambda z: torch.nn.functional.softplus(z, beta=SOFTPLUS_SHARPNESS, threshold=40),
        lambda z: torch.sigmoid(SOFTPLUS_SHARPNESS * z),
    ),
    "square": (torch.square, lambda z: 2 * z),
    "tanh": (torch.tanh, lambda z: 1 - torch.tanh(z) ** 2),
    "identity": (lambda z: z, torch.ones_like),
}

KINKED = ("leaky_relu", "relu")


def _orthonormal_rows(matrix):
    """An orthonormal basis of the row space. (r, c) -> (rank, c)."""
    _, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return right[linalg.counted(values, linalg.rank_tolerance(matrix))]


def activation_pair(name):
    """(σ, σ') by name; raises ValueError with the known names."""
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; known are {', '.join(sorted(ACTIVATIONS))}")
    return ACTIVATIONS[name]


class TwoLayer:
    """f(θ, x) = σ(x E) W on the inputs X, no biases; θ holds E, then W, row by row.

    X: (n, n_in); E: (n_in, d_hidden); W: (d_hidden, outputs); θ: (d,) with d = (n_in + outputs) d_hidden.
    F(θ): (n outputs,), sample by sample. Leading dimensions of θ are separate networks. Device and dtype follow X.
    """

    def __init__(self, X, d_hidden, outputs, activation="relu"):
        if X.ndim != 2 or d_hidden < 1 or outputs < 1:
            raise ValueError(
                f"X is {tuple(X.shape)}, d_hidden={d_hidden}, outputs={outputs}; X must be (n, n_in), the rest ≥ 1"
            )
        self.X, self.d_hidden, self.n_outputs, self.activation = X, d_hidden, outputs, activation
        self.sigma, self.sigma_prime = activation_pair(activation)
        self.n_inputs = X.shape[1]
        self.size = (self.n_inputs + outputs) * d_hidden

    def split(self, theta):
        """θ: (..., d) -> E: (..., n_in, d_hidden), W: (..., d_hidden, outputs), views of θ."""
        if theta.shape[-1:] != (self.size,):
            raise ValueError(f"theta has shape {tuple(theta.shape)}, this network needs (..., {self.size})")
        cut = self.n_inputs * self.d_hidden
        E, W = theta[..., :cut], theta[..., cut:]
        return E.unflatten(-1, (self.n_inputs, self.d_hidden)), W.unflatten(-1, (self.d_hidden, self.n_outputs))

    def join(self, E, W):
        """E: (..., n_in, d_hidden), W: (..., d_hidden, outputs) -> θ: (..., d)."""
        theta = torch.cat([E.flatten(-2), W.flatten(-2)], -1)
        self.split(theta)
        return theta

    def initial(self, generator):
        """PyTorch's default for Linear layers: each weight uniform within ± 1/√(fan in). -> θ: (d,)."""

        def layer(fan_in, fan_out):
            draw = torch.rand(fan_in, fan_out, generator=generator, dtype=torch.float64)
            return ((2 * draw - 1) / math.sqrt(fan_in)).to(self.X)

        return self.join(layer(self.n_inputs, self.d_hidden), layer(self.d_hidden, self.n_outputs))

    def hidden(self, theta, X=None):
        """The pre-activations XE. -> (n, d_hidden)."""
        E, _ = self.split(theta)
        return (self.X if X is None else X) @ E

    def outputs(self, theta, X=None):
        """σ(XE) W, on other inputs if X is given. -> (n, outputs)."""
        _, W = self.split(theta)
        return self.sigma(self.hidden(theta, X)) @ W

    def F(self, theta):
        """All outputs stacked, Eq. 2. -> (..., n outputs)."""
        return self.outputs(theta).flatten(-2)

    def gradient(self, theta, Y):
        """∇L(θ) = 2 Jᵀ(F − y) of the sum of squares, Eq. 1. Y: (n, outputs) -> (..., d)."""
        return self.vjp(theta, 2 * (self.outputs(theta) - Y).flatten(-2))

    def vjp(self, theta, u):
        """Jᵀu without J. u: (..., n outputs) -> (..., d)."""
        _, W = self.split(theta)
        Z = self.hidden(theta)
        U = u.unflatten(-1, (-1, self.n_outputs))
        return self.join(self.X.T @ ((U @ W.mT) * self.sigma_prime(Z)), self.sigma(Z).mT @ U)

    def jvp(self, theta, v):
        """Jv without J. v: (..., d) -> (..., n outputs)."""
        _, W = self.split(theta)
        dE, dW = self.split(v)
        Z = self.hidden(theta)
        return ((self.sigma_prime(Z) * (self.X @ dE)) @ W + self.sigma(Z) @ dW).flatten(-2)

    def gram(self, theta):
        """JJᵀ = (BBᵀ) ⊙ (XXᵀ ⊗ 1) + HHᵀ ⊗ I without J, where row (i, c) of B is σ'(z_i) ⊙ W[:, c].

        θ: (d,) -> (n outputs, n outputs). The first term is the first layer's share, the second the second layer's; ⊗ 1
        repeats each entry over an (outputs, outputs) block. Besides the result only B: (n outputs, d_hidden).
        """
        if theta.ndim != 1:
            raise ValueError(f"theta has shape {tuple(theta.shape)}; a Gram matrix needs one point ({self.size},)")
        _, W = self.split(theta)
        Z = self.hidden(theta)
        n, m = len(Z), self.n_outputs
        B = (self.sigma_prime(Z)[:, None] * W.T.contiguous()).view(n * m, self.d_hidden)
        blocks = (B @ B.T).view(n, m, n, m)
        blocks *= (self.X @ self.X.T)[:, None, :, None]
        H = self.sigma(Z)
        blocks.diagonal(dim1=1, dim2=3).add_((H @ H.T)[..., None])
        return blocks.view(n * m, n * m)

    def pinned(self, theta, threshold):
        """The pairs (sample i, hidden unit h) that sit on the kink of σ: |x_i E[:, h]| < threshold. -> (r, 2) indices.

        Raises ValueError for an activation without a kink and for a threshold that is not positive.
        """
        if self.activation not in KINKED:
            raise ValueError(f"activation={self.activation!r} has no kink to sit on; those with one: {sorted(KINKED)}")
        if not threshold > 0:
            raise ValueError(f"threshold={threshold} must be positive: a pre-activation is rarely 0 to the last bit")
        return (self.hidden(theta).abs() < threshold).nonzero()

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
        bases = {}
        for unit in pairs[:, 1].unique().tolist():
            samples = pairs[pairs[:, 1] == unit, 0]
            bases[unit] = _orthonormal_rows(self.X[samples])
        rows = self.X.new_zeros(sum(map(len, bases.values())), self.size)
        first_layer = rows[:, : self.n_inputs * self.d_hidden].view(len(rows), self.n_inputs, self.d_hidden)
        start = 0
        for unit, basis in bases.items():
            first_layer[start : start + len(basis), :, unit] = basis
            start += len(basis)
        return rows
