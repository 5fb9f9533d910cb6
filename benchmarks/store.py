"""The long runs behind a chapter: run what is missing, then write them into the package; used by other benchmarks."""

import argparse
import json
import time

import torch

from grokbook.measure import crossing
from grokbook.stored import DATA
from grokbook.sweep import sweep

KEPT = 60  # points kept of a curve


def main(description, name, run, settings, otherwise):
    """The command line of a benchmark whose runs are stored as `name`; without a folder it does `otherwise()`.

    run(**setting) -> dict of plain numbers. An interrupted sweep goes on where it was."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", help="where finished runs are kept")
    parser.add_argument("--jobs", type=int, default=-1, help="processes; one a core unless given")
    given = parser.parse_args()
    if given.folder is None:
        otherwise()
        return
    results = sweep(run, settings, given.folder, jobs=given.jobs)
    write(name, [setting | result for setting, result in zip(settings, results, strict=True)])


def timed(run, settings):
    """Run each setting, and print the seconds it took and what came out but for curves."""
    for setting in settings:
        begun = time.perf_counter()
        result = run(**setting)
        shown = {key: value for key, value in result.items() if not isinstance(value, list)}
        print(f"{setting}: {time.perf_counter() - begun:.1f} s, {shown}", flush=True)


def write(name, rows):
    """Replace what is stored under `name` by `rows`, one a line."""
    lines = ",\n".join(json.dumps(row) for row in rows)
    command = f"python benchmarks/{name}.py --folder FOLDER"
    DATA.mkdir(exist_ok=True)
    (DATA / f"{name}.json").write_text(f'{{"command": "{command}", "runs": [\n{lines}\n]}}\n', encoding="utf-8")


def thinned(early=0, **columns):
    """The first `early` entries of each column, and of the rest at most KEPT, evenly spaced by number, the last among
    them; in four digits."""
    length = len(next(iter(columns.values()))) - early
    kept = early + torch.linspace(0, length - 1, min(KEPT, length)).round().long()
    kept = torch.cat([torch.arange(early), kept])
    return {name: [float(f"{value:.4g}") for value in column[kept].tolist()] for name, column in columns.items()}


def passage(curve, level, *columns):
    """The columns where a curve first reaches the level, None for each where it never does, or does from the start."""
    reached = bool((curve >= level).any()) and curve[0] < level
    return crossing(curve, level, *columns) if reached else [None] * len(columns)


def passed(accuracy, time, cost):
    """Time and squared norm where half and 95 % of the held-back pairs are right, None where they never are."""
    found = {}
    for name, level in (("half", 0.5), ("nearly", 0.95)):
        found[name], found[f"cost_{name}"] = passage(accuracy, level, time, cost)
    return found
