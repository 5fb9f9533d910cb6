"""Checks of the exercises of *Eq. 20 alone*."""

import torch

from grokbook import isolated
from grokbook.exercises.answers import array, check, expect, function
from grokbook.tasks import modular_addition


@check
def check_ridge(ridge):
    """ridge(E, task, decay): the readout of Eq. 15, for any number of hidden units. -> (d_hidden, m)."""
    ridge, generator = function("ridge", ridge), torch.Generator().manual_seed(0)
    task = modular_addition(7, 0.7, generator)
    pairs, outputs = task.Y_train.shape
    for d_hidden, decay in [(30, 1.0), (12, 1.0), (12, 0.1)]:
        E = isolated.initial_embedding(7, d_hidden, generator)
        W = array("ridge(...)", ridge(E, task, decay), d_hidden, outputs)
        case = f"with {d_hidden} hidden units for {pairs} pairs and decay={decay}, your W"

        def off(other, W=W):
            return float((W - other).norm() / other.norm())

        Z = task.X_train @ E
        expect(
            off(torch.linalg.pinv(Z.relu()) @ task.Y_train) > 1e-3,
            f"{case} is H⁺Y, the readout without a decay, however large the decay is. Where does λ come in?",
        )
        linear = Z.T @ torch.linalg.solve(Z @ Z.T + decay * torch.eye(pairs), task.Y_train)
        expect(off(linear) > 1e-3, f"{case} is the readout of H = XE. The hidden layer is H = σ(XE), with ReLU.")
        for factor, words in {0.5: "half of", 2: "twice", 1 / pairs: "a share of 1/n of", pairs: "n times"}.items():
            expect(
                off(isolated.readout(E, task, decay=factor * decay)) > 1e-3,
                f"{case} is that of {words} the decay. Eq. 15 makes the plain sum ‖HW − Y‖² + λ‖W‖² smallest.",
            )
        expect(
            off(isolated.readout(E, task, decay=decay)) < 1e-5,
            f"{case} is {off(isolated.readout(E, task, decay=decay)):.2g} of its length away from the readout that "
            "makes ‖HW − Y‖² + λ‖W‖² smallest, H = σ(XE). Where its slope vanishes, (HᵀH + λI)W = HᵀY.",
        )
    return "It exists at every width; what it gives up is the exact fit."
