"""The chapters to hand out: for students without the solutions, for the instructor with them and with the exams.

    python scripts/handouts.py student       writes _build/student
    python scripts/handouts.py instructor    writes _build/instructor

Each time anew: copy the folder before you change what is in it.
"""

import argparse
import ast
import copy
import re
import shutil

import nbformat

import chapters

BUILD = chapters.ROOT / "_build"
EXERCISES = re.compile(r"^## Exercises", re.MULTILINE)
SOLUTION = re.compile(r"<details><summary>Solution</summary>.*?</details>", re.DOTALL)
ANSWERED = re.compile(r"<details><summary>Answer</summary>.*?</details>\n*", re.DOTALL)
ANSWER = "*Your answer:*"
STUB = "# Your work"
CHECK = "check_"  # how the functions of grokbook.exercises begin


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


def asked(cell):
    """The names that a cell hands to the check of an exercise, in their order; none if it checks nothing."""
    calls = [node for node in ast.walk(chapters.syntax_tree(cell.source)) if isinstance(node, ast.Call)]
    checks = [call for call in calls if ast.unparse(call.func).startswith(CHECK)]
    return [argument.id for call in checks for argument in call.args]


def stub(cells):
    """What stands in place of the code that solves an exercise, if these are the cells that follow it."""
    following = next((cell for cell in cells if cell.cell_type == "code"), None)
    return "\n".join([STUB, *(f"{name} = ..." for name in (asked(following) if following else []))])


def without_solutions(notebook):
    """A copy with room for an answer in place of each folded solution, and one stub in place of its code.

    A check that follows the code is left, without the verdict on what is gone; the stub names what it asks for."""
    found, first, solutions = copy.deepcopy(notebook), begin(notebook), solving(notebook)
    found.metadata.pop("grokbook", None)  # the fingerprint of outputs, of which some are gone
    kept = found.cells[:first]
    for index, cell in enumerate(found.cells[first:], start=first):
        if cell.id in solutions:
            if kept[-1].source.startswith(STUB):
                continue
            rest = found.cells[index:]
            cell.update(source=stub([one for one in rest if one.id not in solutions]), outputs=[], execution_count=None)
            cell.metadata.clear()
        elif cell.cell_type == "code" and asked(cell):
            cell.update(outputs=[], execution_count=None)
        cell.source = SOLUTION.sub(ANSWER, cell.source)
        kept.append(cell)
    found.cells = kept
    return found


def exams():
    """The files of the exams, each with its answers folded."""
    return sorted((chapters.ROOT / "exams").glob("*.md"))


def write(kind):
    """All notebooks, and for the instructor the exams with and without answers, into an emptied folder. -> its path."""
    folder = BUILD / kind
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in chapters.notebooks():
        notebook = chapters.read(path)
        notebook = without_solutions(notebook) if kind == "student" else notebook
        chapters.write(folder / path.name, nbformat.writes(notebook) + "\n")
    for path in exams() if kind == "instructor" else []:
        text = path.read_text(encoding="utf-8")
        chapters.write(folder / f"{path.stem}_answers.md", text)
        chapters.write(folder / path.name, ANSWERED.sub("", text))
    shutil.copytree(chapters.BOOK / "_static", folder / "_static")
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["student", "instructor"])
    print(f"{len(chapters.notebooks())} notebooks in {write(parser.parse_args().kind)}")
