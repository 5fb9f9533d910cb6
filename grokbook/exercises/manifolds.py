"""Checks of the exercises of *Manifolds*."""

import math

import torch

from grokbook.exercises.answers import check, expect, function, number

ON_AXES = [(1.0, 0.0), (0.0, -2.0)]
POINTS = [(0.3, 0.4), (-0.1, 2.0), (1.9, -0.1), (1.3, 0.7), (-2.5, 1.0)]  # in the evolute or not, in the ellipse or not


def _gap_along(a, b):
    """The gap from the ellipse to (a, b), along the tangent of the ellipse, once around it. -> (4000,)"""
    t = (torch.arange(4000, dtype=torch.float64) + 0.5) * (2 * math.pi / 4000)
    point, tangent = torch.stack([2 * t.cos(), t.sin()]), torch.stack([-2 * t.sin(), t.cos()])
    return ((torch.tensor([[a], [b]], dtype=torch.float64) - point) * tangent).sum(0)


def _normals(a, b):
    signs = _gap_along(a, b).sign()
    return int((signs != signs.roll(1)).sum())


def _near_the_evolute():
    """Points on both sides of it, near enough to tell it from other curves. -> a list of (a, b)"""
    angle = 2 * math.pi * torch.rand(12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    evolute = torch.stack([1.5 * angle.cos() ** 3, 3 * angle.sin() ** 3], 1)
    return torch.cat([0.9 * evolute, 1.1 * evolute]).tolist()


@check
def check_ellipse(normals):
    """normals(a, b): how many normals of the ellipse x²/4 + y² = 1 pass through the point (a, b)."""
    normals = function("normals", normals)
    points = POINTS + _near_the_evolute()
    found = [number("normals(...)", normals(a, b)) for a, b in points]
    wanted = [_normals(a, b) for a, b in points]
    expect(
        found != [count / 2 for count in wanted],
        "your counts are half of what they should be. A normal meets the ellipse where the distance is stationary: "
        "count where it is largest as well, and go around once, to t = 2π.",
    )
    expect(
        found != [6 - count for count in wanted],
        "you have inside and outside of the evolute the wrong way round. From a point far away, only the nearest and "
        "the farthest point of the ellipse are stationary.",
    )
    expect(
        found != [4 if a**2 / 4 + b**2 < 1 else 2 for a, b in points],
        "you count four inside the ellipse and two outside it. What decides is the evolute, which leaves the ellipse "
        "at the top and at the bottom: try (0, 2) and (1.9, 0).",
    )
    for (a, b), count, right in zip(points, found, wanted, strict=True):
        expect(
            count % 2 == 0,
            f"normals({a:.3g}, {b:.3g}) is {count:g}. Around a closed curve the distance rises as often as it falls, "
            "so that the number is even. Is the change between the last and the first t counted, and counted once?",
        )
        expect(
            count == right,
            f"normals({a:.3g}, {b:.3g}) is {count:g}, but there the gap, along the tangent, changes sign {right} times "
            "in one turn. The squared distance is (2 cos t − a)² + (sin t − b)².",
        )
    for a, b in ON_AXES:
        count = number("normals(...)", normals(a, b))
        expect(
            count == _normals(a, b),
            f"normals({a}, {b}) is {count:g}; {_normals(a, b)} is right. The point is on an axis, so that a normal "
            "meets the ellipse at t = 0 or t = π/2. If that t is on your grid, its zero may count twice: shift the "
            "grid a little.",
        )
    return "Inside the evolute there are two normals more than outside it."
