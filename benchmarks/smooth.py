"""Networks from smooth to kinked, in Eq. 20 and in training: the runs behind the chapter From smooth to kinked.

    python benchmarks/smooth.py                             seconds of one run of each kind
    python benchmarks/smooth.py --folder FOLDER             run what is missing in FOLDER, then write the data
    python benchmarks/smooth.py --folder FOLDER --jobs 1    the same in one process

One start, many activations. "eq20": Eq. 20 to the end and its minimum; "trained": gradient descent with weight decay;
"beside": networks by the recipe of App. D, and how much of their movement is the norm-minimising direction;
"pentagon": the phases of a few units in training.
"""


import store
import torch
from scipy.optimize import minimize_scalar

from grokbook.direction import norm_minimising_direction
from grokbook.eq20 import Isolated
from grokbook.fourier import features, polygon_order
from grokbook.isolated import initial_embedding, minimise, simulate
from grokbook.levelset import LevelSet
from grokbook.measure import chatter, cosine
from grokbook.network import TwoLayer
from grokbook.sweep import grid
from grokbook.tasks import modular_addition
from grokbook.training import train, train_to

SHARPNESS = [0.5, 1, 2, 4, 8, 16, 32, 64]
SOFT = [f"gelu({sharpness})" for sharpness in SHARPNESS]
ACTIVATIONS = [*SOFT, "relu", "leaky_relu", "softplus(1)", "softplus(5)", "softplus(20)", "square"]
SEEDS = [0, 1, 2]
COURSE = dict(kind="eq20", p=23, d_hidden=256, share=0.75, end=5.0)
STARTS = ["one size", "balanced"]
SIZE = 16.0  # ‖E‖ of the start, √d_hidden; a balanced start is in its direction, where R is least
TRAINED = dict(kind="trained", p=17, d_hidden=192, share=0.75, decay=0.05, end=4.0)
BESIDE = dict(kind="beside", p=11, d_hidden=128, test_size=7, step=1.0, decay=1e-4, window=100)
PENTAGON = dict(kind="pentagon", p=11, d_hidden=96, share=0.8, decay=0.02, end=12.0)
MARKS = [2000, 4000, 8000, 12_000]
PINNED = 1e-3  # pre-activations below it count as pinned to a kink


def course(p, d_hidden, share, start, end, activation, seed):
    """Eq. 20 from one start, and the minimum that it leads to."""
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    E = initial_embedding(p, d_hidden, generator)
    E = SIZE * E / E.norm()
    if start == "balanced":
        layer = Isolated(task, E, activation)
        E = E * 2 ** minimize_scalar(lambda log: float(layer.cost(E * 2**log)), bounds=(-6, 6), method="bounded").x
    options = dict(activation=activation, progress=False)
    run = simulate(E, task, 0.02, round(end / 0.02), record_every=1, method="adaptive", **options)
    least = minimise(run.E, task, activation)
    film = simulate(run.E, task, 1e-3, 21, record_every=1, snapshot_every=1, **options).snapshots
    final = simulate(least.E, task, 1e-3, 0, **options)
    return dict(
        cost_begin=float(run.cost[0]),
        norms_begin=run.norms[0].tolist(),
        norms_end=run.norms[-1].tolist(),
        cost_least=least.cost,
        accuracy_least=float(final.test_accuracy[-1]),
        evaluations=int(run.evaluations[-1]),
        back_and_forth=chatter(task.X_train @ film),
        begin=divided(E),
        least=divided(least.E),
        preactivation=float((task.X_train @ run.E).square().mean().sqrt()),
        **store.passed(run.test_accuracy, run.time, run.cost),
        **store.thinned(time=run.time, accuracy=run.test_accuracy, cost=run.cost),
    )


def divided(E):
    """How the hidden units divide the work: how many there are by their squares, 1/Σ shares²; how many frequencies, in
    the same way; and the share of ‖E‖² without its mean that lies in each unit's strongest frequency."""
    squares, power = E.square().sum(0), features(E).abs().square()
    return dict(
        units=float(squares.sum() ** 2 / squares.square().sum()),
        frequencies=float(power.sum() ** 2 / power.sum(1).square().sum()),
        strongest=float(power.amax(0).sum() / power.sum()),
        unit_squares=[float(f"{square:.3g}") for square in (squares / squares.max()).sort(descending=True).values[::4]],
    )


