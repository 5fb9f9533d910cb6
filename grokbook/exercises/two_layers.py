"""Checks of the exercises of *Two layers*."""

import torch
from scipy.optimize import minimize_scalar

from grokbook import isolated
from grokbook.exercises.answers import array, check, expect, function, number
from grokbook.tasks import modular_addition


def _case():
    """A small task, and a first layer for it."""
    generator = torch.Generator().manual_seed(0)
    task = modular_addition(5, 0.8, generator)
    return task, isolated.initial_embedding(5, 24, generator, scale=0.8)


def _cost(W1, task, activation, r):
    """R/λ₁ with two decays: ‖W₁‖² + r‖W‖² with the readout of Eq. 18."""
    return W1.square().sum() + r * isolated.readout(W1, task, activation).square().sum()


def _balance(r):
    """‖W₁‖²/‖W‖² of the ReLU network that no factor on its first layer makes cheaper."""
    task, W1 = _case()
    best = minimize_scalar(lambda power: float(_cost(W1 * 10**power, task, "relu", r)), (-0.5, 0.5), tol=1e-6).x
    W1 = W1 * 10**best
    return float(W1.square().sum() / isolated.readout(W1, task, "relu").square().sum())


@check
def check_two_decays(new_velocity, balance):
    """new_velocity(W1, task, activation, r): Eq. 20 for r = λ₂/λ₁; balance(r): ‖W₁‖²/‖W‖² at rest, for ReLU."""
    new_velocity, balance = function("new_velocity", new_velocity), function("balance", balance)
    task, W1 = _case()
    for activation, r in [("gelu", 4.0), ("relu", 0.5)]:
        moving = W1.clone().requires_grad_()
        right = -torch.autograd.grad(_cost(moving, task, activation, r), moving)[0] / 2
        found = array("new_velocity(...)", new_velocity(W1.clone(), task, activation, r), *W1.shape)
        pull, case = right + W1, f"new_velocity for {activation} and r = {r:g}"
        mistakes = [
            (pull / r - W1, "does not depend on r. The readout's norm counts r times in R/λ₁."),
            (pull / r - r * W1, "has r at −W₁. The time is counted in 1/(2λ₁), so that W₁ pays rent at rate one."),
            (right / r, "is divided by r: its time is counted in 1/(2λ₂), and 1/(2λ₁) is asked for."),
            (pull - r * W1, "is r times Eq. 20: the rent of W₁ does not grow with r, its decay is λ₁."),
            (r * pull - W1, "has r²: μ and W are those of Eq. 18 whatever r is, and their product counts r times."),
            (-right, "has the opposite sign: R falls along the flow."),
            (2 * right, "is twice too fast: with the time in 1/(2λ₁) it is −∇R/(2λ₁)."),
        ]
        for mistaken, hint in mistakes:
            expect((found - mistaken).norm() > 1e-6 * right.norm(), f"{case} {hint}")
        off = float((found - right).norm() / right.norm())
        expect(off < 1e-6, f"{case} is not −∇R/(2λ₁), with R/λ₁ = ‖W₁‖² + r‖W‖²: it differs by {off:.2g} of its size.")
    for r in (4.0, 0.5):
        found, right = number("balance(...)", balance(r)), _balance(r)
        case = f"balance({r:g}) is {found:.3g}"
        expect(abs(found * right - 1) > 1e-2, f"{case}, upside down: the layer that decays faster ends smaller.")
        expect(abs(found - 1) > 1e-2, f"{case}, as with equal decays. At rest no factor on W₁ makes R smaller.")
        expect(abs(found**2 / right - 1) > 1e-2, f"{case}: that is the ratio of the norms; square it.")
        expect(
            abs(found / right - 1) < 1e-2,
            f"{case}, but the factor on W₁ that makes ‖W₁‖² + r‖W‖² smallest leaves a ratio of {right:.3g}.",
        )
    return "Rescaling the layers against each other changes no product: the function ends as before."
