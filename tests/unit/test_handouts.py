import ast
import itertools
import re

import pytest

import build
import chapters
import handouts

NOTEBOOKS = chapters.notebooks()


def solutions(notebook):
    """The texts of the folded solutions, and the code cells that solve, with what these show."""
    cells = notebook.cells[handouts.begin(notebook) :]
    texts = [text for cell in cells if cell.cell_type == "markdown" for text in handouts.SOLUTION.findall(cell.source)]
    return texts, [cell for cell in cells if cell.id in handouts.solving(notebook)]


def put_back(student, notebook):
    """The student's version with answers and stubs replaced by the solutions, cell by cell."""
    whole, cells = {cell.id: cell for cell in notebook.cells}, []
    following = iter(notebook.cells)
    for cell in student.cells:
        original = next(one for one in following if one.id == cell.id)
        if cell.source.startswith(handouts.STUB):
            rest = notebook.cells[notebook.cells.index(original) :]
            cells += itertools.takewhile(lambda one: one.id in handouts.solving(notebook), rest)
            continue
        if cell.cell_type == "code" and handouts.asked(cell):
            cells.append(original)
            continue
        texts = iter(handouts.SOLUTION.findall(whole[cell.id].source))
        parts = cell.source.split(handouts.ANSWER)
        source = parts[0] + "".join(next(texts) + part for part in parts[1:])
        cells.append({**cell, "source": source})
    return cells


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_solution_is_left(path):
    notebook = chapters.read(path)
    student = handouts.without_solutions(notebook)
    texts, code = solutions(notebook)
    assert texts or path.stem in ("errata", "play", "referees")
    before = "\n".join(cell.source for cell in notebook.cells[: handouts.begin(notebook)])
    handed_out = "\n".join(str(dict(cell)) for cell in student.cells) + "\n".join(cell.source for cell in student.cells)
    pieces = [piece for text in texts for piece in re.split(r"\n+|(?<=[.:]) ", text)]
    pieces += [line.strip() for cell in code for line in cell.source.splitlines()]
    pieces += [str(output) for cell in code for output in cell.get("outputs", [])]
    long = [piece for piece in pieces if len(piece) > 25 and piece not in before]
    assert len(long) >= len(texts)
    assert not [piece for piece in long if piece in handed_out]
    assert "Solution</summary>" not in handed_out


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_with_the_solutions_put_back_it_is_the_chapter(path):
    """So that what runs the chapters runs the handouts, too."""
    notebook = chapters.read(path)
    cells = put_back(handouts.without_solutions(notebook), notebook)
    assert [dict(cell) for cell in cells] == [dict(cell) for cell in notebook.cells]


def names(cells, context):
    """The names that code cells load (ast.Load) or set (ast.Store), such as by a definition or an import."""
    nodes = [node for cell in cells for node in ast.walk(chapters.syntax_tree(cell.source))]
    found = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, context)}
    if context is ast.Store:
        found |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        found |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        found |= {(node.asname or node.name).split(".")[0] for node in nodes if isinstance(node, ast.alias)}
    return found


def code(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_handed_out_runs_without_the_solutions(path):
    """Beyond the opening of the exercises there is code that solves, and hints and checks; these need nothing that it
    sets but what the stubs name."""
    notebook = chapters.read(path)
    first, solutions_of = handouts.begin(notebook), solutions(notebook)[1]
    left = [cell for cell in code(notebook.cells[first:]) if cell not in solutions_of]
    student = handouts.without_solutions(notebook)
    stubs = [cell for cell in student.cells if cell.source.startswith(handouts.STUB)]
    known = names([*code(notebook.cells[:first]), *left, *stubs], ast.Store)
    assert not (names(left, ast.Load) & names(solutions_of, ast.Store)) - known
    assert [cell.source for cell in code(student.cells[first:]) if cell not in stubs] == [cell.source for cell in left]
    assert all(not cell.outputs and not cell.metadata for cell in stubs) and bool(stubs) == bool(solutions_of)


def test_a_stub_names_what_the_check_asks_for_and_no_verdict_is_handed_out():
    student = handouts.without_solutions(chapters.read(chapters.BOOK / "toy_models.ipynb"))
    number = next(i for i, cell in enumerate(student.cells) if "\ncheck_delay(delay)" in cell.source)
    assert student.cells[number - 1].source == f"{handouts.STUB}\ndelay = ..."
    assert not student.cells[number].outputs


def test_a_hint_keeps_the_cell_that_it_speaks_of():
    student = handouts.without_solutions(chapters.read(chapters.BOOK / "stability.ipynb"))
    hint = next(i for i, cell in enumerate(student.cells) if "The cell below shows" in cell.source)
    assert not student.cells[hint + 1].source.startswith(handouts.STUB) and student.cells[hint + 1].outputs


def test_the_folders_hold_every_notebook(monkeypatch, tmp_path):
    monkeypatch.setattr(handouts, "BUILD", tmp_path)
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "old.ipynb").write_text("left from an earlier chapter")
    for kind in ("student", "instructor"):
        folder = handouts.write(kind)
        assert sorted(path.name for path in folder.glob("*.ipynb")) == sorted(path.name for path in NOTEBOOKS)
        assert (folder / "_static").is_dir()
    for path in NOTEBOOKS:
        assert chapters.read(tmp_path / "instructor" / path.name) == chapters.read(path)


@pytest.mark.parametrize("builder", ["html", "linkcheck"])
def test_building_the_book_leaves_handouts_alone(monkeypatch, tmp_path, builder):
    monkeypatch.setattr(build.subprocess, "run", lambda command, **options: command)
    kept, made = tmp_path / "_build" / "student", tmp_path / "_build" / builder
    for folder in (kept, made, tmp_path / "_build" / ".doctrees"):
        folder.mkdir(parents=True)
    command = build.build(tmp_path, builder)
    assert kept.exists() and [path.name for path in (tmp_path / "_build").iterdir()] == ["student"]
    assert command[command.index("--builder") + 1] == builder
