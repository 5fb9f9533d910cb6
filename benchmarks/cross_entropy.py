"""Cross-entropy with decay and without: when it memorises and understands, and which way it moves.

    python benchmarks/cross_entropy.py                             seconds of one run of each kind
    python benchmarks/cross_entropy.py --folder FOLDER             run what is missing in FOLDER, then write the data
    python benchmarks/cross_entropy.py --folder FOLDER --jobs 1    the same in one process

"decay" trains with weight decay, over the decay, the size of the start and the share of the pairs; "sink" without decay
until the loss is e^-400; "way" compares short stretches of training with the directions of walls that yield.
"""

import store
import torch

from grokbook import cross_entropy
from grokbook.measure import cosine
from grokbook.network import TwoLayer
from grokbook.sweep import grid
from grokbook.tasks import modular_addition

SEEDS = [0, 1, 2]
NETWORK = dict(p=31, d_hidden=256, share=0.8, activation="relu")
SMOOTH = dict(p=23, d_hidden=256, share=0.9, activation="gelu")
LARGER = [dict(p=97, d_hidden=512, share=0.5), dict(p=113, d_hidden=512, share=0.4)]  # as others have trained
DECAYS = [3e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-8]  # PyTorch's, with the mean over samples
SIZES = [0.5, 1, 2, 4, 8, 16]  # of PyTorch's start
SHARES = [0.5, 0.6, 0.7, 0.9]
END = 8.0  # of T = ηλk
DEEPEST = 400.0  # of ln(1/L)
WAY_DECAYS = [1e-3, 1e-4, 1e-6, 1e-8]
WAY_SIZE = 2
MARKS = [0.5, 1.0, 2.0, 4.0]  # of T
STRETCH = 0.02
RATES = [10, 3, 1, 0.3, 0.1, 0.03, 0.01, 0.003]


def prepared(p, d_hidden, share, activation, seed, dtype=torch.float32):
    """A task, a network, and PyTorch's start."""
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    network = TwoLayer(task.X_train.to(dtype), d_hidden, p, activation)
    return task, network, network.initial(generator)


def decaying(decay, size, seed, **setting):
    """With decay, at a hundred and more times."""
    task, network, theta = prepared(seed=seed, **setting)
    times = [0.0, *(1e-3 * 1.15**k for k in range(33)), *(k / 20 for k in range(3, round(20 * END) + 1))]
    found = cross_entropy.settle(network, task, times, decay, size * theta)
    curves = measured(network, task, found.points)
    return (
        passages(times, curves) | dict(steps=int(found.steps[-1])) | store.thinned(time=torch.tensor(times), **curves)
    )


def sinking(size, seed, **setting):
    """Without decay; depths are of ln(1/L)."""
    task, network, theta = prepared(seed=seed, **setting)
    depths = torch.cat([torch.linspace(0.25, 10, 40), torch.linspace(15, DEEPEST, 78)])
    begin = -float(cross_entropy.log_loss(network.outputs(size * theta), task.Y_train.float()))
    depths = torch.cat([torch.tensor([begin]), depths[depths > begin]])
    found = cross_entropy.sink(network, task, depths, size * theta)
    curves = measured(network, task, found.points)
    steps = store.thinned(depth=depths, steps=found.steps.double(), **curves)
    return passages(depths, curves) | steps


def way(decay, size, seed, **setting):
    """Cosines of what a stretch of training moves with the directions of all rates, and lengths beside theirs."""
    task, network, theta = prepared(seed=seed, dtype=torch.float64, **setting)
    theta, now, found = size * theta, 0.0, []
    for mark in MARKS:
        begin, end = cross_entropy.settle(network, task, [now, mark, mark + STRETCH], decay, theta).points[1:]
        moved, middle = (end - begin) / STRETCH, (begin + end) / 2
        directions = [cross_entropy.soft_direction(network, middle, task, decay, rate) for rate in RATES]
        found.append(
            dict(
                accuracy=float(task.accuracy(network.outputs(middle, task.X_test))),
                cosines=[round(float(cosine(moved, direction)), 5) for direction in directions],
                lengths=[round(float(moved @ direction / direction.square().sum()), 5) for direction in directions],
                to_zero=round(float(cosine(moved, -middle)), 5),
                speed=round(float(moved.norm() / middle.norm()), 5),
            )
        )
        theta, now = begin, mark
    return {name: [row[name] for row in found] for name in found[0]}


def measured(network, task, points):
    """Accuracies, ln L, squared norm and least margin of each point."""
    Y, X_test = task.Y_train.to(points), task.X_test.to(points)
    outputs = [network.outputs(point) for point in points]
    return dict(
        fitted=torch.stack([task.right(each, Y).double().mean() for each in outputs]),
        accuracy=torch.stack([task.accuracy(network.outputs(point, X_test)) for point in points]),
        log_loss=torch.stack([cross_entropy.log_loss(each, Y) for each in outputs]),
        norm=points.square().sum(-1),
        margin=torch.stack([cross_entropy.margins(each, Y).min() for each in outputs]),
    )


def passages(marks, curves):
    """Where training and held-back pairs are right, None where they never are, and what is in the end."""
    found = {}
    for name, curve, level in (("memorised", "fitted", 0.99), ("half", "accuracy", 0.5), ("nearly", "accuracy", 0.9)):
        [found[name]] = store.passage(curves[curve], level, torch.as_tensor(marks))
    return found | {f"{name}_end": float(curve[-1]) for name, curve in curves.items()}


def run(kind, **setting):
    """One run. -> dict of plain numbers."""
    torch.set_num_threads(1)
    return dict(decay=decaying, sink=sinking, way=way)[kind](**setting)


def settings():
    """Every setting of the sweep."""
    sizes = grid(decay=DECAYS, size=SIZES, seed=SEEDS)
    shares = grid(share=SHARES, seed=SEEDS)
    smooth = grid(decay=[1e-3, 1e-5], seed=SEEDS)
    larger = [NETWORK | row | dict(seed=seed) for row in LARGER for seed in SEEDS]
    sinks = grid(size=[1, 4], seed=SEEDS)
    ways = grid(decay=WAY_DECAYS, seed=SEEDS)
    return [
        *(dict(kind="decay") | NETWORK | row for row in sizes),
        *(dict(kind="decay") | NETWORK | dict(decay=1e-5, size=1) | row for row in shares),
        *(dict(kind="decay") | SMOOTH | dict(size=1) | row for row in smooth),
        *(dict(kind="decay") | row | dict(decay=1e-5, size=1) for row in larger),
        *(dict(kind="sink") | NETWORK | row for row in sinks),
        *(dict(kind="sink") | SMOOTH | dict(size=1, seed=seed) for seed in SEEDS),
        *(dict(kind="way") | SMOOTH | dict(size=WAY_SIZE) | row for row in ways),
    ]


def one_of_each():
    """Print the seconds of one run of each kind."""
    store.timed(run, [next(row for row in settings() if row["kind"] == kind) for kind in ("decay", "sink", "way")])


if __name__ == "__main__":
    store.main(__doc__, "cross_entropy", run, settings(), one_of_each)
