"""Run the book's notebooks and store their outputs.

    python scripts/execute.py                       the notebooks whose outputs are out of step
    python scripts/execute.py book/circles.ipynb    these notebooks
    python scripts/execute.py --all                 every notebook
    python scripts/execute.py --check               run nothing; fail if an output is out of step

Each notebook runs in a fresh kernel, in an empty folder (as a Colab session would start it) and with one thread.
One that fails keeps its old file. What is stored carries no time stamps, no widget state, and a fingerprint of all
it depends on.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

import chapters
import claims
import set_repository

CELL_TIMEOUT = 300  # seconds; the heaviest chapter may take 120 in all
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "pygments_lexer": "ipython3"}
CELL_METADATA = ("tags", "mystnb")


class Failed(Exception):
    """A notebook that did not run to its end; the message names the cell."""


class Client(NotebookClient):
    """Runs cells and answers no widget: outputs of live cells are not kept, and an answer that is sent while the reply
    of the cell is awaited on the same socket can let that wait sleep until its timeout."""

    def handle_comm_msg(self, outs, msg, cell_index):
        pass


def prepare_environment(folder):
    """One thread, this checkout's package, this environment's kernel, and no start-up files of the person's own."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["TQDM_DISABLE"] = "1"  # a progress bar is for a person and must not be stored
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(chapters.ROOT), os.environ.get("PYTHONPATH")]))
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
    os.environ["IPYTHONDIR"] = str(folder)


def run(notebook, report=print):
    """Execute every cell in a fresh kernel whose working directory is an empty folder."""
    started = {}

    def start(cell, cell_index):
        started[cell_index] = time.perf_counter()

    def stop(cell, cell_index, execute_reply):
        seconds = time.perf_counter() - started[cell_index]
        if seconds >= 1:
            report(f"  cell {cell_index:3d}  {seconds:6.1f} s  {first_line(cell)}")

    with tempfile.TemporaryDirectory(prefix="chapter-") as empty:
        client = Client(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            record_timing=False,
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": empty}},
            on_cell_start=start,
            on_cell_executed=stop,
        )
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            index = max(started, default=0)
            where = f"cell {index} ({first_line(notebook.cells[index])})"
            raise Failed(f"{where} failed:\n{str(error).strip()}") from error


def first_line(cell):
    return next((line.strip() for line in cell.source.splitlines() if line.strip()), "empty cell")[:70]


def tidy(notebook, fingerprint):
    """Keep what a reader sees and drop what a run or an editor leaves behind."""
    seen = {}
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({key: cell.metadata[key] for key in CELL_METADATA if key in cell.metadata})
        if folds := chapters.folds(cell):
            cell.metadata["jupyter"] = nbformat.from_dict(folds)
        if "live" in chapters.tags(cell):
            cell.outputs = []  # a live control needs a kernel; without one it would be an empty box
        name = hashlib.sha256(f"{cell.cell_type}\0{cell.source}".encode()).hexdigest()[:8]
        seen[name] = seen.get(name, 0) + 1
        cell.id = name if seen[name] == 1 else f"{name}-{seen[name]}"
    notebook.metadata = nbformat.from_dict(
        {
            "grokbook": {"fingerprint": fingerprint},
            "kernelspec": KERNEL,
            "language_info": LANGUAGE,
        }
    )
    notebook.nbformat_minor = 5


def execute(path, report=print):
    """Run one notebook and replace its file; raise `Failed`, and leave the file as it was, if a cell fails."""
    notebook = set_repository.with_setup(chapters.read(path), set_repository.configured())
    begun = time.perf_counter()
    report(f"{path.name}")
    fingerprint = chapters.fingerprint(notebook)  # before the run: a module that is edited meanwhile must look stale
    run(notebook, report)
    tidy(notebook, fingerprint)
    nbformat.validate(notebook)
    chapters.write(path, nbformat.writes(notebook) + "\n")
    report(f"  {time.perf_counter() - begun:.1f} s in all, {path.stat().st_size / 1e6:.2f} MB")


def stale(paths):
    """The notebooks whose stored outputs come from other sources than today's."""
    return [path for path in paths if not chapters.in_step(chapters.read(path))]


def parse_arguments():
    parser = argparse.ArgumentParser(description="Run the book's notebooks and store their outputs.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: those that are out of step")
    parser.add_argument("--all", action="store_true", help="run every notebook")
    parser.add_argument("--check", action="store_true", help="run nothing; fail if anything is out of step")
    arguments = parser.parse_args()
    missing = [str(path) for path in arguments.notebooks if not path.is_file()]
    if missing:
        known = ", ".join(path.name for path in chapters.notebooks())
        parser.error(f"no such notebook: {', '.join(missing)}; the book has {known}")
    return arguments


def check(paths):
    """Say what is out of step; return the exit status."""
    late = stale(paths)
    for path in late:
        print(f"out of step: {path.name} (run `make execute`)")
    if not claims.in_step():
        print("out of step: claims.md (run `make execute`)")
    return int(bool(late) or not claims.in_step())


def main():
    arguments = parse_arguments()
    paths = arguments.notebooks or chapters.notebooks()
    if arguments.check:
        return check(paths)
    if not arguments.notebooks and not arguments.all:
        paths = stale(paths)
    if not paths:
        print("every notebook is in step with its sources")
    failures = []
    with tempfile.TemporaryDirectory(prefix="ipython-") as folder:
        prepare_environment(folder)
        for path in paths:
            try:
                execute(path)
            except Failed as error:
                failures.append(path.name)
                print(f"{path.name}: {error}\n{path.name}: its file was left as it was", file=sys.stderr)
    chapters.write(chapters.BOOK / claims.PAGE, claims.build())
    if failures:
        print(f"failed: {', '.join(failures)}", file=sys.stderr)
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
