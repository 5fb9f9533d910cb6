"""Checks of the exercises of *Regularity*."""

import torch

from grokbook import linalg
from grokbook.exercises.answers import Hint, array, check, expect, function, number
from grokbook.measure import power
from grokbook.network import TwoLayer

SIDES = (0.5, 0.25, 0.125)  # of the boxes that cover the square [-1, 1]²
PSEUDOINVERSE = "HHᵀ has no inverse here, but H has a pseudo-inverse, and W = H⁺Y is the best."


def _hidden_layers():
    """A random 3 x 3 target, and hidden layers with the samples, by number, that all units take for one."""
    generator = torch.Generator().manual_seed(0)
    Y = torch.randn(3, 3, generator=generator, dtype=torch.float64)
    H = torch.randn(3, 8, generator=generator, dtype=torch.float64).relu() + 0.1
    for alike in ([0, 1], [1, 2], [0, 1, 2], []):
        made = H.clone()
        made[alike] = H[alike[:1]]
        yield made, Y, [sample + 1 for sample in alike]


@check
def check_rank(missed):
    """missed(H, Y): min ‖HW - Y‖ over readouts W, the distance from the target of what the hidden units can say."""
    missed = function("missed", missed)
    for H, Y, alike in _hidden_layers():
        try:
            found = number("missed(...)", missed(H.clone(), Y.clone()))
        except torch.linalg.LinAlgError:
            raise Hint(f"for an H with equal rows {alike} your `missed` stops: {PSEUDOINVERSE}") from None
        left = H @ linalg.min_norm(H, Y) - Y
        least = float(left.norm())
        if not alike:
            expect(
                abs(found) < 1e-4,
                f"where the rows of H are independent, your `missed` is {found:.3g}. There H has rank 3, and a readout "
                "meets every target.",
            )
            continue
        case = f"for an H with equal rows {alike} your `missed` is {found:.4g}"
        expect(abs(found / least**2 - 1) > 1e-4, f"{case}, the square of the distance that is asked for.")
        expect(abs(found / (least**2 / Y.numel()) - 1) > 1e-4, f"{case}, a mean of squares; the norm is asked for.")
        expect(
            abs(found / float(left.abs().max()) - 1) > 1e-4,
            f"{case}, the largest entry of what is left; the norm takes all entries.",
        )
        if len(alike) == 2:
            apart = float((Y[alike[0] - 1] - Y[alike[1] - 1]).norm())
            expect(
                abs(found / apart - 1) > 1e-4,
                f"{case}, the distance between the two targets. The best readout answers both with their mean.",
            )
        expect(
            abs(found / least - 1) < 1e-4,
            f"{case}, and the best readout leaves {least:.4g}: {PSEUDOINVERSE}",
        )
    return "Equal rows of H leave a distance that no readout removes."


def _share_hit(points, side):
    """The share of the boxes of [-1, 1]² that hold a point."""
    return len(torch.unique((points / side).floor(), dim=0)) / (2 / side) ** 2


@check
def check_boxes(kink_weights, kink_power):
    """Random weights of the chapter's ReLU network on a kink, and the power of the side that covers their image."""
    weights, found = array("kink_weights", kink_weights, None, 9), number("kink_power", kink_power)
    network = TwoLayer(torch.eye(2, dtype=torch.float64), 3, 1, "relu")
    on_kink = (network.preactivations(weights).abs() < 1e-12).flatten(1).sum(1)
    wrong = int((on_kink != 1).sum())
    expect(
        not wrong,
        f"each network is to have one pre-activation at 0; {wrong} of your {len(weights)} have another number, the "
        f"first of them {int(on_kink[on_kink != 1][:1].sum())}. With these inputs the pre-activations are the entries "
        "of E, the first six weights of a row.",
    )
    outputs = network.F(weights)
    inside = outputs[outputs.abs().amax(1) < 1]
    hit = _share_hit(inside, SIDES[-1])
    expect(
        hit > 0.98,
        f"you have {len(inside)} points in the square, which hit {100 * hit:.0f} % of its boxes of side {SIDES[-1]:g}. "
        "Is the rest free of the image, or missed by chance? Take ten times as many networks and see.",
    )
    covered = power(SIDES, [4 * _share_hit(inside, side) for side in SIDES])
    expect(
        abs(found - (covered - 2)) > 0.1,
        f"your power is {found:.3g}: so the number of boxes grows. Their total area is the number times the side "
        "squared.",
    )
    expect(
        abs(found - covered) < 0.05,
        f"your power is {found:.3g}; boxes with sides from {SIDES[0]:g} to {SIDES[-1]:g} over your points inside the "
        f"square have {abs(covered):.2f}. Outside the points are rare, and boxes smaller than their spacing are "
        "missed: count inside, on coarse grids.",
    )
    return "The image of the kink fills the square: its cover does not shrink."
