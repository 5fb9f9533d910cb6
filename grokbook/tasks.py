"""Tasks: inputs, targets, the split, and the rule by which an output is right; tables of sums and products, bits, and
yours."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch.nn.functional import one_hot

from grokbook import checks
from grokbook.operators import operator


def largest(outputs, Y):
    """Right where the largest output is the target's (Section 7.2). (..., n, m), (n, m) -> (..., n) bool."""
    return outputs.argmax(-1) == Y.argmax(-1)


def same_sign(outputs, Y):
    """Right where every output has its target's sign. (..., n, m), (n, m) -> (..., n) bool."""
    return (outputs * Y > 0).all(-1)


def near(outputs, Y):
    """Right where no output misses its target by more than half of the targets' spread. (..., n, m), (n, m) ->
    (..., n) bool."""
    return ((outputs - Y).abs() <= Y.std() / 2).all(-1)


@dataclass(frozen=True, eq=False)
class Task:
    """Samples to train on and to test on, and when an output is right.

    X_train: (n, n_in), Y_train: (n, m), X_test: (t, n_in), Y_test: (t, m), float64; right(outputs, Y): (..., n, m),
    (n, m) -> (..., n) bool. Tables keep pairs_train: (n, 2) and pairs_test: (t, 2), symbols in 0..p-1, else None.
    """

    X_train: torch.Tensor
    Y_train: torch.Tensor
    X_test: torch.Tensor
    Y_test: torch.Tensor
    right: Callable = largest
    pairs_train: torch.Tensor | None = None
    pairs_test: torch.Tensor | None = None

    @classmethod
    def from_arrays(cls, X_train, Y_train, X_test, Y_test, right=None):
        """A task of your own: arrays or tensors, samples in rows; a vector of targets is one output.

        right: `largest`, `same_sign`, `near` or your own; by default the one that fits the targets: one-hot rows, ±1,
        any others. Raises ValueError for shapes that do not fit, entries that are not finite and a side without
        samples."""
        given = dict(X_train=X_train, Y_train=Y_train, X_test=X_test, Y_test=Y_test)
        X_train, Y_train, X_test, Y_test = (_samples(name, array) for name, array in given.items())
        for X, Y, side in ((X_train, Y_train, "train"), (X_test, Y_test, "test")):
            if len(X) != len(Y) or len(X) == 0:
                raise ValueError(
                    f"X_{side} has {len(X)} rows and Y_{side} {len(Y)}; give each sample, at least one, a target"
                )
        if X_train.shape[1] != X_test.shape[1] or Y_train.shape[1] != Y_test.shape[1]:
            shapes = ", ".join(
                f"{name} {tuple(tensor.shape)}"
                for name, tensor in zip(given, (X_train, Y_train, X_test, Y_test), strict=True)
            )
            raise ValueError(f"train and test differ in their columns: {shapes}")
        return cls(X_train, Y_train, X_test, Y_test, right or _fitting_rule(torch.cat([Y_train, Y_test])))

    @property
    def p(self):
        """n_in, the number of inputs: the rows of E."""
        return self.X_train.shape[1]

    @property
    def labels_train(self):
        """Which target is largest. -> (n,)."""
        return self.Y_train.argmax(1)

    @property
    def labels_test(self):
        """Which target is largest. -> (t,)."""
        return self.Y_test.argmax(1)

    @cached_property
    def inputs(self):
        """X_train as an operator."""
        return operator(self.X_train)

    @cached_property
    def inputs_test(self):
        """X_test as an operator."""
        return operator(self.X_test)

    def accuracy(self, outputs):
        """The share of test samples that are right. outputs: (..., t, m) -> (...) float64."""
        return self.right(outputs, self.Y_test.to(outputs)).double().mean(-1)

    def whole(self):
        """The same samples, all of them to train on and to test on."""
        X, Y = torch.cat([self.X_train, self.X_test]), torch.cat([self.Y_train, self.Y_test])
        pairs = None if self.pairs_train is None else torch.cat([self.pairs_train, self.pairs_test])
        return Task(X, Y, X, Y, self.right, pairs, pairs)

    def to(self, device):
        """The same task with its tensors on another device."""
        tensors = {name: value for name, value in vars(self).items() if torch.is_tensor(value)}
        return replace(self, **{name: tensor.to(device) for name, tensor in tensors.items()})


def _samples(name, array):
    tensor = torch.as_tensor(array)
    tensor = tensor[:, None] if tensor.ndim == 1 and name.startswith("Y") else tensor
    return checks.real(name, tensor.double(), (None, None))


def _fitting_rule(Y):
    if bool(((Y == 0) | (Y == 1)).all() and (Y.sum(1) == 1).all()) and Y.shape[1] > 1:
        return largest
    return same_sign if bool((Y.abs() == 1).all()) else near


def inputs(pairs, p):
    """Sums of one-hots. pairs: (n, 2) -> (n, p) float64."""
    return one_hot(pairs, p).sum(1).double()


def unordered_pairs(p):
    """All pairs 0 <= a <= b < p. -> (p (p + 1) / 2, 2)."""
    return torch.combinations(torch.arange(checks.whole("p", p, 2)), 2, with_replacement=True)


