"""What a step of the motion at constant norms costs, and the runs behind the chapter What a typical network knows.

    python benchmarks/typical.py                             one step beside one velocity of Eq. 20
    python benchmarks/typical.py --folder FOLDER             run what is missing in FOLDER, then write the data
    python benchmarks/typical.py --folder FOLDER --jobs 1    the same in one process

Each run wanders at constant ‖E‖ and ‖W‖ from the descending flow's point of that norm ("flow") or from the end of Eq.
20, mixed with noise up to it ("end"). An interrupted sweep goes on where it was; all of it takes about an hour and
three quarters of one core.
"""

import store
import timing
import torch

from grokbook import isolated, scale_free, typical
from grokbook.sweep import grid
from grokbook.tasks import lottery, modular_addition

PARTS = 8
# The held norms, over the smallest norm that was found.
RATIOS = [1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.5, 4.0]
FEWER = [1.5, 2.0, 2.5, 3.0]
LARGE = [2.0, 2.5, 3.0, 3.5]
MANY = [2.5, 3.0, 3.5]
ADDITION = dict(shuffled=False, step=0.01, steps=3000)
SIZES = [
    (RATIOS, ADDITION | dict(p=23, d_hidden=256, share=0.75)),
    (LARGE, ADDITION | dict(p=37, d_hidden=512, share=0.7)),
    (FEWER, ADDITION | dict(p=23, d_hidden=256, share=0.75, shuffled=True)),
    (FEWER, ADDITION | dict(p=23, d_hidden=256, share=0.4)),
    (RATIOS, ADDITION | dict(p=17, d_hidden=128, share=0.7)),
    (FEWER, ADDITION | dict(p=23, d_hidden=256, share=0.6, steps=2000)),
    (MANY, ADDITION | dict(p=23, d_hidden=256, share=0.9, steps=2000)),
]
# The paper's own size again, with steps half as long, over half the way; the triples last as long a way as before.
HALVED = ADDITION | dict(p=37, d_hidden=512, share=0.7, step=0.005, steps=3000, triples_every=200)


def run(p, d_hidden, share, shuffled, step, steps, ratio, start, seed, triples_every=100):
    """One run. -> dict of plain numbers: the norm, the accuracy at its start and in eight parts, what was put back."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, share, generator)
    E = isolated.initial_embedding(p, d_hidden, generator)
    if shuffled:
        task = lottery(task, generator)
    end = isolated.minimise(E, task).E
    smallest = float(scale_free.norm_of(end, task))
    norm = ratio * smallest
    starts = dict(
        flow=lambda: scale_free.descended(E, task, norm), end=lambda: scale_free.raised(end, task, norm, generator)
    )
    found = typical.wander(starts[start](), task, generator, steps, step, triples_every=triples_every, progress=False)
    return dict(
        smallest=smallest,
        norm=norm,
        first=float(found.test_accuracy[0]),
        means=found.means(PARTS).tolist(),
        put_back=float(found.put_back[-1]),
        norm_error=float((found.norms / found.norms[0] - 1).abs().max()),
        held_back=len(task.X_test),
    )


def settings():
    """Every setting of the sweep."""
    every = [size | row for ratios, size in SIZES for row in grid(seed=[0, 1, 2], ratio=ratios, start=["flow", "end"])]
    return every + [HALVED | row | dict(ratio=3.0, start="flow") for row in grid(seed=[0, 1, 2])]


def one_step():
    """Print what a step costs at each size, beside a velocity: it takes two, at its start and at its middle."""
    print(f"{'p':>4}{'d_h':>6}{'velocity, ms':>14}{'step, ms':>10}{'ratio':>7}")
    for p, d_hidden, share in ((17, 128, 0.7), (23, 256, 0.75), (37, 512, 0.7)):
        generator = torch.Generator().manual_seed(0)
        task = modular_addition(p, share, generator)
        E = isolated.initial_embedding(p, d_hidden, generator)
        ways = {
            "velocity": lambda E=E, task=task: isolated.velocity(E, task),
            "ten steps": lambda E=E, task=task: typical.wander(
                E, task, torch.Generator().manual_seed(0), 10, record_every=10, progress=False
            ),
        }
        seconds = timing.medians(ways)
        step = seconds["ten steps"] / 10
        print(
            f"{p:4}{d_hidden:6}{1e3 * seconds['velocity']:14.2f}{1e3 * step:10.2f}{step / seconds['velocity']:7.1f}",
            flush=True,
        )


if __name__ == "__main__":
    store.main(__doc__, "typical", run, settings(), one_step)
