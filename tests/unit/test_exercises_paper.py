"""Right and wrong answers to the exercises of the chapters on the paper itself."""

import pytest
import torch

from grokbook.exercises import errata, referees


def sees_through(verdict, hint):
    return not verdict and hint in repr(verdict)


def projected(theta, J):
    return -theta + J.T @ torch.linalg.solve(J @ J.T, J @ theta)


def direction(theta, J):
    way = projected(theta, J)
    return way / way.norm()


WRONG_DIRECTIONS = {
    "not projected": (lambda theta, J: -theta / theta.norm(), "no tangent"),
    "nearly": (lambda theta, J: direction(theta, J) - 1e-6 * theta, "no tangent"),
    "onto the rows": (lambda theta, J: -theta - projected(theta, J), "no tangent"),
    "by the transpose": (lambda theta, J: -theta + J.T @ (J @ theta), "no tangent"),
    "uphill": (lambda theta, J: -direction(theta, J), "Is the sign right?"),
    "another tangent vector": (lambda theta, J: projected(theta.sign(), J), "best tangent vector"),
    "too long": (projected, "Eq. 28 asks for a unit vector"),
    "nothing": (lambda theta, J: 0 * theta, "points nowhere"),
    "the wrong size": (lambda theta, J: J @ theta, "has the shape"),
    "a matrix": (lambda theta, J: J, "has the shape"),
    "the pseudo-inverse as printed": (lambda theta, J: torch.linalg.inv(J.T @ J) @ J.T @ J @ theta - theta, "Not yet"),
}


def test_the_direction():
    assert errata.check_direction(direction)


@pytest.mark.parametrize("name", WRONG_DIRECTIONS)
def test_wrong_directions(name):
    answer, hint = WRONG_DIRECTIONS[name]
    assert sees_through(errata.check_direction(answer), hint)


def test_the_dimension():
    assert referees.check_dimension(lambda p, n, width: 2 * p * width - n * p - width)
    wrong = {
        "the dimension of the whole set": lambda p, n, width: 2 * p * width - n * p,
        "by the ranks of J and of the rescalings": lambda p, n, width: 2 * p * width - n - width,
        "by the ranks": lambda p, n, width: 2 * p * width - n * p - width - 1,
        "width=31": lambda p, n, width: 2 * p * width - n * p - 4 * p if width == 20 else 0,
    }
    for hint, answer in wrong.items():
        assert sees_through(referees.check_dimension(answer), hint)
