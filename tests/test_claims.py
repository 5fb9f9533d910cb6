import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from grokbook.claims import _shown, claim


def test_a_claim_that_holds_prints_one_line(capsys):
    claim("seven is large", 7.04, above=5, source="this book")
    assert capsys.readouterr().out == "✓ seven is large  (7.0)\n"


def test_a_claim_that_does_not_reproduce_says_so(capsys):
    claim("seven is large", 3.0, above=5, source="Fig. 1", reproduces=False)
    assert capsys.readouterr().out == "✗ does not reproduce: seven is large  (3.0)\n"


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


@pytest.mark.parametrize("value", [math.nan, math.inf, torch.tensor(math.nan)])
def test_no_claim_on_what_is_not_finite(value):
    with pytest.raises(ValueError, match="finite"):
        claim("no", value, below=1, source="this book")


@pytest.mark.parametrize(
    "arguments", [dict(), dict(near=1.0), dict(within=1.0)], ids=["no condition", "near alone", "within alone"]
)
def test_a_claim_needs_a_whole_condition(arguments):
    with pytest.raises(ValueError):
        claim("no", 1.0, source="this book", **arguments)


def test_a_bool_takes_no_bound():
    with pytest.raises(ValueError, match="bool"):
        claim("no", True, below=1, source="this book")


def test_a_claim_measures_one_number():
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        claim("no", torch.zeros(3), below=1, source="this book")


@pytest.mark.parametrize("measured", [torch.tensor(True), torch.tensor(2.0) == 2])
def test_a_bool_tensor_is_a_bool(measured, capsys):
    claim("yes", measured, source="this book")
    assert capsys.readouterr().out == "✓ yes\n"


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [
        (0.69314, 2, "0.69"), (0.999, 2, "1.0"),
        (287.4, 2, "290"), (1e-9, 1, "1e-09"), (0.0, 2, "0"), (12345.6, 3, "12300"),
    ],
)
def test_values_are_shown_rounded(value, digits, shown, capsys):
    claim("value", value, above=-1, source="this book", digits=digits)
    assert capsys.readouterr().out == f"✓ value  ({shown})\n"


@given(st.floats(-1e8, 1e8), st.integers(1, 5))
def test_what_is_shown_is_the_value_to_so_many_digits(value, digits):
    assert float(_shown(value, digits)) == pytest.approx(value, rel=0.5 * 10 ** (1 - digits) * 1.01, abs=1e-300)


def test_the_record_holds_the_exact_value(monkeypatch):
    kept = []
    monkeypatch.setattr("grokbook.claims.display", lambda record, metadata: kept.append(metadata["grokbook"]))
    claim("value", 0.123456789, above=0, source="Thm 4.14")
    assert kept == [
        {
            "statement": "value",
            "source": "Thm 4.14",
            "measured": 0.123456789,
            "shown": "0.12",
            "condition": "> 0",
            "reproduces": True,
            "printed": True,
        }
    ]


def test_an_unstable_value_is_recorded_but_not_printed(monkeypatch):
    kept = []
    monkeypatch.setattr("grokbook.claims.display", lambda record, metadata: kept.append((repr(record), metadata)))
    claim("value", 0.123456789, above=0, source="Thm 4.14", digits=None)
    assert kept[0][0] == "✓ value"
    assert kept[0][1]["grokbook"]["shown"] == "0.12"
