"""The two-layer network F(θ) = σ(X E) W on fixed inputs, as a function of one flat parameter vector."""

import math

import torch

SOFTPLUS_SHARPNESS = 5.0
LEAK = 0.1


def _gelu_prime(z):
    normal = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return 0.5 * (1 + torch.erf(z / math.sqrt(2))) + z * normal


# name -> (σ, σ'). At a kink the derivative is 0, as in PyTorch's ReLU.
ACTIVATIONS = {
    "relu": (torch.relu, lambda z: (z > 0).to(z.dtype)),
    "leaky_relu": (lambda z: torch.where(z > 0, z, LEAK * z), lambda z: torch.where(z > 0, 1.0, LEAK).to(z.dtype)),
    "gelu": (torch.nn.functional.gelu, _gelu_prime),
    "softplus": (
        lambda z: torch.nn.functional.softplus(z, beta=SOFTPLUS_SHARPNESS),
        lambda z: torch.sigmoid(SOFTPLUS_SHARPNESS * z),
    ),
    "square": (torch.square, lambda z: 2 * z),
    "tanh": (torch.tanh, lambda z: 1 - torch.tanh(z) ** 2),
    "identity": (lambda z: z, torch.ones_like),
}


def activation_pair(name):
    """(σ, σ') by name; raises ValueError with the known names."""
    if name not in ACTIVATIONS:
        raise ValueError(f"unknown activation {name!r}; known are {', '.join(sorted(ACTIVATIONS))}")
    return ACTIVATIONS[name]


class TwoLayer:
    """f(θ, x) = σ(x E) W on the inputs X, no biases; θ holds E, then W, row by row.

    X: (n, n_in); E: (n_in, d_hidden); W: (d_hidden, outputs); θ: (d,) with d = (n_in + outputs) d_hidden.
    F(θ): (n outputs,), sample by sample. Device and dtype follow X.
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
        """All outputs stacked, Eq. 2. -> (n outputs,)."""
        return self.outputs(theta).reshape(-1)

    def gradient(self, theta, Y):
        """∇L(θ) = 2 Jᵀ(F − y) of the sum of squares, Eq. 1. Y: (n, outputs) -> (d,)."""
        return self.vjp(theta, 2 * (self.outputs(theta) - Y).reshape(-1))

    def vjp(self, theta, u):
        """Jᵀu without J. u: (n outputs,) -> (d,)."""
        _, W = self.split(theta)
        Z = self.hidden(theta)
        U = u.view(-1, self.n_outputs)
        return self.join(self.X.T @ ((U @ W.T) * self.sigma_prime(Z)), self.sigma(Z).T @ U)
