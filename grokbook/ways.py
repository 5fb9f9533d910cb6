"""Other ways down the norm at zero training loss, beside Eq. 20, and ways that lie about what is held back.

W is always the readout of Eq. 18, so the training loss is zero wherever E goes. v is Eq. 20's velocity, −½∇R, and a way
is any motion E' = w. Along it R' = −2⟨v, w⟩, so it is a way down as long as w makes an acute angle with v.
"""

from dataclasses import dataclass, replace

import torch

from grokbook import checks, flow, integrators
from grokbook.eq20 import Isolated

SMALLEST = 1e-30  # a length that divides nothing by zero


def ways(E, generator):
    """Ways down from E, by name: functions w(E, v) of a point and of Eq. 20's velocity there. E: (p, d_hidden) -> dict.

    Swirls v + κvA with A antisymmetric of spectral norm 1, speeds of its own for every entry (log-normal), signs alone,
    units of one speed, a fresh direction of three times the length of v added in every step, and v with half of the
    units or half of the residues held. Raises ValueError for a batch and for fewer than two rows or columns."""
    if E.ndim != 2 or min(E.shape) < 2:
        raise ValueError(f"E has shape {tuple(E.shape)}; give one run, (p, d_hidden), of at least two by two")
    p, d_hidden = E.shape

    def draw(*shape):
        return torch.randn(shape, generator=checks.random(generator), dtype=E.dtype).to(E.device)

    A, speeds = draw(d_hidden, d_hidden), draw(p, d_hidden).exp()
    A = (A - A.T) / torch.linalg.matrix_norm(A - A.T, 2)
    units, residues = _half(draw(d_hidden)), _half(draw(p))[:, None]

    def noise(E, v):
        xi = draw(p, d_hidden)
        xi -= (xi * v).sum() / v.square().sum().clamp_min(SMALLEST) * v
        return v + 3 * v.norm() / xi.norm() * xi

    return {
        "steepest": lambda E, v: v,
        **{f"swirl {kappa}": lambda E, v, kappa=kappa: v + kappa * v @ A for kappa in (1, 3, 10, 30)},
        "own speeds": lambda E, v: speeds * v,
        "signs": lambda E, v: v.sign(),
        "equal units": lambda E, v: v / v.norm(dim=0, keepdim=True).clamp_min(SMALLEST),
        "noise": noise,
        "half the units": lambda E, v: units * v,
        "half the residues": lambda E, v: residues * v,
    }


def _half(scores):
    """1 for the larger half of the scores, 0 for the others. (k,) -> (k,)."""
    return (scores > scores.median()).to(scores)


@dataclass(frozen=True)
class Descent:
    """What `descend` recorded, r records of one run.

    time: (r,) the clock of equal speed, ∫ ‖dE‖/‖v‖; lowered: (r,) the clock of equal lowering, ∫ ⟨v, dE⟩/‖v‖², on
    which R' = −2‖v‖² for every way; both are Eq. 20's own time where the way is Eq. 20. test_accuracy: (r,); norms:
    (r, 2) with ‖E‖² and ‖W‖²; E: (p, d_hidden), the last.
    """

    time: torch.Tensor
    lowered: torch.Tensor
    test_accuracy: torch.Tensor
    norms: torch.Tensor
    E: torch.Tensor

    @property
    def scale_free(self):
        """2‖E‖‖W‖. -> (r,)."""
        return 2 * self.norms.prod(dim=1).sqrt()


def descend(
    E, task, way, activation="relu", *, span=0.05, strides=200, method="adaptive", record_every=1, stop_at=None
):
    """Follow E' = w ‖v‖/‖w‖ with w = way(E, v), v of Eq. 20 and W = H⁺Y; all ways have Eq. 20's speed. -> Descent.

    E: (p, d_hidden). method: as for `grokbook.flow.flow`; with "momentum" or "adam" a stride is one step and `span` its
    learning rate. stop_at: end at the first record with this test accuracy. Raises ValueError for a batch and for bad
    input, FlowError where HHᵀ becomes singular."""
    if E.ndim != 2:
        raise ValueError(f"E has shape {tuple(E.shape)}; give one run, (p, d_hidden), as each has its own speed")
    checks.positive("span", span)
    strides, record_every = checks.whole("strides", strides), checks.whole("record_every", record_every, 1)
    stop_at = stop_at if stop_at is None else checks.not_negative("stop_at", stop_at, most=1)
    watched = _Watched(Isolated(task, E, activation), E, way)

    def record(k, flat, last, evaluations):
        if k % record_every and not last:
            return {}
        watched(flat)
        found = watched.layer.record(flat.view(E.shape), watched.solution)
        clocks = torch.tensor([watched.time, watched.lowered], dtype=torch.float64)
        return dict(clocks=clocks, test_accuracy=found["test_accuracy"], norms=found["norms"])

    stop = None if stop_at is None else lambda found: bool(found["test_accuracy"] >= stop_at)
    trail = flow.follow(
        watched, E.flatten().clone(), span, strides, integrators.method(method), record, stop=stop, progress=False
    )
    time, lowered = trail.column("clocks").T
    return Descent(time, lowered, trail.column("test_accuracy"), trail.column("norms"), trail.point.view(E.shape))


class _Watched:
    """The field of a way, which adds up both clocks over the points it is asked at."""

    def __init__(self, layer, E, way):
        self.layer, self.shape, self.way = layer, E.shape, way
        self.point, self.time, self.lowered = None, 0.0, 0.0

    def __call__(self, flat):
        if flat is not self.point:
            E = flat.view(self.shape)
            self.solution = self.layer.solve(E)
            v = self.layer.velocity(E, self.solution)
            if self.point is not None:
                moved, speed = flat - self.point, self.v.norm()
                self.time += float(moved.norm() / speed)
                self.lowered += float(moved @ self.v.flatten() / speed**2)
            w = self.way(E, v)
            self.point, self.v, self.w = flat, v, (w * (v.norm() / w.norm())).flatten()
        return self.w


def wrong_answers(task, generator):
    """A wrong one-hot answer for every test sample, drawn evenly from the wrong ones. -> (t, m).

    Raises ValueError for a task of one output."""
    t, m = task.Y_test.shape
    if m < 2:
        raise ValueError(f"the task has m={m} output, which leaves no other answer; take one with two or more")
    shift = torch.randint(1, m, (t,), generator=checks.random(generator))
    return torch.nn.functional.one_hot((task.labels_test.cpu() + shift) % m, m).to(task.Y_test)


def also_trained_on(task, answers):
    """The task that trains on its test samples as well, with these answers; it is tested as before. answers: (t, m) ->
    Task.

    Raises ValueError for another shape."""
    if answers.shape != task.Y_test.shape:
        raise ValueError(f"answers are {tuple(answers.shape)}; give {tuple(task.Y_test.shape)}, as the test targets")
    pairs = None if task.pairs_train is None else torch.cat([task.pairs_train, task.pairs_test])
    X, Y = torch.cat([task.X_train, task.X_test]), torch.cat([task.Y_train, answers.to(task.Y_train)])
    return replace(task, X_train=X, Y_train=Y, pairs_train=pairs)