def table(p, rule, train_fraction=None, generator=None, *, test_size=None):
    """Any commutative rule on unordered pairs: the input e_a + e_b has the target e_c with c = rule(a, b) in 0..p-1.

    rule: (k,), (k,) -> (k,), whole symbols. Give train_fraction in (0, 1), rounded down to whole pairs,
    or test_size in pairs; generator draws the split. Raises ValueError for p < 2, a side left empty, and a rule that
    leaves 0..p-1 or depends on the order, which e_a + e_b does not show.
    """
    pairs = unordered_pairs(p)
    labels, swapped = rule(pairs[:, 0], pairs[:, 1]), rule(pairs[:, 1], pairs[:, 0])
    if not torch.equal(labels, swapped):
        a, b = pairs[(labels != swapped).nonzero()[0, 0]].tolist()
        raise ValueError(f"rule({a}, {b}) and rule({b}, {a}) differ, but e_a + e_b does not show the order")
    return split(p, pairs, labels, train_fraction, generator, test_size=test_size)


def modular_addition(p, train_fraction=None, generator=None, *, test_size=None):
    """Section 7.1: all p (p + 1) / 2 unordered pairs with c = (a + b) mod p, split as in `table` (App. D:
    test_size=7)."""
    return table(p, lambda a, b: (a + b) % p, train_fraction, generator, test_size=test_size)


def modular_multiplication(p, train_fraction=None, generator=None, *, test_size=None):
    """All unordered pairs with c = a b mod p, split as in `table`."""
    return table(p, lambda a, b: a * b % p, train_fraction, generator, test_size=test_size)


def boolean(bits, rule, train_fraction=None, generator=None, *, test_size=None):
    """A function of bits on all 2^bits inputs of ±1, with one output of ±1; right where the sign is.

    rule: (2^bits, bits) -> (2^bits,), both of 0 and 1. Split as in `table`.
    """
    count = 2 ** checks.whole("bits", bits, 1)
    values = torch.arange(count)[:, None] >> torch.arange(bits) & 1
    answers = torch.as_tensor(rule(values))
    if answers.shape != (count,) or not bool(((answers == 0) | (answers == 1)).all()):
        raise ValueError(
            f"rule returned shape {tuple(answers.shape)}; it must give one 0 or 1 for each of {count} inputs"
        )
    train, test = _drawn(count, train_fraction, generator, test_size)
    X, Y = 2.0 * values.double() - 1, 2.0 * answers.double()[:, None] - 1
    return Task(X[train], Y[train], X[test], Y[test], same_sign)


def lottery(task, generator):
    """The same task with the targets of the training samples shuffled: as many of each, and no rule to find.

    Raises ValueError for a task without training samples."""
    if len(task.Y_train) == 0:
        raise ValueError(f"the task has {len(task.Y_train)} training samples to shuffle; give it at least one")
    order = torch.randperm(len(task.Y_train), generator=checks.random(generator))
    return replace(task, Y_train=task.Y_train[order])


def split(p, pairs, labels, train_fraction=None, generator=None, *, test_size=None):
    """Any task on pairs, split at random. pairs: (k, 2), labels: (k,), both whole with entries in 0..p-1 -> Task."""
    checks.whole("p", p, 2)
    pairs, labels = torch.as_tensor(pairs), torch.as_tensor(labels)
    if pairs.ndim != 2 or pairs.shape[1:] != (2,) or labels.shape != pairs.shape[:1] or len(pairs) == 0:
        raise ValueError(f"pairs are {tuple(pairs.shape)} and labels {tuple(labels.shape)}; pass (k, 2) and (k,)")
    if pairs.is_floating_point() or labels.is_floating_point():
        raise ValueError(f"pairs are {pairs.dtype} and labels {labels.dtype}; pass whole numbers: .long()")
    low = min(int(pairs.min()), int(labels.min()))
    high = max(int(pairs.max()), int(labels.max()))
    if low < 0 or high >= p:
        raise ValueError(
            f"pairs and labels run from {low} to {high}, but p={p} allows 0 to {p - 1}; raise p or renumber them"
        )
    train, test = _drawn(len(pairs), train_fraction, generator, test_size)
    X, Y = inputs(pairs, p), one_hot(labels.long(), p).double()
    return Task(X[train], Y[train], X[test], Y[test], largest, pairs[train], pairs[test])


def _drawn(count, train_fraction, generator, test_size):
    """The sorted numbers of the samples to train on and to test on."""
    if (train_fraction is None) == (test_size is None):
        raise ValueError(f"train_fraction={train_fraction}, test_size={test_size}: give exactly one of the two")
    if train_fraction is not None:
        # 0.29 * 100 is 28.999999999999996: the nudge keeps a whole number of pairs whole.
        size = int(checks.positive("train_fraction", train_fraction, most=1) * count + 1e-9)
    else:
        size = count - checks.whole("test_size", test_size, 1)
    if not 0 < size < count:
        asked = f"train_fraction={train_fraction}" if test_size is None else f"test_size={test_size}"
        raise ValueError(f"{asked} leaves {size} of {count} samples to train on; both sides need at least one")
    order = torch.randperm(count, generator=checks.random(generator))
    return order[:size].sort().values, order[size:].sort().values
