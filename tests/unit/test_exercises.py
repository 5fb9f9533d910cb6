"""What holds of every check of an exercise, and the answers that each has to see through."""

import importlib
import inspect

import numpy as np
import pytest
import torch

import chapters
from grokbook.exercises import answers

FOLDER = chapters.PACKAGE / "exercises"
CHAPTERS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("__init__", "answers"))


def checks_of(chapter):
    module = importlib.import_module(f"grokbook.exercises.{chapter}")
    return {name: getattr(module, name) for name in vars(module) if name.startswith("check_")}


CHECKS = [
    pytest.param(check, id=f"{chapter}.{name}") for chapter in CHAPTERS for name, check in checks_of(chapter).items()
]

NONSENSE = dict(text="a string", none=None, nan=float("nan"), nested=[[["no", "numbers"]]], anything=object())


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_module_is_a_chapter_s_and_its_checks_are_called_there(chapter):
    sources = "\n".join(cell.source for cell in chapters.read(chapters.BOOK / f"{chapter}.ipynb").cells)
    assert checks_of(chapter)
    assert not [name for name in checks_of(chapter) if f"\n{name}(" not in sources]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
def test_what_is_no_answer_gets_a_sentence(check, answer):
    """One that is about the answer and does not only repeat Python's error."""
    names = list(inspect.signature(check).parameters)
    verdict = check(*[answer] * len(names))
    assert not verdict
    assert names[0] in repr(verdict) and "stops with" not in repr(verdict)


@pytest.mark.parametrize("check", CHECKS)
def test_no_answer_is_no_mistake(check):
    names = list(inspect.signature(check).parameters)
    assert repr(check(*[...] * len(names))) == f"✗ No answer yet: `{names[0]}` is still `...`."


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_says_in_its_docstring_what_it_asks_for(check):
    assert check.__doc__ and all(name in inspect.getsource(check) for name in inspect.signature(check).parameters)


def broken(*arguments):
    raise IndexError("list index out of range")


@answers.check
def check_sample(value, rule):
    """A value above 1 and a rule."""
    value, rule = answers.number("value", value), answers.function("rule", rule)
    answers.expect(value > 1, f"{value} is too small")
    rule(value)


def test_a_verdict_is_a_truth_and_a_sentence():
    right, small = check_sample(2, abs), check_sample(0.5, abs)
    assert right and repr(right) == "✓ Right."
    assert not small and repr(small) == "✗ Not yet: 0.5 is too small"
    assert repr(check_sample(2, broken)) == "✗ Not yet: your answer stops with IndexError: list index out of range"
    assert repr(check_sample(value=2, rule=...)) == "✗ No answer yet: `rule` is still `...`."


def test_numbers_are_read_from_all_that_holds_one():
    for value in (2, 2.0, np.float32(2), torch.tensor([2.0]), torch.tensor(2.0, requires_grad=True)):
        assert answers.number("value", value) == 2
    for value in ("two", None, torch.ones(2), [1, 2], 1j):
        with pytest.raises(answers.Hint, match="where one number is asked for"):
            answers.number("value", value)
    with pytest.raises(answers.Hint, match="must be finite"):
        answers.number("value", float("inf"))


def test_arrays_are_read_from_tensors_arrays_and_lists():
    for value in ([[1, 2]], np.ones((1, 2), dtype=np.float32), torch.ones(1, 2, requires_grad=True)):
        found = answers.array("value", value, None, 2)
        assert found.shape == (1, 2) and found.dtype == torch.float64 and not found.requires_grad
    with pytest.raises(answers.Hint, match=r"has the shape \(2,\); \(any, 2\) is asked for"):
        answers.array("value", [1, 2], None, 2)
    with pytest.raises(answers.Hint, match=r"2 of the 3 entries of `value` are not finite"):
        answers.array("value", [1, float("nan"), float("inf")], 3)
    for value in ("two", None, {"a": 1}, [[1], [2, 3]]):
        with pytest.raises(answers.Hint, match="give a tensor, an array or a list"):
            answers.array("value", value, 2)


def test_functions_are_what_can_be_called():
    assert answers.function("rule", abs) is abs
    with pytest.raises(answers.Hint, match="a function is asked for"):
        answers.function("rule", 3)
