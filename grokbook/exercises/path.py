"""Checks of the exercises of *Other ways down*."""

import torch
from torch.nn.functional import one_hot

from grokbook import isolated
from grokbook.eq20 import Isolated
from grokbook.exercises.answers import array, check, expect, function
from grokbook.tasks import modular_addition
from grokbook.ways import also_trained_on, descend


@check
def check_silent(silent):
    """silent(E, task): the last embedding and the readout of a way down on which no answer changes."""
    silent = function("silent", silent)
    p, d_hidden = 5, 30
    task = modular_addition(p, 0.75, torch.Generator().manual_seed(5))
    begin = isolated.initial_embedding(p, d_hidden, torch.Generator().manual_seed(0))
    W = isolated.readout(begin, task)
    found = silent(begin.clone(), task)
    expect(
        isinstance(found, tuple | list) and len(found) == 2,
        f"`silent(E, task)` returns a {type(found).__name__}; two things are asked for, the embedding and the readout.",
    )
    E, V = array("silent(E, task)[0]", found[0], p, d_hidden), array("silent(E, task)[1]", found[1], d_hidden, p)

    def outputs(X, E, W):
        return torch.relu(X @ E) @ W

    answers, kept = outputs(task.X_test, begin, W), outputs(task.X_test, E, V)
    off = float((outputs(task.X_train, E, V) - task.Y_train).abs().max())
    expect(off < 1e-5, f"a training output is off by {off:.2g} in the end. The readout has to fit the training pairs.")
    changed = float((kept - answers).abs().max())
    if changed > 1e-5:
        expect(
            (kept - task.Y_test).abs().max() > 1e-3,
            "you hold the right answers to the held-back pairs. Hold those that the network gives at the start.",
        )
        expect(
            (kept - one_hot(answers.argmax(1), p)).abs().max() > 1e-3,
            "you hold the guesses of the start, one-hot. Its answers are its outputs; hold these.",
        )
        expect(
            (V - isolated.readout(E, task)).norm() > 1e-3 * V.norm(),
            f"the outputs on held-back pairs change by up to {changed:.2g}. Your readout fits the training pairs "
            "alone; take that of the larger task, held-back pairs included.",
        )
    expect(
        changed < 1e-5,
        f"the outputs on held-back pairs change by up to {changed:.2g}. Hold them as they are at the "
        "start, all the way.",
    )
    same = also_trained_on(task, answers)
    layer = Isolated(same, begin)
    enough = descend(begin, task, lambda E, v: layer.velocity(E), strides=10).E
    lowered = float(E.norm() * V.norm() / (begin.norm() * W.norm()))
    reached = float(enough.norm() * isolated.readout(enough, same).norm() / (begin.norm() * W.norm()))
    expect(
        lowered < 1.02 * reached,
        f"no answer changes, but ‖E‖‖W‖ is {lowered:.2g} of what it was, where {reached:.2g} is within reach after ten "
        "strides. Which velocity lowers the norm of the readout that holds all answers?",
    )
    return "It goes downhill, and gives nothing away."
