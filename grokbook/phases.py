"""What the curves of a run say about it: its phase, by the names of Liu and others (2205.10343), and what to change."""

import math
from dataclasses import dataclass

import torch

from grokbook import checks
from grokbook.measure import first_passage

PHASES = ("divergence", "confusion", "memorisation", "grokking", "comprehension")
FEWEST = 8  # records: two in the last quarter
DEAD = 1e-3  # of the largest squared norm

CURES = {
    "divergence": "Shorten the step. The longest stable one is 2 over the largest eigenvalue of the loss's Hessian.",
    "confusion": "Run it once without decay. If it memorises then, lower the decay. If not, shorten the step; if that "
    "does not help, widen the network.",
    "memorisation": "Longer training will not help. More samples may, or other ones: is there a rule in these labels?",
    "grokking": "Nothing is wrong. To wait less, start from smaller weights, or raise the decay.",
    "comprehension": "Nothing is wrong. To see it wait, start from larger weights, or lower the decay.",
}
UNDECIDED = ("confusion", "memorisation")  # until a run has settled
UNFINISHED = "Train on: it has not settled, and what it will be is not decided."


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found. phase: one of PHASES; memorised, understood: when, in the units of time, None for never;
    settled: whether the norm and what the run knows of its training samples have stopped changing; because, cure:
    sentences."""

    phase: str
    memorised: float | None
    understood: float | None
    settled: bool
    because: str
    cure: str

    def __str__(self):
        so_far = "" if self.settled or self.phase not in UNDECIDED else ", so far"
        return f"{self.phase}{so_far}: {self.because} {self.cure}"


def diagnose(
    time, train_accuracy, test_accuracy, loss, norm, decay, *, fitted=0.99, known=0.5, at_once=3.0, still=0.02
):
    """The phase of a run, from five curves of one length: (r,) each, r >= 8 -> Diagnosis.

    time: increasing, in any unit, from the start of training at 0; accuracies: between 0 and 1; loss: on the training
    samples; norm: ‖θ‖²; decay: the rate at which weight decay alone would shrink θ in that unit, for PyTorch's steps
    the learning rate times weight_decay. fitted, known: the accuracies from which a run has memorised and understood.
    At once is within `at_once` times as long as memorising takes. A run has settled where its norm changed by less than
    `still`, as a part, in the last quarter of the time, so did its training accuracy, and decay, if there is any, has
    had the time 1/decay. A loss or norm that is not finite counts as divergence. Raises ValueError for curves that are
    too short, unequal or out of range."""
    levels = [checks.positive(name, value, 1) for name, value in (("fitted", fitted), ("known", known))]
    at_once, still = checks.positive("at_once", at_once), checks.positive("still", still)
    decay = checks.not_negative("decay", decay)
    curves = dict(time=time, train_accuracy=train_accuracy, test_accuracy=test_accuracy, loss=loss, norm=norm)
    time, train, test, loss, norm = _checked(curves)
    memorised, understood = (
        float(first_passage(time, curve, level)) if curve.max() >= level else None
        for curve, level in zip((train, test), levels, strict=True)
    )
    late = int((time >= time[-1] - (time[-1] - time[0]) / 4).nonzero()[0])
    late = min(late, len(time) - 2)
    change = float(norm[-1] / norm[late] - 1) if norm[late] > 0 else 0.0
    dead = bool(train[-1] < levels[0] and norm[-1] < DEAD * norm.max())  # what dies falls by the same part for ever
    flat = abs(change) < still and abs(float(train[-1] - train[late])) < still
    had = decay * float(time[-1])  # decay's own times
    settled = dead or (flat and (had >= 1 or decay == 0))

    def found(phase, because, settled=settled):
        cure = CURES[phase] if settled or phase not in UNDECIDED else UNFINISHED
        return Diagnosis(phase, memorised, understood, settled, because, cure)

    broken = ~(loss.isfinite() & norm.isfinite())
    if broken.any():
        return found("divergence", f"The loss or the norm is not finite from time {time[broken][0]:.3g} on.", True)
    if loss.max() > 2 * loss[0] and norm.max() > norm[0] and train[-1] < levels[0]:
        peaks = f"The loss rose from {loss[0]:.2g} to {loss.max():.2g} and the squared norm from {norm[0]:.3g} to"
        return found("divergence", f"{peaks} {norm.max():.3g}; no memory came of it.", True)
    moves = (
        f"In the last quarter the squared norm changed by {100 * change:+.1f} %; decay has had {had:.2g} of its times."
    )
    if train[-1] < levels[0]:
        before = "" if memorised is None else f" It had, at time {memorised:.3g}."
        share = f"{100 * float(train[-1]):.0f} % of the training samples are right in the end.{before}"
        return found("confusion", f"{share} The squared norm went from {norm[0]:.3g} to {norm[-1]:.3g}. {moves}")
    if test[-1] < levels[1]:
        share = f"{100 * float(test[-1]):.0f} % of the others"
        return found("memorisation", f"All is right by time {memorised:.3g}, and {share} in the end. {moves}")
    phase = "comprehension" if understood <= at_once * memorised else "grokking"
    wait = understood / memorised if memorised else math.inf if understood else 1
    return found(phase, f"It understands at time {understood:.3g}, {wait:.2g} times as late as it memorises.")


def _checked(curves):
    """The five curves as float64, of one length."""
    curves = {name: torch.as_tensor(values, dtype=torch.float64).detach() for name, values in curves.items()}
    shapes = {name: tuple(curve.shape) for name, curve in curves.items()}
    if len(set(shapes.values())) > 1 or curves["time"].ndim != 1 or len(curves["time"]) < FEWEST:
        raise ValueError(f"the curves have shapes {shapes}; they need one length, of at least {FEWEST} records")
    time = curves["time"]
    if not bool(time.isfinite().all() & (time.diff() > 0).all() & (time[0] >= 0)):
        raise ValueError(f"time={time.tolist()} must increase from 0 on, and be finite")
    for name in ("train_accuracy", "test_accuracy"):
        low, high = float(curves[name].min()), float(curves[name].max())
        if not 0 <= low <= high <= 1:
            raise ValueError(f"{name} lies between {low} and {high}; give shares between 0 and 1, not per cent")
    if bool((curves["loss"] < 0).any() | (curves["norm"] < 0).any()):
        raise ValueError(
            f"loss and norm must not be negative; least are {curves['loss'].min()}, {curves['norm'].min()}"
        )
    return curves.values()
