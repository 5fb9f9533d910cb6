"""Checks of the exercises of *What a run costs*."""

import torch

from grokbook.exercises.answers import check, expect, function, number
from grokbook.isolated import initial_embedding, simulate, velocity
from grokbook.tasks import modular_addition

STEP = 1e-3  # Section 7.3
P, FRACTION = 37, 0.7  # Section 7.3


@check
def check_apart(apart):
    """apart(task, E, steps, **options): by how much, relatively, the options change R along an adaptive run."""
    apart, generator = function("apart", apart), torch.Generator().manual_seed(1)
    task, steps = modular_addition(11, FRACTION, generator), 500
    E = initial_embedding(11, 64, generator)

    def costs(**options):
        common = dict(method="adaptive", record_every=50, progress=False)
        return simulate(E, task, STEP, steps, **common, **options).cost.double()

    plain = costs()
    for options, allowed in ((dict(tolerance=2e-2), 0.03), (dict(dtype=torch.float32), 0.5)):
        found = number("apart(...)", apart(task, E, steps, **options))
        other = costs(**options)
        change = (other / plain - 1)[1:]
        right, case = float(change.abs().mean()), f"apart(task, E, {steps}, {_written(options)}) is {found:.3g}"
        expect(
            abs(found) > 1e-3 * right,
            f"{case}, which is nothing but the rounding of a number, if that. Does the option reach the run itself?",
        )
        wrong = abs(found / right - 1) > allowed
        known = {
            100 * right: "That is in per cent. Give the share.",
            float(change.abs().max()): "That is the largest difference. Give the mean.",
            float(change[-1].abs()): "That is the difference at the end. Give the mean along the path.",
            float(change.abs().sum() / len(plain)): "The start, where both agree, is no record to count.",
            float((other - plain)[1:].abs().mean()): "That is the difference of the costs. Divide by the cost.",
            float(change.mean()): "Differences of both signs cancel in it. Take absolute values first.",
        }
        for value, hint in known.items():
            expect(not wrong or abs(found / value - 1) > 1e-3, f"{case}. {hint}")
        expect(
            not wrong,
            f"{case}, where R differs by {right:.3g} on average from the run without the option, over {steps} steps "
            'with method="adaptive", recorded every 50. Is all else the same in both runs?',
        )
    return "Here, too, rounding changes less than the tolerance does."


def _written(options):
    return ", ".join(f"{name}={value}" for name, value in options.items())


def _first_step(d_hidden, scale=None):
    """The length of the first printed step over that of E at the paper's size, the longest of three seeds."""
    found = []
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        task = modular_addition(P, FRACTION, generator)
        E = initial_embedding(P, d_hidden, generator, scale)
        found.append(float(STEP * velocity(E, task).norm() / E.norm()))
    return max(found)


@check
def check_width(width):
    """The least number of hidden units with which the first step of Fig. 6 is below a hundredth of ‖E‖."""
    width = round(number("width", width))
    pairs = int(FRACTION * P * (P + 1) / 2)
    expect(width > 10, f"`width` is {width}. The number of hidden units is asked for, not its ratio to the pairs.")
    expect(width > pairs, f"`width` is {width}. Eq. 20 needs more hidden units than the {pairs} training pairs.")
    expect(width < 4000, f"`width` is {width}, far more than is needed: try twice as many units as pairs.")
    wider, narrower, case = width + 12, max(width - 25, pairs + 1), f"with {width} hidden units the first step is"
    short = _first_step(wider) < 0.01
    if not short:
        variance = P**-0.25
        expect(
            not _first_step(wider, variance) < 0.01 <= _first_step(narrower, variance),
            f"{case} a hundredth of ‖E‖ if p⁻¹ᐟ² is read as a variance. As a standard deviation it gives a step of "
            f"{_first_step(width):.2g} of ‖E‖.",
        )
    expect(short, f"{case} still {_first_step(width):.2g} of ‖E‖ long.")
    expect(
        _first_step(narrower) > 0.01,
        f"{case} below a hundredth of ‖E‖, and with {narrower} it is {_first_step(narrower):.2g} and still below. "
        "Where does it cross?",
    )
    return "Nearly half as many units again as there are pairs."
