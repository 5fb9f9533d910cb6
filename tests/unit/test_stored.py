import runpy

import pytest

import chapters
from grokbook import stored
from grokbook.stored import matching, stored_runs

NAMES = sorted(path.stem for path in stored.DATA.glob("*.json"))


def script(name, monkeypatch):
    monkeypatch.syspath_prepend(chapters.ROOT / "benchmarks")
    return runpy.run_path(str(chapters.ROOT / "benchmarks" / f"{name}.py"))


@pytest.mark.parametrize("name", NAMES)
def test_stored_runs_are_those_of_the_script(name, monkeypatch):
    settings = script(name, monkeypatch)["settings"]()
    kept = [{key: run[key] for key in setting} for run, setting in zip(stored_runs(name), settings, strict=True)]
    assert kept == settings


def test_a_name_without_runs_is_refused():
    with pytest.raises(ValueError, match=r"nothing is stored of 'nonsense'; choose from .*'typical'"):
        stored_runs("nonsense")


def test_matching_keeps_the_order():
    rows = [dict(p=5, seed=1), dict(p=7, seed=1), dict(p=5, seed=0)]
    assert matching(rows, p=5) == [rows[0], rows[2]]
    assert matching(rows, p=5, seed=0) == [rows[2]]
    assert matching(rows, p=11) == []


def test_what_a_benchmark_writes_is_what_is_read(tmp_path, monkeypatch):
    """Run twice, the second time from what the first one kept."""
    store = script("store", monkeypatch)
    monkeypatch.setattr(stored, "DATA", tmp_path)
    store["write"].__globals__["DATA"] = tmp_path
    rows = [dict(p=5, means=[0.25, 1.0]), dict(p=7, means=[])]
    store["write"]("trial", rows)
    assert stored_runs("trial") == rows
    assert "benchmarks/trial.py" in (tmp_path / "trial.json").read_text(encoding="utf-8")
