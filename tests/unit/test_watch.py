import math

import pytest
import torch
from torch import nn

from grokbook.attention import Attention
from grokbook.probe import Probe
from grokbook.tasks import modular_addition
from grokbook.watch import Watch, metric, settings

RATE, DECAY = 0.05, 3e-3
MAKERS = {
    "sgd": lambda weights: torch.optim.SGD(weights, RATE, momentum=0.9, weight_decay=DECAY),
    "adam": lambda weights: torch.optim.Adam(weights, 1e-3, weight_decay=DECAY),
    "adamw": lambda weights: torch.optim.AdamW(weights, 1e-3, weight_decay=0.3),
}


def problem(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    X, Y = (torch.randn(6, size, generator=generator, dtype=dtype) for size in (4, 2))
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 2)).to(dtype), X, Y


def trained(way, steps, at, window=20, dtype=torch.float64):
    model, X, Y = problem(dtype)
    optimiser = MAKERS[way](model.parameters())
    watch = Watch(model, X, Y, optimiser, at, window)
    for step in range(steps + 1):
        watch(step)
        optimiser.zero_grad()
        (model(X) - Y).square().sum().backward()
        optimiser.step()
    return model, X, Y, optimiser, watch.stretches


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradient_descent_goes_down_the_norm_along_the_set(dtype):
    *_, (early, middle, late) = trained("sgd", 1521, [2, 1000, 1500], dtype=dtype)
    assert late.missed < 0.01 and late.own_cosine is None
    assert late.cosine > 0.99 and abs(late.speed - 1) < 0.01
    assert 1 + 1e-9 > late.tangential > 0.99 > late.steepness
    assert late.to_zero == pytest.approx(late.steepness, abs=0.01)
    assert early.cosine < 0.5 and late.norm < middle.norm


@pytest.mark.parametrize("way", ["adam", "adamw"])
def test_adam_goes_its_own_way(way):
    *_, (late,) = trained(way, 2021, [2000])
    assert late.missed < 0.05
    assert late.own_cosine > 0.97 and abs(late.own_speed - 1) < 0.05
    assert late.cosine < 0.9


def test_a_decay_of_the_gradient_is_turned_by_the_metric_too():
    model, X, Y, optimiser, _ = trained("adam", 500, [])
    probe = Probe(model, X, Y)
    P = metric(optimiser, model.parameters())
    coupled = probe.tangent(-P * probe.theta(), metric=P)
    assert coupled @ probe.theta() < 0  # Adam's own way always lowers the norm
    assert probe.jvp(coupled).norm() < 1e-9 * coupled.norm()


def test_the_metric_is_what_adam_divides_by():
    model, X, Y = problem()
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.0, betas=(0.0, 0.99), eps=1e-2)
    before = torch.cat([w.detach().flatten() for w in model.parameters()])
    for _ in range(3):
        start = torch.cat([w.detach().flatten() for w in model.parameters()])
        optimiser.zero_grad()
        (model(X) - Y).square().sum().backward()
        force = torch.cat([w.grad.flatten() for w in model.parameters()])
        optimiser.step()
    moved = torch.cat([w.detach().flatten() for w in model.parameters()]) - start
    assert torch.allclose(moved, -1e-3 * metric(optimiser, model.parameters()) * force, rtol=1e-9)
    assert not torch.equal(before, start)


def test_settings_know_the_length_of_a_step():
    weights = [nn.Parameter(torch.ones(2))]
    assert settings(MAKERS["sgd"](weights)) == (False, pytest.approx(RATE * DECAY * 10))
    assert settings(MAKERS["adam"](weights)) == (False, pytest.approx(1e-3 * DECAY))
    assert settings(MAKERS["adamw"](weights)) == (True, pytest.approx(1e-3 * 0.3))
    damped = torch.optim.SGD(weights, RATE, momentum=0.9, dampening=0.9, weight_decay=DECAY)
    assert settings(damped) == (False, pytest.approx(RATE * DECAY))


@pytest.mark.parametrize(
    ("optimiser", "words"),
    [
        (lambda weights: torch.optim.SGD(weights, RATE), "without a decay nothing moves"),
        (lambda weights: torch.optim.Adagrad(weights, weight_decay=0.1), "known are SGD, Adam and AdamW"),
        (lambda weights: torch.optim.Adam(weights, weight_decay=0.1, amsgrad=True), "amsgrad"),
        (lambda weights: torch.optim.SGD(weights, RATE, weight_decay=0.1, maximize=True), "maximize"),
        (lambda w: torch.optim.SGD([dict(params=w[:1]), dict(params=w[1:], lr=1.0)], RATE, weight_decay=0.1), "differ"),
    ],
)
def test_an_optimiser_that_moves_otherwise_is_refused(optimiser, words):
    model, X, Y = problem()
    with pytest.raises(ValueError, match=words):
        Watch(model, X, Y, optimiser(list(model.parameters())), [0])


