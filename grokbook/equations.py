"""The outputs of any torch.nn.Module as functions of its trainable parameters, with the products that J needs."""

from functools import partial
from numbers import Real

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from grokbook import checks

KINKED = (nn.ReLU, nn.LeakyReLU)  # the modules whose kink is at 0
CHUNK = 20  # rows of J at a time where JJᵀ comes from products


def run(module, inputs, shapes, theta, shifts=None):
    """The outputs at θ; what goes into each kinked module; each Linear layer with what goes in and comes out.

    shapes: of the trainable parameters by name, in the order in which θ: (d,) holds them; shifts: tensors added to what
    the Linear layers return, in the order of their calls. Raises ValueError for dropout or batch normalisation in
    training mode, and for outputs that are no finite tensor.
    """
    _require_deterministic(module)
    kinked, linear = [], []

    def before(_, arguments):
        kinked.append(arguments[0].clone())  # the module may work in place

    def after(layer, arguments, output):
        linear.append((layer, arguments[0], output))
        return output if shifts is None else output + shifts[len(linear) - 1]

    parts = theta.split([int(np.prod(shape)) for shape in shapes.values()])
    state = {name: buffer.clone() for name, buffer in module.named_buffers()}
    state |= {name: part.view(shape) for part, (name, shape) in zip(parts, shapes.items(), strict=True)}
    children = list(module.modules())
    hooks = [child.register_forward_pre_hook(before) for child in children if isinstance(child, KINKED)]
    hooks += [child.register_forward_hook(after) for child in children if isinstance(child, nn.Linear)]
    try:
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels of attention have no second derivative
            outputs = functional_call(module, state, (inputs,))
    finally:
        for hook in hooks:
            hook.remove()
    if not torch.is_tensor(outputs) or outputs.ndim == 0:
        raise ValueError(f"the module returns a {type(outputs).__name__}; wrap it to return (samples, ...) outputs")
    if not torch.isfinite(outputs).all():
        raise ValueError(f"{int((~torch.isfinite(outputs)).sum())} of the {outputs.numel()} outputs are not finite")
    return outputs, kinked, linear


