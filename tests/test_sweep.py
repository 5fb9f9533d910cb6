import os
import signal
import subprocess
import sys
import time

import joblib
import pytest
import torch

from grokbook.sweep import SweepError, grid, sweep

QUIET = dict(jobs=2, progress=False)


def record(a, b=0, log=None):
    """A run that leaves a trace, so that a test can count how often it ran."""
    if log is not None:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{a}\n")
    return {"sum": a + b, "tensor": torch.arange(3) * a}


def fails_at_two(a, log=None):
    if a == 2:
        raise ArithmeticError("two is too many")
    return record(a, log=log)


def dies_at_two(a):
    if a == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return a


def unsaveable(a):
    return {"value": object()}


def runs(log):
    return sorted(log.read_text(encoding="utf-8").split()) if log.exists() else []


def test_grid_is_the_product_with_the_last_name_fastest():
    assert grid(p=[7, 11], seed=[0, 1]) == [dict(p=p, seed=seed) for p in (7, 11) for seed in (0, 1)]


@pytest.mark.parametrize("backend", ["loky", "threading", "sequential"])
def test_results_come_in_the_order_of_the_settings(backend):
    settings = grid(a=[3, 1, 2], b=[10, 20])
    with joblib.parallel_config(backend=backend):
        results = sweep(record, settings, **QUIET)
    assert [result["sum"] for result in results] == [13, 23, 11, 21, 12, 22]
    assert torch.equal(results[0]["tensor"], torch.tensor([0, 3, 6]))


def test_a_function_of_the_caller_alone_goes_to_the_processes_too():
    offset = 5
    assert sweep(lambda a: a + offset, grid(a=[1, 2]), **QUIET) == [6, 7]


def test_a_second_call_runs_only_what_is_missing(tmp_path):
    log, folder = tmp_path / "log", tmp_path / "results"
    first = sweep(record, grid(a=[1, 2]), folder, log=str(log), **QUIET)
    assert runs(log) == ["1", "2"]
    more = sweep(record, grid(a=[1, 2, 3]), folder, log=str(log), **QUIET)
    assert runs(log) == ["1", "2", "3"]
    assert [result["sum"] for result in more] == [1, 2, 3]
    assert torch.equal(first[1]["tensor"], more[1]["tensor"])


def test_a_failed_setting_is_named_and_the_others_finish(tmp_path):
    log, folder = tmp_path / "log", tmp_path / "results"
    with pytest.raises(SweepError, match=r"1 of 4 settings failed.*\n\{'a': 2\}: ArithmeticError: two is too") as error:
        sweep(fails_at_two, grid(a=[1, 2, 3, 4]), folder, log=str(log), **QUIET)
    assert [result and result["sum"] for result in error.value.results] == [1, None, 3, 4]
    assert "fails_at_two" in error.value.failures[1], "the whole traceback is kept"
    assert runs(log) == ["1", "3", "4"]
    with pytest.raises(SweepError):
        sweep(fails_at_two, grid(a=[1, 2, 3, 4]), folder, log=str(log), **QUIET)
    assert runs(log) == ["1", "3", "4"], "only the failed one is tried again"


@pytest.mark.filterwarnings("ignore:A worker stopped while some jobs")
def test_a_setting_that_kills_its_process_is_named_and_the_others_finish(tmp_path):
    with pytest.raises(SweepError, match=r"1 of 4 settings failed.*\n\{'a': 2\}: its process died") as error:
        sweep(dies_at_two, grid(a=[1, 2, 3, 4]), tmp_path, **QUIET)
    assert error.value.results == [1, None, 3, 4]


SCRIPT = """
import time
from grokbook.sweep import grid, sweep

def slow(a, log):
    with open(log, "a") as file:
        file.write(f"{a}\\n")
    time.sleep(0.05 if a < 3 else 60 * (not PATIENT))
    return a

if __name__ == "__main__":
    print(sweep(slow, grid(a=[0, 1, 2, 3, 4]), "results", jobs=2, progress=False, log="log"))
"""


def test_a_killed_sweep_loses_no_finished_run(tmp_path):
    """The whole group of processes is killed while two runs hang; the next call takes the three finished ones."""

    def start(patient):
        (tmp_path / "settings.py").write_text(f"PATIENT = {patient}", encoding="utf-8")
        body = SCRIPT.replace("import time", "import time\nfrom settings import PATIENT", 1)
        (tmp_path / "script.py").write_text(body, encoding="utf-8")
        return subprocess.Popen(
            [sys.executable, "-B", "script.py"], cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    process = start(patient=False)
    deadline = time.monotonic() + 100
    while len(list((tmp_path / "results").glob("*.pt"))) < 3:
        assert process.poll() is None and time.monotonic() < deadline, "three runs should have been saved"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (tmp_path / "log").unlink()
    output, _ = start(patient=True).communicate(timeout=100)
    assert output.strip() == "[0, 1, 2, 3, 4]"
    assert runs(tmp_path / "log") == ["3", "4"]


# Bad input


@pytest.mark.parametrize("choices", [{}, dict(a=[]), dict(a=[1], b=[])])
def test_an_empty_grid_is_refused(choices):
    with pytest.raises(ValueError, match=r"the grid is empty: .* given no values; give at least one"):
        grid(**choices)


def test_a_sweep_over_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="the sweep is empty: give at least one setting"):
        sweep(record, [], tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_setting_given_twice_is_refused():
    with pytest.raises(ValueError, match=r"setting \{'a': 1\} is given twice, as numbers 0 and 2; drop one"):
        sweep(record, grid(a=[1, 2, 1]))


@pytest.mark.parametrize(
    ("function", "fixed", "named"),
    [(fails_at_two, {}, "function"), (record, dict(b=1), "fixed"), (dies_at_two, {}, "function")],
)
def test_the_folder_of_another_sweep_is_refused(tmp_path, function, fixed, named):
    sweep(record, grid(a=[1]), tmp_path, **QUIET)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=rf"holds another sweep: {named} is .* there and .* here; choose another"):
        sweep(function, grid(a=[1]), tmp_path, **QUIET, **fixed)
    assert sorted(tmp_path.iterdir()) == before


def test_a_function_that_changed_is_another_sweep(tmp_path):
    def version(a):
        return a

    sweep(version, grid(a=[1]), tmp_path, **QUIET)

    def version(a):
        return a + 1

    with pytest.raises(ValueError, match="holds another sweep: source is"):
        sweep(version, grid(a=[1]), tmp_path, **QUIET)


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(ValueError, match=r"holds no sweep\.json but other files; choose a new folder"):
        sweep(record, grid(a=[1]), tmp_path, **QUIET)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_result_that_could_not_be_read_back_is_a_failure():
    with pytest.raises(SweepError, match="TypeError: a result holds a object; return tensors, numbers"):
        sweep(unsaveable, grid(a=[1]), **QUIET)


def test_a_setting_that_is_not_plain_is_refused():
    with pytest.raises(ValueError, match=r"cannot name a run .*use numbers, strings and lists"):
        sweep(record, [dict(a=torch.zeros(2))])
