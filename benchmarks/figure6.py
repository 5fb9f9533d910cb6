"""All of Fig. 6, five runs of Eq. 20 to t = 5, end to end: as printed, by autograd, and by this book's `simulate`.

    python benchmarks/figure6.py            two runs of 30 steps, five times over, scaled; about a minute
    python benchmarks/figure6.py --full     everything, with the error of each path against a fine one

The first two take one run after another with all threads; `simulate` takes a run a process with one thread each.
"""

import argparse

import joblib
import torch
from eq20 import as_printed, autograd
from timing import medians

from grokbook.isolated import initial_embedding, simulate
from grokbook.tasks import modular_addition

P, WIDTH, FRACTION, STEP = 37, 512, 0.7, 1e-3  # Section 7.3
RUNS, STEPS, RECORD = 5, 5000, 50
FINE = 5e-4  # tolerance of the reference path


def problem(seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(P, FRACTION, generator)
    return initial_embedding(P, WIDTH, generator, dtype=dtype), task


def direct(velocity, E, task, steps):
    """Euler steps of a velocity(E, X, Y), with the test accuracy at every record, as a reader would write it."""
    X, Y = task.X_train.to(E.dtype), task.Y_train.to(E.dtype)
    X_test = task.X_test.to(E.dtype)
    accuracy = []
    for k in range(steps):
        if k % RECORD == 0:
            H = torch.relu(X @ E)
            W = H.T @ torch.linalg.inv(H @ H.T) @ Y
            accuracy.append(((torch.relu(X_test @ E) @ W).argmax(1) == task.labels_test).double().mean())
        E = E + STEP * velocity(E, X, Y)
    return accuracy


def by_autograd(E, X, Y):
    return autograd(E, X, Y, lambda K, B: torch.linalg.inv(K) @ B)


def ours(seed, steps, dtype, method, tolerance=None, threads=1):
    """One run with `simulate`; called in a process of its own."""
    torch.set_num_threads(threads)
    E, task = problem(seed, dtype)
    options = dict(method=method, tolerance=tolerance, record_every=RECORD, progress=False)
    return simulate(E, task, step=STEP, steps=steps, **options)


def ways(runs, steps, dtype, jobs, results):
    """Name -> function of nothing that takes `runs` runs of `steps` steps; paths by `simulate` are left in results."""
    pool = joblib.Parallel(n_jobs=jobs)

    def in_turn(velocity):
        return lambda: [direct(velocity, *problem(seed, dtype), steps) for seed in range(runs)]

    def side_by_side(name, count, *arguments):
        def call():
            results[name] = pool(joblib.delayed(ours)(seed, *arguments) for seed in range(count))

        return call

    return {
        "Eq. 20 as printed, Euler": in_turn(as_printed),
        "autograd through Eq. 19, Euler": in_turn(by_autograd),
        "simulate, Euler, all threads": lambda: [ours(s, steps, dtype, "euler", None, jobs) for s in range(runs)],
        "simulate, Euler, a process a run": side_by_side("Euler", runs, steps, dtype, "euler"),
        # A path that adapts its steps cannot be scaled from its start: it is run whole.
        "simulate, adaptive, a process a run": side_by_side("adaptive", max(runs, jobs), STEPS, dtype, "adaptive"),
    }


def compare(runs, steps, rounds, dtype, jobs):
    """Print seconds for all of Fig. 6 by every way, scaled from what was run, and the factor over Eq. 20 as printed."""
    results = {}
    for call in list(ways(jobs, 1, dtype, jobs, {}).values())[:-1]:
        call()  # starts threads and processes
    seconds = medians(ways(runs, steps, dtype, jobs, results), rounds)
    print(f"{'seconds for five runs to t = 5':44}{'':9}{'x faster':>12}{'velocities a run':>20}")
    printed = None
    for name, taken in seconds.items():
        whole = "adaptive" in name
        taken *= RUNS / max(runs, jobs) if whole else RUNS * STEPS / (runs * steps)
        printed = printed or taken
        last = [float(run.evaluations[-1]) for run in results["adaptive"]]
        print(f"{name:44}{taken:9.1f}{printed / taken:12.1f}{sum(last) / len(last) if whole else STEPS:20.0f}")
    return results


def errors(euler, adaptive, dtype, jobs):
    """Print how far R and the test accuracy of the paths lie from a fine one."""
    fine = joblib.Parallel(n_jobs=jobs)(
        joblib.delayed(ours)(seed, STEPS, dtype, "adaptive", FINE) for seed in range(RUNS)
    )
    print(f"\nerror against tolerance={FINE:g}, after t = 0; half: when half of the test pairs are right")
    print(f"{'seed':>4}  {'path':10}{'R, mean':>10}{'R, max':>10}{'acc., mean':>12}{'half':>7}{'peak |E|²':>11}")
    for seed in range(RUNS):
        for name, run in (("fine", fine[seed]), ("Euler", euler[seed]), ("adaptive", adaptive[seed])):
            cost = (run.cost / fine[seed].cost - 1)[1:].abs()
            accuracy = (run.test_accuracy - fine[seed].test_accuracy)[1:].abs()
            half = run.time[run.test_accuracy >= 0.5]
            reached = half[0] if len(half) else torch.nan
            row = f"{cost.mean():10.4f}{cost.max():10.3f}{accuracy.mean():12.4f}{reached:7.2f}"
            print(f"{seed:4}  {name:10}{row}{run.norms[:, 0].max():11.0f}")


def main():
    parser = argparse.ArgumentParser(description="All of Fig. 6, end to end.")
    parser.add_argument("--full", action="store_true", help="five runs of 5000 steps, and the errors")
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float64")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.jobs)
    dtype = getattr(torch, arguments.dtype)
    runs, steps = (RUNS, STEPS) if arguments.full else (arguments.jobs, 30)
    print(
        f"Fig. 6: p = {P}, d_h = {WIDTH}, {arguments.dtype}, {arguments.jobs} cores, {runs} runs of {steps} steps each"
    )
    results = compare(runs, steps, 1 if arguments.full else 5, dtype, arguments.jobs)
    if arguments.full:
        errors(results["Euler"], results["adaptive"], dtype, arguments.jobs)


if __name__ == "__main__":
    main()
