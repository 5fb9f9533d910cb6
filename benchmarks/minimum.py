"""What the smallest norm costs, and the runs behind the chapter The smallest norm of all.

    python benchmarks/minimum.py                             `minimise` beside `simulate`, and `minimum_norm`
    python benchmarks/minimum.py --folder FOLDER             run what is missing in FOLDER, then write the data
    python benchmarks/minimum.py --folder FOLDER --jobs 1    the same in one process

Runs are of five kinds: the end of Eq. 20 at one width and its bound ("width"), the end of training ("training"), the
way down ("way"), the minimum at any width beside what Eq. 20 finds for the task, for its whole table and for shuffled
labels ("minimum"), and the minimum of a whole table ("whole"). An interrupted sweep goes on where it was; all of it
takes about an hour of one core.
"""

import time

import store
import torch

from grokbook import isolated
from grokbook.dual import largest_ratio, lower_bound, minimum_norm
from grokbook.isolated import initial_embedding, minimise, simulate
from grokbook.network import TwoLayer
from grokbook.sweep import grid
from grokbook.tasks import lottery, modular_addition
from grokbook.training import train

FINE = dict(evaluations=3000, tolerance=1e-3)
FRESH = 20_000  # starts that try a bound again


def run(kind, p, share, seed, **settings):
    """One run. -> dict of plain numbers."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    return KINDS[kind](task, generator, **settings) | dict(held_back=len(task.X_test))


def width(task, generator, d_hidden):
    """Where Eq. 20 ends at one width, and no network of any width is below the bound."""
    E = minimise(initial_embedding(task.p, d_hidden, generator), task, **FINE).E
    return bounded(E, task)


def bounded(E, task, decay=0.0, W=None):
    """R/λ, its bound, and the accuracy of E, with W or the optimal readout."""
    bound = lower_bound(E, task, decay=decay, starts=FRESH)
    W = isolated.readout(E, task, decay=decay) if W is None else W
    error = float(((task.X_train @ E).relu() @ W - task.Y_train).square().sum())
    return dict(
        cost=float(E.square().sum() + W.square().sum()) + (error / decay if decay else 0.0),
        norms=[float(E.square().sum()), float(W.square().sum())],
        error=error,
        ratio=bound.ratio,
        bound=bound.value,
        neuron=bound.neuron.tolist(),
        accuracy=float(task.accuracy((task.X_test @ E).relu() @ W)),
    )


def training(task, generator, d_hidden, decay, step, steps):
    """The same for gradient descent; `decay` as in `train`, the λ of the bound is nm decay/2."""
    network = TwoLayer(task.X_train, d_hidden, task.p)
    found = train(network, task, step, decay, steps, generator=generator, record_every=steps, progress=False)
    E, W = network.split(found.theta)
    return bounded(E, task, task.Y_train.numel() * decay / 2, W)


def way(task, generator, d_hidden, time):
    """Eq. 20 from its start, and a bound from the first record where every held-back pair is right."""
    E = initial_embedding(task.p, d_hidden, generator)
    options = dict(method="adaptive", record_every=20, snapshot_every=20, progress=False)
    path = simulate(E, task, 1e-2, 100 * time, **options)
    right = path.test_accuracy >= 1
    first = int(right.int().argmax()) if bool(right.any()) else len(right) - 1
    return dict(
        times=path.time.tolist(),
        costs=path.cost.tolist(),
        accuracies=path.test_accuracy.tolist(),
        first=first,
        ratio=lower_bound(path.snapshots[first], task).ratio,
    )


def minimum(task, generator, gap, shuffled, draw):
    """The minimum at any width from start number `draw`, and what Eq. 20 finds at twice as many units as pairs."""
    units = 2 * len(task.whole().X_train)
    starts = [initial_embedding(task.p, units, generator) for _ in range(3)]
    drawn = lottery(task, generator)
    tasks = dict(end=drawn if shuffled else task, full=task.whole(), lottery=drawn)
    ends = {name: minimise(E, one) for E, (name, one) in zip(starts, tasks.items(), strict=True)}
    task = tasks["end"]
    outputs = (task.X_test @ ends["end"].E).relu() @ isolated.readout(ends["end"].E, task)
    return {name: end.cost for name, end in ends.items()} | dict(
        least(task, gap, draw), end_accuracy=float(task.accuracy(outputs)), end_answers=outputs.argmax(1).tolist()
    )


def whole(task, generator, gap, draw):
    """The minimum of the whole table."""
    return least(task.whole(), gap, draw)


def least(task, gap, draw):
    found = minimum_norm(task, torch.Generator().manual_seed(100 + draw), gap=gap, progress=False)
    fresh = torch.Generator().manual_seed(200 + draw)
    return dict(
        cost=found.cost,
        bound=found.bound,
        fresh_ratio=largest_ratio(found.multiplier, task, starts=FRESH, generator=fresh)[0],
        accuracy=found.test_accuracy,
        units=found.E.shape[1],
        answers=((task.X_test @ found.E).relu() @ found.W).argmax(1).tolist(),
    )


KINDS = dict(width=width, training=training, way=way, minimum=minimum, whole=whole)
SEEDS = [0, 1, 2]
ANY = dict(kind="minimum", gap=0.01, shuffled=False)
SIDE = dict(kind="whole", share=0.75, gap=0.01)


def every(fixed, seed=SEEDS, **choices):
    return [fixed | row for row in grid(**choices, seed=seed)]


def settings():
    """Every setting of the sweep."""
    eleven = dict(p=11, share=0.75)
    trained = dict(kind="training", d_hidden=160, step=5.0, steps=40_000)
    return [
        *every(eleven | dict(kind="width"), d_hidden=[80, 160, 320, 640]),
        *every(dict(kind="way", share=0.75, d_hidden=256, time=15), p=[11, 23]),
        *every(eleven | trained, decay=[1e-4]),
        *every(ANY, p=[11], share=[0.5, 0.6, 0.7, 0.75, 0.8, 0.9], draw=[0]),
        *every(ANY | dict(gap=0.05), p=[23], share=[0.75], draw=[0]),
        *every(SIDE, seed=[0], p=[11], draw=[0]),
        *every(ANY | dict(shuffled=True), p=[11], share=[0.9], draw=[0]),
        *every(ANY, p=[11], share=[0.75], draw=[1]),
        *every(ANY, p=[13], share=[0.8, 0.6, 0.9, 0.7, 0.5], draw=[0]),
    ]


def timed(function, *arguments, **options):
    begun = time.perf_counter()
    return function(*arguments, **options), time.perf_counter() - begun


def timing():
    """Print R/λ where adaptive steps of Eq. 20 stand at t = 15, where L-BFGS ends, and the minimum at any width."""
    torch.set_num_threads(1)
    for seed in (0, 1):
        generator = torch.Generator().manual_seed(seed)
        task = modular_addition(11, 0.75, generator)
        E = initial_embedding(11, 128, generator)
        path, seconds = timed(simulate, E, task, 1e-2, 1500, method="adaptive", progress=False)
        used = int(path.evaluations[-1])
        print(f"seed {seed}   simulate      R/λ {path.cost[-1]:.2f}  {used:5d} velocities  {seconds:5.1f} s")
        end, seconds = timed(minimise, E, task, evaluations=used // 4)
        print(f"         minimise      R/λ {end.cost:.2f}  {end.evaluations:5d} velocities  {seconds:5.1f} s")
        found, seconds = timed(minimum_norm, task, generator, progress=False)
        print(
            f"         minimum_norm  R/λ {found.cost:.2f}  gap {100 * found.gap:.2f} %     {seconds:5.1f} s", flush=True
        )


if __name__ == "__main__":
    store.main(__doc__, "minimum", run, settings(), timing)
