"""Networks of two, three and four layers, in Eq. 20 and in training: the runs behind the chapter More layers.

    python benchmarks/deeper.py                             seconds of one run of each kind
    python benchmarks/deeper.py --folder FOLDER             run what is missing in FOLDER, then write the data
    python benchmarks/deeper.py --folder FOLDER --jobs 1    the same in one process

"isolated": Eq. 20 of everything before the readout. "moving": the same with some layers held or faster than others, or
solved in turn. "trained": gradient descent with weight decay, and its movement beside the norm-minimising direction.
"""

import functools
import itertools

import store
import torch

from grokbook import isolated
from grokbook.direction import norm_minimising_direction
from grokbook.eq20 import Isolated
from grokbook.flow import flow
from grokbook.fourier import features, served_by
from grokbook.levelset import LevelSet
from grokbook.measure import cosine, explained, sharpness
from grokbook.network import Deep, ManyLayers, unstacked
from grokbook.sweep import grid
from grokbook.tasks import modular_addition
from grokbook.training import STABLE, train, train_to

SEEDS = [0, 1, 2]
SIZE = 16.0  # of the embedding at the start; later layers keep the size of what enters them
ISOLATED = dict(kind="isolated", p=23, share=0.75, end=9.0)
DEPTHS = [[256], [64, 256], [64, 64, 256]]
MOVING = dict(kind="moving", p=17, share=0.75, widths=[48, 192], end=8.0)
# How fast the first and the second layer move.
WAYS = {
    "both": (1, 1),
    "first alone": (1, 0),
    "second alone": (0, 1),
    "second faster": (1, 16),
    "first faster": (16, 1),
}
TRAINED = dict(kind="trained", p=17, share=0.75, window=100)
SLOW, GENTLE = dict(decay=0.05, end=6.0), dict(decay=0.0125, end=2.0)
LONG = dict(decay=0.05, end=12.0)  # for three layers of ReLU
MARKS = [0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 12.0]


def drawn(p, widths, generator):
    """A normal start, the embedding of norm SIZE. -> θ: (d,)."""
    shapes = list(itertools.pairwise([p, *widths]))
    layers = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    layers[0] *= SIZE / layers[0].norm()
    layers[1:] = [layer * (2 / len(layer)) ** 0.5 for layer in layers[1:]]
    return torch.cat([layer.flatten() for layer in layers])


def knowledge(task, layers, sigma):
    """What each layer knows of the pairs of the whole table, before and after σ: the shares that the sum a + b mod p
    explains, and those that any function f(a) + f(b) does."""
    whole = task.whole()
    X, groups = whole.X_train, whole.labels_train
    seen, H = dict(of_sum=[], additive=[]), X
    for layer in layers:
        Z = H @ layer
        H = sigma(Z)
        for values in (Z, H):
            centred = values - values.mean(0)
            design = torch.cat([X, torch.ones(len(X), 1).to(X)], 1)
            fitted = design @ torch.linalg.lstsq(design, centred, driver="gelsd").solution
            seen["of_sum"].append(explained(values, groups))
            seen["additive"].append(1 - float((centred - fitted).square().sum() / centred.square().sum()))
    return seen


def circles(E):
    """How many frequencies carry the embedding (1/Σ shares²), and the median unit's share in its strongest one."""
    F = features(E)
    alive = F[:, F.abs().square().sum(0) > 0]
    power = F.abs().square().sum(-1)
    return dict(frequencies=float(power.sum() ** 2 / power.square().sum()), served=float(served_by(alive)[1].median()))


def isolated_run(p, share, end, widths, activation, seed):
    """Eq. 20 of all layers but the readout."""
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    shapes = list(itertools.pairwise([p, *widths]))
    maps = functools.partial(ManyLayers, n_inputs=p, widths=widths)
    options = dict(activation=activation, features=maps, method="adaptive", record_every=1, snapshot_every=1)
    run = isolated.simulate(drawn(p, widths, generator), task, 0.02, round(end / 0.02), progress=False, **options)
    layers = unstacked(run.snapshots, shapes)
    squares = torch.stack([layer.square().sum((-2, -1)) for layer in layers] + [run.norms[:, 1]], -1)
    sigma = Deep(task.X_train, widths, p, activation).sigma
    kept = torch.linspace(0, len(run.time) - 1, store.KEPT).round().long()
    return dict(
        knows_begin=knowledge(task, [layer[0] for layer in layers], sigma),
        knows_end=knowledge(task, [layer[-1] for layer in layers], sigma),
        **circles(layers[0][-1]),
        evaluations=int(run.evaluations[-1]),
        **store.passed(run.test_accuracy, run.time, run.cost),
        **store.thinned(time=run.time, accuracy=run.test_accuracy, cost=run.cost),
        squares=[[float(f"{value:.6g}") for value in row] for row in squares[kept].tolist()],
    )


class Part(ManyLayers):
    """One of two layers before the readout as the θ of a feature map, the other one held."""

    def __init__(self, inputs, activation, free, theta, **shape):
        super().__init__(inputs, activation=activation, **shape)
        self.free, self.theta = free, theta

    def hidden(self, part):
        """The last hidden layer with `part` in place of the free layer. -> (n, widths[-1])."""
        pieces = list(self.theta.split([a * b for a, b in self.shapes]))
        pieces[self.free] = part
        return super().hidden(torch.cat(pieces))


