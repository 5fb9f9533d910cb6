"""The exams' answers are computed where they can be, and their points add up."""

import re

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import minimize, minimize_scalar

import chapters
import handouts

EXAMS = handouts.exams()
GIVEN = dict(np=np, solve_ivp=solve_ivp, minimize=minimize, minimize_scalar=minimize_scalar)
ANSWERS = {
    f"{path.stem}, {title}": block
    for path in EXAMS
    for title, text in re.findall(r"^## (Question \d+)(.*?)(?=^## |\Z)", path.read_text(encoding="utf-8"), re.M | re.S)
    for block in re.findall(r"```python\n(.*?)```", text, re.S)
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_right(name):
    assert "assert " in ANSWERS[name]
    exec(ANSWERS[name], dict(GIVEN))


@pytest.mark.parametrize("path", EXAMS, ids=lambda path: path.stem)
def test_points_add_up(path):
    text = path.read_text(encoding="utf-8")
    total = int(re.search(r"(\d+) points, one sheet", text)[1])
    questions = re.findall(r"^## Question (\d+): .*?\((\d+) points\)\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert [int(number) for number, _, _ in questions] == list(range(1, len(questions) + 1))
    assert sum(int(points) for _, points, _ in questions) == total
    for _, points, body in questions:
        answer = re.search(r"<details><summary>Answer</summary>(.*?)</details>", body, re.S)[1]
        prose = re.sub(r"\$[^$]*\$|```.*?```", "", answer, flags=re.S)
        given = [int(found) for found in re.findall(r"\((\d+)\)", prose)]
        assert sum(given) == int(points) or "points each" in answer


def test_two_exams_are_for_the_instructor_alone(monkeypatch, tmp_path):
    assert len(EXAMS) == 2
    monkeypatch.setattr(handouts, "BUILD", tmp_path)
    monkeypatch.setattr(chapters, "notebooks", lambda: [])
    for path in EXAMS:
        questions, answers = (handouts.write("instructor") / f"{path.stem}{kind}.md" for kind in ("", "_answers"))
        assert answers.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")
        handed_out = questions.read_text(encoding="utf-8")
        assert handed_out.count("## Question") == answers.read_text(encoding="utf-8").count("## Question")
        assert "Answer" not in handed_out and "python" not in handed_out and "details" not in handed_out
    assert not list(handouts.write("student").glob("*.md"))
