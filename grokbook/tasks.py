"""Tasks on pairs of residues: which pairs there are, which of them are trained on, and their one-hot matrices."""

from dataclasses import dataclass, replace

import torch
from torch.nn.functional import one_hot


@dataclass(frozen=True, eq=False)
class Task:
    """Pairs of symbols and their labels, split into train and test.

    pairs_train: (n, 2) and pairs_test: (k - n, 2), symbols in 0..p-1; labels_train: (n,), labels_test: (k - n,),
    classes in 0..p-1. A pair (a, b) is the input e_a + e_b, a label c the target e_c (Section 7.1).
    """

    p: int
    pairs_train: torch.Tensor
    labels_train: torch.Tensor
    pairs_test: torch.Tensor
    labels_test: torch.Tensor

    @property
    def X_train(self):
        """(n, p) float64, row i is e_a + e_b."""
        return inputs(self.pairs_train, self.p)

    @property
    def Y_train(self):
        """(n, p) float64, row i is e_c."""
        return one_hot(self.labels_train, self.p).double()

    @property
    def X_test(self):
        """(k - n, p) float64."""
        return inputs(self.pairs_test, self.p)

    @property
    def Y_test(self):
        """(k - n, p) float64."""
        return one_hot(self.labels_test, self.p).double()

    def to(self, device):
        """The same task with its tensors on another device."""
        names = ("pairs_train", "labels_train", "pairs_test", "labels_test")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def inputs(pairs, p):
    """Sums of one-hots. pairs: (n, 2) -> (n, p) float64."""
    return one_hot(pairs, p).sum(1).double()


def unordered_pairs(p):
    """All pairs 0 <= a <= b < p. -> (p (p + 1) / 2, 2)."""
    if p < 2:
        raise ValueError(f"p={p} gives no task; p must be at least 2")
    return torch.combinations(torch.arange(p), 2, with_replacement=True)


def modular_addition(p, train_fraction=None, generator=None, *, test_size=None):
    """Section 7.1: all p (p + 1) / 2 unordered pairs with c = (a + b) mod p, split at random.

    Give train_fraction in (0, 1), rounded down to whole pairs, or test_size in pairs (App. D: 7). generator: a
    `torch.Generator` on the CPU that draws the split. Raises ValueError for p < 2 and for a side left empty.
    """
    pairs = unordered_pairs(p)
    return split(p, pairs, pairs.sum(1) % p, train_fraction, generator, test_size=test_size)


def split(p, pairs, labels, train_fraction=None, generator=None, *, test_size=None):
    """Any task on pairs, split at random. pairs: (k, 2), labels: (k,), both with entries in 0..p-1 -> Task."""
    if (train_fraction is None) == (test_size is None):
        raise ValueError(f"train_fraction={train_fraction}, test_size={test_size}: give exactly one of the two")
    if generator is None:
        raise ValueError("the split needs a generator: pass torch.Generator().manual_seed(seed)")
    if len(pairs) != len(labels):
        raise ValueError(f"{len(pairs)} pairs and {len(labels)} labels; give one label a pair")
    symbols = torch.cat([pairs.reshape(-1), labels])
    if len(symbols) and (symbols.min() < 0 or symbols.max() >= p):
        found = f"{symbols.min().item()} to {symbols.max().item()}"
        raise ValueError(f"pairs and labels run from {found}, but p={p} allows 0 to {p - 1}; raise p or renumber them")
    count = len(pairs)
    size = _train_size(count, train_fraction, test_size)
    order = torch.randperm(count, generator=generator)
    train, test = order[:size].sort().values, order[size:].sort().values
    return Task(p, pairs[train], labels[train], pairs[test], labels[test])


def _train_size(count, train_fraction, test_size):
    if train_fraction is not None and not 0 < train_fraction < 1:
        raise ValueError(f"train_fraction={train_fraction} must lie strictly between 0 and 1")
    # 0.29 * 100 is 28.999999999999996: the nudge keeps a whole number of pairs whole.
    size = int(train_fraction * count + 1e-9) if test_size is None else count - test_size
    if not 0 < size < count:
        asked = f"train_fraction={train_fraction}" if test_size is None else f"test_size={test_size}"
        raise ValueError(f"{asked} leaves {size} of {count} pairs to train on; both sides need at least one pair")
    return size
