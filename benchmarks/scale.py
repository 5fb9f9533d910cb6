"""What Eq. 20 costs as p grows: time and memory of one velocity, or a whole run until the test pairs are right.

python benchmarks/scale.py                                  p = 23 ... 113, the law n³ beside them
python benchmarks/scale.py --generalise 113 --state FILE    one run in float32, taken up again from FILE
"""

import argparse
import sys
import time

import torch
from timing import peak_memory, resident_peak

from grokbook.isolated import initial_embedding, simulate, velocity
from grokbook.tasks import modular_addition

SIZES = (23, 37, 59, 97, 113)
MARGIN = 1.02  # d_hidden over n
FRACTION = 0.7


def problem(p, margin, dtype):
    """The task of Section 7 at any p, and an embedding of width just above the number of training pairs."""
    generator = torch.Generator().manual_seed(0)
    task = modular_addition(p, FRACTION, generator)
    return task, initial_embedding(p, int(margin * len(task.labels_train)) + 1, generator, dtype=dtype)


def seconds(p, dtype, rounds):
    """The best time of one velocity, and n."""
    task, E = problem(p, MARGIN, dtype)
    best = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        velocity(E, task)
        best = min(best, time.perf_counter() - begun)
    return best, len(task.labels_train)


def table(dtype, rounds):
    """Print a row a size; MiB counts what one velocity adds to an idle process."""
    print(f"{'p':>4}{'n':>7}{'ms':>10}{'ns / n³':>12}{'MiB':>8}{'MiB of HHᵀ':>12}")
    idle = peak_memory(__file__, 0)
    for p in SIZES:
        taken, n = seconds(p, dtype, rounds)
        gram = n * n * dtype.itemsize / 2**20
        print(
            f"{p:4}{n:7}{1e3 * taken:10.1f}{1e9 * taken / n**3:12.4f}{peak_memory(__file__, p) - idle:8.0f}{gram:12.0f}"
        )


def generalise(p, margin, state, tolerance):
    """Follow Eq. 20 in float32 until 99 % of the test pairs are right, and say what it took."""
    task, E = problem(p, margin, torch.float32)
    print(f"p = {p}, n = {len(task.labels_train)}, d_h = {E.shape[1]}, float32, {torch.get_num_threads()} threads")
    begun = time.perf_counter()
    options = dict(method="adaptive", tolerance=tolerance, record_every=50, save_every=50, stop_at=0.99)
    run = simulate(E, task, step=1e-3, steps=5000, state_file=state, **options)
    for t, accuracy, cost, count in zip(run.time, run.test_accuracy, run.cost, run.evaluations, strict=True):
        print(f"t = {t:4.2f}  test accuracy {accuracy:5.3f}  R/λ {cost:8.1f}  evaluations {count:5d}")
    print(f"this call took {time.perf_counter() - begun:.0f} s, peak {resident_peak():.0f} MiB")


def main():
    parser = argparse.ArgumentParser(description="Eq. 20 as p grows.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--generalise", type=int, metavar="P")
    parser.add_argument("--margin", type=float, default=1.15, help="d_hidden over n of the run to generalisation")
    parser.add_argument("--tolerance", type=float, default=2e-2)
    parser.add_argument("--state", help="file that keeps the run")
    parser.add_argument("--memory", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.memory is not None:
        if arguments.memory:
            velocity(*problem(arguments.memory, MARGIN, torch.float32)[::-1])
        print(resident_peak())
        sys.exit()
    if arguments.generalise:
        generalise(arguments.generalise, arguments.margin, arguments.state, arguments.tolerance)
    else:
        table(getattr(torch, arguments.dtype), arguments.rounds)


if __name__ == "__main__":
    main()
