"""Results of runs that are too long for a page, kept in the package beside the command that makes them."""

import json
from pathlib import Path

DATA = Path(__file__).with_name("data")


def stored_runs(name):
    """What the benchmark of this name wrote. -> list of dicts, one a run, settings and results.

    Raises ValueError for a name without results."""
    path = DATA / f"{name}.json"
    if not path.is_file():
        names = sorted(path.stem for path in DATA.glob("*.json"))
        raise ValueError(f"nothing is stored of {name!r}; choose from {names}")
    return json.loads(path.read_text(encoding="utf-8"))["runs"]


def matching(rows, **wanted):
    """The rows that have these values, in their order: matching(rows, p=23, seed=0)."""
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]
