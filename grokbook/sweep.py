"""One function at many settings, side by side in processes or on other machines, every finished run kept on disk."""

import inspect
import itertools
import pickle
import traceback
from concurrent.futures import BrokenExecutor
from contextlib import suppress
from pathlib import Path

import cloudpickle
import joblib
import torch
from joblib.func_inspect import get_func_code
from joblib.hashing import NumpyHasher
from joblib.parallel import get_active_backend

from grokbook.display.progress import bar


class SweepError(RuntimeError):
    """Some settings failed; `.failures` is {index: message}, `.results` holds the others, None where one failed."""

    def __init__(self, message, results, failures):
        super().__init__(message)
        self.results, self.failures = results, failures


def grid(**choices):
    """Every combination of the given lists, the last varying fastest: grid(p=[7, 11], seed=[0, 1]) -> 4 dicts.

    Raises ValueError for a name without values, or with one value in place of a list.
    """
    for name, values in choices.items():
        if isinstance(values, str) or not hasattr(values, "__len__"):
            raise ValueError(f"{name}={values!r} is not a list of values; give one, such as {name}=[{values!r}]")
    empty = [name for name, values in choices.items() if len(values) == 0]
    if empty or not choices:
        raise ValueError(f"the grid is empty: {', '.join(empty) or 'no names'} given no values; give at least one")
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def sweep(function, settings, folder=None, *, jobs=-1, batch=1, progress=True, **fixed):
    """function(**setting, **fixed) for every setting, in processes. -> list of results, in the order of settings.

    settings: dicts of arguments, as from `grid`. A result is anything that can be pickled. With a folder every finished
    run is kept by the process that finished it, and a later call runs only what is missing: after an interruption, a
    failure, a killed process, or with more settings. A run is known by its setting, by what is fixed, and by the text
    of `function` with the variables it takes from a function around it; not by globals, nor by what it calls. Runs of
    an older text stay beside the new ones. jobs: processes, -1 for one a core, 1 for none but this one.
    `joblib.parallel_config` chooses another backend, "dask" for other machines, which must share the folder.
    batch: runs a task. Raise it where a run is shorter than a task costs, about 1 ms in processes and 10 ms on Dask;
    one core then takes a whole batch, and reports when it is through. Its finished runs are kept one by one even so.
    Raises ValueError for no settings, one given twice, and what cannot be sent to a process or known again, and
    SweepError naming the settings that failed after all others have finished.
    """
    settings = [dict(setting) for setting in settings]
    keys = _keys(function, settings, fixed, batch)
    kept = _kept(function, fixed, folder)
    runs = [(i, (keys[i], setting)) for i, setting in enumerate(settings)]
    outcomes = dict(_attempt(kept, [run for run in runs if kept.check_call_in_cache(*run[1])]))
    missing = [run for run in runs if run[0] not in outcomes]
    with bar(len(runs), len(outcomes), progress) as shown:
        for i, outcome in _outcomes(kept, missing, jobs, batch):
            outcomes[i] = outcome
            shown.update()
    failures = {i: outcomes[i] for i, _ in runs if isinstance(outcomes[i], str)}
    results = [None if i in failures else pickle.loads(outcomes[i]) for i, _ in runs]
    if failures:
        named = "\n".join(f"{settings[i]}: {failure.splitlines()[-1]}" for i, failure in failures.items())
        message = f"{len(failures)} of {len(runs)} settings failed, the others are finished\n{named}"
        raise SweepError(message, results, failures)
    return results


def _attempt(kept, runs):
    """[(index, pickled result or error message)]: an exception that left a process would stop the others."""
    outcomes = []
    for i, arguments in runs:
        try:
            outcomes.append((i, kept(*arguments)))
        except (Exception, SystemExit):
            outcomes.append((i, traceback.format_exc().strip()))
    return outcomes