def in_turn(task, theta, widths, activation, rounds=12):
    """R minimised over the second layer, then over the first, and so on, the readout solved for. -> points: (k, d)."""
    shape = dict(n_inputs=task.p, widths=widths)
    sizes = [task.p * widths[0], widths[0] * widths[1]]
    points = [theta]
    for k in range(rounds):
        free = 1 - k % 2
        maps = functools.partial(Part, free=free, theta=points[-1], **shape)
        pieces = list(points[-1].split(sizes))
        pieces[free] = isolated.minimise(pieces[free], task, activation, features=maps, evaluations=150).E
        points.append(torch.cat(pieces))
    return torch.stack(points)


def moving(p, share, end, widths, way, activation, seed):
    """Eq. 20 with speeds of their own for the two layers, or both solved in turn."""
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    maps = functools.partial(ManyLayers, n_inputs=p, widths=widths)
    theta = drawn(p, widths, generator)
    layer = Isolated(task, theta, activation, features=maps)
    if way == "in turn":
        points = in_turn(task, theta, widths, activation)
        times = torch.arange(len(points)).double()
    else:
        sizes = [p * widths[0], widths[0] * widths[1]]
        speeds = torch.cat([torch.full((size,), float(speed)) for size, speed in zip(sizes, WAYS[way], strict=True)])
        times = 0.05 * torch.arange(round(end / 0.05) + 1).double()
        points = flow(lambda theta: speeds * layer.velocity(theta), theta, times, method="adaptive").points
    records = [layer.record(point, layer.solve(point)) for point in points]
    accuracy = torch.stack([record["test_accuracy"] for record in records])
    cost = torch.stack([record["cost"] for record in records])
    return dict(**store.passed(accuracy, times, cost), **store.thinned(time=times, accuracy=accuracy, cost=cost))


def trained(p, share, decay, end, window, widths, activation, seed):
    """Gradient descent on L + λ‖θ‖² from PyTorch's start; at each mark a window of steps beside Eq. 29."""
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    network = Deep(task.X_train.float(), widths, p, activation)
    marks = [mark for mark in MARKS if mark <= end]
    times = sorted({0.0, *(1e-3 * 1.3**k for k in range(18)), *(k / 10 for k in range(2, round(10 * end) + 1)), *marks})
    points = train_to(network, task, times, decay, network.initial(generator))
    outputs = network.outputs(points)
    accuracy = task.accuracy(network.outputs(points, task.X_test.float()))
    fitted = task.right(outputs, task.Y_train.float()).double().mean(-1)
    points, network = points.double(), Deep(task.X_train, widths, p, activation)
    squares = torch.stack([layer.square().sum((-2, -1)) for layer in network.split(points)], -1)
    return dict(
        memorised=times[int((fitted >= 1).nonzero()[0])] if bool((fitted >= 1).any()) else None,
        rows=[looked_at(network, task, points[times.index(mark)], decay, window) for mark in marks],
        knows_end=knowledge(task, network.split(points[-1])[:-1], network.sigma),
        **circles(network.split(points[-1])[0]),
        squares_end=squares[-1].tolist(),
        **store.passed(accuracy, times, squares.sum(-1)),
        **store.thinned(time=torch.tensor(times), accuracy=accuracy, fitted=fitted, cost=squares.sum(-1)),
    )


def looked_at(network, task, theta, decay, window):
    """The movement of the next `window` steps beside Eq. 29's direction at the nearest point of Z."""
    step = STABLE / sharpness(network, theta)
    options = dict(theta=theta, loss="sum", record_every=window, progress=False)
    moved = train(network, task, step, 2 * decay, window, **options).theta - theta
    level_set = LevelSet(network.F, task.Y_train, products=network)
    missing = float((network.F(theta) - level_set.y).norm() / level_set.y.norm())
    way = norm_minimising_direction(level_set, theta, memorised=10.0)
    expected = 2 * window * step * decay * way.vector
    return dict(
        cosine=float(cosine(moved, way.vector)),
        missed=float((moved - expected).norm() / moved.norm()),
        steepness=float(way.vector.norm() / theta.norm()),
        missing=missing,
    )


def run(kind, **setting):
    """One run. -> dict of plain numbers."""
    torch.set_num_threads(1)
    return dict(isolated=isolated_run, moving=moving, trained=trained)[kind](**setting)


def settings():
    """Every setting of the sweep."""
    kinds = ["relu", "gelu"]
    return [
        *(ISOLATED | row for row in grid(widths=DEPTHS, activation=kinds, seed=SEEDS)),
        *(MOVING | row for row in grid(way=[*WAYS, "in turn"], activation=kinds, seed=SEEDS)),
        *(TRAINED | SLOW | dict(widths=[192]) | row for row in grid(activation=kinds, seed=SEEDS)),
        *(TRAINED | LONG | dict(widths=[48, 192], activation="relu", seed=seed) for seed in SEEDS),
        *(TRAINED | SLOW | dict(widths=[48, 192], activation="gelu", seed=seed) for seed in SEEDS),
        *(TRAINED | GENTLE | dict(widths=[48, 192], activation="gelu", seed=seed) for seed in SEEDS),
    ]


def one_of_each():
    """Print the seconds of one run of each kind."""
    chosen = [ISOLATED | dict(widths=[64, 256]), MOVING | dict(way="in turn"), TRAINED | SLOW | dict(widths=[48, 192])]
    store.timed(run, [setting | dict(activation="relu", seed=0) for setting in chosen])


if __name__ == "__main__":
    store.main(__doc__, "deeper", run, settings(), one_of_each)