def test_bad_input_is_refused_before_the_training():
    model, X, Y = problem()
    optimiser = MAKERS["sgd"](model.parameters())
    with pytest.raises(ValueError, match="step 30 begins before the last one ends; lower window=20"):
        Watch(model, X, Y, optimiser, [20, 30], 20)
    with pytest.raises(ValueError, match="window"):
        Watch(model, X, Y, optimiser, [20], 0)
    with pytest.raises(ValueError, match="at="):
        Watch(model, X, Y, optimiser, [-1], 5)
    with pytest.raises(ValueError, match="targets are"):
        Watch(model, X, Y[:, :1], optimiser, [0])
    narrow = nn.Linear(4, 2).double()
    with pytest.raises(ValueError, match="10 parameters cannot fit 12 targets"):
        Watch(narrow, X, Y, MAKERS["sgd"](narrow.parameters()), [0])
    with pytest.raises(ValueError, match="all 12 targets are zero"):
        Watch(model, X, 0 * Y, optimiser, [0])
    drops = nn.Sequential(model, nn.Dropout(0.5))
    with pytest.raises(ValueError, match=r"eval\(\)"):
        Watch(drops, X, Y, optimiser, [0])


def test_one_stretch_may_begin_where_another_ends_in_any_order():
    *_, stretches = trained("adamw", 31, [20, 10], window=10)
    assert [stretch.step for stretch in stretches] == [10, 20]


def test_a_loop_that_leaves_out_steps_is_told():
    model, X, Y = problem()
    watch = Watch(model, X, Y, MAKERS["sgd"](model.parameters()), [10], 5)
    watch(10)
    with pytest.raises(ValueError, match="step 20 came without step 15, where a stretch ends; call once every step"):
        watch(20)


def test_a_network_that_stood_still_has_no_direction():
    model, X, Y = problem()
    watch = Watch(model, X, Y, MAKERS["sgd"](model.parameters()), [0], 1)
    watch(0)
    with pytest.raises(ValueError, match="zero or not finite and has no direction"):
        watch(1)


def test_as_many_parameters_as_targets_are_enough():
    model, X, Y = nn.Linear(5, 2).double(), torch.randn(6, 5, dtype=torch.float64), torch.ones(6, 2).double()
    assert Watch(model, X, Y, MAKERS["sgd"](model.parameters()), [0]).stretches == []


def test_a_module_may_take_what_it_likes():
    class Named(nn.Linear):
        def forward(self, given):
            return super().forward(given["x"])

    model, X, Y = Named(5, 2).double(), torch.randn(3, 5, dtype=torch.float64), torch.ones(3, 2).double()
    assert Watch(model, {"x": X}, Y, MAKERS["sgd"](model.parameters()), [0]).stretches == []


def test_a_stretch_says_where_it_began():
    model, X, Y = problem()
    norm = sum(float(weights.detach().square().sum()) for weights in model.parameters())
    missed = float((model(X) - Y).detach().norm() / Y.norm())
    *_, (first,) = trained("sgd", 2, [0], window=1)
    assert (first.step, first.norm, first.missed) == (0, pytest.approx(norm), pytest.approx(missed))


def test_watching_changes_nothing():
    watched, *_ = trained("adamw", 50, [10, 30], window=10)
    alone, *_ = trained("adamw", 50, [])
    assert all(torch.equal(a, b) for a, b in zip(watched.parameters(), alone.parameters(), strict=True))


def test_a_metric_turns_the_projection():
    model, X, Y = problem()
    probe = Probe(model, X, Y)
    generator = torch.Generator().manual_seed(1)
    v, P = torch.randn(2, len(probe.theta()), generator=generator, dtype=torch.float64)
    P = P.exp()
    J = torch.stack([probe.vjp(row) for row in torch.eye(12, dtype=torch.float64)])
    expected = v - P * (J.T @ torch.linalg.solve(J * P @ J.T, J @ v))
    assert torch.allclose(probe.tangent(v, metric=P), expected, atol=1e-10)
    assert torch.allclose(probe.tangent(v, metric=torch.ones_like(P)), probe.tangent(v), atol=1e-10)
    along = probe.direction(memorised=math.inf, metric=P)
    assert torch.allclose(along, probe.tangent(-probe.theta(), metric=P))
    with pytest.raises(ValueError, match="1 of the 86 entries of metric are not positive"):
        probe.tangent(v, metric=torch.cat([-P[:1], P[1:]]))
    with pytest.raises(ValueError, match="1 of the 86 entries of metric are not positive"):
        probe.tangent(v, metric=torch.cat([0 * P[:1], P[1:]]))


def test_attention_reads_two_symbols():
    torch.manual_seed(0)
    model, task = Attention(5), modular_addition(5, 0.8, torch.Generator().manual_seed(0))
    outputs = model(task.pairs_train)
    assert outputs.shape == task.Y_train.shape and outputs.isfinite().all()
    assert not torch.allclose(outputs[0], outputs[1])
    swapped = model(task.pairs_train.flip(1))
    assert not torch.allclose(outputs, swapped)  # it sees places
    with pytest.raises(ValueError, match="p=1 must be a whole number of at least 2"):
        Attention(1)
