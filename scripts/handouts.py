"""The chapters to hand out: for students without the solutions, for the instructor with them.

    python scripts/handouts.py student       writes _build/student
    python scripts/handouts.py instructor    writes _build/instructor

Each time anew: copy the folder before you change what is in it.
"""

import argparse
import copy
import re
import shutil

import nbformat

import chapters

BUILD = chapters.ROOT / "_build"
EXERCISES = re.compile(r"^## Exercises", re.MULTILINE)
SOLUTION = re.compile(r"<details><summary>Solution</summary>.*?</details>", re.DOTALL)
ANSWER = "*Your answer:*"
STUB = "# Your work"


def begin(notebook):
    """The number of the cell that opens the exercises, or of cells where there are none."""
    openings = [i for i, cell in enumerate(notebook.cells) if EXERCISES.search(cell.source)]
    return openings[0] if openings else len(notebook.cells)


def solving(notebook):
    """The ids of the code cells that solve an exercise: folded away with all they show, below a text with a solution.

    Those below a hint are part of the hint."""
    found, solved = set(), False
    for cell in notebook.cells[begin(notebook) :]:
        if cell.cell_type == "markdown":
            solved = bool(SOLUTION.search(cell.source))
        elif solved and "hide-cell" in chapters.tags(cell):
            found.add(cell.id)
    return found


def without_solutions(notebook):
    """A copy with room for an answer in place of each folded solution, and one stub in place of its code."""
    found, first, solutions = copy.deepcopy(notebook), begin(notebook), solving(notebook)
    found.metadata.pop("grokbook", None)  # the fingerprint of outputs, of which some are gone
    kept = found.cells[:first]
    for cell in found.cells[first:]:
        if cell.id in solutions:
            if kept[-1].source == STUB:
                continue
            cell.update(source=STUB, outputs=[], execution_count=None)
            cell.metadata.clear()
        cell.source = SOLUTION.sub(ANSWER, cell.source)
        kept.append(cell)
    found.cells = kept
    return found


def write(kind):
    """All notebooks, into an emptied folder of _build. -> the folder."""
    folder = BUILD / kind
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in chapters.notebooks():
        notebook = chapters.read(path)
        notebook = without_solutions(notebook) if kind == "student" else notebook
        chapters.write(folder / path.name, nbformat.writes(notebook) + "\n")
    shutil.copytree(chapters.BOOK / "_static", folder / "_static")
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["student", "instructor"])
    print(f"{len(chapters.notebooks())} notebooks in {write(parser.parse_args().kind)}")