class Equations:
    """The outputs and, below them, the pre-activations pinned at theta as functions of θ, with products for MatrixFree.

    module, inputs, shapes, theta: as for `run`; kinks: pre-activations smaller than it are pinned, None for none;
    chunk: rows of J at a time where JJᵀ comes from products.
    """

    def __init__(self, module, inputs, shapes, theta, kinks=None, chunk=CHUNK):
        self.run, self.kinks, self.chunk = partial(run, module, inputs, shapes), kinks, chunk
        outputs, *kinked = self._blocks(theta)
        if kinks is not None and not kinked:
            raise ValueError(
                f"kinks={kinks}, and no nn.ReLU or nn.LeakyReLU runs in {type(module).__name__}; make its kinks "
                "submodules (a call of F.relu cannot be seen), or leave kinks out"
            )
        held = [torch.ones_like(outputs, dtype=torch.bool)]
        held += [z.abs() < checks.positive("kinks", kinks) for z in kinked]
        self.entries = torch.cat([mask.flatten() for mask in held]).nonzero().flatten()
        self.samples = torch.cat([mask.nonzero()[:, 0] for mask in held])

    def __call__(self, theta, shifts=None):
        return torch.cat([block.flatten() for block in self._blocks(theta, shifts)])[self.entries]

    def _blocks(self, theta, shifts=None):
        outputs, kinked, _ = self.run(theta, shifts)
        return [outputs] if self.kinks is None else [outputs, *kinked]

    def vjp(self, theta, u):
        """Jᵀu. (d,), (m,) -> (d,)."""
        return vjp(self, theta)[1](u)[0]

    def jvp(self, theta, v):
        """Jv. (d,), (d,) -> (m,)."""
        # The transpose of u -> Jᵀu, which is linear. Forward mode would do as well, and lacks more kernels.
        pull = vjp(self, theta)[1]
        return vjp(lambda u: pull(u)[0], theta.new_zeros(len(self.entries)))[1](v)[0]

    def gram(self, theta):
        """JJᵀ: layer by layer where products with one random vector confirm it, else all of it from products."""
        gram = self._by_layers(theta)
        if gram is not None:
            u = torch.randn(len(gram), generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(theta)
            expected = self.jvp(theta, self.vjp(theta, u))
            if (gram @ u - expected).norm() <= torch.finfo(theta.dtype).eps ** 0.5 * expected.norm():
                return gram
        return gram_of_products(self, theta, self.chunk)

    def __len__(self):
        return len(self.entries)

    def _by_layers(self, theta):
        """Σ over the Linear layers of (ΔΔᵀ) ⊙ (AAᵀ + 1), A: what goes in, Δ: each row's derivatives by what comes out.

        None where a layer does not see samples. Wrong where a row depends on several samples, a weight is used twice or
        other parameters are trainable, which products can tell.
        """
        outputs, kinked, linear = self.run(theta)
        inputs = [A for _, A, _ in linear]
        if {(2, len(outputs))} != {(A.ndim, len(A)) for A in inputs} | {(2, len(z)) for z in kinked}:
            return None
        # Rows of different samples do not meet, so one backward pass serves a row of each.
        turn = (self.samples[:, None] == self.samples).tril(-1).sum(1)
        rows = theta.new_zeros(int(turn.max()) + 1, len(turn))
        rows[turn, torch.arange(len(turn), device=theta.device)] = 1
        pull = vjp(lambda *shifts: self(theta, shifts), *(torch.zeros_like(z) for _, _, z in linear))[1]
        gram = theta.new_zeros(len(turn), len(turn))
        for (layer, A, _), delta in zip(linear, vmap(pull)(rows), strict=True):
            delta = delta[turn, self.samples]
            bias = layer.bias is not None and layer.bias.requires_grad
            inner = layer.weight.requires_grad * (A @ A.T) + bias
            gram += (delta @ delta.T) * inner[self.samples][:, self.samples]
        return gram


class Scaled:
    """The same equations in the coordinates θ/√metric, in which the metric Σ v²/metric is the plain one.

    equations: Equations; metric: (d,) positive. Products are taken with J√metric at a θ in its own coordinates.
    """

    def __init__(self, equations, metric):
        self.equations, self.roots = equations, metric.sqrt()

    def vjp(self, theta, u):
        """√metric Jᵀu. (d,), (m,) -> (d,)."""
        return self.roots * self.equations.vjp(theta, u)

    def jvp(self, theta, v):
        """J √metric v. (d,), (d,) -> (m,)."""
        return self.equations.jvp(theta, self.roots * v)

    def gram(self, theta):
        """J metric Jᵀ. (d,) -> (m, m)."""
        return gram_of_products(self, theta, self.equations.chunk)

    def __len__(self):
        return len(self.equations)


def gram_of_products(products, theta, chunk):
    """J Jᵀ, `chunk` rows at a time, from as many backward passes and passes through them as there are rows."""
    rows = torch.eye(len(products), dtype=theta.dtype, device=theta.device)
    return vmap(lambda u: products.jvp(theta, products.vjp(theta, u)), chunk_size=chunk)(rows)


def _require_deterministic(module):
    for name, child in module.named_modules():
        dropped = child.p if isinstance(child, nn.modules.dropout._DropoutNd) else getattr(child, "dropout", 0)
        draws = isinstance(dropped, Real) and dropped > 0
        if child.training and (draws or isinstance(child, nn.modules.batchnorm._BatchNorm)):
            raise ValueError(
                f"{name or 'the module'}, a {type(child).__name__}, is in training mode, where the outputs are no "
                "function of the parameters alone; call module.eval() first, and module.train() when you go on"
            )
