"""Checks of the exercises of *What a typical network knows*."""

import math

import torch

from grokbook import isolated, scale_free
from grokbook.exercises.answers import check, expect
from grokbook.tasks import Task
from grokbook.typical import Wandering

RATIO = 1.5  # the norm that is held, over the smallest
BY_CHANCE = 5  # standard deviations of guessing that count as chance


def _pair(name, answer):
    """The task and the run."""
    kinds = [type(part) for part in answer] if isinstance(answer, tuple | list) else type(answer)
    wanted = f"give a pair, `{name} = task, run`, of a task and what `typical.wander` returns for it."
    expect(kinds == [Task, Wandering], f"`{name}` is a {type(answer).__name__}; {wanted}")
    return answer


def _added(task):
    """The share of the training labels that are the sum modulo p."""
    sums = (task.X_train @ torch.arange(task.p).to(task.X_train)).long() % task.p
    return float((task.labels_train == sums).double().mean())


def _guessed(task):
    """An accuracy that guessing has hardly ever."""
    chance = 1 / task.Y_test.shape[1]
    return chance + BY_CHANCE * math.sqrt(chance * (1 - chance) / len(task.Y_test))


def _norm(run):
    return float(2 * run.norms[-1].prod().sqrt())


def _expect_tasks(rule, shuffled):
    """That they differ in the training labels alone, which one has shuffled."""
    same = all(
        mine.shape == other.shape and torch.equal(mine, other)
        for mine, other in ((rule.X_train, shuffled.X_train), (rule.X_test, shuffled.X_test))
    )
    expect(same, "your two tasks do not share their pairs, so that they differ in more than the labels.")
    expect(
        _added(rule) == 1,
        f"in `with_rule` a share of {_added(rule):.2g} of the training labels is the sum. What you compare with needs "
        "the labels as they were.",
    )
    expect(
        _added(shuffled) < 0.5,
        f"in `without_rule` a share of {_added(shuffled):.2g} of the training labels is still the sum: the rule is "
        "there to be found.",
    )
    expect(
        torch.equal(shuffled.Y_train.sum(0), rule.Y_train.sum(0)),
        "the training labels of `without_rule` are other ones than those of `with_rule`. Shuffle them, so that there "
        "are as many of each.",
    )
    expect(
        torch.equal(shuffled.Y_test, rule.Y_test),
        "the held-back pairs of `without_rule` have other labels than those of `with_rule`. Shuffle the training "
        "labels alone.",
    )


def _expect_held(name, task, run):
    """That the run is of this task and holds its norm."""
    norm = float(scale_free.norm_of(run.E, task))
    expect(
        abs(norm / _norm(run) - 1) < 1e-3,
        f"the run of `{name}` ended at 2‖E‖‖W‖ = {_norm(run):.4g}, and with the task beside it its E has {norm:.4g}: "
        "it was made with other labels.",
    )
    smallest = float(scale_free.norm_of(isolated.minimise(run.E, task, evaluations=150).E, task))
    expect(
        abs(norm / (RATIO * smallest) - 1) < 0.05,
        f"the run of `{name}` holds {norm / smallest:.3g} times the smallest norm of its task; {RATIO:g} is asked for.",
    )
    back = float(run.put_back[-1])
    expect(
        back < 2 * math.log(RATIO),
        f"in the run of `{name}` all that was put back adds up to {back:.2g} in log‖W‖², as much as from {RATIO:g} "
        "times the smallest norm down to it. Take shorter steps.",
    )


@check
def check_lottery(with_rule, without_rule):
    """Two pairs, task and run at 1.5 times the smallest norm: with the labels as they were, and with shuffled ones."""
    (rule, known), (shuffled, unknown) = _pair("with_rule", with_rule), _pair("without_rule", without_rule)
    _expect_tasks(rule, shuffled)
    expect(
        abs(_norm(unknown) / _norm(known) - 1) > 5e-3,
        f"both runs hold the norm {_norm(known):.4g}. Shuffled labels have a smallest norm of their own; take 1.5 "
        "times that.",
    )
    begun, right, left = float(known.test_accuracy[0]), float(known.means(2)[1]), float(unknown.means(2)[1])
    expect(
        begun < _guessed(rule),
        f"the run of `with_rule` has a share of {begun:.2g} right before it moves, so that it cannot leave chance. "
        "Begin where Eq. 20 comes down to the norm.",
    )
    _expect_held("with_rule", rule, known)
    expect(
        right > _guessed(rule),
        f"in its second half the run of `with_rule` has a share of {right:.2g} right, hardly more than by chance. As "
        "long as it stays there, your no means nothing: let the motion run longer.",
    )
    expect(
        len(unknown.time) >= len(known.time),
        f"the run of `without_rule` has {len(unknown.time)} records, that of `with_rule` {len(known.time)}: give it "
        "as long to leave chance.",
    )
    _expect_held("without_rule", shuffled, unknown)
    expect(left < _guessed(shuffled), f"with shuffled labels a share of {left:.2g} is right, which is not chance.")
    return "Within as many steps the run with the rule leaves chance, and that without does not."
