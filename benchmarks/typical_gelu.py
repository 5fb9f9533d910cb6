"""Typical networks with GELU, which has no scale-free norm: the runs behind a section of What a typical network knows.

    python benchmarks/typical_gelu.py                     what Eq. 20 knows at each level of R
    python benchmarks/typical_gelu.py --folder FOLDER     run what is missing in FOLDER, then write the data

Each run holds ‖E‖ and ‖W‖ as the descending flow has them where R falls to a level. It starts there ("flow"), or from
the same flow's network at R = 470, which knows everything, mixed with noise up to the two norms ("later"). All of it
takes a quarter of an hour of one core.
"""

import store
import torch

from grokbook import isolated, scale_free, typical
from grokbook.sweep import grid
from grokbook.tasks import modular_addition

PARTS = 8
LATER = 470
SIZE = dict(p=23, d_hidden=256, share=0.75, step=0.02, steps=600)


def passing(E, task, level):
    """Where Eq. 20 from E first has R at most `level`."""
    for _ in range(20):
        path = isolated.simulate(
            E, task, 5e-4, 20, "gelu", method="adaptive", record_every=1, snapshot_every=1, progress=False
        )
        if bool((path.cost <= level).any()):
            return path.snapshots[int((path.cost <= level).nonzero()[0])]
        E = path.E
    raise ValueError(f"Eq. 20 stays above R = {level}: it has come to {float(path.cost[-1]):.1f}; take a higher level")


def problem(p, d_hidden, share, seed):
    """A task, a random E, and their generator."""
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    return task, isolated.initial_embedding(p, d_hidden, generator), generator


def run(p, d_hidden, share, step, steps, level, start, seed):
    """One run. -> dict of plain numbers: both squared norms, the accuracy at its start and in eight parts."""
    torch.set_num_threads(1)
    task, E, generator = problem(p, d_hidden, share, seed)
    begin = passing(E, task, level)
    squares = [float(begin.square().sum()), float(isolated.readout(begin, task, "gelu").square().sum())]
    if start == "later":
        begin = scale_free.of_norms(passing(begin, task, LATER), task, squares, generator, "gelu")
    found = typical.wander(begin, task, generator, steps, step, "gelu", progress=False)
    return dict(
        squares=squares,
        first=float(found.test_accuracy[0]),
        means=found.means(PARTS).tolist(),
        put_back=float(found.put_back[-1]),
        norm_error=float((found.norms / found.norms[0] - 1).abs().max()),
    )


def settings():
    """Every setting of the sweep."""
    return [SIZE | row for row in grid(seed=[0, 1, 2], level=[700, 1600], start=["flow", "later"])]


def levels():
    """Print the norms and the accuracy of Eq. 20 where R falls to each level, for one seed."""
    task, E, _ = problem(23, 256, 0.75, 0)
    for level in (1600, 1000, 700, LATER):
        E = passing(E, task, level)
        found = isolated.simulate(E, task, 1e-3, 1, "gelu", progress=False)
        print(level, found.norms[0].tolist(), float(found.test_accuracy[0]))


if __name__ == "__main__":
    store.main(__doc__, "typical_gelu", run, settings(), levels)
