"""One function at many settings, side by side in processes, every finished result on disk the moment it is there."""

import hashlib
import inspect
import itertools
import json
import tempfile
import traceback
from concurrent.futures import BrokenExecutor
from pathlib import Path

import joblib
import torch

from grokbook import checkpoint
from grokbook.progress import bar

LABEL = "sweep.json"
PLAIN = (int, float, str, bool, type(None), torch.Tensor)


class SweepError(RuntimeError):
    """Some settings failed; `.failures` is {index: message}, `.results` holds the others, None where one failed."""

    def __init__(self, message, results, failures):
        super().__init__(message)
        self.results, self.failures = results, failures


def grid(**choices):
    """Every combination of the given lists, the last varying fastest: grid(p=[7, 11], seed=[0, 1]) -> 4 dicts.

    Raises ValueError for a name without values.
    """
    empty = [name for name, values in choices.items() if len(values) == 0]
    if empty or not choices:
        raise ValueError(f"the grid is empty: {', '.join(empty) or 'no names'} given no values; give at least one")
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def sweep(function, settings, folder=None, *, jobs=-1, progress=True, **fixed):
    """function(**setting, **fixed) for every setting, in processes. -> list of results, in the order of settings.

    settings: dicts of plain values, as from `grid`. A result is made of tensors, numbers, strings, lists and dicts.
    With a folder every finished run is saved there at once, and a later call runs only what is missing: after an
    interruption, a failure, or with more settings. The text of `function` is part of the sweep's identity, what it
    calls is not. jobs: processes, -1 for one a core; `joblib.parallel_config` chooses another backend, "dask" for other
    machines. Raises ValueError for no settings, one given twice, or the folder of another sweep, and SweepError naming
    the settings that failed after all others have finished.
    """
    settings = [dict(setting) for setting in settings]
    keys = _keys(settings)
    with _opened(folder, _label(function, fixed)) as place:
        files = [place / f"{key}.pt" for key in keys]
        missing = [i for i, file in enumerate(files) if not file.exists()]
        failures = {}
        with bar(len(files), len(files) - len(missing), progress) as shown:
            for i, result, failure in _outcomes(function, settings, fixed, missing, jobs):
                if failure is None:
                    checkpoint.save(files[i], settings[i], {"result": result})
                else:
                    failures[i] = failure
                shown.update()
        results = [None if i in failures else checkpoint.load(file, settings[i]) for i, file in enumerate(files)]
    results = [saved["result"] if saved else None for saved in results]
    if failures:
        named = "\n".join(f"{settings[i]}: {failures[i].splitlines()[-1]}" for i in sorted(failures))
        message = f"{len(failures)} of {len(settings)} settings failed, the others are finished\n{named}"
        raise SweepError(message, results, failures)
    return results


def _outcomes(function, settings, fixed, missing, jobs):
    """(index, result, failure) for every missing setting, as they come."""
    left = dict.fromkeys(missing)
    try:
        for outcome in _parallel(function, settings, fixed, missing, jobs):
            del left[outcome[0]]
            yield outcome
        return
    except BrokenExecutor:
        pass
    # A process died without a word and took its pool along. One at a time, the rest shows which setting does that;
    # two jobs, because one would run it in this process.
    for i in left:
        try:
            yield next(_parallel(function, settings, fixed, [i], 2))
        except BrokenExecutor as error:
            yield i, None, f"its process died: {type(error).__name__}"


def _parallel(function, settings, fixed, indices, jobs):
    # One setting a batch, so that a finished one is not kept back by its neighbours.
    pool = joblib.Parallel(n_jobs=jobs, batch_size=1, return_as="generator_unordered")
    return pool(joblib.delayed(_attempt)(function, i, settings[i], fixed) for i in indices)


def _attempt(function, i, setting, fixed):
    """One run, its error caught as text: an exception that left a process would stop the others."""
    try:
        result = function(**setting, **fixed)
        _check_plain(result)
    except Exception:
        return i, None, traceback.format_exc().strip()
    return i, result, None


def _check_plain(result):
    if isinstance(result, dict):
        result = [*result.keys(), *result.values()]
    if isinstance(result, (list, tuple)):
        for item in result:
            _check_plain(item)
    elif not isinstance(result, PLAIN):
        raise TypeError(f"a result holds a {type(result).__name__}; return tensors, numbers, strings, lists and dicts")


def _keys(settings):
    """A short name for every setting, the same in every session."""
    if not settings:
        raise ValueError("the sweep is empty: give at least one setting, such as grid(seed=[0, 1])")
    keys = [_digest(_json(setting)) for setting in settings]
    for i, key in enumerate(keys):
        if key in keys[:i]:
            raise ValueError(f"setting {settings[i]} is given twice, as numbers {keys.index(key)} and {i}; drop one")
    return keys


def _label(function, fixed):
    """What makes a sweep this one: its function, the function's text, and what stays fixed."""
    try:
        source = _digest(inspect.getsource(function))
    except (OSError, TypeError):
        source = "unknown"
    return {"function": getattr(function, "__qualname__", repr(function)), "source": source, "fixed": _json(fixed)}


def _json(values):
    try:
        return json.dumps(values, sort_keys=True)
    except TypeError as error:
        raise ValueError(f"{values} cannot name a run ({error}); use numbers, strings and lists of them") from error


def _digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class _opened:
    """The results folder with its label checked, or a passing one for folder=None."""

    def __init__(self, folder, label):
        self.passing = tempfile.TemporaryDirectory() if folder is None else None
        self.folder = Path(self.passing.name if folder is None else folder)
        try:
            self._claim(label)
        except BaseException:
            self.__exit__()
            raise

    def _claim(self, label):
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / LABEL
        if file.exists():
            found = json.loads(file.read_text(encoding="utf-8"))
            for name in label:
                if found.get(name) != label[name]:
                    raise ValueError(
                        f"{self.folder} holds another sweep: {name} is {found.get(name)!r} there and {label[name]!r} "
                        "here; choose another folder, or delete it"
                    )
        elif any(self.folder.iterdir()):
            raise ValueError(f"{self.folder} holds no {LABEL} but other files; choose a new folder")
        else:
            draft = file.with_suffix(".part")
            draft.write_text(json.dumps(label), encoding="utf-8")
            draft.replace(file)

    def __enter__(self):
        return self.folder

    def __exit__(self, *_):
        if self.passing:
            self.passing.cleanup()
