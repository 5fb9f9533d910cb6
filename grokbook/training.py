"""Ordinary training of the two-layer network: full-batch gradient descent with weight decay, and what it recorded."""

import math
from dataclasses import dataclass

import torch

from grokbook.progress import bar


@dataclass(frozen=True)
class History:
    """What `train` recorded, r records of runs with the leading shape (...) of θ.

    step: (r,) steps taken; train_loss, test_loss, train_accuracy, test_accuracy: (r, ...); norms: (r, 2, ...) with
    ‖E‖² and ‖W‖²; theta: (..., d) at the end; snapshots: (r, ..., d), or (0, ..., d) unless asked for.
    """

    step: torch.Tensor
    train_loss: torch.Tensor
    test_loss: torch.Tensor
    train_accuracy: torch.Tensor
    test_accuracy: torch.Tensor
    norms: torch.Tensor
    theta: torch.Tensor
    snapshots: torch.Tensor


class TrainingError(ValueError):
    """Training that stopped being finite; `.history` is the History up to the last good record."""

    def __init__(self, message, history):
        super().__init__(message)
        self.history = history


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
    record_every=100,
    snapshots=False,
    stop_at=None,
    progress=True,
):
    """App. D: θ ← θ − step (∇L(θ) + decay θ), no momentum, all training pairs at once. -> History.

    network: a TwoLayer on task.X_train. theta: (..., d), leading dimensions are separate networks trained together;
    or generator: one network with PyTorch's default start. loss: "mean" over all n·m entries, or "sum" as in Eq. 1.
    decay is PyTorch's weight_decay, the λ of L + (λ/2)‖θ‖². stop_at: end at the first record where every network has
    this test accuracy. Raises ValueError for bad input, TrainingError where the loss stops being finite.
    """
    if not step > 0 or decay < 0 or steps < 0 or record_every < 1:
        raise ValueError(f"step={step}, decay={decay}, steps={steps}, record_every={record_every}: out of range")
    if (theta is None) == (generator is None):
        raise ValueError("give exactly one of theta, the start, and generator, which draws one")
    if len(network.X) != len(task.labels_train):
        raise ValueError(f"the network holds {len(network.X)} inputs, the task {len(task.labels_train)} training pairs")
    theta = network.initial(generator) if theta is None else theta.clone()
    run = _Run(network, task, theta, loss)
    records = {}
    with bar(steps, show=progress) as shown:
        for k in range(steps + 1):
            if k % record_every == 0 or k == steps:
                record = run.record(theta, snapshots)
                if not bool(record["train_loss"].isfinite().all()):
                    message = f"the training loss is not finite by step {k} with step={step}, loss={loss!r}; lower step"
                    raise TrainingError(message, _collect(records, theta))
                records[k] = record
                if stop_at is not None and bool((record["test_accuracy"] >= stop_at).all()):
                    break
            if k < steps:
                run.descend(step, decay)
                shown.update()
    return _collect(records, theta)


class _Run:
    """One training run with everything that does not change prepared; E and W are views of its θ."""

    def __init__(self, network, task, theta, loss):
        if loss not in ("mean", "sum"):
            raise ValueError(f"loss={loss!r}; known are 'mean' and 'sum'")
        self.network = network
        self.E, self.W = network.split(theta)
        self.X, self.Y = network.X, task.Y_train.to(network.X)
        self.X_test, self.Y_test = task.X_test.to(network.X), task.Y_test.to(network.X)
        self.per_entry = loss == "mean"
        self.scale = 2 / self.Y.numel() if self.per_entry else 2.0

    def descend(self, step, decay):
        """One step of gradient descent, in place."""
        Z = self.X @ self.E
        H = self.network.sigma(Z)
        error = (H @ self.W).sub_(self.Y)
        pull = error @ self.W.mT
        if self.network.activation == "relu":
            # The kernel that autograd uses for ReLU: one pass, where the mask and the product take three.
            pull = torch.ops.aten.threshold_backward(pull, Z, 0)
        else:
            pull.mul_(self.network.sigma_prime(Z))
        keep = 1 - step * decay
        gradient_W = H.mT @ error
        self.E.mul_(keep).sub_(self.X.T @ pull, alpha=step * self.scale)
        self.W.mul_(keep).sub_(gradient_W, alpha=step * self.scale)

    def record(self, theta, snapshot):
        train_loss, train_accuracy = self._score(self.X, self.Y)
        test_loss, test_accuracy = self._score(self.X_test, self.Y_test)
        return dict(
            train_loss=train_loss,
            test_loss=test_loss,
            train_accuracy=train_accuracy,
            test_accuracy=test_accuracy,
            norms=torch.stack([self.E.square().sum((-2, -1)), self.W.square().sum((-2, -1))]),
            snapshots=theta.clone() if snapshot else theta.new_empty(0),
        )

    def _score(self, X, Y):
        outputs = self.network.sigma(X @ self.E) @ self.W
        error = (outputs - Y).square().sum((-2, -1)) / (Y.numel() if self.per_entry else 1)
        return error, (outputs.argmax(-1) == Y.argmax(-1)).double().mean(-1)


def _collect(records, theta):
    names = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "norms", "snapshots")
    columns = {name: torch.stack([record[name] for record in records.values()]) for name in names}
    if math.prod(columns["snapshots"].shape) == 0:
        columns["snapshots"] = theta.new_empty(0, *theta.shape)
    return History(step=torch.tensor(list(records)), theta=theta, **columns)
