import math
import re

import nbval.plugin
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import chapters
from claims import stored_claims
from grokbook.display import claims
from grokbook.display.claims import claim, in_a_terminal, note


def test_a_claim_that_holds_is_one_line(capsys):
    claim("seven is large", 7.04, above=5, source="this book", unit="m")
    assert capsys.readouterr().out == "✓ seven is large · measured\xa07.0\xa0m, asked >\xa05\xa0m · this book\n"


def test_a_claim_that_does_not_reproduce_says_so(capsys):
    claim("seven is large", 3.0, above=5, source="Fig. 1", reproduces=False)
    assert capsys.readouterr().out == "✗ does not hold: seven is large · measured\xa03, asked >\xa05 · Fig. 1\n"


def test_a_control_stands_beside_the_value(capsys):
    claim("most are right", 97.2, above=90, unit="%", source="this book", controls={"a random start": 4.31})
    line = "✓ most are right · measured\xa097\xa0%, asked >\xa090\xa0% (a random start: measured\xa04.3\xa0%)"
    assert capsys.readouterr().out == f"{line} · this book\n"


def test_a_control_that_meets_the_condition_makes_the_claim_fail():
    controls = {"random labels": 3, "a random start": 91.5}
    with pytest.raises(AssertionError, match=r"says nothing: a random start has 91.5, and meets >\xa090"):
        claim("most are right", 97.2, above=90, source="this book", controls=controls)


@pytest.mark.parametrize(
    ("measured", "arguments"),
    [(True, {}), (3.0, dict(above=5, reproduces=False))],
)
def test_controls_need_a_number_that_holds(measured, arguments):
    with pytest.raises(ValueError, match="controls"):
        claim("no", measured, source="this book", controls={"a random start": 1.0}, **arguments)


def test_a_control_must_be_finite():
    with pytest.raises(ValueError, match="the control 'a random start' must be finite, got nan"):
        claim("no", 6.0, above=5, source="this book", controls={"a random start": math.nan})


def test_a_statement_without_a_number_shows_none(capsys):
    claim("it is refused", True, source="this book")
    assert capsys.readouterr().out == "✓ it is refused · this book\n"


def test_a_note_claims_nothing(capsys):
    note("the run took", 3.456, unit="s")
    assert capsys.readouterr().out == "· the run took · measured\xa03.5\xa0s\n"


@pytest.mark.parametrize(
    ("measured", "condition"),
    [(4.0, dict(above=5)), (6.0, dict(below=5)), (6.2, dict(near=5, within=1)), (False, {}), (5.0, dict(below=5))],
)
def test_a_claim_that_fails_raises_with_the_measured_value(measured, condition):
    with pytest.raises(AssertionError, match=str(measured)):
        claim("no", measured, source="this book", **condition)


def test_a_failure_that_turns_out_to_hold_raises():
    with pytest.raises(AssertionError, match="that it fails"):
        claim("no", 6.0, above=5, source="this book", reproduces=False)


def test_all_conditions_must_hold():
    with pytest.raises(AssertionError):
        claim("between", 9.0, above=5, below=8, source="this book")


@pytest.mark.parametrize("value", [math.nan, math.inf, torch.tensor(math.nan), np.float64("nan")])
def test_no_claim_on_what_is_not_finite(value):
    with pytest.raises(ValueError, match=r"measured value must be finite, got (nan|inf)"):
        claim("no", value, below=1, source="this book")
    with pytest.raises(ValueError, match="finite"):
        note("no", value)


