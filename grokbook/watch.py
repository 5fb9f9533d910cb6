"""Whether a network in training goes down the norm on its zero-loss set: its movement beside the predicted ones.

Let an optimiser move θ by −P∇L − λθ a unit of time, P = diag(metric): 1 for gradient descent, 1/(√v + ε) for Adam. Near
Z the loss only keeps J dθ/dt = 0. What is left is dθ/dt = −λ(I − PJᵀ(JPJᵀ)⁻¹J)θ: Eq. 29 for P = 1, else a direction of
the optimiser's own.
"""

import copy
import math
from typing import NamedTuple

import torch

from grokbook import checks
from grokbook.direction import require_memorised
from grokbook.levelset import LevelSet
from grokbook.measure import cosine
from grokbook.probe import Probe


class Stretch(NamedTuple):
    """One stretch of training, from `step` on. missed: |F − y|/|y| and norm: |θ|² at its beginning.

    to_zero, cosine, own_cosine: of the movement Δ with −θ, with Eq. 29's direction and with the optimiser's own, which
    is None where it is the same; speed, own_speed: how far Δ goes along each, over what the decay predicts; tangential:
    |(I − J⁺J)Δ|/|Δ|; steepness: |direction|/|θ|, the cosine of Eq. 29's direction with −θ.
    """

    step: int
    missed: float
    norm: float
    steepness: float
    to_zero: float
    tangential: float
    cosine: float
    speed: float
    own_cosine: float | None
    own_speed: float | None


class Watch:
    """Call it with the number of the step in your loop, before each step and after the last, and `stretches` fills.

    module, inputs, targets: as for `Probe`, which looks at copies in float64; optimiser: SGD, Adam or AdamW with a
    decay and with the same settings for all parameters; at: the steps where a stretch of `window` steps begins; options
    go to `Probe`. Raises ValueError for any other optimiser, for stretches that overlap, and as `Probe` does.
    """

    def __init__(self, module, inputs, targets, optimiser, at, window=50, **options):
        self.module, self.optimiser, self.window = module, optimiser, checks.whole("window", window, 1)
        self.inputs, self.targets = map(_in_double, (inputs, targets))
        self.at = sorted(checks.whole("at", step) for step in at)
        self.options, self.stretches, self._begun = options, [], None
        crowded = [later for step, later in zip(self.at, self.at[1:], strict=False) if later - step < self.window]
        if crowded:
            raise ValueError(
                f"the stretch from step {crowded[0]} begins before the last one ends; lower window={window}"
            )
        settings(optimiser)
        probe = self._probe()
        require_memorised(LevelSet(probe.F, probe.targets), probe.theta(), math.inf)  # enough parameters
        if not probe.targets.any():
            raise ValueError(f"all {len(probe.targets)} targets are zero, which weights of zero fit; give others")

    def __call__(self, step):
        """Begin or end a stretch if it is time to. Raises ValueError where the step that ends one was left out."""
        end = None if self._begun is None else self._begun[0] + self.window
        if end is not None and step > end:
            raise ValueError(f"step {step} came without step {end}, where a stretch ends; call once every step")
        if step == end:
            self._end()
        if step in self.at:
            self._begin(step)

    def _probe(self):
        return Probe(copy.deepcopy(self.module).double(), self.inputs, self.targets, **self.options)

    def _begin(self, step):
        probe, own = self._probe(), None
        tangent = probe.projection()
        decoupled, rate = settings(self.optimiser)
        P = metric(self.optimiser, [p for p in self.module.parameters() if p.requires_grad])
        if P is not None:
            theta = probe.theta()
            own = probe.tangent(-theta if decoupled else -P * theta, metric=P)
        self._begun = step, probe, tangent, own, rate * self.window

    def _end(self):
        step, probe, tangent, own, reach = self._begun
        theta, self._begun = probe.theta(), None
        moved, direction = self._probe().theta() - theta, tangent(-theta)
        self.stretches.append(
            Stretch(
                step=step,
                missed=float(probe.residual().norm() / probe.targets.norm()),
                norm=float(theta.square().sum()),
                steepness=float(direction.norm() / theta.norm()),
                to_zero=float(cosine(moved, -theta)),
                tangential=float(tangent(moved).norm() / moved.norm()),
                cosine=float(cosine(moved, direction)),
                speed=_speed(moved, direction, reach),
                own_cosine=None if own is None else float(cosine(moved, own)),
                own_speed=None if own is None else _speed(moved, own, reach),
            )
        )


def _in_double(data):
    return data.double() if torch.is_tensor(data) and data.is_floating_point() else data


def _speed(moved, direction, reach):
    return float(moved @ direction / (reach * direction.square().sum()))


def settings(optimiser):
    """Whether the decay is kept out of the metric, and the length of λθ a step. -> (bool, float)."""
    known = {"lr", "weight_decay", "momentum", "dampening", "maximize", "amsgrad", "betas", "eps"}
    groups = [{name: group[name] for name in known & group.keys()} for group in optimiser.param_groups]
    kind = type(optimiser).__name__
    if not isinstance(optimiser, torch.optim.SGD | torch.optim.Adam):  # AdamW is an Adam
        raise ValueError(f"{kind} is not known; known are SGD, Adam and AdamW")
    if any(group != groups[0] for group in groups):
        raise ValueError(f"the {len(groups)} groups of {kind} differ in lr, decay or momentum; give all the same")
    group = groups[0]
    if group.get("amsgrad") or group.get("maximize"):
        raise ValueError(f"{kind} with amsgrad or maximize moves by other rules; leave both out")
    if not group["weight_decay"] > 0:
        raise ValueError(f"weight_decay={group['weight_decay']}; without a decay nothing moves along the zero-loss set")
    momentum = group.get("momentum", 0.0)
    gain = (1 - group.get("dampening", 0.0)) / (1 - momentum) if momentum else 1.0
    decoupled = optimiser.param_groups[0].get("decoupled_weight_decay", isinstance(optimiser, torch.optim.AdamW))
    return decoupled, gain * float(group["lr"]) * group["weight_decay"]


def metric(optimiser, parameters):
    """1/(√v + ε) of Adam or AdamW as it is now, v without its bias; None for SGD and before the first step. -> (d,)."""
    parts = []
    for parameter in parameters:
        state, group = optimiser.state.get(parameter, {}), optimiser.param_groups[0]
        if "exp_avg_sq" not in state:
            return None
        unbiased = state["exp_avg_sq"].double() / (1 - group["betas"][1] ** float(state["step"]))
        parts.append(1 / (unbiased.sqrt() + group["eps"]).flatten())
    return torch.cat(parts)
