"""A zero-loss valley of two weights to drag in, live in the reader's browser."""

import json
import math

from grokbook.display import inline

# The page's SETS: the middle and the half width of each sheet, to judge a start by.
SHEETS = {
    "line": ((0.5, 0.5), 3),
    "parabola": ((0, 1), 2),
    "hyperbola": ((0, 0), 3),
    "crossing": ((0, 0), 3),
    "shifted crossing": ((1, 1), 2.2),
    "corner": ((0, 0), 3),
    "unit": ((1.4, 1.4), 1.8),
}
CONTROLS = ("set", "decay", "step", "ratio", "zoom")
LIMITS = {"decay": (0, 1), "step": (1e-4, 2), "ratio": (0.1, 1000)}


def draggable(
    name,
    set="hyperbola",
    start=(2, 0.2),
    decay=0.05,
    step=0.05,
    ratio=1,
    *,
    controls=("decay", "step"),
    names=None,
    levels="norm",
    total=False,
):
    """A sheet of two weights with a zero-loss set and a point to drag: the forces on it, and the path it takes.

    name: unique in the page; set: a name of SHEETS; start: two weights; decay: λ; step: η of gradient descent, None for
    the flow alone; ratio: how many times faster the second weight moves; controls: which of CONTROLS a reader sees;
    "zoom" shows a lens on the nearest point, without a path; names: of the two weights; levels: lines of equal "norm"
    or "loss"; total: whether the sum of the forces is drawn and the multiplier shown. Returns an HTML object. Raises
    ValueError for what the page does not know.
    """
    if set not in SHEETS:
        raise ValueError(f"set={set!r} is unknown; known are {', '.join(SHEETS)}")
    if unknown := [control for control in controls if control not in CONTROLS]:
        raise ValueError(f"controls={unknown} are unknown; known are {', '.join(CONTROLS)}")
    if levels not in ("norm", "loss"):
        raise ValueError(f'levels={levels!r} must be "norm" or "loss"')
    start = [float(weight) for weight in start]
    centre, half = SHEETS[set]
    if len(start) != 2 or not all(abs(weight - middle) <= half for weight, middle in zip(start, centre, strict=True)):
        ranges = " and ".join(f"from {middle - half:g} to {middle + half:g}" for middle in centre)
        raise ValueError(f"start={start} is not on the sheet of {set!r}; pass two weights {ranges}")
    numbers = {"decay": decay, "step": step, "ratio": ratio}
    for key, (low, high) in LIMITS.items():
        if numbers[key] is None and key == "step" and "step" not in controls:
            continue
        if numbers[key] is None or not (low <= numbers[key] <= high and math.isfinite(numbers[key])):
            raise ValueError(f"{key}={numbers[key]} must lie between {low:g} and {high:g}")
    settings = dict(set=set, start=start, **numbers, controls=list(controls), names=names, levels=levels, total=total)
    root = f"document.getElementById({json.dumps(f'valley-{name}')})"
    script = f"{_script()}new $valley_view.Valley({root}, {_data(settings)});"
    return inline.explorable("valley", name, "A zero-loss valley to drag in", script)


def _script():
    return "".join(map(inline.module, ("live", "valley", "valley_view")))


def _data(settings):
    """As JSON that cannot end its script."""
    return json.dumps(settings).replace("<", "\\u003c")
