"""What a task costs: the smallest R/λ of a network that answers it, for a whole table, for a part, and for a lottery.

R/λ = ‖E‖² + ‖W‖² with HW = Y on the training samples, as in Eq. 19 for λ → 0.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import curve_fit

from grokbook import checks, tasks
from grokbook.eq20 import Isolated
from grokbook.isolated import initial_embedding, minimise


def _random(p):
    drawn = torch.randint(p, (p, p), generator=torch.Generator().manual_seed(p))
    return lambda a, b: drawn[torch.minimum(a, b), torch.maximum(a, b)]


# name -> p -> rule on symbols 0..p-1
TABLES = {
    "addition": lambda p: lambda a, b: (a + b) % p,
    "multiplication": lambda p: lambda a, b: a * b % p,
    "squares": lambda p: lambda a, b: (a * a + b * b) % p,
    "quadratic": lambda p: lambda a, b: (a * a + a * b + b * b) % p,
    "distance": lambda p: lambda a, b: (a - b).abs(),
    "maximum": lambda p: torch.maximum,
    "xor": lambda p: lambda a, b: a ^ b,
    "random": _random,
}
# name -> rule on rows of bits
BITS = {"parity": lambda bits: bits.sum(1) % 2, "majority": lambda bits: (2 * bits.sum(1) > bits.shape[1]).long()}


def task_of(name, size, share, generator):
    """A task by its name: a table on symbols 0..size-1, or a function of `size` bits and a constant input. -> Task.

    name: of TABLES or BITS; share in (0, 1] of the samples to train on, 1 for all of them, then to test on as well.
    Raises ValueError for another name, and for symbols that XOR leads out of 0..size-1."""
    share = checks.positive("share", share, most=1)
    part = share if share < 1 else 0.5
    if name in TABLES:
        task = tasks.table(size, TABLES[name](checks.whole("size", size, 2)), part, generator)
    elif name in BITS:
        task = with_constant(tasks.boolean(size, BITS[name], part, generator))
    else:
        raise ValueError(f"name={name!r} is not known; choose from {sorted(TABLES | BITS)}")
    return task if share < 1 else task.whole()


def with_constant(task):
    """The same task with one more input that is always 1, which makes up for missing biases. -> Task."""
    X_train, X_test = (torch.cat([X, torch.ones_like(X[:, :1])], 1) for X in (task.X_train, task.X_test))
    return tasks.Task.from_arrays(X_train, task.Y_train, X_test, task.Y_test, task.right)


class Price(NamedTuple):
    """What `price` found: R/λ, the test accuracy of the network that has it, and its embedding E: (n_in, d_hidden)."""

    cost: float
    test_accuracy: float
    E: torch.Tensor


def price(task, d_hidden, generator, *, evaluations=300):
    """The smallest R/λ that `isolated.minimise` finds for a task from a random start. -> Price.

    It is a local minimum, so an upper estimate of the least. In float32, and in float64 where HHᵀ becomes singular on
    the way, as it does when symbols that a rule does not tell apart become one. Where it does so in float64, too, with
    a ridge (Eq. 15) of 1e-9, whose cost is that of an exact fit to six digits. Raises ValueError where d_hidden does
    not exceed the training samples."""
    start = initial_embedding(task.p, d_hidden, generator, dtype=torch.float32)
    for first in (start, start.double()):
        try:
            return _lowered(first, task, evaluations)
        except ValueError:
            if d_hidden <= len(task.Y_train):
                raise
    return _lowered(first, task, evaluations, decay=1e-9)


def _lowered(start, task, evaluations, decay=0.0):
    end = minimise(start, task, evaluations=evaluations, decay=decay)
    layer = Isolated(task, end.E, decay=decay)
    found = layer.record(end.E, layer.solve(end.E))
    return Price(end.cost, float(found["test_accuracy"]), end.E)


def least_price(task):
    """2‖Y‖_*/‖X‖ with the nuclear and the spectral norm: no network with HW = Y and |σ(z)| <= |z| has less R/λ."""
    nuclear = torch.linalg.matrix_norm(task.Y_train, "nuc")
    return 2 * float(nuclear / torch.linalg.matrix_norm(task.X_train, 2))


class Transition(NamedTuple):
    """A rise from 0 to 1: where it is at one half, how far it is from one tenth to nine tenths, and the rms misfit."""

    middle: float
    width: float
    misfit: float

    def at(self, x):
        """1/(1 + exp(−2 ln 9 (x − middle)/width)) at every x, a NumPy array. x: (k,)."""
        return _rise(np.asarray(x, dtype=float), self.middle, self.width)


def transition(x, accuracy):
    """The logistic rise from 0 to 1 nearest to the points, by least squares. x, accuracy: (k,), k >= 3 -> Transition.

    Raises ValueError for fewer points, accuracies outside 0..1, and points that are all on one side of one half."""
    x, accuracy = (np.asarray([float(value) for value in values]) for values in (x, accuracy))
    if len(x) != len(accuracy) or len(x) < 3 or not (np.isfinite(x).all() and (abs(accuracy - 0.5) <= 0.5).all()):
        raise ValueError(f"a rise needs three or more points with accuracies in 0..1, got x={x}, accuracy={accuracy}")
    low, high = accuracy.min(), accuracy.max()
    if not low < 0.5 < high:
        raise ValueError(f"accuracies run from {low:.3g} to {high:.3g} and do not pass 1/2; take points on both sides")
    start = x[abs(accuracy - 0.5).argmin()], (x.max() - x.min()) / 2
    (middle, width), _ = curve_fit(_rise, x, accuracy, start, maxfev=20_000)
    return Transition(float(middle), float(width), float(np.sqrt(np.mean((_rise(x, middle, width) - accuracy) ** 2))))


def _rise(x, middle, width):
    return 1 / (1 + np.exp(np.clip(-2 * math.log(9) * (x - middle) / width, -700, 700)))
