"""Right and wrong answers to the exercises of Part I's first chapters."""

import math

import pytest

from grokbook.exercises import play, toy_models


def sees_through(verdict, hint):
    return not verdict and hint in repr(verdict)


def test_the_power_of_the_clock():
    assert play.check_power(6)
    assert sees_through(play.check_power(4), "turns 16 times as slowly; under Eq. 20 with z² it turns 64")
    assert sees_through(play.check_power(5), "farther to turn: one more")


def delay(q, decay, step):
    return math.log(1 / (2 * q)) / (4 * step * decay)


WRONG_DELAYS = {
    "of a loss that starts along the line": (lambda q, decay, step: math.log(1 / q) / (4 * step * decay), "too late"),
    "of the distance and not its square": (lambda q, decay, step: 2 * delay(q, decay, step), "too late"),
    "a time and not steps": (lambda q, decay, step: step * delay(q, decay, step), "too early"),
    "negative": (lambda q, decay, step: -delay(q, decay, step), "is positive"),
    "a step that is not asked for": (lambda q, decay, step: delay(q, decay, 0.1), "step=0.05"),
}


def test_the_delay():
    assert toy_models.check_delay(delay)


@pytest.mark.parametrize("name", WRONG_DELAYS)
def test_wrong_delays(name):
    answer, hint = WRONG_DELAYS[name]
    assert sees_through(toy_models.check_delay(answer), hint)


def test_where_training_on_a_wrong_sample_ends():
    assert toy_models.check_wrong_sample([0.6, 1.2])
    assert sees_through(toy_models.check_wrong_sample([1, 1]), "shortest point")
    assert sees_through(toy_models.check_wrong_sample([0.5, 1]), "misses the target by 0.5")
    assert sees_through(toy_models.check_wrong_sample([3, 0]), "on the line")
