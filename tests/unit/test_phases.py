import math

import pytest
import torch

from grokbook.network import TwoLayer
from grokbook.phases import PHASES, diagnose
from grokbook.tasks import modular_addition
from grokbook.training import TrainingError, train

TIME = torch.arange(9.0)


def step_up(at, to=1.0):
    """A curve that is 0.1 before the time `at`, and `to` from then on."""
    return torch.where(at <= TIME, to, 0.1)


def run(train=1, test=6, loss=None, norm=None, **options):
    """A run whose curves step up at the times `train` and `test`, with a loss and a norm that fall and come to rest."""
    falling = 10 * 0.1**TIME
    curves = [step_up(train), step_up(test), falling if loss is None else loss, 100 + falling if norm is None else norm]
    return diagnose(TIME, *curves, **(dict(decay=1.0) | options))


@pytest.mark.parametrize(
    ("train", "test", "phase"),
    [
        (1, 6, "grokking"),
        (1, 4, "grokking"),
        (1, 3, "comprehension"),
        (3, 2, "comprehension"),
        (0, 0, "comprehension"),
        (0, 1, "grokking"),
        (1, 99, "memorisation"),
        (99, 99, "confusion"),
        (99, 2, "confusion"),
    ],
)
def test_when_the_accuracies_rise_decides_the_phase(train, test, phase):
    found = run(train, test)
    assert found.phase == phase and found.settled
    assert (found.memorised, found.understood) == tuple(None if at == 99 else at for at in (train, test))


def test_the_factor_and_the_levels_are_the_reader_s():
    assert run(1, 5, at_once=5).phase == "comprehension" and run(1, 5, at_once=4.9).phase == "grokking"
    assert run(known=1.0).phase == "grokking" and run(fitted=0.05).memorised == 0
    curves = step_up(1, 0.9), step_up(6, 0.7), TIME * 0, TIME * 0 + 1
    assert diagnose(TIME, *curves, 1.0).phase == "confusion"
    assert diagnose(TIME, *curves, 1.0, fitted=0.89, known=0.69).phase == "grokking"
    assert diagnose(TIME, *curves, 1.0, fitted=0.89, known=0.71).phase == "memorisation"


def test_who_forgets_has_not_memorised():
    passing = torch.where((TIME > 1) & (TIME < 5), 1.0, 0.3)
    found = diagnose(TIME, passing, TIME * 0, TIME * 0 + 1, TIME * 0 + 2, 1.0)
    assert (found.phase, found.memorised) == ("confusion", 2) and "It had, at time 2" in found.because


