"""Statements that are measured: asserted when a chapter runs, shown on one line each, collected in claims.md."""

import math
import re
import unicodedata
from dataclasses import asdict, dataclass

from IPython.display import display

# Measured values differ between processors in their last digits, so tests show them and never compare them. They find
# them behind this mark, which ends in a space that does not break; tests/nbval.cfg knows it.
MEASURED = "measured\N{NO-BREAK SPACE}"

# What a terminal shows for the TeX that statements use. Greek letters go by their names in Unicode.
_SIGNS = {
    **{"le": "≤", "ge": "≥", "ne": "≠", "ll": "≪", "gg": "≫", "approx": "≈", "sim": "~", "propto": "∝", "in": "∈"},
    **{"to": "→", "infty": "∞", "pm": "±", "times": "×", "cdot": "·", "odot": "⊙", "perp": "⊥", "angle": "∠"},
    **{"lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|", "langle": "⟨", "rangle": "⟩", "dots": "…", "ell": "ℓ"},
    **{"nabla": "∇", "partial": "∂", "sum": "Σ", "top": "ᵀ", "varepsilon": "ε", "varphi": "φ"},
    **{"lambda": "λ", "Lambda": "Λ"},  # Unicode spells it lamda
    **dict.fromkeys(["left", "right", "mathrm", "operatorname", "text", "mathbf", "boldsymbol", "bigl", "bigr"], ""),
}
_RAISED = str.maketrans("0123456789+-ntkipᵀ", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿᵗᵏⁱᵖᵀ")
_LOWERED = str.maketrans("0123456789+-aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")


@dataclass(frozen=True, repr=False)
class Claim:
    """A measured statement: who says it, what was measured, the condition, and whether the statement reproduces."""

    statement: str
    source: str
    measured: float | bool
    unit: str
    shown: str
    condition: str
    controls: dict[str, str]
    reproduces: bool

    def __repr__(self):
        return in_a_terminal(self._repr_markdown_())

    def _repr_markdown_(self):
        verdict = "✓" if self.reproduces else "✗ does not hold:"
        value = "" if isinstance(self.measured, bool) else f" · {MEASURED}{self.shown}, asked {self.condition}"
        beside = "; ".join(f"{name}: {MEASURED}{shown}" for name, shown in self.controls.items())
        return f"{verdict} {self.statement}{value}{beside and f' ({beside})'} · {self.source}"


@dataclass(frozen=True, repr=False)
class Note:
    """A measured number that nothing is claimed of, such as a time."""

    text: str
    shown: str

    def __repr__(self):
        return in_a_terminal(self._repr_markdown_())

    def _repr_markdown_(self):
        return f"· {self.text} · {MEASURED}{self.shown}"


def claim(
    statement,
    measured,
    *,
    source,
    near=None,
    within=None,
    below=None,
    above=None,
    unit="",
    controls=None,
    reproduces=True,
):
    """Assert that a measured value meets its condition, show the statement on one line and record it.

    statement: Markdown with mathematics in `$...$`; a terminal shows it in Unicode. measured: a number, or a bool for a
    statement without a number, which must be True. Conditions, all of which must hold: `near` with `within`
    (|measured - near| <= within; 0 asks for equality), `below` (<), `above` (>), in the same `unit` as the value.
    `source` says who makes the statement ("Thm 4.14", "this book"). `reproduces=False` asserts the opposite: the
    statement was measured and fails. The value is shown with as many digits as its verdict needs, and at least two; the
    exact one is stored in the output's metadata.

    `controls` shows that the statement could have failed: a dictionary such as `{"a random start": value}` of the same
    quantity where it should not meet the condition. Each is asserted to miss it, and shown beside the value.

    Raises AssertionError when the measurement disagrees, or a control meets the condition; ValueError for an empty
    statement or source, a value, bound or control that is not one finite number, no condition or one that nothing can
    meet, controls of a statement that has no number or does not reproduce, and a bool that a comparison made.
    """
    for name, text in {"statement": statement, "source": source}.items():
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"a claim needs a {name}, got {text!r}; say what is claimed and who says it")
    value = measured if isinstance(measured, bool) else _number(measured, "a claim's measured value")
    bounds = {"near": near, "within": within, "below": below, "above": above}
    bounds = {name: _number(bound, f"the bound {name}") for name, bound in bounds.items() if bound is not None}
    controls = {name: _number(control, f"the control {name!r}") for name, control in (controls or {}).items()}
    _check(value, bounds)
    condition = _condition(bounds, unit)
    if controls and (isinstance(value, bool) or not reproduces):
        raise ValueError(f"{statement!r} has controls {controls}, which need a number and a statement that holds")
    if _holds(value, bounds) != reproduces:
        expected = condition if reproduces else f"that it fails: not ({condition})"
        raise AssertionError(f"{statement!r}: measured {value}, expected {expected}")
    for name, control in controls.items():
        if _holds(control, bounds):
            raise AssertionError(f"{statement!r} says nothing: {name} has {control}, and meets {condition} too")
    beside = {name: _shown(control, bounds, unit) for name, control in controls.items()}
    record = Claim(statement, source, value, unit, _shown(value, bounds, unit), condition, beside, reproduces)
    display(record, metadata={"grokbook": asdict(record)})


def note(text, measured, *, unit=""):
    """Show a measured number that nothing is claimed of, such as the seconds that a cell took.

    text: Markdown as for `claim`. Raises ValueError for a value that is not one finite number.
    """
    display(Note(text, _shown(_number(measured, "a note's value"), {}, unit)))