@pytest.mark.parametrize("name", ["near", "within", "below", "above"])
@pytest.mark.parametrize("reproduces", [True, False])
@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_no_bound_that_is_not_finite(name, reproduces, value):
    bounds = {"near": 1.0, "within": 1.0} if name in ("near", "within") else {}
    with pytest.raises(ValueError, match=f"bound {name} must be finite, got"):
        claim("no", 3.0, source="this book", reproduces=reproduces, **{**bounds, name: value})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no condition"),
        ({"near": 1.0}, "go together"),
        ({"within": 1.0}, "go together"),
        ({"near": 1.0, "within": -1.0}, "no number meets"),
        ({"above": 2, "below": 1}, "no number meets"),
        ({"below": torch.zeros(2)}, r"bound below must be one number, got shape \(2,\)"),
        ({"below": "1 m"}, "bound below must be a number, got '1 m'"),
    ],
)
def test_a_claim_needs_a_condition_that_can_be_met(arguments, message):
    with pytest.raises(ValueError, match=message):
        claim("no", 1.0, source="this book", **arguments)


@pytest.mark.parametrize("name", ["statement", "source"])
@pytest.mark.parametrize("text", ["", "  ", None])
def test_a_claim_says_what_and_who(name, text):
    with pytest.raises(ValueError, match=f"needs a {name}, got"):
        claim(**{"statement": "yes", "measured": True, "source": "this book", name: text})


def test_a_bool_takes_no_bound():
    with pytest.raises(ValueError, match="takes no bound"):
        claim("no", True, below=1, source="this book")


@pytest.mark.parametrize("value", [torch.zeros(3), np.zeros((2, 2)), torch.zeros(0)])
def test_a_claim_measures_one_number(value):
    with pytest.raises(ValueError, match=r"must be one number, got shape \("):
        claim("no", value, below=1, source="this book")


@pytest.mark.parametrize("value", [None, "seven", [1.0, 2.0]])
def test_a_claim_measures_a_number(value):
    with pytest.raises(ValueError, match="must be a number"):
        claim("no", value, below=1, source="this book")


@pytest.mark.parametrize("measured", [torch.tensor(True), torch.tensor(2.0) == 2, np.float64(1) < 2])
def test_the_bool_of_a_comparison_is_refused(measured):
    with pytest.raises(ValueError, match="which a comparison made; give the number"):
        claim("no", measured, source="this book")


@pytest.mark.parametrize("one", [torch.ones(1, 1), torch.tensor(1), np.array([1.0]), np.float32(1), 1])
def test_every_kind_of_number_is_taken(one, capsys):
    claim("one", one, near=1, within=0, source="this book")
    assert "measured\xa01, asked =\xa01 " in capsys.readouterr().out


# --- what is shown ---


@pytest.mark.parametrize(
    ("value", "bounds", "shown"),
    [
        (0.69314, {}, "0.69"),
        (287.4, {}, "287"),
        (1e-9, {}, "10⁻⁹"),
        (3.14e-15, {}, "3.1·10⁻¹⁵"),
        (-0.0, {}, "0"),
        (640.0, {}, "640"),
        (12345678.0, {}, "1.2·10⁷"),
        (-2.5e-7, {}, "-2.5·10⁻⁷"),
        (1.1004, {"above": 1.1}, "1.1004"),
        (0.99996, {"below": 1}, "0.99996"),
        (0.04996, {"above": 0.05}, "0.04996"),
        (3.15, {"near": 3.14, "within": 0.02}, "3.15"),
        (5.0, {"below": 5}, "5"),
        (426.5, {"below": 426}, "426.5"),
        (0.5 + 1e-16, {"near": 0.5, "within": 0.01}, "0.50"),
    ],
)
def test_a_value_shows_the_digits_that_its_verdict_needs(value, bounds, shown):
    assert claims._shown(value, bounds, "") == shown


def number(text):
    """The number that a text shows."""
    if "10" in text and (match := re.fullmatch(r"(?:([-\d.]+)·)?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", text)):
        power = match[2].translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
        return float(f"{match[1] or 1}e{power}")
    return float(text)


