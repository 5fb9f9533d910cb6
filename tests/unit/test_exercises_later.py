"""Right and wrong answers to the exercises of Part V's later chapters."""

import itertools
from dataclasses import replace

import pytest
import torch

from grokbook import isolated, scale_free, typical
from grokbook.cross_entropy import settle
from grokbook.exercises import cross_entropy, minimum, price, smooth, your_network
from grokbook.exercises import typical as lottery_of
from grokbook.tasks import lottery, modular_addition


def sees_through(verdict, hint):
    return not verdict and hint in repr(verdict)


class Drawn:
    """A task, the same with shuffled labels, where Eq. 20 starts, and where it ends."""

    def __init__(self):
        generator = torch.Generator().manual_seed(1)
        rule = modular_addition(13, 0.85, generator)
        self.E = isolated.initial_embedding(13, 100, generator)
        self.tasks = {"rule": rule, "shuffled": lottery(rule, generator)}
        self.ends = {name: isolated.minimise(self.E, task, evaluations=150).E for name, task in self.tasks.items()}

    def norm(self, name):
        return float(scale_free.norm_of(self.ends[name], self.tasks[name]))

    def run(self, name, norm, steps=10, above=True):
        """The task, and its motion at a norm, from above or from below."""
        task, order = self.tasks[name], torch.Generator().manual_seed(1)
        if above:
            begin = scale_free.descended(self.E, task, norm)
        else:
            begin = scale_free.raised(self.ends[name], task, norm, order)
        return task, typical.wander(begin, task, order, steps, 0.03, progress=False)


@pytest.fixture(scope="module")
def drawn():
    return Drawn()


@pytest.fixture(scope="module")
def with_rule(drawn):
    return drawn.run("rule", 1.5 * drawn.norm("rule"), 350)


@pytest.fixture(scope="module")
def without_rule(drawn):
    return drawn.run("shuffled", 1.5 * drawn.norm("shuffled"), 350)


def test_a_lottery_and_what_it_is_compared_with(with_rule, without_rule):
    assert lottery_of.check_lottery(with_rule, without_rule)
    assert sees_through(lottery_of.check_lottery(without_rule, with_rule), "needs the labels as they were")
    assert sees_through(lottery_of.check_lottery(with_rule, with_rule), "the rule is there to be found")
    assert sees_through(lottery_of.check_lottery(with_rule[0], without_rule), "give a pair")
    assert sees_through(lottery_of.check_lottery(with_rule, without_rule[::-1]), "`without_rule` is a tuple; give a")


def test_runs_at_another_norm(drawn, with_rule, without_rule):
    nearly = drawn.run("rule", 1.65 * drawn.norm("rule"))
    assert sees_through(lottery_of.check_lottery(nearly, without_rule), "of `with_rule` holds 1.6")
    same = drawn.run("shuffled", 1.5 * drawn.norm("rule"))
    assert sees_through(lottery_of.check_lottery(with_rule, same), "a smallest norm of their own")
    mixed_up = drawn.tasks["rule"], replace(with_rule[1], E=without_rule[1].E)
    assert sees_through(lottery_of.check_lottery(mixed_up, without_rule), "made with other labels")


def test_runs_that_compare_nothing(drawn, with_rule, without_rule):
    norm = 1.5 * drawn.norm("rule")
    short = drawn.run("rule", norm)
    assert sees_through(lottery_of.check_lottery(short, without_rule), "let the motion run longer")
    knowing = drawn.run("rule", norm, above=False)
    assert sees_through(lottery_of.check_lottery(knowing, without_rule), "cannot leave chance")
    cut_off = without_rule[0], replace(without_rule[1], time=without_rule[1].time[:20])
    assert sees_through(lottery_of.check_lottery(with_rule, cut_off), "as long to leave chance")
    hasty = with_rule[0], replace(with_rule[1], put_back=4 * with_rule[1].put_back)
    assert sees_through(lottery_of.check_lottery(hasty, without_rule), "Take shorter steps")


