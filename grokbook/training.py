"""Ordinary training: full-batch gradient descent, or another integrator, with weight decay, and what it recorded."""

import itertools
import math
from dataclasses import dataclass

import torch

from grokbook import checkpoint, checks, flow, integrators
from grokbook.flow import FlowError
from grokbook.losses import loss_of
from grokbook.measure import sharpness


@dataclass(frozen=True)
class History:
    """What `train` recorded, r records of runs with the leading shape (...) of θ.

    step: (r,) steps taken; train_loss, test_loss, train_accuracy, test_accuracy: (r, ...); norms: (r, layers, ...), for
    two layers ‖E‖² and ‖W‖²; theta: (..., d) at the end; snapshots: (r, ..., d), or (0, ..., d) unless asked for.
    """

    step: torch.Tensor
    train_loss: torch.Tensor
    test_loss: torch.Tensor
    train_accuracy: torch.Tensor
    test_accuracy: torch.Tensor
    norms: torch.Tensor
    theta: torch.Tensor
    snapshots: torch.Tensor


class TrainingError(FlowError):
    """Training that stopped being finite; `.history` is the History up to the last good record."""

    @property
    def history(self):
        """What was recorded."""
        return self.result


def train(
    network,
    task,
    step=1.0,
    decay=1e-4,
    steps=10_000,
    *,
    theta=None,
    generator=None,
    loss="mean",
    method="euler",
    ratio=1.0,
    record_every=100,
    snapshots=False,
    stop_at=None,
    state_file=None,
    save_every=10_000,
    progress=True,
):
    """App. D: θ ← θ − step (∇L(θ) + decay θ), all training samples at once. -> History.

    network: a TwoLayer or Deep on task.X_train. theta: (..., d), leading dimensions are separate networks trained
    together; or generator: one network with PyTorch's default start. loss: a name of `grokbook.losses.LOSSES`: "mean"
    of squares over all n·m entries, "sum" as in Eq. 1, "cross_entropy". decay is PyTorch's weight_decay, the λ of L +
    (λ/2)‖θ‖². method: an integrator of fixed steps; "euler" is gradient descent, "momentum" and "adam" are PyTorch's
    SGD(momentum=0.9) and AdamW. ratio: how many times as long the readout's steps are. stop_at: end at the first record
    where every network has this test accuracy. state_file, save_every: as for `grokbook.isolated.simulate`. Raises
    ValueError for bad input, TrainingError where the loss stops being finite."""
    step, decay = checks.positive("step", step), checks.not_negative("decay", decay)
    steps, record_every = checks.whole("steps", steps), checks.whole("record_every", record_every, 1)
    stop_at = stop_at if stop_at is None else checks.not_negative("stop_at", stop_at, most=1)
    if (theta is None) == (generator is None):
        raise ValueError("give exactly one of theta= (where to start) and generator= (draw a start)")
    X, Y = task.X_train.to(network.X), task.Y_train.to(network.X)
    if network.X.shape != X.shape or not torch.equal(network.X, X) or network.n_outputs != Y.shape[1]:
        raise ValueError(
            f"the network is built on {tuple(network.X.shape)} inputs with {network.n_outputs} outputs, not on this "
            f"task's X_train, {tuple(X.shape)} with {Y.shape[1]}; build it on task.X_train, one network a split"
        )
    theta = network.initial(generator) if theta is None else checks.real("theta", theta, (..., network.size)).detach()
    checks.alike(theta=theta, X=network.X)
    objective, X_test, Y_test = loss_of(loss), task.X_test.to(network.X), task.Y_test.to(network.X)
    integrator = integrators.method(method, **(dict(decay=decay) if method == "adam" else {}))
    if integrator.adapts:
        raise ValueError(
            f"method={method!r} chooses its own steps; train takes a method of fixed steps, such as 'euler'"
        )
    if ratio != 1 and method == "adam":
        raise ValueError(f"ratio={ratio} means nothing to method='adam', which rescales every step; take 'euler'")
    speeds = network.speeds(ratio)
    coupled = 0.0 if method == "adam" else decay  # Adam's own decay is not a part of its field

    def field(theta):
        outputs, pull = network.linearised(theta)
        velocity = pull(objective.gradient(outputs, Y).neg_()).sub_(theta, alpha=coupled)
        return velocity if ratio == 1 else velocity.mul_(speeds)

    def record(k, theta, last, evaluations):
        if k % record_every and not last:
            return {}
        outputs, test_outputs = network.outputs(theta), network.outputs(theta, X_test)
        found = dict(
            train_loss=objective.value(outputs, Y),
            test_loss=objective.value(test_outputs, Y_test),
            train_accuracy=task.right(outputs, Y).double().mean(-1),
            test_accuracy=task.accuracy(test_outputs),
            norms=torch.stack([layer.square().sum((-2, -1)) for layer in network.split(theta)]),
        )
        if not bool(found["train_loss"].isfinite().all()):
            raise ValueError("the loss is not finite")
        found |= {"snapshot": theta} if snapshots else {}
        return found | ({"last": torch.tensor(True)} if k % record_every else {})

    moved_by = method if ratio == 1 else f"{method} with ratio={ratio}"
    settings = dict(step=step, decay=decay, loss=loss, method=moved_by, record_every=record_every, snapshots=snapshots)
    identity = checkpoint.identity(settings | {"activation": network.activation.name}, theta, X, Y)
    options = dict(store=checkpoint.Store(state_file, identity), save_every=checks.whole("save_every", save_every, 1))
    if stop_at is not None:
        options["stop"] = lambda found: bool((found["test_accuracy"] >= stop_at).all())
    try:
        trail = flow.follow(field, theta, step, steps, integrator, record, progress=progress, **options)
    except FlowError as error:
        message = f"the loss is not finite by step {error.strides} with step={step}, decay={decay}; lower step"
        raise TrainingError(message, _history(error.result), error.strides) from error
    return _history(trail)


