"""Checks of the exercises of *Circles*."""

import math

import torch

from grokbook.exercises.answers import check, expect, function, number
from grokbook.fourier import cosines, parts


def _cases():
    """Amplitudes and phases of 2000 hidden units by name."""
    generator = torch.Generator().manual_seed(0)
    amplitude, share, quarter = torch.rand(3, 2000, generator=generator, dtype=torch.float64)
    phase = 2 * math.pi * share
    quarters = (4 * quarter).floor() * math.pi / 2
    return {
        "evenly spread phases": (amplitude, phase),
        "amplitudes that are largest on the diagonals": (1.1 - (4 * phase).cos(), phase),
        "phases within 10° of the diagonals": (amplitude, quarters + math.pi / 4 + (2 * share - 1) * math.pi / 18),
        "phases at multiples of 90°": (amplitude, quarters),
    }


def _parts(amplitude, phase):
    """Re F and Im F of one frequency. (d,), (d,) -> (2, d)."""
    return parts(torch.polar(amplitude / 2, phase)[None])


def _cosine(rows):
    return float(cosines(rows)[0, 1])


@check
def check_alike(alike):
    """alike(amplitude, phase): the cosine between |Re F| and |Im F|, from each unit's amplitude and phase."""
    alike = function("alike", alike)
    for name, (amplitude, phase) in _cases().items():
        found = number("alike(...)", alike(amplitude, phase))
        both = _parts(amplitude, phase)
        right, case = _cosine(both.abs()), f"for {name}, alike(amplitude, phase) is {found:.3g}"
        wrong = abs(found - right) > 1e-4
        known = {
            _cosine(
                both
            ): "That is the cosine of Re F and Im F with their signs. Take absolute values, entry by entry.",
            _cosine(both.square()): "That is the cosine of the squares. Compare absolute values.",
            _cosine(_parts(torch.ones_like(phase), phase).abs()): "That is the value of units that are all equally "
            "strong. Multiply by the amplitudes.",
            _cosine(_parts(amplitude, phase.deg2rad()).abs()): "The phases are in radians.",
            math.acos(min(1.0, right)): "That is the angle; its cosine is asked for.",
            float(both.abs().prod(0).mean()): "That is the mean product. Divide by the lengths of the two vectors.",
        }
        for value, hint in known.items():
            expect(not (wrong and abs(found - value) < 1e-4), f"{case}. {hint}")
        expect(
            not wrong,
            f"{case}, where the vectors |Re F| and |Im F| have the cosine {right:.3g}. A unit of amplitude r and phase "
            "φ has the entry ½r exp(iφ): its two parts are in proportion to r cos φ and r sin φ.",
        )
    return "Evenly spread phases give 2/π, phases at multiples of 90° give 0."
