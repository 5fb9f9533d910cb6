"""Training with noise at constant norm: the runs behind a section of What a typical network knows.

    python benchmarks/typical_noise.py                     what a step costs
    python benchmarks/typical_noise.py --folder FOLDER     run what is missing in FOLDER, then write the data

Each run starts from the descending flow's network of a norm ("flow"), which has memorised, or from random layers of
the same lengths ("random"), and trains with both lengths held. All of it takes half an hour of one core.
"""

import math
import time

import store
import torch

from grokbook import isolated, scale_free
from grokbook.noise import noisy_descent
from grokbook.sweep import grid
from grokbook.tasks import modular_addition

RECORDS = 40
SIZE = dict(p=17, d_hidden=128, share=0.7, step=4.0)
KINDS = [
    dict(start="flow", batch=None, label_noise=0.0, steps=10_000),
    dict(start="flow", batch=16, label_noise=0.0, steps=10_000),
    dict(start="random", batch=None, label_noise=0.0, steps=10_000),
    dict(start="random", batch=16, label_noise=0.0, steps=10_000),
    dict(start="flow", batch=16, label_noise=0.1, steps=40_000),
    dict(start="flow", batch=16, label_noise=0.3, steps=20_000),
]


def run(p, d_hidden, share, step, start, batch, label_noise, steps, ratio, seed):
    """One run. -> dict of plain numbers: lists over its records."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    E = isolated.initial_embedding(p, d_hidden, generator)
    norm = ratio * float(scale_free.norm_of(isolated.minimise(E, task).E, task))
    if start == "flow":
        E = scale_free.descended(E, task, norm)
        W = isolated.readout(E, task)
    else:
        W = torch.randn(d_hidden, p, generator=generator, dtype=E.dtype)
        E, W = (math.sqrt(norm / 2) / layer.norm() * layer for layer in (E, W))
    options = dict(batch=batch, label_noise=label_noise, record_every=steps // RECORDS)
    found = noisy_descent(E, W, task, generator, step, steps, **options)
    columns = dict(
        times=found.step,
        tests=found.test_accuracy,
        trains=found.train_accuracy,
        losses=found.train_loss,
        moves=found.moved,
    )
    return {name: column.tolist() for name, column in columns.items()} | dict(
        norm=norm, least=float(isolated.readout(found.E, task).square().sum() / found.W.square().sum())
    )


def settings():
    """Every setting of the sweep."""
    return [SIZE | kind | row for kind in KINDS for row in grid(seed=[0, 1, 2], ratio=[1.5, 3.0])]


def one_step():
    """Print the seconds of a thousand steps of a mini-batch."""
    begun = time.perf_counter()
    run(**SIZE | KINDS[1] | dict(steps=1000, ratio=1.5, seed=0))
    print(f"{time.perf_counter() - begun:.2f} s, with its start")


if __name__ == "__main__":
    store.main(__doc__, "typical_noise", run, settings(), one_step)
