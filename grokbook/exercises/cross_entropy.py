"""Checks of the exercises of *Cross-entropy*."""

import torch

from grokbook.cross_entropy import largest_decay, settle
from grokbook.exercises.answers import array, check, expect, function
from grokbook.network import TwoLayer
from grokbook.tasks import modular_addition

TOLERANCE = 0.05  # steps of descent beside the flow


def _near(values, others):
    return bool(((values / others - 1).abs() < TOLERANCE).all())


@check
def check_dies(falls):
    """falls(network, task, times, decay, theta): at which rates ‖θ‖² falls from one time to the next. -> (k - 1,)."""
    falls = function("falls", falls)
    generator = torch.Generator().manual_seed(0)
    task = modular_addition(5, 0.8, generator)
    network = TwoLayer(task.X_train, 16, 5)
    theta, limit = 0.2 * network.initial(generator), largest_decay(task)
    for factor, times in ((1.3, [0, 1, 3, 6]), (2, [0, 3, 5])):
        points = settle(network, task, times, factor * limit, theta).points
        logarithms, spans = points.square().sum(1).log(), torch.tensor(times).double().diff()
        rates = -logarithms.diff() / spans
        found = array("falls(...)", falls(network, task, times, factor * limit, theta.clone()), len(spans))
        case = f"for {factor:g} λ₁ and the times {times} your rates are {[round(rate, 3) for rate in found.tolist()]}"
        expect(not _near(-found, rates), f"{case}. What falls has a positive rate of fall.")
        expect(not _near(2 * found, rates), f"{case}, half of what they are: the norm's, and not its square's.")
        expect(not _near(found, rates * spans), f"{case}. Divide how much the logarithm falls by the time it takes.")
        expect(
            not _near(found, (logarithms[0] - logarithms[1:]) / spans.cumsum(0)),
            f"{case}, all counted from the start. Begin each where the last one ends.",
        )
        least = 2 * (1 - 1 / factor)
        expect(
            bool((found > 1.001 * least).all()),
            f"{case}. By the proof none is below 2(1 - λ₁/λ) = {least:.3g}, and the network need not die so slowly: "
            "measure its rates.",
        )
        apart = int((found / rates - 1).abs().argmax())
        expect(
            _near(found, rates),
            f"{case}; from {times[apart]} to {times[apart + 1]} the logarithm of ‖θ‖² falls by {rates[apart]:.3g} a "
            "unit of T.",
        )
    return "None is below 2(1 - λ₁/λ)."