@given(st.floats(-1e8, 1e8), st.floats(-1e8, 1e8), st.sampled_from(["below", "above"]))
def test_the_shown_value_has_the_verdict_of_the_exact_one_and_differs_from_its_bound(value, bound, name):
    shown = number(claims._shown(value, {name: bound}, ""))
    assert shown == pytest.approx(value, rel=0.05, abs=1e-300)
    assert claims._holds(shown, {name: bound}) == claims._holds(value, {name: bound})
    assert shown != bound or value == bound


# --- what a terminal shows of the mathematics ---


@pytest.mark.parametrize(
    ("markdown", "terminal"),
    [
        (r"$\lVert\theta\rVert^2 \le \lambda^{-1}$ holds", "‖θ‖² ≤ λ⁻¹ holds"),
        (r"$\sigma_{\min}(J)$ at $d_h = 48$", "σₘᵢₙ(J) at dₕ = 48"),
        (r"$\tfrac12\lambda$, $\frac{a}{b}$ and $\sqrt{2}$", "1/2λ, a/b and √(2)"),
        (r"$H^\top H$, $e^{-4t}$, $\theta_\lambda$", "Hᵀ H, e⁻⁴ᵗ, θ_λ"),
        (r"$2\Lambda/s$", "2Λ/s"),
        ("5 $ and no formula", "5 $ and no formula"),
        (r"$\Delta\theta\,\mathrm{d}t$, $p^{-1/2}$", "Δθdt, p^(-1/2)"),
    ],
)
def test_a_terminal_shows_mathematics_in_unicode(markdown, terminal):
    assert in_a_terminal(markdown) == terminal


def test_no_statement_of_the_book_shows_tex_in_a_terminal():
    records = [record for path in chapters.notebooks() for record in stored_claims(chapters.read(path))]
    shown = [in_a_terminal(record["statement"]) for record in records]
    assert len(shown) > 100
    assert not [text for text in shown if re.search(r"[\\{}$]", text)]


# --- what is stored, and what the tests compare ---


def displayed(monkeypatch, *arguments, **options):
    kept = []
    monkeypatch.setattr(claims, "display", lambda record, metadata: kept.append((record, metadata["grokbook"])))
    claim(*arguments, **options)
    return kept[0]


def test_the_record_holds_the_exact_value(monkeypatch):
    _, stored = displayed(monkeypatch, "value", 0.123456789, above=0, source="Thm 4.14", unit="s")
    assert stored == {
        "statement": "value",
        "source": "Thm 4.14",
        "measured": 0.123456789,
        "unit": "s",
        "shown": "0.12\xa0s",
        "condition": ">\xa00\xa0s",
        "controls": {},
        "reproduces": True,
    }


def compared(record):
    """The texts of a claim as nbval compares them."""
    text = (chapters.ROOT / "tests" / "nbval.cfg").read_text(encoding="utf-8")
    texts = [repr(record), record._repr_markdown_()]
    for pattern, replacement in nbval.plugin.get_sanitize_patterns(text):
        texts = [re.sub(pattern, replacement, text) for text in texts]
    return texts


@pytest.mark.parametrize("values", [(3.1e-15, 0), (0.97, 1), (287.4, 1.1e9), (-2, 31.4159)])
def test_measured_values_are_not_compared(monkeypatch, values):
    one, other = (displayed(monkeypatch, "a", value, below=1e12, source="Eq. 1", unit="s")[0] for value in values)
    assert repr(one) != repr(other)
    assert compared(one) == compared(other)


def test_what_a_claim_says_is_compared(monkeypatch):
    options = {"statement": "a is 3", "measured": 2, "below": 4, "source": "Eq. 1", "unit": "s"}
    texts = compared(displayed(monkeypatch, **options)[0])
    changes = [{"statement": "a is 4"}, {"below": 5}, {"source": "Eq. 2"}, {"unit": "m"}]
    changes.append({"below": 1, "reproduces": False})
    for change in changes:
        assert all(a != b for a, b in zip(texts, compared(displayed(monkeypatch, **options | change)[0]), strict=True))
