"""What the checks of the exercises share: an answer is read, its properties are computed, a sentence comes back."""

import functools
import inspect
import math
from dataclasses import dataclass

import torch


@dataclass(frozen=True, repr=False)
class Verdict:
    """What a check says of an answer; true if the answer is right."""

    right: bool
    sentence: str

    def __bool__(self):
        return self.right

    def __repr__(self):
        return f"{'✓' if self.right else '✗'} {self.sentence}"


class Hint(Exception):
    """What is wrong with an answer, as a sentence that helps."""


def expect(holds, hint):
    """Go on if `holds`; otherwise the check ends, and says the hint."""
    if not holds:
        raise Hint(hint)


def check(function):
    """Turn a function that checks answers into one that returns a Verdict, whatever it is given.

    The function takes the answers, stops at the first `expect` that does not hold, and may return a sentence to add to
    "Right". In place of an answer that is still `...`, as in a student's notebook, or that raises an error, the verdict
    says so."""

    @functools.wraps(function)
    def judged(*answers, **named):
        given = inspect.signature(function).bind(*answers, **named).arguments
        for name, answer in given.items():
            if answer is ...:
                return Verdict(False, f"No answer yet: `{name}` is still `...`.")
        try:
            return Verdict(True, " ".join(filter(None, ["Right.", function(**given)])))
        except Hint as hint:
            return Verdict(False, f"Not yet: {hint}")
        except Exception as error:  # an answer may be a function, and do anything
            return Verdict(False, f"Not yet: your answer stops with {type(error).__name__}: {error}")

    return judged


def number(name, answer):
    """A finite real number, from anything that holds one. -> float."""
    try:
        found = float(answer.detach() if torch.is_tensor(answer) else answer)
    except (TypeError, ValueError, RuntimeError):
        kind = type(answer).__name__
        raise Hint(f"`{name}` is a {kind}, where one number is asked for, such as `{name} = 0.5`.") from None
    expect(math.isfinite(found), f"`{name}` is {found}; it must be finite. Was something divided by zero?")
    return found


def array(name, answer, *shape):
    """Finite real numbers of a shape, with None for any length, from a tensor, an array or lists. -> float64 tensor."""
    try:
        found = torch.as_tensor(answer).detach().to("cpu", torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise Hint(f"`{name}` is a {type(answer).__name__}; give a tensor, an array or a list of numbers.") from None
    wanted = f"({', '.join('any' if length is None else str(length) for length in shape)})"
    fits = len(shape) == found.ndim and all(length in (None, n) for length, n in zip(shape, found.shape, strict=True))
    expect(fits, f"`{name}` has the shape {tuple(found.shape)}; {wanted} is asked for.")
    missing = int((~found.isfinite()).sum())
    expect(not missing, f"{missing} of the {found.numel()} entries of `{name}` are not finite.")
    return found


def function(name, answer):
    """Something that can be called. -> the answer."""
    expect(callable(answer), f"`{name}` is a {type(answer).__name__}; a function is asked for: `def {name}(...):`.")
    return answer
