import itertools

import pytest
import torch

from grokbook.eq20 import Isolated
from grokbook.isolated import cost, readout, simulate, velocity
from grokbook.stored import matching, stored_runs
from grokbook.tasks import boolean, modular_addition
from grokbook.ways import also_trained_on, descend, ways, wrong_answers

P, WIDTH = 5, 24
NAMES = ["steepest", "swirl 1", "swirl 3", "swirl 10", "swirl 30", "own speeds", "signs", "equal units", "noise"]
NAMES += ["half the units", "half the residues"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def case(seed=0):
    task = modular_addition(P, 0.7, generator(seed))
    return task, torch.randn(P, WIDTH, generator=generator(seed + 1), dtype=torch.float64)


def inner(a, b):
    return float((a * b).sum())


# The ways


def test_the_names():
    _, E = case()
    assert list(ways(E, generator())) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_way_lowers_the_norm_and_keeps_the_training_loss_at_zero(name):
    task, E = case()
    way = ways(E, generator())[name]
    v = velocity(E, task, "gelu")
    assert inner(v, way(E, v)) > 0
    found = descend(E, task, way, "gelu", span=0.002, strides=20)
    R = found.norms.sum(1)
    assert bool((R.diff() < 0).all())
    H = torch.nn.functional.gelu(task.X_train @ found.E)
    torch.testing.assert_close(H @ readout(found.E, task, "gelu"), task.Y_train, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(R[-1], cost(found.E, task, "gelu"))


@pytest.mark.parametrize("kappa", [1, 3, 10, 30])
def test_a_swirl_adds_an_antisymmetric_part_of_spectral_norm_kappa(kappa):
    _, E = case()
    way = ways(E, generator())[f"swirl {kappa}"]
    whole = way(E, torch.eye(WIDTH, dtype=torch.float64)) - torch.eye(WIDTH, dtype=torch.float64)
    torch.testing.assert_close(whole, -whole.T)
    assert float(torch.linalg.svdvals(whole)[0]) == pytest.approx(kappa)


def test_own_speeds_are_log_normal_and_the_same_in_every_step():
    E = torch.zeros(60, 70, dtype=torch.float64)
    way = ways(E, generator())["own speeds"]
    logs = way(E, torch.ones_like(E)).log()
    assert torch.equal(logs, way(E, torch.ones_like(E)).log())
    assert float(logs.mean()) == pytest.approx(0, abs=0.1)
    assert float(logs.std()) == pytest.approx(1, abs=0.1)


def test_signs_and_equal_units():
    task, E = case()
    v = velocity(E, task)
    v[:, 3] = 0  # a unit at rest stays at rest
    found = ways(E, generator())
    assert set(found["signs"](E, v).abs().unique().tolist()) == {0.0, 1.0}
    lengths = found["equal units"](E, v).norm(dim=0)
    assert lengths[3] == 0
    torch.testing.assert_close(lengths[torch.arange(WIDTH) != 3], torch.ones(WIDTH - 1, dtype=torch.float64))


def test_noise_is_fresh_perpendicular_and_three_times_as_long():
    task, E = case()
    v, way = velocity(E, task), ways(E, generator())["noise"]
    first, second = way(E, v) - v, way(E, v) - v
    assert abs(inner(first, v)) < 1e-12 * v.norm() * first.norm()
    assert float(first.norm()) == pytest.approx(3 * float(v.norm()))
    assert abs(inner(first, second)) < 0.5 * first.norm() * second.norm()


@pytest.mark.parametrize(("name", "dim", "held"), [("half the units", 0, 12), ("half the residues", 1, 3)])
def test_what_is_held_does_not_move(name, dim, held):
    task, E = case()
    moved = (descend(E, task, ways(E, generator())[name], strides=3).E - E).norm(dim=dim)
    assert int((moved == 0).sum()) == held


def test_the_ways_come_from_the_generator():
    _, E = case()
    draws = [ways(E, generator(seed))["swirl 1"](E, E) for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


# Following them


def test_the_steepest_way_is_equation_20_on_its_own_clock():
    task, E = case()
    found = descend(E, task, lambda E, v: v, span=0.05, strides=8)
    known = simulate(E, task, 0.05, 8, method="adaptive", record_every=1, progress=False)
    torch.testing.assert_close(found.E, known.E)
    torch.testing.assert_close(found.norms, known.norms)
    torch.testing.assert_close(found.time, known.time)
    torch.testing.assert_close(found.lowered, known.time)


def test_a_way_is_followed_at_the_speed_of_equation_20_whatever_its_length():
    task, E = case()
    short, long = (descend(E, task, lambda E, v, c=c: c * v.sign(), span=1e-3, strides=3) for c in (0.01, 100.0))
    torch.testing.assert_close(short.E, long.E)
    torch.testing.assert_close(short.time, torch.tensor([0, 1e-3, 2e-3, 3e-3], dtype=torch.float64))


def test_on_the_clock_of_equal_lowering_every_way_lowers_alike():
    task, E = case()
    slope = 2 * velocity(E, task, "gelu").square().sum()
    for way in ways(E, generator()).values():
        found = descend(E, task, way, "gelu", span=1e-6, strides=1)
        assert float(-found.norms.sum(1).diff() / slope) == pytest.approx(float(found.lowered[1]), rel=1e-2)


def test_the_angle_of_a_swirl():
    task, E = case()
    v = velocity(E, task)
    w = ways(E, generator())["swirl 3"](E, v)
    found = descend(E, task, lambda E, v: w, span=1e-6, strides=1)
    across = (w - v).norm() / v.norm()
    assert float(found.lowered[1] / found.time[1]) == pytest.approx(float((1 + across**2) ** -0.5), rel=1e-4)


@pytest.mark.parametrize("method", ["momentum", "adam"])
def test_with_memory_the_clock_counts_what_was_moved(method):
    task, E = case()
    found = descend(E, task, lambda E, v: v, span=1e-3, strides=1, method=method)
    v, moved = velocity(E, task), found.E - E
    assert float(found.time[1]) == pytest.approx(float(moved.norm() / v.norm()))
    assert float(found.lowered[1]) == pytest.approx(inner(moved, v) / float(v.square().sum()))


@pytest.mark.parametrize("sign", [-1, 1])
def test_scaling_changes_no_answer_and_no_scale_free_norm(sign):
    task, E = case()
    found = descend(E, task, lambda E, v: sign * E, span=0.02, strides=20)
    torch.testing.assert_close(found.scale_free, found.scale_free[:1].expand(21))
    products = found.norms.prod(1)
    torch.testing.assert_close(products, products[:1].expand(21))
    answers = [torch.relu(task.X_test @ one) @ readout(one, task) for one in (E, found.E)]
    torch.testing.assert_close(*answers, rtol=1e-8, atol=1e-8)
    assert abs(float(found.E.norm() / E.norm()) - 1) > 0.1


def test_a_run_can_stop_early_and_records_its_end():
    task, E = case()
    found = descend(E, task, lambda E, v: v, strides=7, record_every=3)
    assert len(found.time) == 4
    stopped = descend(E, task, lambda E, v: v, strides=7, stop_at=0.0)
    assert len(stopped.time) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(span=0.0), "span"),
        (dict(strides=-1), "strides"),
        (dict(record_every=0), "record_every"),
        (dict(stop_at=1.5), "stop_at"),
        (dict(method="rk"), "unknown method"),
    ],
)
def test_bad_input(options, message):
    task, E = case()
    with pytest.raises(ValueError, match=message):
        descend(E, task, lambda E, v: v, **options)


