"""What the smallest norm costs: `minimise` beside `simulate` at one width, and `minimum_norm` over all widths.

    python benchmarks/minimum.py            p = 11, half a minute
    python benchmarks/minimum.py --full     p = 23 at the end of Eq. 20, and p = 13 over all widths; four minutes
"""

import argparse
import time

import torch

from grokbook.dual import minimum_norm
from grokbook.isolated import initial_embedding, minimise, simulate
from grokbook.tasks import modular_addition

SEEDS = (0, 1)


def problem(p, fraction, width, seed):
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(p, fraction, generator)
    return initial_embedding(p, width, generator), task, generator


def timed(function, *arguments, **options):
    begun = time.perf_counter()
    return function(*arguments, **options), time.perf_counter() - begun


def at_one_width(p, fraction, width):
    """R/λ where adaptive steps of Eq. 20 stand at t = 15, and where L-BFGS ends after a share of their velocities."""
    for seed in SEEDS:
        E, task, _ = problem(p, fraction, width, seed)
        run, seconds = timed(simulate, E, task, 1e-2, 1500, method="adaptive", progress=False)
        used = int(run.evaluations[-1])
        print(f"p = {p}, d_h = {width}, seed {seed}   simulate  R/λ {run.cost[-1]:7.2f}  {used:5d}  {seconds:5.1f} s")
        for share in (10, 4):
            end, seconds = timed(minimise, E, task, evaluations=used // share)
            print(f"{'minimise':>34}  R/λ {end.cost:7.2f}  {end.evaluations:5d}  {seconds:5.1f} s")


def at_any_width(p, fraction):
    for seed in SEEDS:
        _, task, generator = problem(p, fraction, 2, seed)
        found, seconds = timed(minimum_norm, task, generator, progress=False)
        row = f"R/λ {found.cost:.2f}, gap {100 * found.gap:.2f} %, right {found.test_accuracy:.2f}"
        print(f"p = {p}, {100 * fraction:.0f} %, seed {seed}   minimum_norm  {row}  {seconds:5.1f} s")


def main():
    parser = argparse.ArgumentParser(description="The end of Eq. 20, and the smallest norm at any width.")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    at_one_width(*((23, 0.75, 256) if arguments.full else (11, 0.75, 128)))
    at_any_width(*((13, 0.8) if arguments.full else (11, 0.75)))


if __name__ == "__main__":
    main()