def test_labels_that_are_not_shuffled(with_rule, without_rule):
    shuffled, run = without_rule
    other = modular_addition(13, 0.85, torch.Generator().manual_seed(5))
    order = torch.randperm(len(shuffled.Y_test), generator=torch.Generator().manual_seed(0))
    for task, hint in (
        (lottery(other, torch.Generator().manual_seed(0)), "do not share their pairs"),
        (answering(shuffled, torch.zeros(len(shuffled.X_train), dtype=int)), "as many of each"),
        (replace(shuffled, Y_test=shuffled.Y_test[order]), "Shuffle the training labels alone"),
    ):
        assert sees_through(lottery_of.check_lottery(with_rule, (task, run)), hint)


def fair_lottery(task, generator, exchanges=4000):
    labels, pairs = task.labels_train.tolist(), task.pairs_train.tolist()
    near = [[j for j, other in enumerate(pairs) if j != i and set(pair) & set(other)] for i, pair in enumerate(pairs)]
    for i, j in torch.randint(len(pairs), (exchanges, 2), generator=generator).tolist():
        labels[i], labels[j] = labels[j], labels[i]
        if any(labels[k] == labels[m] for k in (i, j) for m in near[k]):
            labels[i], labels[j] = labels[j], labels[i]
    return answering(task, labels)


def answering(task, labels):
    return replace(task, Y_train=torch.eye(task.p).double()[torch.as_tensor(labels)])


def renamed(task, generator):
    return answering(task, (task.labels_train + 1) % task.p)


def new_names(task, generator):
    """As many of each answer as before, and all of one answer together, as far as that goes."""
    counts = torch.bincount(task.labels_train, minlength=task.p)
    names = torch.arange(task.p)
    for count in counts.unique():
        names[counts == count] = names[counts == count].roll(1)
    return answering(task, names[task.labels_train])


def one_looked_at(task, generator, exchanges=400):
    """Takes an exchange back if it spoils the first sample, and forgets the second."""
    labels, touching = task.labels_train.clone(), task.X_train @ task.X_train.T > 0
    for i, j in torch.randint(len(labels), (exchanges, 2), generator=generator).tolist():
        labels[[i, j]] = labels[[j, i]]
        touched = touching[i].clone()
        touched[i] = False
        if bool((labels[touched] == labels[i]).any()):
            labels[[i, j]] = labels[[j, i]]
    return answering(task, labels)


def nearly_fair(task, generator):
    found = fair_lottery(task, generator).labels_train
    for j in range(1, len(found)):
        if task.X_train[0] @ task.X_train[j] == 0 and found[0] != found[j]:
            exchanged = found.clone()
            exchanged[[0, j]] = found[[j, 0]]
            touched = task.X_train @ task.X_train.T > 0
            if ((exchanged[:, None] == exchanged) & touched).triu(1).sum() == 1:
                return answering(task, exchanged)
    raise AssertionError("no exchange makes one clash")


WRONG_LOTTERIES = {
    "the plain one": (lottery, "share a symbol and an answer"),
    "one sample looked at": (one_looked_at, "at both samples of an exchange"),
    "drawn": (
        lambda task, generator: answering(task, torch.randint(task.p, (len(task.X_train),), generator=generator)),
        "given more often",
    ),
    "renamed": (renamed, "given more often"),
    "renamed, as many of each": (new_names, "names are free"),
    "the table": (lambda task, generator: task, "this is the rule"),
    "too few exchanges": (lambda task, generator: fair_lottery(task, generator, 100), "exchange more often"),
    "one for all": (lambda task, generator: fair_lottery(task, torch.Generator().manual_seed(0)), "are the same"),
    "labels": (lambda task, generator: fair_lottery(task, generator).labels_train, "is a Tensor; a task"),
    "pairs exchanged": (lambda task, generator: replace(task, X_train=task.X_train.roll(1, 0)), "shows other pairs"),
    "always 17 symbols": (
        lambda task, generator: replace(task, Y_train=torch.eye(17)[task.labels_train]),
        r"has the shape (45, 17); (45, 13) is asked",
    ),
    "halves": (lambda task, generator: replace(task, Y_train=task.Y_train / 2), "not a single 1"),
    "one clash": (nearly_fair, "1 pairs of samples"),
}