def test_batches_are_refused():
    task, E = case()
    with pytest.raises(ValueError, match=r"shape \(2, 5, 24\); give one run"):
        descend(torch.stack([E, E]), task, lambda E, v: v)
    for wrong in (torch.stack([E, E]), E[:1], E[:, :1]):
        with pytest.raises(ValueError, match="at least two by two"):
            ways(wrong, generator())
    with pytest.raises((TypeError, ValueError), match="generator"):
        ways(E, 0)


# Lies


def test_wrong_answers_are_one_hot_wrong_and_even():
    task = modular_addition(11, 0.05, generator())
    shifts = torch.zeros(11)
    for seed in range(20):
        answers = wrong_answers(task, generator(seed))
        assert bool((answers.sum(1) == 1).all()) and bool(((answers == 0) | (answers == 1)).all())
        shifts += ((answers.argmax(1) - task.labels_test) % 11).bincount(minlength=11)
    assert shifts[0] == 0
    assert float(shifts[1:].min()) > 0.7 * float(shifts[1:].mean())
    with pytest.raises(ValueError, match="m=1 output"):
        wrong_answers(boolean(3, lambda bits: bits[:, 0], 0.5, generator()), generator())


def test_a_liar_is_right_in_training_wrong_beside_it_and_dearer():
    task, E = case()
    answers = wrong_answers(task, generator())
    lies = also_trained_on(task, answers)
    W = readout(E, lies)
    torch.testing.assert_close(torch.relu(task.X_train @ E) @ W, task.Y_train, rtol=1e-8, atol=1e-8)
    outputs = torch.relu(task.X_test @ E) @ W
    torch.testing.assert_close(outputs, answers, rtol=1e-8, atol=1e-8)
    assert float(task.accuracy(outputs)) == 0
    assert float(cost(E, lies)) > float(cost(E, task))
    assert len(lies.pairs_train) == len(lies.X_train) == 15
    with pytest.raises(ValueError, match="answers are"):
        also_trained_on(task, answers[1:])


def test_a_liars_way_lowers_the_liars_norm():
    task, E = case()
    lies = also_trained_on(task, wrong_answers(task, generator()))
    layer = Isolated(lies, E, "gelu")
    points = [
        descend(E, task, lambda E, v: layer.velocity(E), "gelu", span=0.002, strides=strides).E
        for strides in (0, 5, 10)
    ]
    costs = [float(cost(point, lies, "gelu")) for point in points]
    assert all(later < sooner for sooner, later in itertools.pairwise(costs))


# What is stored


def test_no_stored_way_raises_the_norm():
    rows = [row for row in stored_runs("path") if row["kind"] in ("way", "shuffled")]
    for row in rows:
        if row["way"] not in ("noise", "momentum", "adam") and not row["way"].startswith("swirl"):
            assert all(b < a * (1 + 1e-3) for a, b in itertools.pairwise(row["R"])), row["way"]


def test_stored_runs_are_whole():
    rows = stored_runs("path")
    for row in rows:
        if "norm" in row:
            assert len(row["norm"]) == len(row["accuracy"]) <= 30
    assert {row["seed"] for row in matching(rows, kind="lie")} == {0, 1, 2}
