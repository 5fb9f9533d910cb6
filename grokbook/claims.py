"""Statements that are measured: asserted when a chapter runs, printed on one stable line, collected in claims.md."""

import math
from dataclasses import asdict, dataclass

from IPython.display import display


@dataclass(frozen=True, repr=False)
class Claim:
    """A measured statement: who says it, what was measured, the condition, and whether the statement reproduces."""

    statement: str
    source: str
    measured: float | bool
    shown: str
    condition: str
    reproduces: bool
    printed: bool = True

    def __repr__(self):
        verdict = "✓" if self.reproduces else "✗ does not reproduce:"
        measured = f"  ({self.shown})" if self.printed else ""
        return f"{verdict} {self.statement}{measured}"


def claim(statement, measured, *, source, near=None, within=None, below=None, above=None, reproduces=True, digits=2):
    """Assert that a measured value meets its condition, print the statement on one line and record it.

    measured: a number, a 0-d tensor, or a bool that must be True. Conditions, all of which must hold: `near` with
    `within` (|measured - near| <= within), `below` (<), `above` (>). `source` says who makes the statement ("Thm 4.14",
    "this book"). `reproduces=False` asserts the opposite: the statement was measured and fails. The value is shown with
    `digits` significant digits, or not at all for digits=None, where its last digits depend on the processor; the exact
    one is stored in the output's metadata in any case.

    Raises AssertionError when the measurement disagrees, ValueError for a value that is not finite or no condition.
    """
    value = measured if isinstance(measured, bool) else _number(measured)
    conditions = _conditions(value, near, within, below, above)
    holds = all(met for _, met in conditions)
    condition = " and ".join(text for text, _ in conditions)
    if holds != reproduces:
        expected = condition if reproduces else f"that it fails: not ({condition})"
        raise AssertionError(f"{statement!r}: measured {value}, expected {expected}")
    printed = digits is not None and not isinstance(value, bool)
    record = Claim(statement, source, value, _shown(value, digits or 2), condition, reproduces, printed)
    display(record, metadata={"grokbook": asdict(record)})


def _number(measured):
    if hasattr(measured, "numel") and measured.numel() != 1:
        raise ValueError(f"a claim measures one number, got shape {tuple(measured.shape)}; take its max, min or all()")
    item = measured.item() if hasattr(measured, "item") else measured
    if isinstance(item, bool):
        return item
    value = float(item)
    if not math.isfinite(value):
        raise ValueError(f"a claim needs a finite number, got {value}; find where it was born")
    return value


def _conditions(value, near, within, below, above):
    """The pairs (text, met) of all conditions that were given."""
    if (near is None) != (within is None):
        raise ValueError(f"near={near} and within={within} go together; give both or neither")
    conditions = []
    if near is not None:
        conditions.append((f"= {near:.6g} ± {within:.3g}", abs(value - near) <= within))
    if below is not None:
        conditions.append((f"< {below:.6g}", value < below))
    if above is not None:
        conditions.append((f"> {above:.6g}", value > above))
    if isinstance(value, bool):
        if conditions:
            raise ValueError(f"measured={value} is a bool and takes no near, below or above")
        conditions.append(("true", value))
    if not conditions:
        raise ValueError(f"measured={value} has no condition; give near and within, below, or above")
    return conditions


def _shown(value, digits):
    if isinstance(value, bool):
        return "yes" if value else "no"
    rounded = float(f"{value:.{digits}g}")
    if rounded == 0 or 1e-3 <= abs(rounded) < 10**digits:
        decimals = max(digits - 1 - math.floor(math.log10(abs(rounded))), 0) if rounded else 0
        return f"{rounded:.{decimals}f}"
    if 10**digits <= abs(rounded) < 1e6:
        return f"{rounded:.0f}"
    return f"{value:.{digits - 1}e}"
