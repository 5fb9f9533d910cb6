"""What teaching.md promises a teacher: minutes that add up, every chapter's objectives, exercises of each kind."""

import re
import sys

import pytest

import chapters

sys.path.append(str(chapters.BOOK / "_ext"))
import objectives

PAGE = (chapters.BOOK / "teaching.md").read_text(encoding="utf-8")
FORMATS = re.findall(r"^\*\*([^*\n]*\b(\d+) minutes\b[^*\n]*)\*\*(.*?)(?=^\*\*|^## )", PAGE, re.MULTILINE | re.DOTALL)
CHAPTERS = chapters.notebooks()
LISTED = objectives.listed()


def test_there_are_three_formats():
    assert len(FORMATS) == 3


@pytest.mark.parametrize(("name", "minutes", "text"), FORMATS, ids=[name for name, _, _ in FORMATS])
def test_the_minutes_of_a_format_add_up(name, minutes, text):
    table = re.search(r"(^\|.*\n)+", text, re.MULTILINE)[0]
    assert sum(int(row) for row in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)) == int(minutes)


def test_the_weeks_of_the_course_are_ten_and_every_chapter_is_assigned():
    weeks = re.search(r"\| week \|.*?\n\n", PAGE, re.DOTALL)[0]
    assert re.findall(r"^\| (\d+) \|", weeks, re.MULTILINE) == [str(week) for week in range(1, 11)]
    optional = {"play", "cost_of_a_run"}  # to play with, and for those who run much
    assert {path.stem for path in CHAPTERS} - set(re.findall(r"\]\((\w+)\.ipynb\)", PAGE)) <= optional


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_promises_something_and_says_how_long_it_takes(path):
    promised, time = objectives.promised(path)
    assert len(promised.split()) > 10 and promised.endswith(".")
    assert re.search(r"minutes? to read", time)
    assert f"({path.stem}.ipynb): {promised}" in LISTED


def test_the_list_is_filled_in_where_the_page_asks_for_it():
    source = [PAGE]
    objectives.fill(None, "book/teaching", source)
    assert PAGE.count(objectives.MARK) == 1 and objectives.MARK not in source[0] and LISTED in source[0]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_has_an_exercise_by_hand_and_one_by_code(path):
    sources = "\n".join(cell.source for cell in chapters.read(path).cells)
    titles = re.findall(r"^:::\{exercise\} (.*)", sources, re.MULTILINE)
    assert any("by hand" in title for title in titles) and any("by code" in title for title in titles)


def test_the_example_of_a_check_does_what_the_page_says():
    from grokbook.exercises.toy_models import check_wrong_sample

    example = re.search(r"^check_wrong_sample\(\[1, 1\]\) .*✗", PAGE, re.MULTILINE)
    assert example and not check_wrong_sample([1, 1])
