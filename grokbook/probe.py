"""The geometry of the zero-loss set for any torch.nn.Module on its own data: what its updates can be compared with."""

from typing import NamedTuple

import numpy as np
import torch

from grokbook import checks, linalg
from grokbook.direction import MEMORISED, require_memorised
from grokbook.equations import CHUNK, Equations, Scaled, run
from grokbook.jacobians import MatrixFree
from grokbook.levelset import LevelSet
from grokbook.measure import cosine

STEPS = tuple(10.0**-k for k in range(1, 8))
FITTED = 3  # steps that `check` fits its order to
NOISE = 100  # changes of F below so many rounding units of |F| are noise


class Check(NamedTuple):
    """What F and |θ| do along θ + s v/|v|: whether v is tangent to the level set of F through θ, and lowers the norm.

    order: of |F − F(θ)| in s, infinite where F does not change; slope: of |θ|²/2 in s; normal: |Jv|/|v|.
    """

    tangent: bool
    lowers_norm: bool
    order: float
    slope: float
    normal: float

    def __str__(self):
        kinks = ", as kinks are crossed" if self.order < 1.5 else ""
        stays = f"stays on the set to first order (F changes at order {self.order:.1f}{kinks})"
        leaves = f"leaves the set at first order, |Jv| = {self.normal:.1g} |v|: project it with .tangent(v)"
        falls = "lowers the norm" if self.lowers_norm else "does not lower the norm, as .direction() does"
        return f"{stays if self.tangent else leaves}; {falls} (slope of |θ|²/2: {self.slope:.2g})"