def _outcomes(kept, runs, jobs, batch):
    """(index, outcome) for every run, as they come."""
    left = dict(runs)
    while left:
        broken = False
        try:
            for i, outcome in _finished(kept, list(left.items()), jobs, batch):
                del left[i]
                yield i, outcome
        except BrokenExecutor:
            broken = True  # A process died without a word and took its pool along.
        # Alone, those left show which of them does that; with two jobs, because one would run it in this process.
        for i in list(left):
            alone = []
            with suppress(BrokenExecutor):
                alone = list(_finished(kept, [(i, left[i])], 2, 1))
            del left[i]
            yield from alone or [(i, "its process died: it was killed, ran out of memory, or crashed")]
            if broken and not alone:
                break  # Found; the others go on side by side.


def _finished(kept, runs, jobs, batch):
    """(index, outcome) for every run, but for those of a task whose Dask workers died."""
    tasks = [runs[k : k + batch] for k in range(0, len(runs), batch)]
    backend, _ = get_active_backend()
    if type(backend).__name__ != "DaskDistributedBackend":
        pool = joblib.Parallel(n_jobs=jobs, batch_size=1, return_as="generator_unordered")
        yield from itertools.chain.from_iterable(pool(joblib.delayed(_attempt)(kept, task) for task in tasks))
        return
    # joblib 1.6 waits for ever for a task that Dask gave up, and on a cluster of one core runs all in this process.
    from distributed import KilledWorker, as_completed

    client = backend.client
    futures = [client.submit(_attempt, kept, task, pure=False, **backend.submit_kwargs) for task in tasks]
    try:
        for future in as_completed(futures):
            with suppress(KilledWorker):
                yield from future.result()
    finally:
        client.cancel(futures)


def _kept(function, fixed, folder):
    """run(key, setting), whose results joblib's Memory keeps on disk, in a folder for this text of `function`."""

    # Made for every sweep: a function's text, without which Memory overlooks all runs, goes to its first folder alone.
    def run(key, setting):
        # As bytes: Memory cannot keep, from another process, an object whose class is defined in a notebook.
        return cloudpickle.dumps(function(**setting, **fixed))

    if folder is None:
        return joblib.Memory(None).cache(run)
    if not inspect.isfunction(function) or function.__name__ == "<lambda>":
        raise ValueError(f"{function} has no text to know its runs by; define it with def, or give no folder")
    inner = inspect.unwrap(function)
    around = inspect.getclosurevars(inner).nonlocals
    around = {name: value for name, value in around.items() if not (callable(value) or inspect.ismodule(value))}
    # Of a function whose text changes, Memory deletes all runs; so each text has its place.
    place = f"{function.__name__}-{_digest([get_func_code(inner)[0], get_func_code(run)[0], around, fixed])}"
    return joblib.Memory(Path(folder).resolve() / place, verbose=0).cache(run, ignore=["setting"])


def _keys(function, settings, fixed, batch):
    """A short name for every setting, the same in every session."""
    if not settings or batch < 1:
        raise ValueError(f"{len(settings)} settings in batches of {batch}: give at least one, such as grid(seed=[0])")
    try:
        cloudpickle.dumps((function, settings, fixed))
    except Exception as error:
        raise ValueError(f"{function} or an argument of it cannot be sent to a process: {error}") from error
    keys = [_digest(setting) for setting in settings]
    for i, key in enumerate(keys):
        if key in keys[:i]:
            raise ValueError(f"setting {settings[i]} is given twice, as numbers {keys.index(key)} and {i}; drop one")
    return keys


class _Hasher(NumpyHasher):
    """joblib's, with tensors by value: their pickle says where in memory they lie."""

    def save(self, item):
        super().save(["tensor", item.contiguous().numpy(force=True)] if isinstance(item, torch.Tensor) else item)


def _digest(value):
    try:
        return _Hasher().hash(value)
    except Exception as error:
        raise ValueError(f"{value!r:.99} cannot name a run: {error}; use numbers, strings, tensors, lists") from error
