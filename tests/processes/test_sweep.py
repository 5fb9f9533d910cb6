import dataclasses
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pytest
import torch

import grokbook.sweep
from grokbook.sweep import SweepError, grid, sweep

QUIET = dict(jobs=2, progress=False)


class Pair(NamedTuple):
    slope: np.float64
    points: torch.Tensor


@dataclasses.dataclass(frozen=True)
class Frozen:
    value: complex
    labels: frozenset


def record(a, b=0, log=None):
    """A run that leaves a trace, so that a test can count how often it ran."""
    if log is not None:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{a}\n")
    return a + b


def fails_at_two(a, log=None):
    if a == 2:
        raise ArithmeticError("two is too many")
    return record(a, log=log)


def dies_at_two(a, log, place, others, once=None):
    """Two kills its process, as soon as the others are kept; only the first time, where a file `once` can show it."""
    if a == 2 and not (once and os.path.exists(once)):
        wait_for(lambda: kept(place) == others)
        if once:
            open(once, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return record(a, log=log)


def moves(a, log):
    os.chdir("/")
    return record(a, log=log)


def rests(a, log):
    record(a, log=log)
    time.sleep(0.2)


def meets(a, log):
    """Runs that wait for each other, but for two, which kills its process."""
    if a == 2:
        os._exit(1)
    record(a, log=log)
    wait_for(lambda: len({*runs(log)}) == 2, seconds=20)
    return a


def pairs_up(a, log):
    """Quick runs, and now and then two in a row that wait for each other."""
    if a >= 100 and a % 100 < 2:
        record(a, log=f"{log}{a // 100}")
        wait_for(lambda: len(runs(f"{log}{a // 100}")) == 2, seconds=20)


def process(a):
    return os.getpid()


def kinds(kind):
    pair = Pair(np.float64(0.1), torch.eye(2).to_sparse())
    return [pair, Frozen(1j, frozenset("ab")), np.arange(3), [print]][kind]


def total(a, tensor, log):
    return record(a, log=log) + tensor.sum().item()


def runs(log):
    return sorted(Path(log).read_text(encoding="utf-8").split()) if os.path.exists(log) else []


def kept(folder):
    return len(list(Path(folder).rglob("output.pkl")))


def wait_for(condition, seconds=100):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "results"


@pytest.fixture(scope="module")
def dask():
    """Two Dask workers; a task whose worker dies is given up at once, and a worker that is slow to come back is not."""
    distributed = pytest.importorskip("distributed")
    import dask

    settings = {"distributed.scheduler.allowed-failures": 0, "distributed.deploy.lost-worker-timeout": "300s"}
    options = dict(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs="CRITICAL")
    with (
        dask.config.set(settings),
        distributed.LocalCluster(**options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(params=["loky", "dask"])
def processes(request):
    if request.param == "dask":
        request.getfixturevalue("dask")
    with joblib.parallel_config(backend=request.param):
        yield


def test_grid_is_the_product_with_the_last_name_fastest():
    assert grid(p=[7, 11], seed=range(2)) == [dict(p=p, seed=seed) for p in (7, 11) for seed in (0, 1)]


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("backend", ["loky", "threading", "sequential"])
def test_results_come_in_the_order_of_the_settings(backend, batch):
    with joblib.parallel_config(backend=backend):
        results = sweep(record, grid(a=[3, 1, 2], b=[10, 20]), batch=batch, **QUIET)
    assert results == [13, 23, 11, 21, 12, 22]


def test_a_function_of_the_caller_alone_goes_to_the_processes_too(processes):
    offset = 5
    assert sweep(lambda a: a + offset, grid(a=[1, 2]), **QUIET) == [6, 7]


@pytest.mark.parametrize("batch", [1, 3])
def test_a_second_call_runs_only_what_is_missing(processes, log, folder, batch):
    options = dict(batch=batch, log=str(log), **QUIET)
    assert sweep(record, grid(a=[1, 2, 4, 5]), folder, **options) == [1, 2, 4, 5]
    assert runs(log) == ["1", "2", "4", "5"]
    assert sweep(record, grid(a=[5, 3, 1]), folder, **options) == [5, 3, 1]
    assert runs(log) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("again", [False, True])
def test_results_of_any_kind_come_back_as_they_were(folder, again):
    for _ in range(1 + again):
        pair, frozen, array, other = sweep(kinds, grid(kind=range(4)), folder, **QUIET)
    assert type(pair) is Pair and type(pair.slope) is np.float64 and pair.slope == 0.1
    assert torch.equal(pair.points.to_dense(), torch.eye(2))
    assert frozen == kinds(1) and other == kinds(3)
    assert array.tolist() == [0, 1, 2] and array.dtype == kinds(2).dtype


def test_without_a_batch_no_run_waits_for_its_neighbour(log):
    sweep(pairs_up, grid(a=range(500)), log=str(log), **QUIET)


def test_what_is_asked_of_dask_is_passed_on(dask):
    one = list(dask.scheduler_info()["workers"])[:1]
    for options, processes in (dict(workers=one), 1), ({}, 2):
        with joblib.parallel_config(backend="dask", **options):
            assert len(set(sweep(process, grid(a=range(20)), **QUIET))) == processes


def test_the_bar_starts_at_what_is_kept_and_counts_the_rest(folder, monkeypatch):
    seen = []

    class Bar:
        def __init__(self, *options):
            seen.append(options)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self):
            seen.append(1)

    sweep(record, grid(a=[1, 2]), folder, jobs=1, progress=False)
    monkeypatch.setattr(grokbook.sweep, "bar", Bar)
    sweep(record, grid(a=[1, 2, 3, 4, 5]), folder, jobs=1)
    assert seen == [(5, 2, True), 1, 1, 1]


# What makes a run this one


def test_an_equal_tensor_is_the_same_argument_and_another_is_not(log, folder):
    def run(tensor):
        return sweep(total, grid(a=[1], log=[str(log)]), folder, tensor=tensor, **QUIET)

    kept = torch.arange(6.0).view(2, 3)  # alive, so that the next tensors lie elsewhere in memory
    assert run(kept) == run(torch.arange(6.0).view(2, 3)) == run(torch.arange(6.0).view(2, 3).T.contiguous().T) == [16]
    assert runs(log) == ["1"]
    assert run(kept + 1) == [22]
    for other in (kept.view(3, 2), kept.double()):
        assert run(other) == [16]
    assert runs(log) == ["1"] * 4


def test_tensors_may_be_settings(log, folder):
    settings = [dict(tensor=torch.full((2,), k)) for k in (1.0, 2.0)]
    for _ in range(2):
        assert sweep(total, settings, folder, a=1, log=str(log), **QUIET) == [3, 5]
    assert runs(log) == ["1", "1"]


def test_what_is_fixed_is_part_of_a_run(log, folder):
    for b in (1, 2, 1):
        assert sweep(record, grid(a=[1]), folder, b=b, log=str(log), **QUIET) == [1 + b]
    assert runs(log) == ["1", "1"]


def test_a_changed_text_runs_again_and_the_runs_of_the_old_one_stay(log, folder):
    def version(a, log):
        return record(a, log=log)

    first = version

    def version(a, log):
        return record(a, log=log) + 1

    for function, result in ((first, 1), (version, 2), (first, 1)):
        assert sweep(function, grid(a=[1]), folder, log=str(log), **QUIET) == [result]
    assert runs(log) == ["1", "1"]


def test_what_a_function_takes_from_around_it_is_part_of_a_run(log, folder):
    def shifted(offset, helper):
        @torch.no_grad()
        def run(a, log):
            return helper(a, log=log) + offset

        return run

    for offset in (1, 2, 1):
        assert sweep(
            shifted(offset, lambda a, log: record(a, log=log)), grid(a=[1]), folder, log=str(log), **QUIET
        ) == [1 + offset]
    assert runs(log) == ["1", "1"]


def test_the_text_beneath_a_decorator_is_part_of_a_run(folder):
    @torch.no_grad()
    def version(a):
        return a

    first = version

    @torch.no_grad()
    def version(a):
        return -a

    assert [sweep(function, grid(a=[1]), folder, **QUIET) for function in (first, version)] == [[1], [-1]]


def test_runs_of_an_earlier_version_of_this_module_stay(log, folder, tmp_path):
    """Memory deletes what it keeps of a function whose text has changed, here or there."""
    changed = Path(grokbook.sweep.__file__).read_text(encoding="utf-8").replace("# As bytes:", "# Bytes:")
    (tmp_path / "other.py").write_text(changed, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("grokbook.sweep", tmp_path / "other.py")
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    for version in (grokbook.sweep, other, grokbook.sweep):
        assert version.sweep(record, grid(a=[1]), folder, jobs=1, log=str(log)) == [1]
    assert runs(log) == ["1", "1"]


def test_the_folder_does_not_move_with_a_run_that_does(log, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert sweep(moves, grid(a=[1, 2, 3]), "results", log=str(log), **QUIET) == [1, 2, 3]
    assert runs(log) == ["1", "2", "3"] and kept("results") == 3


def test_other_files_of_the_folder_are_left_alone(folder):
    folder.mkdir()
    (folder / "thesis.txt").write_text("keep", encoding="utf-8")
    sweep(record, grid(a=[1]), folder, **QUIET)
    assert (folder / "thesis.txt").read_text(encoding="utf-8") == "keep"


# Failures


def test_a_failed_setting_is_named_and_the_others_finish(processes, log, folder):
    for _ in range(2):
        with pytest.raises(SweepError, match=r"1 of 4 settings failed.*\n\{'a': 2\}: ArithmeticError: two is") as error:
            sweep(fails_at_two, grid(a=[1, 2, 3, 4]), folder, log=str(log), **QUIET)
        assert error.value.results == [1, None, 3, 4]
        assert "fails_at_two" in error.value.failures[1], "the whole traceback is kept"
    assert runs(log) == ["1", "3", "4"], "only the failed one is tried again"


def leaves(a):
    sys.exit("left")


def unsendable(a):
    return threading.Lock()


@pytest.mark.parametrize(
    ("function", "fixed", "said"),
    [
        (leaves, {}, "SystemExit: left"),
        (unsendable, {}, r"TypeError: cannot pickle '_thread\.lock' object"),
        (record, dict(c=1), "TypeError: .* unexpected keyword argument 'c'"),
        (record, dict(a=2), "TypeError: .* multiple values for keyword argument 'a'"),
    ],
)
def test_whatever_goes_wrong_in_a_run_is_its_failure(folder, function, fixed, said):
    with pytest.raises(SweepError, match=rf"1 of 1 settings failed.*\n.*{said}"):
        sweep(function, grid(a=[1]), folder, **QUIET, **fixed)


@pytest.mark.filterwarnings("ignore:A worker stopped while some jobs")
def test_a_setting_that_kills_its_process_is_named_and_no_finished_run_is_lost(processes, log, folder):
    with pytest.raises(SweepError, match=r"1 of 4 settings failed.*\n\{'a': 2\}: its process died: it was") as error:
        sweep(dies_at_two, grid(a=[1, 2, 3, 4]), folder, batch=2, log=str(log), place=str(folder), others=3, **QUIET)
    assert error.value.results == [1, None, 3, 4]
    assert list(error.value.failures) == [1]
    assert runs(log) == ["1", "3", "4"], "1 shares a batch with the one that dies"


@pytest.mark.filterwarnings("ignore:A worker stopped while some jobs")
def test_a_process_that_is_killed_in_the_middle_costs_nothing_but_time(processes, log, folder, tmp_path):
    options = dict(place=str(folder), others=4, once=str(tmp_path / "died"), **QUIET)
    assert sweep(dies_at_two, grid(a=[1, 2, 3, 4, 5]), folder, log=str(log), **options) == [1, 2, 3, 4, 5]
    assert (tmp_path / "died").exists() and runs(log) == ["1", "2", "3", "4", "5"]


@pytest.mark.filterwarnings("ignore:A worker stopped while some jobs")
def test_after_a_death_the_others_go_on_side_by_side(log):
    with pytest.raises(SweepError, match="1 of 3 settings failed") as error:
        sweep(meets, grid(a=[2, 3, 4]), log=str(log), **QUIET)
    assert error.value.results == [None, 3, 4]


@pytest.fixture
def interruptible():
    """What a shell starts in the background, and all that it starts, would ignore an interrupt."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_stops_the_other_machines_too(dask, log):
    with joblib.parallel_config(backend="dask"):
        timer = threading.Thread(target=lambda: (wait_for(lambda: runs(log)), os.kill(os.getpid(), signal.SIGINT)))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            sweep(rests, grid(a=range(30)), log=str(log), **QUIET)
        timer.join()
    time.sleep(2)
    assert len(runs(log)) < 15


SCRIPT = """
import time
from typing import NamedTuple

from grokbook.sweep import grid, sweep
from settings import FINISHING

class Run(NamedTuple):
    a: int

def slow(a, log):
    with open(log, "a") as file:
        file.write(f"{a}\\n")
    time.sleep(0.05 if a < FINISHING else 60)
    return Run(a)

if FINISHING == 2:
    sweep(slow, grid(a=[1]), "other", jobs=1, log="other log")
print(sweep(slow, grid(a=[0, 1, 2, 3, 4]), "results", jobs=2, progress=False, log="log"))
"""


@pytest.mark.slow
@pytest.mark.usefixtures("interruptible")
def test_a_sweep_that_is_stopped_loses_no_finished_run(tmp_path, log, folder):
    """In sessions like a notebook's: one is interrupted while two runs hang, one is killed, and one is left alone."""

    def start(finishing):
        (tmp_path / "settings.py").write_text(f"FINISHING = {finishing}", encoding="utf-8")
        log.unlink(missing_ok=True)
        command = [sys.executable, "-B", "-m", "IPython", "--colors=nocolor", "-c", SCRIPT]
        environment = {**os.environ, "IPYTHONDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True, **pipes)

    for finishing, sent, seen in ((2, signal.SIGINT, ["0", "1", "2", "3"]), (3, signal.SIGKILL, ["2", "3", "4"])):
        process = start(finishing)
        wait_for(lambda done=finishing, seen=seen: kept(folder) == done and len(runs(log)) == len(seen))
        assert runs(log) == seen
        os.killpg(process.pid, sent)
        process.communicate(timeout=100)
    output, _ = start(finishing=5).communicate(timeout=100)
    assert output.strip().endswith("[Run(a=0), Run(a=1), Run(a=2), Run(a=3), Run(a=4)]"), output
    assert runs(log) == ["3", "4"]


# Bad input


@pytest.mark.parametrize("choices", [{}, dict(a=[]), dict(a=[1], b=[])])
def test_an_empty_grid_is_refused(choices):
    with pytest.raises(ValueError, match=r"the grid is empty: .* given no values; give at least one"):
        grid(**choices)


@pytest.mark.parametrize("value", [3, "adam", None])
def test_one_value_in_place_of_a_list_is_refused(value):
    with pytest.raises(ValueError, match=rf"x='?{value}'? is not a list of values; .*, such as x=\['?{value}'?\]"):
        grid(a=[1], x=value)


@pytest.mark.parametrize(("settings", "batch"), [([], 1), (grid(a=[1]), 0)])
def test_a_sweep_over_nothing_is_refused(folder, settings, batch):
    with pytest.raises(ValueError, match=rf"{len(settings)} settings in batches of {batch}: give at least one"):
        sweep(record, settings, folder, batch=batch)
    assert not folder.exists()


@pytest.mark.parametrize("make", [int, torch.tensor, lambda a: [torch.tensor(a), "x"]])
def test_a_setting_given_twice_is_refused(make):
    with pytest.raises(ValueError, match=r"setting \{'a': .*1.*\} is given twice, as numbers 0 and 2; drop one"):
        sweep(record, [dict(a=make(a)) for a in (1, 2, 1)])


def test_what_cannot_be_sent_to_a_process_is_refused(folder):
    lock = threading.Lock()
    for function, fixed in ((lambda a: lock, {}), (record, dict(b=lock))):
        with pytest.raises(ValueError, match=r"cannot be sent to a process: cannot pickle '_thread\.lock'"):
            sweep(function, grid(a=[1]), folder, **fixed)
    assert not folder.exists()


@pytest.mark.parametrize("function", [lambda a: a, joblib.delayed, record.__call__, Pair])
def test_a_folder_wants_a_function_whose_text_is_its_own(folder, function):
    if function is joblib.delayed:
        function = joblib.wrap_non_picklable_objects(record)
    with pytest.raises(ValueError, match="has no text to know its runs by; define it with def, or give no folder"):
        sweep(function, grid(a=[1]), folder)
    assert not folder.exists()


def test_what_could_not_be_known_again_is_refused(folder):
    with pytest.raises(ValueError, match=r"cannot name a run: .*; use numbers, strings, tensors, lists"):
        sweep(record, grid(a=[1]), folder, b=lambda: 0)
    assert not folder.exists()
