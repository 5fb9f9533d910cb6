"""Training with noise at constant norm: mini-batches, labels that are drawn anew at every step, and no weight decay."""

from dataclasses import dataclass

import torch

from grokbook import checks
from grokbook.activations import activation_of


@dataclass(frozen=True)
class Noisy:
    """What `noisy_descent` recorded, r records of one run.

    step: (r,) steps taken; test_accuracy, train_accuracy, train_loss: (r,), the loss of all samples without noise, as
    a mean over n·m entries; moved: (r,) how far (E, W) is from its start, as a part of its length; E: (p, d_hidden)
    and W: (d_hidden, m), the last."""

    step: torch.Tensor
    test_accuracy: torch.Tensor
    train_accuracy: torch.Tensor
    train_loss: torch.Tensor
    moved: torch.Tensor
    E: torch.Tensor
    W: torch.Tensor


def noisy_descent(
    E, W, task, generator, step=1.0, steps=1000, *, batch=None, label_noise=0.0, activation="relu", record_every=100
):
    """E, W ← E, W − step ∇L of a mini-batch, then each is scaled back to the length it had at the start. -> Noisy.

    E: (p, d_hidden), W: (d_hidden, m); L: the mean of squares over the entries of the batch. batch: samples a step,
    drawn anew each time, None for all. label_noise: the standard deviation of what is added to the labels of a step.
    Raises ValueError for bad input, and where the loss stops being finite."""
    step, steps = checks.positive("step", step), checks.whole("steps", steps, 1)
    record_every, noise = checks.whole("record_every", record_every, 1), checks.not_negative("label_noise", label_noise)
    X, Y = task.X_train.to(E), task.Y_train.to(E)
    if batch is not None and checks.whole("batch", batch, 1) > len(X):
        raise ValueError(f"batch={batch} exceeds the {len(X)} training samples; lower it, or pass None for all")
    if E.shape[:1] != X.shape[1:] or W.shape != (E.shape[-1], Y.shape[1]):
        raise ValueError(
            f"E is {tuple(E.shape)} and W {tuple(W.shape)}; this task needs ({X.shape[1]}, d_hidden) and (d_hidden, "
            f"{Y.shape[1]})"
        )
    checks.random(generator)
    activation, begin, lengths, records = activation_of(activation), (E, W), (E.norm(), W.norm()), []
    for k in range(steps + 1):
        if k % record_every == 0 or k == steps:
            records.append([k, *_record(E, W, begin, task, activation)])
        if k == steps:
            break
        rows = slice(None) if batch is None else torch.randperm(len(X), generator=generator)[:batch]
        labels = Y[rows]
        if noise:
            labels = labels + noise * torch.randn(labels.shape, generator=generator, dtype=torch.float64).to(labels)
        Z = X[rows] @ E
        H = activation.sigma(Z)
        error = 2 / labels.numel() * (H @ W - labels)
        slopes = X[rows].T @ activation.pull(error @ W.T, Z), H.T @ error
        E, W = (_scaled(x - step * y, size) for x, y, size in zip((E, W), slopes, lengths, strict=True))
    columns = torch.tensor(records, dtype=torch.float64).T
    return Noisy(columns[0].long(), *columns[1:], E, W)


def _scaled(layer, length):
    return layer * (length / layer.norm())


def _record(E, W, begin, task, activation):
    """Test accuracy, train accuracy, the loss, and the distance from the start."""
    outputs = activation.sigma(task.X_train.to(E) @ E) @ W
    loss = (outputs - task.Y_train.to(E)).square().mean()
    if not bool(loss.isfinite()):
        raise ValueError("the loss is not finite; lower step")
    test = task.accuracy(activation.sigma(task.X_test.to(E) @ E) @ W)
    train = task.right(outputs, task.Y_train.to(E)).double().mean()
    moved = sum((now - then).square().sum() for now, then in zip((E, W), begin, strict=True))
    whole = sum(then.square().sum() for then in begin)
    return [float(test), float(train), float(loss), float((moved / whole).sqrt())]