def in_a_terminal(text):
    """Markdown with the mathematics in `$...$` written out in Unicode, as a terminal shows it."""
    return re.sub(r"\$([^$]+)\$", lambda match: _unicode(match[1]), text)


def _unicode(tex):
    """A short formula: letters, signs, fractions and roots; powers and indices where Unicode has small characters."""
    tex = re.sub(r"\\[dt]?frac(?:\{([^{}]*)\}\{([^{}]*)\}|(\d)(\d))", r"\1\3/\2\4", tex)
    tex = re.sub(r"\\sqrt\{([^{}]*)\}", r"√(\1)", tex)
    tex = re.sub(r"\\([,;: !])", lambda match: " " if match[1] in ";: " else "", tex)
    tex = re.sub(r"\\([a-zA-Z]+)", lambda match: _sign(match[1]), tex)
    tex = re.sub(r"([\^_])(?:\{([^{}]*)\}|(.))", lambda match: _small(match[1], match[2] or match[3]), tex)
    return tex.translate(str.maketrans("", "", "{}\\"))


def _sign(name):
    kind = "SMALL" if name.islower() else "CAPITAL"
    try:
        return _SIGNS[name] if name in _SIGNS else unicodedata.lookup(f"GREEK {kind} LETTER {name}")
    except KeyError:
        return name


def _small(mark, characters):
    """A power or an index in small characters if all of it has them, with its mark otherwise."""
    table = _RAISED if mark == "^" else _LOWERED
    if all(ord(character) in table for character in characters):
        return characters.translate(table)
    return mark + (characters if len(characters) == 1 else f"({characters})")


def _number(value, what):
    """One finite float; what a comparison of tensors or arrays returns is refused, because it hides the numbers."""
    if math.prod(shape := tuple(getattr(value, "shape", ()))) != 1:
        raise ValueError(f"{what} must be one number, got shape {shape}; take its max, its min or a mean")
    item = value.item() if hasattr(value, "item") else value
    if isinstance(item, bool):
        raise ValueError(f"{what} is {item}, which a comparison made; give the number that was compared, and its bound")
    try:
        number = float(item)
    except (TypeError, ValueError):
        raise ValueError(f"{what} must be a number, got {value!r}") from None
    if not math.isfinite(number):
        raise ValueError(f"{what} must be finite, got {number}; find where it was born")
    return number


def _check(value, bounds):
    """Refuse a bool with bounds, a number without any, and bounds that no number meets."""
    if isinstance(value, bool):
        if bounds:
            raise ValueError(f"measured={value} is a bool and takes no bound, got {bounds}; give the number instead")
        return
    if not bounds:
        raise ValueError(f"measured={value} has no condition; give near and within, below, or above")
    if ("near" in bounds) != ("within" in bounds):
        raise ValueError(f"near and within go together, got {bounds}; within=0 asks for equality")
    if bounds.get("within", 0) < 0 or bounds.get("above", -math.inf) >= bounds.get("below", math.inf):
        raise ValueError(f"no number meets {bounds}; exchange above and below, or give within >= 0")


def _holds(value, bounds):
    if isinstance(value, bool):
        return value
    return (
        ("near" not in bounds or abs(value - bounds["near"]) <= bounds["within"])
        and value < bounds.get("below", math.inf)
        and value > bounds.get("above", -math.inf)
    )


def _condition(bounds, unit):
    """What was asked, in words: `= 2 ± 0.1`, `> 3 and < 4`; `true` without bounds."""
    texts = []
    if "near" in bounds:
        tolerance = f" ± {_bound(bounds['within'])}" if bounds["within"] else ""
        texts.append(f"= {_bound(bounds['near'])}{tolerance}")
    texts += [f"{sign} {_bound(bounds[name])}" for name, sign in (("above", ">"), ("below", "<")) if name in bounds]
    return " and ".join((text + _behind(unit)).replace(" ", "\N{NO-BREAK SPACE}") for text in texts) or "true"


def _shown(value, bounds, unit):
    """The value to the fewest digits, at least two, that leave its verdict as it is and tell it from a strict bound."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    different = {bounds[name] for name in ("below", "above") if name in bounds and bounds[name] != value}
    for digits in range(2, 17):
        rounded = float(_rounded(value, digits))
        if _holds(rounded, bounds) == _holds(value, bounds) and rounded not in different:
            break
    return _text(value, digits) + _behind(unit)


def _behind(unit):
    return f"\N{NO-BREAK SPACE}{unit}" if unit else ""


def _text(value, digits):
    """A number to so many significant digits; whole ones below a million in full, large and small ones as 3·10⁻⁹."""
    text = _rounded(value, digits)
    return _scientific(text) if "e" in text else text


def _rounded(value, digits):
    """The text of `_text` in Python's own notation."""
    scientific = f"{value:.{digits - 1}e}"
    power = int(scientific.split("e")[1])
    if abs(value) < 1e6 and value == round(value):
        return f"{abs(value) if value == 0 else value:.0f}"
    return f"{value:.{max(digits - 1 - power, 0)}f}" if -4 < power < 6 else scientific


def _bound(value):
    """A bound as it was written, up to six digits."""
    text = _text(value, 6)
    return text.rstrip("0").rstrip(".") if "." in text and "·" not in text else text


def _scientific(text):
    """3.00e-09 as 3·10⁻⁹."""
    mantissa, power = text.split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    small = str(int(power)).translate(_RAISED)
    return f"10{small}" if mantissa == "1" else f"{mantissa}·10{small}"