@pytest.mark.parametrize("name", ["loss", "norm"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_curve_that_is_not_finite_is_divergence(name, bad):
    curve = 10 * 0.1**TIME
    curve[7] = bad
    found = run(**{name: curve})
    assert found.phase == "divergence" and "from time 7 on" in found.because


def test_a_loss_that_grows_is_divergence_where_the_norm_grows_too_and_nothing_is_memorised():
    growing = 1.5**TIME
    assert run(99, 99, loss=growing, norm=growing).phase == "divergence"
    peak = torch.tensor([1.0, 3, 1, 1, 1, 1, 1, 1, 1])
    found = run(99, 99, loss=peak, norm=100 * peak)  # the units died on the way
    assert (
        found.phase == "divergence"
        and found.settled
        and "from 1 to 3 and the squared norm from 100 to 300" in str(found)
    )
    # A strong decay lets a network that has memorised forget: the loss grows, and the norm falls.
    assert run(99, 99, loss=growing, norm=1 / growing).phase == "confusion"
    assert run(99, 99, loss=1 + TIME / 9, norm=growing).phase == "confusion"  # less than twice
    assert run(loss=peak, norm=100 * peak).phase == "grokking"  # it recovered


@pytest.mark.parametrize(("train", "test"), [(1, 99), (99, 99)])
def test_a_norm_that_still_moves_decides_nothing(train, test):
    for rate in (-0.05, 0.05):
        found = run(train, test, norm=100 * torch.exp(rate * TIME))
        assert not found.settled and "Train on" in found.cure and ", so far:" in str(found)
    assert "Train on" not in run(train, test).cure and "so far" not in str(run(train, test))
    assert run(train, test, norm=100 * torch.exp(-0.05 * TIME), still=0.2).settled


def test_grokking_is_grokking_whatever_comes_after():
    moving = run(norm=100 * torch.exp(-0.05 * TIME))
    assert (moving.phase, moving.settled) == ("grokking", False)
    assert "so far" not in str(moving) and moving.cure == run().cure


def test_a_training_accuracy_that_still_rises_decides_nothing():
    rising = torch.linspace(0.1, 0.9, 9)
    assert not diagnose(TIME, rising, TIME * 0, TIME * 0 + 1, TIME * 0 + 2, 1.0).settled


@pytest.mark.parametrize(("train", "test"), [(1, 99), (99, 99)])
def test_a_norm_that_rests_because_decay_is_slow_decides_nothing(train, test):
    still = TIME * 0 + 5
    assert not run(train, test, norm=still, decay=0.12).settled and run(train, test, norm=still, decay=0.13).settled
    assert run(train, test, norm=still, decay=0.0).settled
    assert "decay has had 0.96 of its times" in run(train, test, norm=still, decay=0.12).because


def test_only_the_last_quarter_of_the_time_counts():
    """The records may be crowded at the start, as those of a logarithmic clock are."""
    time = torch.tensor([0, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100.0])
    norm = torch.tensor([100.0] * 6 + [101.0, 50.0])
    found = diagnose(time, time * 0 + 1, time * 0, time * 0, norm, 1.0)
    assert not found.settled and "-50.5 %" in found.because


def test_a_large_start_that_memorised_is_not_dead():
    norm = 1e6 * torch.exp(-TIME)
    assert not run(1, 99, norm=norm).settled and run(99, 99, norm=norm).settled


def test_what_moved_before_the_last_quarter_has_settled():
    norm = 100 - 10 * TIME.clamp(max=6)
    assert run(1, 99, norm=norm).settled and not run(1, 99, norm=100 - 10 * TIME.clamp(max=7)).settled


def test_a_network_that_grows_before_it_dies_is_dead():
    norm = torch.tensor([1e-3, 1, 1, 0.1, 0.01, 1e-3, 4e-4, 2e-4, 1e-4])
    assert run(99, 99, norm=norm).settled


def test_who_forgets_the_others_has_not_understood():
    passing = torch.where((TIME > 2) & (TIME < 5), 1.0, 0.3)
    found = diagnose(TIME, step_up(1), passing, TIME * 0 + 1, TIME * 0 + 2, 1.0)
    assert (found.phase, found.understood) == ("memorisation", 3) and "30 % of the others" in found.because


def test_a_dead_network_has_settled():
    found = diagnose(TIME, TIME * 0, TIME * 0, TIME * 0 + 1, torch.tensor([1.0] + [0.0] * 8), 1.0)
    assert (found.phase, found.settled) == ("confusion", True) and "from 1 to 0. " in found.because
    assert "changed by +0.0 %" in found.because


def test_lists_and_arrays_are_taken():
    assert diagnose(*[curve.tolist() for curve in (TIME, TIME * 0 + 1, TIME * 0 + 1, TIME, TIME)], 0.0).phase in PHASES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(time=TIME[:7]), r"time.: \(7,\), .train_accuracy.: \(9,\).* one length, of at least 8"),
        (dict(norm=TIME[:, None]), r"norm.: \(9, 1\)"),
        (dict(time=TIME - 1), "must increase from 0 on"),
        (dict(time=TIME.flip(0)), "must increase from 0 on"),
        (dict(time=TIME.clamp(max=7)), "must increase from 0 on"),
        (dict(time=TIME * math.inf), "must increase from 0 on"),
        (dict(train_accuracy=100 * step_up(1)), r"train_accuracy lies between 10.* and 100.*, not per cent"),
        (dict(test_accuracy=step_up(1) - 0.2), "test_accuracy lies between -0.1"),
        (dict(test_accuracy=step_up(1) * math.nan), "test_accuracy lies between nan"),
        (dict(loss=-TIME), "must not be negative; least are -8"),
        (dict(norm=-TIME), "must not be negative; least are 0.0, -8"),
        (dict(decay=-1), "decay=-1"),
        (dict(decay=None), "decay=None"),
        (dict(fitted=1.1), "fitted=1.1"),
        (dict(known=0), "known=0"),
        (dict(at_once=-1), "at_once=-1"),
        (dict(still=0), "still=0"),
    ],
)
def test_bad_curves(change, message):
    curves = dict(time=TIME, train_accuracy=step_up(1), test_accuracy=step_up(2), loss=TIME, norm=TIME, decay=1.0)
    with pytest.raises(ValueError, match=message):
        diagnose(**(curves | change))


def test_too_few_records():
    with pytest.raises(ValueError, match="at least 8"):
        diagnose(*[torch.arange(7.0) / 7] * 5, 1.0)


def test_two_real_runs():
    """A decay that leaves nothing, and a step beyond the edge."""
    task = modular_addition(5, 0.8, torch.Generator().manual_seed(0))
    network = TwoLayer(task.X_train, 24, 5)
    theta = network.initial(torch.Generator().manual_seed(0))
    options = dict(theta=theta, record_every=20, progress=False, loss="sum")
    dead = train(network, task, 1e-3, 30.0, 400, **options)
    found = curves_of(dead, 0.03)
    assert (found.phase, found.settled) == ("confusion", True)
    square = TwoLayer(task.X_train, 24, 5, "square")
    with pytest.raises(TrainingError) as raised:
        train(square, task, 0.1, 1e-3, 400, **(options | dict(record_every=1)))
    assert curves_of(raised.value.history, 1e-4).phase == "divergence"


def curves_of(history, decay):
    columns = history.train_accuracy, history.test_accuracy, history.train_loss, history.norms.sum(1)
    return diagnose(history.step.double(), *columns, decay)