class Probe:
    """Z = {θ : module(inputs) = targets} around a module's current parameters: LevelSet for a network of your own.

    inputs: what the module takes; targets: real, of the outputs' shape; m is their number. θ: (d,), the trainable
    parameters in the order of named_parameters(); those with requires_grad=False are held, and named in `frozen`. Each
    call reads the module anew and runs it on copies: its parameters, buffers and mode stay as they are.

    J (m, d) is never formed. JJᵀ is made layer by layer where all parameters are those of Linear layers that see each
    sample once and by itself: about 5 m² numbers. For any other module it is made of products, `chunk` rows at a time:
    m backward passes and as many through them, and besides JJᵀ the memory of `chunk` such passes. float32 keeps half of
    the digits of float64; for small singular values probe copy.deepcopy(module).double().

    kinks=threshold pins the pre-activations of all nn.ReLU and nn.LeakyReLU submodules that are smaller than it: their
    rows join J (and count in m) so that tangent vectors leave them as they are. A module that calls F.relu hides them.

    Raises ValueError for no trainable parameter; parameters of several dtypes or devices; dropout or batch
    normalisation in training mode; outputs that are no finite tensor; targets of another shape, dtype or device.
    """

    def __init__(self, module, inputs, targets, *, chunk=CHUNK):
        self.module, self.inputs, self.chunk = module, inputs, checks.whole("chunk", chunk, 1)
        parameters = dict(module.named_parameters())
        self.shapes = {name: tuple(p.shape) for name, p in parameters.items() if p.requires_grad}
        self.frozen = [name for name in parameters if name not in self.shapes]
        if not self.shapes:
            raise ValueError(f"none of the {len(parameters)} parameters is trainable; call module.requires_grad_()")
        kinds = sorted({f"{p.dtype} on {p.device}" for p in parameters.values()})
        if len(kinds) > 1:
            raise ValueError(f"the parameters are {' and '.join(kinds)}; bring them together with module.to(...)")
        outputs = self._outputs(self.theta())
        if not torch.is_tensor(targets) or targets.shape != outputs.shape:
            found = tuple(targets.shape) if torch.is_tensor(targets) else type(targets).__name__
            raise ValueError(
                f"the targets are {found} and the outputs {tuple(outputs.shape)}; give each output one target "
                "(labels: torch.nn.functional.one_hot)"
            )
        checks.alike(targets=checks.real("targets", targets), outputs=outputs)
        self.targets = targets.detach().flatten()

    def __repr__(self):
        frozen = f", frozen: {', '.join(self.frozen)}" if self.frozen else ""
        size = f"{len(self.targets)} equations, {len(self.theta())} parameters"
        return f"Probe({type(self.module).__name__}: {size}{frozen})"

    def theta(self):
        """The trainable parameters as they are now, a copy. -> (d,)."""
        parameters = dict(self.module.named_parameters())
        return checks.real("theta", torch.cat([parameters[name].detach().flatten() for name in self.shapes]))

    def flatten(self, tensors):
        """A vector like θ. tensors: (d,), or a list in the order of the trainable parameters, or by name -> (d,)."""
        if isinstance(tensors, dict):
            missing = [name for name in self.shapes if name not in tensors]
            if missing:
                raise ValueError(f"no {', '.join(missing)} among {', '.join(tensors)}; pass every trainable parameter")
            tensors = [tensors[name] for name in self.shapes]
        if not torch.is_tensor(tensors):
            found, wanted = [tuple(tensor.shape) for tensor in tensors], [*self.shapes.values()]
            if found != wanted:
                raise ValueError(f"the tensors have shapes {found} and the trainable parameters {wanted}")
            tensors = torch.cat([tensor.flatten() for tensor in tensors])
        theta = self.theta()
        checks.alike(vector=checks.real("the vector", tensors, theta.shape), parameters=theta)
        return tensors.detach()

    def F(self, theta):
        """module(inputs) with the trainable parameters θ, flattened. (d,) -> (m,)."""
        return self._outputs(theta).flatten()

    def residual(self):
        """F − y. -> (m,)."""
        return self.F(self.theta()) - self.targets

    def loss_gradient(self):
        """2 Jᵀ(F − y), the gradient of the sum of squares, Eq. 1. -> (d,)."""
        return self.vjp(2 * self.residual())

    def jvp(self, v):
        """Jv. v: (d,), or what `flatten` takes -> (m,)."""
        return self._equations().jvp(self.theta(), self.flatten(v))

    def vjp(self, u):
        """Jᵀu. (m,) -> (d,)."""
        return self._equations().vjp(self.theta(), checks.real("u", u, self.targets.shape))

    def gram(self):
        """JJᵀ. -> (m, m)."""
        return self._equations().gram(self.theta())

    def tangent(self, v, kinks=None, metric=None):
        """(I − J⁺J)v, the part of v along Z. v: (d,), or what `flatten` takes -> (d,).

        metric: (d,) positive makes it (I − PJᵀ(JPJᵀ)⁺J)v with P = diag(metric), which is orthogonal where lengths are
        Σ v²/metric: what is left of v where an optimiser turns the loss's force into P times it.
        """
        return self.projection(kinks, metric)(v)

    def projection(self, kinks=None, metric=None):
        """`tangent` as a function of v alone, for several vectors at one θ: what costs time is done once."""
        if metric is None:
            along = MatrixFree(self._equations(kinks), self.theta())
            return lambda v: along.tangent(self.flatten(v))
        metric = self.flatten(metric)
        if not bool((metric > 0).all()):
            raise ValueError(f"{int((metric <= 0).sum())} of the {len(metric)} entries of metric are not positive")
        scaled = Scaled(self._equations(kinks), metric)
        along = MatrixFree(scaled, self.theta())
        return lambda v: scaled.roots * along.tangent(self.flatten(v) / scaled.roots)

    def direction(self, memorised=MEMORISED, kinks=None, metric=None):
        """(I − J⁺J)(−θ), Eq. 29: the direction along Z in which |θ| falls fastest. -> (d,). metric as in `tangent`.

        Raises ValueError for fewer parameters than equations and for |F − y| > memorised (1 + |y|).
        """
        require_memorised(LevelSet(self.F, self.targets), self.theta(), memorised)
        return self.tangent(-self.theta(), kinks, metric)

    def cosine(self, update, **options):
        """cos∠(update, direction(**options)): 1 if update: (d,) goes straight down the norm along Z."""
        return float(cosine(self.flatten(update), self.direction(**options)))

    def tangential_share(self, force, kinks=None):
        """|(I − J⁺J) force| / |force|: force: (d,); 0 for the gradient of a loss, 1 along Z."""
        return float(self.tangent(_unit(self.flatten(force)), kinks).norm())

    def smallest_singular_value(self):
        """σ_min(J) = |Jᵀw| with w the last eigenvector of JJᵀ; 0.0 where its eigenvalue does not count in linalg.

        Eigenvalues are singular values squared: σ_min/σ_max counts above 1.5e-8 √m in float64, 3.5e-4 √m in float32.
        """
        values, vectors = torch.linalg.eigh(self.gram())
        if not linalg.counted(values.clamp(min=0), linalg.rank_tolerance(vectors))[0]:
            return 0.0
        # √λ has lost half of the digits; |Jᵀw| errs by the square of what w does.
        return float(self.vjp(vectors[:, 0]).norm())

    def check(self, direction, steps=STEPS):
        """Walks along direction: (d,) to tell if it is tangent to the level set through θ and lowers |θ|. -> Check.

        steps: s/|θ|, two or more. The order is fitted to the three smallest that change F beyond rounding, and v is
        tangent if Jv accounts for less than half of the change at the smallest.
        """
        theta, unit = self.theta(), _unit(self.flatten(direction))
        here = self.F(theta)
        s = theta.norm() * theta.new_tensor(sorted((checks.positive("step", step) for step in steps), reverse=True))
        if len(s) < 2:
            raise ValueError(f"steps={steps}; pass two or more, for an order to show")
        change = torch.stack([(self.F(theta + length * unit) - here).norm() for length in s])
        noise = NOISE * torch.finfo(theta.dtype).eps * (here.norm() + change.max())
        seen = int((change > noise).sum())
        slope, normal = float(theta @ unit), float(self.jvp(unit).norm())
        falls = slope < -(torch.finfo(theta.dtype).eps ** 0.5) * float(theta.norm())
        if seen == 0:
            return Check(True, falls, np.inf, slope, normal)
        fitted = slice(max(0, seen - FITTED), max(seen, 2))
        order, _ = np.polyfit(s[fitted].log().cpu(), change.clamp(min=noise)[fitted].log().cpu(), 1)
        return Check(bool(normal * s[seen - 1] < change[seen - 1] / 2), falls, float(order), slope, normal)

    def _outputs(self, theta):
        return run(self.module, self.inputs, self.shapes, theta)[0]

    def _equations(self, kinks=None):
        return Equations(self.module, self.inputs, self.shapes, self.theta(), kinks, self.chunk)


def _unit(vector):
    if not vector.any():
        raise ValueError("the vector is zero and has no direction")
    return vector / vector.norm()