def trained(p, d_hidden, share, decay, end, activation, seed):
    """Gradient descent on L + λ‖θ‖² from PyTorch's start."""
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    network = TwoLayer(task.X_train.float(), d_hidden, p, activation)
    times = [0.0, *(1e-3 * 1.3**k for k in range(18)), *(k / 20 for k in range(3, round(20 * end) + 1))]
    points = train_to(network, task, times, decay, network.initial(generator))
    outputs = network.outputs(points)
    accuracy = task.accuracy(network.outputs(points, task.X_test.float()))
    fitted = task.right(outputs, task.Y_train.float()).double().mean(-1)
    return dict(
        memorised=times[int((fitted >= 1).nonzero()[0])] if bool((fitted >= 1).any()) else None,
        loss_end=float((outputs[-1] - task.Y_train).square().mean()),
        **store.passed(accuracy, times, points.square().sum(-1)),
        **store.thinned(time=torch.tensor(times), accuracy=accuracy, cost=points.square().sum(-1)),
    )


def pentagon(p, d_hidden, share, decay, end, activation, seed):
    """Gradient descent on L + λ‖θ‖² of few units, and how near their phases come to regular pentagons."""
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    network = TwoLayer(task.X_train, d_hidden, p, activation)
    times = [0.0, 0.01, 0.03, 0.1, 0.2, *(k / 2 for k in range(1, round(2 * end) + 1))]
    points = train_to(network, task, times, decay, network.initial(generator))
    embeddings = network.split(points)[0]
    squares = embeddings.square().sum(-2)
    return dict(
        time=times,
        accuracy=task.accuracy(network.outputs(points, task.X_test)).tolist(),
        fivefold=[polygon_order(features(E), 5) for E in embeddings],
        units=(squares.sum(-1) ** 2 / squares.square().sum(-1)).tolist(),
    )


def beside(p, d_hidden, test_size, step, decay, window, activation, seed):
    """App. D's recipe: at each mark, the movement of `window` steps beside Eq. 29 at the nearest point of Z."""
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, test_size=test_size, generator=generator)
    network = TwoLayer(task.X_train, d_hidden, p, activation)
    level_set = LevelSet(network.F, task.Y_train, products=network)
    options = dict(record_every=1000, snapshots=True, progress=False)
    history = train(network, task, step, decay, MARKS[-1], theta=network.initial(generator), **options)
    rows = []
    for mark in MARKS:
        theta = history.snapshots[history.step == mark][0]
        later = train(network, task, step, decay, window, theta=theta, record_every=window, progress=False).theta
        moved = later - theta
        way = norm_minimising_direction(level_set, theta, memorised=1.0)
        expected = window * step * decay * way.vector
        Z = network.preactivations(theta)
        rows.append(
            dict(
                mark=mark,
                cosine=float(cosine(moved, way.vector)),
                missed=float((moved - expected).norm() / moved.norm()),
                steepness=float(way.vector.norm() / theta.norm()),
                distance=way.moved,
                pinned=float((Z.abs() < PINNED).double().mean()),
                preactivation=float(Z.square().mean().sqrt()),
                norm=float(theta.square().sum()),
                accuracy=float(history.test_accuracy[history.step == mark][0]),
                **with_kinks_held(network, level_set, theta, moved),
            )
        )
    return dict(rows=rows)


def with_kinks_held(network, level_set, theta, moved):
    """The cosine where the pre-activations on the kink stay as they are, for a kinked activation."""
    if not network.activation.kinked:
        return {}
    held = network.holding_rows(network.pinned(theta, PINNED))
    held_set = LevelSet(network.F, level_set.y, products=network, constraints=lambda _: held)
    return dict(held=float(cosine(moved, norm_minimising_direction(held_set, theta, at="here", memorised=1.0).vector)))


def run(kind, **setting):
    """One run. -> dict of plain numbers."""
    torch.set_num_threads(1)
    return dict(eq20=course, trained=trained, beside=beside, pentagon=pentagon)[kind](**setting)


def settings():
    """Every setting of the sweep."""
    every = grid(activation=ACTIVATIONS, seed=SEEDS)
    courses = [COURSE | dict(start=start) | row for start in STARTS for row in every]
    # Softplus is not 0 at 0: its H has one very large singular value, and descent needs very short steps.
    fast = [row for row in every if row["activation"] not in ("softplus(1)", "softplus(5)")]
    stable = [row for row in every if row["activation"] != "softplus(1)"]
    few = grid(activation=["gelu(0.5)", "gelu(1)"], seed=[*SEEDS, 3])
    rest = [*(TRAINED | row for row in fast), *(BESIDE | row for row in stable)]
    return [*courses, *rest, *(PENTAGON | row for row in few)]


def one_of_each():
    """Print the seconds of one run of each kind."""
    kinds = (COURSE | dict(start="balanced"), TRAINED, BESIDE)
    store.timed(run, [kind | dict(activation="gelu(8)", seed=0) for kind in kinds])


if __name__ == "__main__":
    store.main(__doc__, "smooth", run, settings(), one_of_each)
