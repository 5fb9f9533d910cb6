"""Run every notebook under several ways of rounding, and name the cells whose output differs from what is stored.

    python scripts/drift.py                       every notebook, every way
    python scripts/drift.py book/circles.ipynb    these notebooks
    python scripts/drift.py --way avx2            only this way

A processor with other instructions, or another number of threads, adds numbers in another order and so rounds
differently. Environment variables make one machine round like another. Measured values may differ, verdicts may not.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import chapters

# PyTorch chooses its kernels by ATEN_CPU_CAPABILITY, MKL by MKL_CBWR, OpenBLAS (NumPy, SciPy) by OPENBLAS_CORETYPE.
ONE = {"OMP_NUM_THREADS": "1"}
WAYS = {
    "as it is": ONE,
    "oldest": {**ONE, "ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "OPENBLAS_CORETYPE": "Nehalem"},
    "avx2": {**ONE, "ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2", "OPENBLAS_CORETYPE": "Haswell"},
    "two threads": {"OMP_NUM_THREADS": "2"},
}
CHOICES = sorted({name for way in WAYS.values() for name in way})


def environment(way):
    """This process's environment with the way's choices and no others."""
    rest = {name: value for name, value in os.environ.items() if name not in CHOICES}
    return {**rest, "TQDM_DISABLE": "1", "JUPYTER_PLATFORM_DIRS": "1", **WAYS[way]}


def command(notebooks, report, workers):
    return [
        *(sys.executable, "-m", "pytest", "-q", "-c", "pyproject.toml", "-p", "no:cacheprovider"),
        *("-n", str(workers), "--dist", "loadscope"),
        *("--nbval", "--nbval-cell-timeout=900", "--timeout=900", f"--junitxml={report}", *map(str, notebooks)),
    ]


def run(way, notebooks):
    """(cells, [(notebook's cell, why)], seconds) of one way."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="drift-") as folder:
        report = Path(folder) / "report.xml"
        workers = max((os.cpu_count() or 2) // int(WAYS[way]["OMP_NUM_THREADS"]), 1)
        process = subprocess.run(
            command(notebooks, report, workers), cwd=chapters.ROOT, env=environment(way), capture_output=True, text=True
        )
        if not report.exists():
            sys.exit(f"{way}: no notebook was run\n{process.stdout}{process.stderr}")
        return *differing(ElementTree.parse(report)), time.perf_counter() - begun


def differing(report):
    """The number of cells of a JUnit report, and the name and the message of each that failed."""
    cases = report.findall(".//testcase")
    failed = [(case, found) for case in cases for found in [*case.findall("failure"), *case.findall("error")]]
    return len(cases), [(f"{case.get('classname')} {case.get('name')}", found.text or "") for case, found in failed]


def main():
    parser = argparse.ArgumentParser(description="Run the notebooks under several ways of rounding.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: every notebook")
    parser.add_argument("--way", action="append", choices=WAYS, help="default: every way")
    arguments = parser.parse_args()
    notebooks = arguments.notebooks or chapters.notebooks()
    found = False
    for way in arguments.way or WAYS:
        cells, failed, seconds = run(way, notebooks)
        print(f"{way:12s}  {cells - len(failed)} of {cells} cells agree  ({seconds:.0f} s)", flush=True)
        for name, message in failed:
            print(f"  {name}\n    " + "\n    ".join(message.strip().splitlines()[:30]), flush=True)
        found = found or bool(failed) or not cells
    return int(found)


if __name__ == "__main__":
    sys.exit(main())