def test_a_fair_lottery():
    assert price.check_fair_lottery(fair_lottery)


@pytest.mark.parametrize("name", WRONG_LOTTERIES)
def test_lotteries_that_are_not_fair(name):
    answer, hint = WRONG_LOTTERIES[name]
    assert sees_through(price.check_fair_lottery(answer), hint)


def singular_values(X, Y):
    return torch.linalg.svdvals(torch.linalg.solve(X, Y))


WRONG_MINIMA = {
    "half of it": (lambda X, Y: singular_values(X, Y).sum(), "A unit costs"),
    "of Y": (lambda X, Y: 2 * torch.linalg.svdvals(Y).sum(), "maps X to Y is another"),
    "the Frobenius norm": (lambda X, Y: 2 * singular_values(X, Y).norm(), "sum the singular values themselves"),
    "the spectral norm": (lambda X, Y: 2 * singular_values(X, Y).max(), "Sum them all"),
    "a network that fits": (
        lambda X, Y: len(X) + torch.linalg.solve(X, Y).square().sum(),
        "above the smallest network",
    ),
    "the bound by norms": (
        lambda X, Y: 2 * torch.linalg.svdvals(Y).sum() / torch.linalg.svdvals(X).max(),
        "below every network",
    ),
    "the inverse the wrong way": (lambda X, Y: 2 * singular_values(X.T, Y).sum(), "`minimum_norm` finds"),
    "nearly": (lambda X, Y: 1.006 * 2 * singular_values(X, Y).sum(), "above the smallest network"),
    "a matrix": (torch.linalg.solve, "where one number is asked for"),
}


def test_the_smallest_linear_network():
    assert minimum.check_linear(lambda X, Y: 2 * singular_values(X, Y).sum())


@pytest.mark.parametrize("name", WRONG_MINIMA)
def test_linear_networks_that_are_not_smallest(name):
    answer, hint = WRONG_MINIMA[name]
    assert sees_through(minimum.check_linear(answer), hint)


def by_prices(embedding, readout, sharpness):
    return embedding / sharpness**2 + sharpness**2 * readout


WRONG_FACTORS = {1 / 256: "must count less", 16: "differs from 1, too", 4: "squares of both", 250: "256"}
WRONG_PRICES = {
    "exchanged": (lambda e, w, s: e * s**2 + w / s**2, "exchanged the two prices"),
    "lengths": (lambda e, w, s: e / s + w * s, "by β itself"),
    "GELU's": (lambda e, w, s: e + w, "as GELU does"),
    "of the embedding alone": (lambda e, w, s: e / s**2 + w, "Put E = E′/β"),
    "for 4 alone": (lambda e, w, s: e / 16 + 16 * w, "for the sharpness 2"),
    "nearly": (lambda e, w, s: 1.00001 * by_prices(e, w, s), "Put E = E′/β"),
}


def test_two_decays():
    assert smooth.check_decays(256, by_prices)


@pytest.mark.parametrize("factor", WRONG_FACTORS)
def test_wrong_factors(factor):
    assert sees_through(smooth.check_decays(factor, by_prices), WRONG_FACTORS[factor])


@pytest.mark.parametrize("name", WRONG_PRICES)
def test_wrong_prices(name):
    answer, hint = WRONG_PRICES[name]
    assert sees_through(smooth.check_decays(256, answer), hint)


def logarithms(network, task, times, decay, theta):
    return settle(network, task, times, decay, theta).points.square().sum(1).log()


def falls(network, task, times, decay, theta):
    return -logarithms(network, task, times, decay, theta).diff() / torch.tensor(times).diff()


