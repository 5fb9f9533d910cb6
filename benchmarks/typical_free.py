"""Typical networks whose readout is free as well: the runs behind a section of What a typical network knows.

    python benchmarks/typical_free.py                     the share of accepted steps
    python benchmarks/typical_free.py --folder FOLDER     run what is missing in FOLDER, then write the data

Each run draws (E, W) with HW = Y at ‖E‖ = ‖W‖, by one of two measures, from the descending flow's point of a norm a
little smaller ("flow") or from the end of Eq. 20 mixed with noise ("end"), both scaled to ‖E‖. All of it takes half an
hour of one core.
"""

import math

import store
import torch

from grokbook import free_readout, isolated, scale_free
from grokbook.sweep import grid
from grokbook.tasks import modular_addition

PARTS = 8
SIZE = dict(p=17, d_hidden=128, share=0.7)
BELOW = 0.95  # where runs start, as a part of the norm that is held: W needs room
STEP = 8e-4  # the longest leap, times ‖E‖


def run(p, d_hidden, share, thin, steps, ratio, start, seed):
    """One run. -> dict of plain numbers: the accuracy, that with W = H⁺Y, and g and log weight, in eight parts."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    E = isolated.initial_embedding(p, d_hidden, generator)
    end = isolated.minimise(E, task).E
    norm = ratio * float(scale_free.norm_of(end, task))
    if start == "flow":
        point = scale_free.descended(E, task, BELOW * norm)
    else:
        point = scale_free.raised(end, task, BELOW * norm, generator)
    length = math.sqrt(norm / 2)
    point = point * (length / point.norm())
    network = free_readout.FreeReadout(task, length**2, thin=thin)
    rows, moves = [[*measured(network, task, point, generator)]], 0
    path = free_readout.on_sphere(network.log_weight, point, generator, steps, STEP * length)
    for k, (point, moved) in enumerate(path, start=1):
        moves += moved
        if k % 5 == 0:
            rows.append(measured(network, task, point, generator))
    rows = torch.tensor(rows, dtype=torch.float64)
    parts = torch.stack([part.mean(0) for part in rows[1:].chunk(PARTS)])
    names = ("means", "least_norm_means", "share_of_square", "log_weight")
    found = dict(zip(names, parts.T.tolist(), strict=True))
    return found | dict(norm=norm, first=float(rows[0, 0]), accepted=moves / steps)


def measured(network, task, E, generator):
    """The accuracy of (E, W), that of E with W = H⁺Y, g/s², and the log weight."""
    H = network.features.activation.sigma(task.X_test @ E)
    least = isolated.readout(E, task)
    return (
        float(task.accuracy(H @ network.readout(E, generator))),
        float(task.accuracy(H @ least)),
        float(least.square().sum()) / network.square,
        float(network.log_weight(E)[0]),
    )


def settings():
    """Every setting of the sweep."""
    ways = dict(seed=[0, 1, 2], start=["flow", "end"])
    along = [SIZE | dict(thin=False, steps=500) | row for row in grid(ratio=[1.5, 2.0, 2.5], **ways)]
    return along + [SIZE | dict(thin=True, steps=800, ratio=2.5) | row for row in grid(**ways)]


def acceptance():
    """Print the share of accepted steps in a short run by each measure."""
    for thin in (False, True):
        row = SIZE | dict(thin=thin, steps=40, ratio=2.5, start="flow", seed=0)
        print(f"thin={thin}: {run(**row)['accepted']:.2f}")


if __name__ == "__main__":
    store.main(__doc__, "typical_free", run, settings(), acceptance)
