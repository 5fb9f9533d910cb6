"""Where training memorises, understands at once, late or never, and where it breaks: the runs behind a map of phases.

    python benchmarks/phases.py                             seconds of one run of each kind
    python benchmarks/phases.py --folder FOLDER             run what is missing in FOLDER, then write the data
    python benchmarks/phases.py --folder FOLDER --jobs 1    the same in one process

"size" and "share" train by steps that are short enough to be a flow, over a decay and a size of the start, and over a
width and a share of the pairs; "step" trains by gradient descent with steps of one size, over a decay and that size,
and in one setting with momentum, in mini-batches, and with AdamW.
"""

import store
import torch

from grokbook.measure import sharpness
from grokbook.network import TwoLayer
from grokbook.sweep import grid
from grokbook.tasks import modular_addition
from grokbook.training import TrainingError, train, train_to

SEEDS = [0, 1, 2]
NETWORK = dict(p=17, d_hidden=192, share=0.75, activation="relu")
SIZE_END, SHARE_END, STEP_END = 6.0, 6.0, 4.0  # in 1/(2λ)
DECAYS = [30.0, 10.0, 3.0, 2.0, 1.0, 0.3, 0.1, 0.03]  # λ of Eq. 13, with the sum of squares
SIZES = [0.25, 0.5, 1, 2, 4]  # of PyTorch's start
WIDTHS = [12, 24, 48, 96, 192, 384]
SHARES = [0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
STEPS = [0.5, 1, 2, 4, 8, 16, 32]  # η, with the mean of squares
WEIGHT_DECAYS = [1e-2, 3e-3, 1e-3, 3e-4, 1e-4]  # PyTorch's
FIRST = 10  # steps of descent that are all recorded
WARM_STEP, WARM_END = 8, 4.0  # of the steps that come before the long ones where these come late, and until when
WAYS = [  # other ways to train than by descent, with the same product of step and decay but for AdamW
    dict(way="momentum 0.9", step=0.2, decay=1e-4),
    dict(way="mini-batches of 38", step=2, decay=1e-4),
    dict(way="mini-batches of 8", step=2, decay=1e-4),
    dict(way="AdamW", step=1e-3, decay=1.0),
]
LATE = dict(way="late", step=32, decay=3e-4)


def prepared(p, d_hidden, share, activation, seed):
    """A task, a network in float32, and PyTorch's start."""
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    network = TwoLayer(task.X_train.float(), d_hidden, p, activation)
    return task, network, network.initial(generator)


def flowing(decay, size, end, seed, **setting):
    """Gradient descent on L + λ‖θ‖² by short steps, from a multiple of the start."""
    task, network, theta = prepared(seed=seed, **setting)
    times = [0.0, *(1e-4 * 1.3**k for k in range(30)), *(k / 20 for k in range(6, round(20 * end) + 1))]
    points = train_to(network, task, times, decay, size * theta)
    outputs, unseen = network.outputs(points), network.outputs(points, task.X_test.float())
    return summary(
        times,
        task.right(outputs, task.Y_train.float()).double().mean(-1),
        task.accuracy(unseen),
        (outputs - task.Y_train).square().mean((-2, -1)),
        points.square().sum(-1),
    )


def stepping(decay, step, end, seed, way, **setting):
    """Training on the mean of squares with PyTorch's weight decay. Of descent the first steps are all recorded."""
    task, network, theta = prepared(seed=seed, **setting)
    if way.startswith("mini"):
        return in_batches(task, network, theta, decay, step, end, int(way.split()[-1]), seed)
    method = {"momentum 0.9": "momentum", "AdamW": "adam"}.get(way, "euler")
    begin = {"descent": [(step, FIRST)], "late": [(WARM_STEP, round(WARM_END / (WARM_STEP * decay)))]}.get(way, [])
    taken, time, parts, broken = 0, 0.0, [], False
    for size, steps in [*begin, (step, None)]:
        speed = decay * (size / (1 - 0.9) if way == "momentum 0.9" else size)  # of a step that is repeated for ever
        steps = steps or round((end - time) / speed)
        options = dict(theta=theta, method=method, record_every=max(1, steps // 400), progress=False)
        try:
            history = train(network, task, size, decay, steps, **options)
        except TrainingError as error:
            history, broken = error.history, True
        columns = history.train_accuracy, history.test_accuracy, history.train_loss, history.norms.sum(1)
        part = torch.stack([time + speed * history.step, *columns]).double()
        parts.append(part[:, bool(parts) :])  # its first record is the last one before
        theta, taken, time = history.theta, taken + int(history.step[-1]), float(part[0, -1])
        if broken:
            break
    found = summary(*torch.cat(parts, 1), early=FIRST if way == "descent" else 0)
    return found | dict(broken=broken, steps=taken) | left(network, theta)


def left(network, theta):
    """The largest eigenvalue of JJᵀ at the end, and the hidden units that answer to any pair."""
    active = (network.preactivations(theta) > 0).any(0)
    alive = theta.isfinite().all() and active.any() and theta.square().sum() > 1e-6
    return dict(largest=sharpness(network, theta) if alive else None, active=int(active.sum()))


def in_batches(task, network, theta, decay, step, end, batch, seed):
    """The same in mini-batches, drawn anew for every epoch; an epoch's last batch may be smaller."""
    steps, records = round(end / (step * decay)), []
    every, draw = steps // 400, torch.Generator().manual_seed(seed)
    X, Y = task.X_train.float(), task.Y_train.float()
    rows = iter(())
    for k in range(steps + 1):
        if k % every == 0:
            outputs = network.outputs(theta)
            accuracies = (
                task.right(outputs, Y).double().mean(),
                task.accuracy(network.outputs(theta, task.X_test.float())),
            )
            records.append([step * decay * k, *accuracies, (outputs - Y).square().mean(), theta.square().sum()])
        chosen = next(rows, None)
        if chosen is None:
            rows = iter(torch.randperm(len(X), generator=draw).split(batch))
            chosen = next(rows)
        part = TwoLayer(X[chosen], network.d_hidden, network.n_outputs, network.activation)
        outputs, pull = part.linearised(theta)
        theta = theta - step * (pull(2 / Y[chosen].numel() * (outputs - Y[chosen])) + decay * theta)
    columns = torch.tensor(records, dtype=torch.float64).T
    return summary(*columns) | dict(broken=False, steps=steps) | left(network, theta)


def summary(times, fitted, accuracy, loss, norm, early=0):
    """When training and held-back pairs are right, and the curves: the first records, and then some."""
    times = torch.as_tensor(times, dtype=torch.float64)
    found = {}
    for name, curve, level in (("memorised", fitted, 0.99), ("half", accuracy, 0.5), ("nearly", accuracy, 0.95)):
        [found[name]] = store.passage(curve, level, times)
    found |= dict(fitted_end=float(fitted[-1]), accuracy_end=float(accuracy[-1]), fitted_most=float(fitted.max()))
    curves = dict(time=times, fitted=fitted, accuracy=accuracy, loss=loss, norm=norm)
    finite = {name: torch.nan_to_num(curve.double(), posinf=1e30) for name, curve in curves.items()}
    return found | store.thinned(early, **finite)


def run(kind, **setting):
    """One run. -> dict of plain numbers."""
    torch.set_num_threads(1)
    return dict(size=flowing, share=flowing, step=stepping)[kind](**setting)


def settings():
    """Every setting of the sweep."""
    sizes = grid(decay=DECAYS, size=SIZES, seed=SEEDS)
    shares = grid(d_hidden=WIDTHS, share=SHARES, seed=SEEDS)
    steps = grid(decay=WEIGHT_DECAYS, step=STEPS, way=["descent"], seed=SEEDS)
    return [
        *(dict(kind="size", end=SIZE_END) | NETWORK | row for row in sizes),
        *(dict(kind="share", end=SHARE_END) | NETWORK | dict(decay=0.1, size=1) | row for row in shares),
        *(dict(kind="step", end=STEP_END) | NETWORK | row for row in steps),
        *(dict(kind="step", end=STEP_END) | NETWORK | row | dict(seed=seed) for row in WAYS for seed in SEEDS),
        *(dict(kind="step", end=WARM_END + STEP_END) | NETWORK | LATE | dict(seed=seed) for seed in SEEDS),
    ]


def one_of_each():
    """Print the seconds of one run of each kind, and of the longest."""
    chosen = [row for row in settings() if row["seed"] == 0]
    for kind in ("size", "share", "step"):
        rows = [row for row in chosen if row["kind"] == kind]
        store.timed(run, (rows[len(rows) // 2], rows[-1]))


if __name__ == "__main__":
    store.main(__doc__, "phases", run, settings(), one_of_each)