def by_flow(network, task, times, decay, theta, step=0.02):
    """The same along the flow, by the midpoint rule."""

    def velocity(theta):
        outputs, pull = network.linearised(theta)
        return pull((task.Y_train - outputs.softmax(-1)) / (len(outputs) * decay)) - theta

    points = [theta]
    for begin, end in itertools.pairwise(times):
        for _ in range(round((end - begin) / step)):
            theta = theta + step * velocity(theta + step / 2 * velocity(theta))
        points.append(theta)
    return -torch.stack(points).square().sum(1).log().diff() / torch.tensor(times).diff()


def from_the_start(network, task, times, decay, theta):
    found = logarithms(network, task, times, decay, theta)
    return (found[0] - found[1:]) / torch.tensor(times[1:])


WRONG_FALLS = {
    "a negative sign": (lambda *given: -falls(*given), "positive rate of fall"),
    "of the norm": (lambda *given: falls(*given) / 2, "the norm's, and not its square's"),
    "not by the time": (lambda *given: -logarithms(*given).diff(), "by the time it takes"),
    "from the start": (from_the_start, "where the last one ends"),
    "the bound": (lambda *given: torch.full((len(given[2]) - 1,), 2 - 2 / 1.3), "By the proof none is below"),
    "the first rate": (lambda *given: falls(*given)[:1].expand(len(given[2]) - 1), "from 3 to 6 the logarithm"),
    "at another decay": (lambda n, task, times, decay, theta: falls(n, task, times, 2 * decay, theta), "a unit of T"),
    "nearly": (lambda *given: 1.12 * falls(*given), "a unit of T"),
    "with the start": (logarithms, "has the shape (4,); (3) is asked"),
}


def test_how_fast_a_network_dies():
    assert cross_entropy.check_dies(falls)
    assert cross_entropy.check_dies(by_flow)


@pytest.mark.parametrize("name", WRONG_FALLS)
def test_networks_that_die_otherwise(name):
    answer, hint = WRONG_FALLS[name]
    assert sees_through(cross_entropy.check_dies(answer), hint)


def old_way(probe, D):
    return probe.tangent(-D * probe.theta(), metric=D)


def dense(probe, D):
    """Q_D by its definition."""
    J = torch.func.jacrev(probe.F)(probe.theta())
    Q = torch.eye(len(D)).double() - D[:, None] * J.T @ torch.linalg.solve(J @ (D[:, None] * J.T), J)
    return -Q @ (D * probe.theta())


WRONG_WAYS = {
    "AdamW's": (lambda probe, D: probe.direction(metric=D), "this is AdamW's way"),
    "gradient descent's": (lambda probe, D: probe.direction(), "knows nothing of D"),
    "not projected": (lambda probe, D: -D * probe.theta(), "leaves the zero-loss set"),
    "scaled after": (lambda probe, D: D * probe.direction(), "Scale first"),
    "the ordinary projection": (lambda probe, D: probe.tangent(-D * probe.theta()), "needs `metric=D`, too"),
    "up": (lambda probe, D: -old_way(probe, D), "raises the norm"),
    "of length 1": (lambda probe, D: old_way(probe, D) / old_way(probe, D).norm(), "has the right direction"),
    "D twice": (lambda probe, D: probe.tangent(-(D**2) * probe.theta(), metric=D), "is neither"),
    "another metric": (lambda probe, D: probe.tangent(-D * probe.theta(), metric=D**2), "is neither"),
    "nearly": (lambda probe, D: old_way(probe, D) + 1e-4 * probe.direction(), "is neither"),
    "nothing": (lambda probe, D: 0 * D, "is zero"),
}


def test_the_way_of_the_old_decay():
    assert your_network.check_old_way(old_way)
    assert your_network.check_old_way(dense)


@pytest.mark.parametrize("name", WRONG_WAYS)
def test_ways_that_are_not_the_old_decay_s(name):
    answer, hint = WRONG_WAYS[name]
    assert sees_through(your_network.check_old_way(answer), hint)
