"""What a followed course costs, and the runs behind the chapter The clock.

    python benchmarks/clock.py                             one course of Eq. 20, a small and a large start
    python benchmarks/clock.py --folder FOLDER             run what is missing in FOLDER, then write the data
    python benchmarks/clock.py --folder FOLDER --jobs 1    the same in one process

Eq. 20 is followed from one direction in several sizes, with its decay, without it, and with the norm held; networks are
trained from several multiples of a start. An interrupted sweep goes on where it was; all of it takes about half an hour
of one core.
"""

import math
import time

import store
import torch

from grokbook import clock, isolated
from grokbook.measure import crossing
from grokbook.network import TwoLayer
from grokbook.sweep import grid
from grokbook.tasks import modular_addition
from grokbook.training import train_to

RATIO = 1.04  # between two recorded T; for a large start, steps of 0.01 in t
SEEDS = [0, 1, 2]
SIZES = [1.25, 2.5, 5, 10, 20, 40, 80, 160]
FREE = dict(kind="course", p=23, d_hidden=256, share=0.75, way="decaying", activation="relu", longest=1.2e-3)
# Both readings of the paper's N(0, p^(−1/2)): ‖E‖² is d_h, or √p times that.
PAPER = FREE | dict(p=37, d_hidden=512, share=0.7, longest=6e-4)
READINGS = [512**0.5, (512 * 37**0.5) ** 0.5]
TRAINED = dict(kind="trained", p=17, d_hidden=192, share=0.75, decay=0.05)


def melted_grid(size, longest):
    """Times of Eq. 20, in 1/(2λ), evenly spaced in the logarithm of T = (e^{4t} − 1)/(4 size⁴)."""
    first = min(1e-6, 0.01 / size**4)
    count = math.ceil(math.log(longest / first) / math.log(RATIO))
    return [first * RATIO**k for k in range(count + 1)]


def course(p, d_hidden, share, way, activation, longest, size, seed):
    """Eq. 20 from one direction in one size: when half of the test pairs are right by t and by tau, and the norms."""
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    E = isolated.initial_embedding(p, d_hidden, generator)
    melted = [0.0, *melted_grid(size, longest)]
    if way == "decaying":
        melted = [math.log1p(4 * size**4 * T) / 4 for T in melted]
    else:
        melted = [size**4 * T for T in melted]
    found = clock.follow(size * E / E.norm(), task, melted, way, activation)
    tau = torch.cat([torch.zeros(1), torch.cumulative_trapezoid(found.norms[:, 0] ** -2, found.time)])
    [half] = crossing(found.test_accuracy, 0.5, found.time)
    at_half = int((found.test_accuracy >= 0.5).nonzero()[0])
    full = float((found.test_accuracy >= 0.98).any())
    return dict(
        half=half,
        nearly=crossing(found.test_accuracy, 0.98, found.time)[0] if full else None,
        tau_half=crossing(found.test_accuracy, 0.5, tau)[0],
        norms_begin=found.norms[0].tolist(),
        norms_half=found.norms[at_half].tolist(),
        norms_end=found.norms[-1].tolist(),
        **store.thinned(time=found.time, accuracy=found.test_accuracy, tau=tau),
    )


def trained(p, d_hidden, share, decay, start, factor, seed):
    """Gradient descent on L + λ‖θ‖² from a multiple of PyTorch's start, with its readout or with W = 0."""
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    network = TwoLayer(task.X_train.float(), d_hidden, p)
    theta = factor * network.initial(generator)
    if start == "no readout":
        E, W = network.split(theta)
        theta = network.join(E, torch.zeros_like(W))
    end = 3.2 + max(0.0, math.log(factor))
    times = [0.0, *(1e-3 * 1.3**k for k in range(18)), *(k / 20 for k in range(3, math.ceil(20 * end) + 1))]
    points = train_to(network, task, times, decay, theta)
    outputs = network.outputs(points)
    accuracy = task.accuracy(network.outputs(points, task.X_test.float()))
    fitted = task.right(outputs, task.Y_train.float()).double().mean(-1)
    squares = torch.stack([layer.square().sum((-2, -1)) for layer in network.split(points)], 1)
    memorised = int((fitted >= 1).nonzero()[0])
    crossed = bool((accuracy >= 0.5).any())
    return dict(
        half=crossing(accuracy, 0.5, times)[0] if crossed else None,
        memorised=times[memorised],
        norms_begin=squares[0].tolist(),
        norms_memorised=squares[memorised].tolist(),
        norms_half=squares[int((accuracy >= 0.5).nonzero()[0])].tolist() if crossed else None,
        loss=float((outputs[-1] - task.Y_train).square().mean()),
        **store.thinned(time=torch.tensor(times), accuracy=accuracy),
    )


def run(kind, **setting):
    """One run. -> dict of plain numbers."""
    torch.set_num_threads(1)
    return dict(course=course, trained=trained)[kind](**setting)


def settings():
    """Every setting of the sweep."""
    free = [FREE | row for row in grid(activation=["relu", "gelu"], size=SIZES, seed=SEEDS)]
    held = [FREE | dict(way="held", longest=1e-4) | row for row in grid(size=[8.5, 10, 11.5, 13], seed=SEEDS)]
    undecayed = [FREE | dict(way="undecayed", size=10) | row for row in grid(seed=SEEDS)]
    paper = [PAPER | row for row in grid(size=READINGS, seed=SEEDS)]
    both = grid(start=["default", "no readout"], factor=[0.25, 0.5, 1, 2, 4], seed=SEEDS)
    faster = [TRAINED | dict(start="default", factor=1) | row for row in grid(decay=[0.1, 0.2], seed=SEEDS)]
    large = [TRAINED | dict(factor=8) | row for row in grid(start=["default", "no readout"], seed=SEEDS)]
    return free + held + undecayed + paper + [TRAINED | row for row in both] + faster + large


def two_courses():
    """Print the seconds of a course of Eq. 20 from a small and a large start."""
    for size in (5, 160):
        begun = time.perf_counter()
        course(**{key: value for key, value in FREE.items() if key != "kind"}, size=size, seed=0)
        print(f"p = 23, |E| = {size}: {time.perf_counter() - begun:.1f} s", flush=True)


if __name__ == "__main__":
    store.main(__doc__, "clock", run, settings(), two_courses)
