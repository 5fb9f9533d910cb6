"""What a typical network of zero training loss knows: a motion that keeps the loss at zero, both norms, and volume.

W is always the readout of Eq. 18, so the training loss is zero and ‖W‖² = g(E) = Tr Yᵀ(HHᵀ)⁻¹Y is a function of E. The
entries of E are put into random triples, and each triple x moves by x' = x × y, with y the same triple of ∇g. Then
x·x' = 0 keeps ‖E‖, ∇g·E' = 0 keeps ‖W‖, and the divergence is zero, because x × ∂g is the curl-free field ∂g turned
about x. So the motion keeps the uniform measure between the level sets of both norms (Liouville), and where it mixes,
its averages over time are those of a typical network of these norms, whatever it started from.
"""

import itertools
from dataclasses import dataclass

import torch

from grokbook import checkpoint, checks, flow, integrators
from grokbook.eq20 import Isolated
from grokbook.network import OneLayer


@dataclass(frozen=True)
class Wandering:
    """What `wander` recorded, r records of runs with the leading shape (...) of E.

    time: (r,) the motion's own, which weights averages; test_accuracy: (r, ...); norms: (r, 2, ...) with ‖E‖² and
    ‖W‖²; put_back: (r, ...) the sum of |log ‖W‖²| that steps in place of the motion cost so far; E: (..., p, d_hidden),
    the last.
    """

    time: torch.Tensor
    test_accuracy: torch.Tensor
    norms: torch.Tensor
    put_back: torch.Tensor
    E: torch.Tensor

    def means(self, parts=1):
        """Test accuracy averaged over time, in `parts` stretches of equally many records. -> (parts, ...)."""
        if checks.whole("parts", parts, 1) >= len(self.time):
            raise ValueError(f"{len(self.time)} records make no {parts} parts; record more often, or ask for fewer")
        cuts = torch.linspace(0, len(self.time) - 1, parts + 1).long().tolist()
        spans = [slice(low, high + 1) for low, high in itertools.pairwise(cuts)]
        return torch.stack([_mean(self.time[span], self.test_accuracy[span]) for span in spans])


def _mean(time, values):
    return torch.trapezoid(values, time, dim=0) / (time[-1] - time[0])


def wander(
    E,
    task,
    generator,
    steps=1000,
    step=0.01,
    activation="relu",
    *,
    features=OneLayer,
    triples_every=100,
    record_every=5,
    state_file=None,
    save_every=500,
    progress=True,
):
    """Move E at constant ‖E‖, constant ‖W‖ and zero training loss, by cross products on random triples. -> Wandering.

    E: (..., p, d_hidden), or the θ of `features`; runs share the triples and the time. step: how far one step goes, as
    a part of ‖E‖. The triples are drawn anew every `triples_every` steps. A step turns each triple about y at its
    midpoint, which keeps ‖E‖ exactly and ‖W‖² to third order in `step` (first where it crosses a kink); what is lost is
    put back along the gradient and added up. state_file: as for `simulate`. Raises ValueError for bad input,
    FlowError where HHᵀ becomes singular."""
    steps, step = checks.whole("steps", steps, 1), checks.positive("step", step)
    record_every = checks.whole("record_every", record_every, 1)
    triples_every = checks.whole("triples_every", triples_every, 1)
    layer = Isolated(task, E, activation, features=features)
    motion = _Motion(layer, E, int(torch.randint(2**62, (1,), generator=checks.random(generator))), step, triples_every)

    def record(k, flat, last, evaluations):
        if k % record_every and not last:
            return {}
        solution, memory = motion.solution(flat), motion.memory
        outputs = layer.test_features.hidden(flat.view(E.shape)) @ solution.W_transposed.mT
        found = {"last": torch.tensor(True)} if k % record_every else {}
        return found | dict(
            test_accuracy=task.accuracy(outputs),
            norms=torch.stack([flat.square().sum(-1), solution.readout_cost]),
            time=torch.tensor(memory.get("time", 0.0), dtype=torch.float64),
            put_back=memory.get("put_back", torch.zeros_like(solution.readout_cost)),
        )

    settings = dict(step=step, activation=str(activation), triples_every=triples_every, record_every=record_every)
    settings["seed"] = motion.seed
    identity = checkpoint.identity(settings, E, task.X_train, task.Y_train, task.X_test, task.Y_test)
    trail = flow.follow(
        motion.gradient,
        E.flatten(-layer.features.ndim).clone(),
        1.0,
        steps,
        integrators.Method(motion.advance),
        record,
        store=checkpoint.Store(state_file, identity),
        save_every=save_every,
        progress=progress,
    )
    columns = {name: trail.column(name) for name in ("time", "test_accuracy", "norms", "put_back")}
    return Wandering(**columns, E=trail.point.view(E.shape))


