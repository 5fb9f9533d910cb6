import re

import pytest

import chapters
import handouts

NOTEBOOKS = chapters.notebooks()


def solutions(notebook):
    """The texts of the folded solutions, and the code cells that solve, with what these show."""
    cells = notebook.cells[handouts.begin(notebook) :]
    texts = [text for cell in cells if cell.cell_type == "markdown" for text in handouts.SOLUTION.findall(cell.source)]
    return texts, [cell for cell in cells if handouts.is_solution(cell)]


def put_back(student, notebook):
    """The student's version with answers and stubs replaced by the solutions, cell by cell."""
    whole, cells = {cell.id: cell for cell in notebook.cells}, []
    following = iter(notebook.cells)
    for cell in student.cells:
        original = next(one for one in following if one.id == cell.id)
        if cell.source == handouts.STUB:
            code = [original]
            rest = notebook.cells[notebook.cells.index(original) + 1 :]
            code += list(rest[: next((i for i, one in enumerate(rest) if not handouts.is_solution(one)), len(rest))])
            cells += code
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


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_handed_out_runs_without_the_solutions(path):
    """Beyond the opening of the exercises all code solves, so that nothing handed out waits for a solution."""
    notebook = chapters.read(path)
    after = notebook.cells[handouts.begin(notebook) :]
    assert all(handouts.is_solution(cell) for cell in after if cell.cell_type == "code")
    stubs = [cell for cell in handouts.without_solutions(notebook).cells if cell.source == handouts.STUB]
    assert all(not cell.outputs and not cell.metadata for cell in stubs) and bool(stubs) == bool(solutions(notebook)[1])


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
