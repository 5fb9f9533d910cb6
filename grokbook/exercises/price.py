"""Checks of the exercises of *The price of a rule*."""

import torch

from grokbook import price
from grokbook.exercises.answers import array, check, expect, function
from grokbook.tasks import Task, lottery

DRAWS = 3
STILL = 0.2  # how much more of the true table than in a plain lottery may be left


def _answers(found, task):
    """The answers of the training pairs of a lottery, as symbols. -> (n,)."""
    kind = type(found).__name__
    expect(
        isinstance(found, Task),
        f"`fair_lottery(...)` is a {kind}; a task is asked for, as `from_arrays` and `replace` make it.",
    )
    Y = array("fair_lottery(...).Y_train", found.Y_train, *task.Y_train.shape)
    X = array("fair_lottery(...).X_train", found.X_train, *task.X_train.shape)
    expect(torch.equal(X, task.X_train), "your lottery shows other pairs than the task; exchange their answers alone.")
    whole = bool(((Y == 0) | (Y == 1)).all() and (Y.sum(1) == 1).all())
    expect(whole, "a row of `fair_lottery(...).Y_train` has not a single 1, and names no answer.")
    return Y.argmax(1)


def _together(answers, true):
    """The share of the pairs of samples with one true answer that have one answer still."""
    same = (true[:, None] == true).triu(1)
    return float((answers[:, None] == answers)[same].double().mean())


def _clashes(answers, task):
    """How many pairs of samples share a symbol and an answer."""
    touching = (task.X_train @ task.X_train.T > 0).triu(1)
    return int((answers[:, None] == answers)[touching].sum())


@check
def check_fair_lottery(fair_lottery):
    """fair_lottery(task, generator): the task, its training answers exchanged, none twice at pairs with one symbol."""
    fair_lottery = function("fair_lottery", fair_lottery)
    for p in (13, 17):
        generator = torch.Generator().manual_seed(p)
        task = price.task_of("addition", p, 0.5, generator)
        true, many = task.labels_train, len(task.labels_train)
        case = f"of {many} additions modulo {p}"
        draws = [_answers(fair_lottery(task, generator), task) for _ in range(DRAWS)]
        for answers in draws:
            counts = (torch.bincount(found, minlength=p) for found in (answers, true))
            expect(
                torch.equal(*counts),
                f"in your lottery {case} some answers are given more often than in the table, and others less. Then "
                "it may be cheaper for that reason. Exchange answers.",
            )
            clashes = _clashes(answers, task)
            expect(
                clashes == 0,
                f"in your lottery {case}, {clashes} pairs of samples share a symbol and an answer. Look at both "
                "samples of an exchange, and at all that share a symbol with either.",
            )
        plain = sum(_together(lottery(task, generator).labels_train, true) for _ in range(DRAWS)) / DRAWS
        kept = sum(_together(answers, true) for answers in draws) / DRAWS
        expect(
            kept < 1,
            f"in your lottery {case} all samples with one true answer have one answer still. You have given the "
            "answers new names, at most, and names are free: this is the rule.",
        )
        expect(
            kept < plain + STILL,
            f"in your lottery {case}, {100 * kept:.0f} % of the samples with one true answer have one answer still; "
            f"of a plain lottery it is {100 * plain:.0f} %. Much of the rule is left: exchange more often.",
        )
        expect(
            not all(torch.equal(draws[0], answers) for answers in draws[1:]),
            f"three lotteries {case} are the same. Draw the exchanges with the `generator` that you are given.",
        )
    return "A lottery, without the advantage."