class _Motion:
    """The motion by cross products; `advance` is one step, as an integrator with memory."""

    def __init__(self, layer, E, seed, step, triples_every):
        self.layer, self.shape, self.seed = layer, E.shape, seed
        self.step, self.triples_every = step, triples_every
        self.goal = layer.solve(E).readout_cost
        self.memory, self.latest, self.drawn, self.triples = {}, None, None, None

    def solution(self, flat):
        """Eq. 18 at a point, computed once."""
        if self.latest is None or self.latest[0] is not flat:
            self.latest = flat, self.layer.solve(flat.view(self.shape))
        return self.latest[1]

    def gradient(self, flat):
        """∇‖W‖² = −2(v + E) with v of Eq. 20. -> like flat."""
        E = flat.view(self.shape)
        return -2 * (self.layer.velocity(E, self.solution(flat)) + E).flatten(-self.layer.features.ndim)

    def advance(self, field, point, span, memory, tolerance=None):
        """What is missing of ‖W‖² put back, then one step about the gradient at its midpoint."""
        memory = dict(memory) or {"k": 0, "time": 0.0, "put_back": torch.zeros_like(self.goal)}
        slope = field(point)
        found = self.solution(point).readout_cost
        memory["put_back"] = memory["put_back"] + (found / self.goal).log().abs()
        point = _raised_by(point, slope, self.goal - found)
        self._draw(memory["k"] // self.triples_every, point.shape[-1])
        speed = torch.linalg.cross(*self._both(point, slope), dim=-2).flatten(-2).norm(dim=-1)
        span = float((self.step * point.norm(dim=-1) / speed).min())
        middle = self._turned(point, slope, span / 2)
        self.memory = memory | {"k": memory["k"] + 1, "time": memory["time"] + span}
        return self._turned(point, field(middle), span), self.memory

    def _draw(self, block, size):
        """The triples of this block of steps; they depend on the seed and the block alone, so that a run can go on."""
        if block != self.drawn:
            order = torch.randperm(size, generator=torch.Generator().manual_seed((self.seed + block) % 2**63))
            self.drawn, self.triples = block, order[: size - size % 3].view(3, -1).to(self.goal.device)

    def _both(self, point, slope):
        return point[..., self.triples], slope[..., self.triples]

    def _turned(self, point, slope, span):
        """Each triple x turned about y = its slope by −span |y|: the solution of x' = x × y with y held."""
        x, y = self._both(point, slope)
        size = y.norm(dim=-2, keepdim=True)
        axis = y / size.clamp_min(torch.finfo(y.dtype).tiny)
        cosine, sine = (span * size).cos(), (span * size).sin()
        along = (axis * x).sum(-2, keepdim=True) * axis
        turned = point.clone()
        turned[..., self.triples] = along + (x - along) * cosine - torch.linalg.cross(axis, x, dim=-2) * sine
        return turned


def _raised_by(point, slope, missing):
    """One Newton step on the sphere |point| = const to a value higher by `missing`, along its slope."""
    size = point.norm(dim=-1, keepdim=True)
    tangent = slope - (slope * point).sum(-1, keepdim=True) / size**2 * point
    moved = point + missing.unsqueeze(-1) / tangent.square().sum(-1, keepdim=True) * tangent
    return moved * (size / moved.norm(dim=-1, keepdim=True))
