"""Checks of the exercises of *The clock*."""

import math

import torch

from grokbook.exercises.answers import array, check, expect, function
from grokbook.flow import flow
from grokbook.isolated import initial_embedding, velocity
from grokbook.tasks import modular_addition


@check
def check_decayed(decayed):
    """decayed(psi, t): E(t) of Eq. 20 with z², from psi(s), its path without the decay."""
    decayed = function("decayed", decayed)
    task = modular_addition(5, 0.7, torch.Generator().manual_seed(0))
    start = initial_embedding(5, 24, torch.Generator().manual_seed(0), scale=0.5)

    def along(decay, time):
        def field(E):
            return velocity(E, task, "square") + (1 - decay) * E

        return flow(field, start, [0.0, time], method="RK45", tolerance=1e-6).end

    for t in (0.1, 0.3):
        asked = []

        def psi(s, asked=asked):
            s = float(s)
            expect(0 < s < 1e3, f"`decayed` asks for psi({s:.3g}); the path begins at s = 0 and is not needed so far.")
            asked.append(s)
            return along(0, s)

        E = array("decayed(...)", decayed(psi, t), *start.shape)
        expect(asked, "`decayed` never asks for psi(s). It is the path without the decay that E(t) is made of.")
        s, case = asked[-1], f"at t = {t} you take psi(s) at s = {asked[-1]:.4g}"
        goal = along(1, t)
        turned = float((E / E.norm() - goal / goal.norm()).norm())
        if turned > 1e-4:
            expect(abs(s / t - 1) > 1e-6, f"{case}. Without the decay the same directions come later: s is not t.")
            expect(
                abs(4 * s / math.expm1(4 * t) - 1) > 1e-6,
                f"{case}, the clock of degree 1. There its direction is {turned:.2g} away from Eq. 20's. For z², "
                "∇f has another degree.",
            )
            expect(
                abs(6 * s / math.expm1(6 * t) - 6) > 1e-6,
                f"{case}. At the start both clocks run alike, s ≈ t for small t. Which factor is missing?",
            )
        expect(
            turned < 1e-4,
            f"{case}. There its direction is {turned:.2g} away from that of Eq. 20 at t. With which speed ds/dt "
            "does exp(−t) ψ(s) solve Eq. 20, if ∇f(cE) = c⁻⁵∇f(E)?",
        )
        length = float(E.norm() / goal.norm())
        expect(
            abs(length - 1) < 1e-4,
            f"the direction is right at t = {t}, but your embedding is {length:.4g} times as long as Eq. 20's. What "
            "does the decay do to the length?",
        )
    return "One path, run through by two clocks."
