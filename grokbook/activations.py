"""Activation functions: σ, σ′, whether it has a kink, and its degree of homogeneity."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from grokbook import checks

SOFTPLUS_SHARPNESS = 5.0
LEAK = 0.1  # the slope of the paper's leaky ReLU below zero


@dataclass(frozen=True)
class Activation:
    """σ and σ′, entrywise. sigma, sigma_prime: (...) -> (...); kinked: σ′ jumps at 0; degree: σ(cz) = c^degree σ(z) for
    c > 0, else None."""

    name: str
    sigma: Callable
    sigma_prime: Callable
    kinked: bool = False
    degree: int | None = None

    def pull(self, gradient, Z):
        """gradient ⊙ σ′(Z), written over the gradient: from a derivative by σ(Z) to one by Z.

        gradient, Z: (...) -> like Z.
        """
        if self.name == "relu":
            # The kernel that autograd uses for ReLU: one pass, where the mask and the product take three.
            return torch.ops.aten.threshold_backward(gradient, Z, 0)
        return gradient.mul_(self.sigma_prime(Z))


def leaky_relu(z):
    """z above zero, z/10 below (Section 3.3). z: (...) -> like z."""
    return torch.where(z > 0, z, LEAK * z)


def _gelu_prime(z):
    normal = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return 0.5 * (1 + torch.erf(z / math.sqrt(2))) + z * normal


def gelu(sharpness):
    """z Φ(sharpness z) with the normal distribution's Φ: GELU for 1, and towards ReLU as the sharpness grows, in length
    and in slope. σ_β(z) = σ₁(βz)/β. -> Activation."""
    sharpness = checks.positive("sharpness", sharpness)
    return Activation(
        f"gelu({sharpness:g})",
        lambda z: torch.nn.functional.gelu(sharpness * z) / sharpness,
        lambda z: _gelu_prime(sharpness * z),
    )


def softplus(sharpness):
    """log(1 + exp(sharpness z)) / sharpness, which tends to ReLU as the sharpness grows. -> Activation."""
    sharpness = checks.positive("sharpness", sharpness)
    return Activation(
        f"softplus({sharpness:g})",
        # Beyond its threshold PyTorch's softplus is the identity: a jump, which at 40 is below rounding.
        lambda z: torch.nn.functional.softplus(z, beta=sharpness, threshold=40),
        lambda z: torch.sigmoid(sharpness * z),
    )


def smoothed(kinked, width):
    """A kinked activation with |z| replaced by √(z² + width²): smooth, and as before for |z| ≫ width. -> Activation."""
    low, high = (float(kinked.sigma_prime(torch.tensor(z))) for z in (-1.0, 1.0))
    mean, half = (high + low) / 2, (high - low) / 2

    def length(z):
        return torch.sqrt(z * z + width * width)

    name = f"{kinked.name} rounded off over {width:g}"
    return Activation(name, lambda z: mean * z + half * length(z), lambda z: mean + half * z / length(z))


# At a kink the derivative is that of the left side, as in PyTorch's ReLU.
ACTIVATIONS = {
    "relu": Activation("relu", torch.relu, lambda z: (z > 0).to(z.dtype), kinked=True, degree=1),
    "leaky_relu": Activation(
        "leaky_relu", leaky_relu, lambda z: torch.where(z > 0, torch.ones_like(z), LEAK), kinked=True, degree=1
    ),
    "gelu": Activation("gelu", torch.nn.functional.gelu, _gelu_prime),
    "softplus": softplus(SOFTPLUS_SHARPNESS),
    "square": Activation("square", torch.square, lambda z: 2 * z, degree=2),
    "tanh": Activation("tanh", torch.tanh, lambda z: 1 - torch.tanh(z) ** 2),
    "identity": Activation("identity", lambda z: z, torch.ones_like, degree=1),
}


# Those with a sharpness: "gelu(8)".
FAMILIES = {"gelu": gelu, "softplus": softplus}


def activation_of(name):
    """The Activation of this name, such as "relu" or "gelu(8)"; one is passed through.

    Raises ValueError with the known names."""
    if isinstance(name, Activation):
        return name
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    family, _, sharpness = str(name).removesuffix(")").partition("(")
    if family not in FAMILIES or name != f"{family}({sharpness})":
        known = [*sorted(ACTIVATIONS), *(f"{family}(SHARPNESS)" for family in FAMILIES)]
        raise ValueError(f"unknown activation {name!r}; known are {', '.join(known)}")
    try:
        return FAMILIES[family](float(sharpness))
    except ValueError as error:
        raise ValueError(f"activation {name!r}: {error}") from error