STABLE = 0.8  # the step, as a share of the longest with which gradient descent is stable
ROOM = 8  # how many λ count as an eigenvalue: where the weights are small, decay alone limits the step


def train_to(network, task, times, decay, theta, ratio=1.0):
    """θ at `times`, in 1/(2λ), of gradient descent on L + λ‖θ‖², Eq. 13: what stands beside Eq. 20. -> (T, ..., d).

    times: (T,); theta: (..., d) at times[0]; decay: λ, half of what `train` calls decay; ratio as there. Between two
    times all steps are alike and at most 0.8/μ, μ the largest eigenvalue of JDJᵀ in any run at the first of them, or 8λ
    if that is more; D is `ratio` for the readout and 1 for the rest. Raises as `train` does, and ValueError for times
    that do not increase and for decay = 0.
    """
    decay, theta = checks.positive("decay", decay), checks.real("theta", theta, (..., network.size))
    times = [float(time) for time in times]
    if not times or not all(0 < end - begin < math.inf for begin, end in itertools.pairwise(times)):
        raise ValueError(f"times={times} must be a list of finite times that increases, the start's first")
    points, speeds = [theta], network.speeds(ratio)
    for begin, end in itertools.pairwise(times):
        across = max(sharpness(network, run, speeds=speeds) for run in theta.reshape(-1, network.size))
        longest = STABLE / max(across, ROOM * decay * max(1.0, ratio))
        count = math.ceil((end - begin) / (2 * decay * longest))
        options = dict(steps=count, step=(end - begin) / (2 * decay * count), record_every=count, progress=False)
        theta = train(network, task, decay=2 * decay, theta=theta, loss="sum", ratio=ratio, **options).theta
        points.append(theta)
    return torch.stack(points)


def _history(trail):
    columns = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "norms")
    snapshots = len(trail.numbers("snapshot")) > 0
    return History(
        step=trail.numbers("train_loss").long(),
        theta=trail.point,
        snapshots=trail.column("snapshot") if snapshots else trail.point.new_empty(0, *trail.point.shape),
        **{name: trail.column(name) for name in columns},
    )
