"""The norm-minimising direction against closed forms, an explicit pseudo-inverse and ordinary training."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokbook import toys
from grokbook.direction import norm_minimising_direction, weighted_flow
from grokbook.isolated import initial_embedding, readout, velocity
from grokbook.levelset import LevelSet
from grokbook.measure import cosine, power
from grokbook.network import Deep, TwoLayer
from grokbook.tasks import modular_addition
from grokbook.training import train


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def point(*coordinates):
    return torch.tensor(coordinates, dtype=torch.float64)


@pytest.fixture(scope="module")
def memorised():
    """A small GELU network that has memorised, its task and its decay."""
    task = modular_addition(5, generator=generator(), test_size=3)
    net = TwoLayer(task.X_train, 40, 5, "gelu")
    decay = 1e-5
    theta = train(net, task, 1.0, decay, 6000, generator=generator(1), record_every=6000, progress=False).theta
    return net, task, theta, decay


def test_on_the_line_it_points_at_the_minimum_norm_solution():
    line = toys.addition()
    Z = LevelSet(line.F, line.y)
    direction = norm_minimising_direction(Z, point(-0.5, 2.5))
    assert torch.allclose(direction.vector, point(1.5, -1.5))  # from (-0.5, 2.5) straight to (1, 1)
    assert direction.moved < 1e-12


def test_it_is_zero_where_the_norm_is_least():
    circle = toys.circle(2.0)  # every point of it has the same norm
    Z = LevelSet(circle.F, circle.y)
    assert norm_minimising_direction(Z, point(2.0, 0.0)).vector.norm() < 1e-12


@settings(max_examples=25, deadline=None)
@given(st.floats(-3, 3), st.floats(-0.3, 0.3))
def test_nearest_and_here_differ_by_the_level_they_are_tangent_to(x, off):
    """Fig. 4's parabola: at (x, x² + off) the level set through the point has the tangent (1, 2x)."""
    parabola = toys.parabola()
    theta = point(x, x**2 + off)
    Z = LevelSet(parabola.F, parabola.y)
    tangent = point(1.0, 2 * x) / (1 + 4 * x**2) ** 0.5
    here = norm_minimising_direction(Z, theta, at="here", memorised=float("inf"))
    assert torch.allclose(here.vector, -(theta @ tangent) * tangent, atol=1e-10)
    assert here.moved == 0.0
    nearest = norm_minimising_direction(Z, theta, memorised=float("inf"))
    assert abs(float(Z.residual(nearest.point))) < 1e-10


def test_it_is_the_pseudo_inverse_of_the_appendix(memorised):
    net, task, theta, _ = memorised
    direction = norm_minimising_direction(LevelSet(net.F, task.Y_train, net), theta)
    J = torch.func.jacrev(net.F)(direction.point)
    expected = -theta + torch.linalg.pinv(J) @ (J @ theta)
    assert float((direction.vector - expected).norm() / expected.norm()) < 1e-8
    assert float((net.F(direction.point) - task.Y_train.reshape(-1)).norm()) < 1e-10


def test_training_moves_along_it(memorised):
    """Remark 4.15 for a smooth activation: cosine and speed, at a decay small enough."""
    net, task, theta, decay = memorised
    direction = norm_minimising_direction(LevelSet(net.F, task.Y_train, net), theta).vector
    moved = train(net, task, 1.0, decay, 100, theta=theta, progress=False).theta - theta
    assert float(cosine(moved, direction)) > 0.99
    assert float(moved.norm() / (100 * decay * direction.norm())) == pytest.approx(1, abs=0.02)


def test_one_step_of_descent_has_exactly_the_decay_as_its_tangential_part(memorised):
    net, task, theta, decay = memorised
    theta = theta + 0.01 * torch.randn(len(theta), generator=generator(3), dtype=torch.float64)  # anywhere
    Z = LevelSet(net.F, task.Y_train, net)
    step = train(net, task, 1.0, decay, 1, theta=theta, progress=False).theta - theta
    here = norm_minimising_direction(Z, theta, at="here").vector
    assert torch.allclose(Z.tangent(theta, step), decay * here, atol=1e-13)


class TestWeightedFlow:
    @pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # PyTorch's own forward mode
    @pytest.mark.parametrize("widths", [[40], [12, 30]])
    @pytest.mark.parametrize("ratio", [0.1, 1, 50])
    def test_it_is_the_velocity_that_keeps_the_outputs(self, widths, ratio):
        """Jθ' = 0 and D⁻¹θ' + θ in the row space of J: together they have one solution."""
        task = modular_addition(5, generator=generator(), test_size=3)
        net = Deep(task.X_train, widths, 5, "gelu")
        theta = 3 * net.initial(generator(1))
        speeds = torch.ones_like(theta)
        speeds[-5 * widths[-1] :] = ratio
        found = weighted_flow(net, ratio)(theta)
        assert net.jvp(theta, found).norm() < 1e-9 * theta.norm()
        assert LevelSet(net.F, net.F(theta)).tangent(theta, found / speeds + theta).norm() < 1e-9 * theta.norm()
        if ratio == 1:
            assert torch.allclose(found, LevelSet(net.F, net.F(theta)).tangent(theta, -theta), atol=1e-10)

    def test_a_fast_readout_leaves_the_embedding_to_equation_20(self):
        task = modular_addition(5, generator=generator(), test_size=3)
        net = TwoLayer(task.X_train, 40, 5, "gelu")
        E = initial_embedding(5, 40, generator(1), scale=1.0)
        theta, exact = net.join(E, readout(E, task, "gelu")), velocity(E, task, "gelu")
        ratios = [10, 100, 1000]
        misses = [(net.split(weighted_flow(net, ratio)(theta))[0] - exact).norm() / exact.norm() for ratio in ratios]
        assert misses[-1] < 1e-2
        assert power(ratios, misses) == pytest.approx(-1, abs=0.05)

    @pytest.mark.parametrize("ratio", [0, -1.0, float("inf")])
    def test_a_ratio_that_is_not_positive(self, memorised, ratio):
        with pytest.raises(ValueError, match=r"ratio=.* must be a positive number"):
            weighted_flow(memorised[0], ratio)


class TestRefusals:
    def test_a_network_too_small_to_memorise(self):
        task = modular_addition(5, generator=generator(), test_size=3)
        net = TwoLayer(task.X_train, 4, 5)
        with pytest.raises(ValueError, match="40 parameters cannot fit 60 targets"):
            norm_minimising_direction(LevelSet(net.F, task.Y_train, net), net.initial(generator()))

    def test_a_run_that_has_not_memorised(self, memorised):
        net, task, _, _ = memorised
        with pytest.raises(ValueError, match=r"not memorised: .* must be at most 0\.2 \(1 \+ \|y\|\) = 0\.89"):
            norm_minimising_direction(LevelSet(net.F, task.Y_train, net), net.initial(generator()))

    def test_a_run_that_is_not_finite(self, memorised):
        net, task, theta, _ = memorised
        with pytest.raises(ValueError, match="not finite"):
            norm_minimising_direction(LevelSet(net.F, task.Y_train, net), theta * torch.nan)

    def test_an_unknown_place(self, memorised):
        net, task, theta, _ = memorised
        with pytest.raises(ValueError, match=r"'nearest'.*'here'"):
            norm_minimising_direction(LevelSet(net.F, task.Y_train, net), theta, at="Z")

    def test_a_limit_that_is_no_number(self, memorised):
        net, task, theta, _ = memorised
        with pytest.raises(ValueError, match="memorised=nan"):
            norm_minimising_direction(LevelSet(net.F, task.Y_train, net), theta, memorised=float("nan"))


@pytest.mark.parametrize(("first", "raises"), [(1.39, False), (1.41, True)])
def test_what_has_memorised_ends_at_a_fifth(first, raises):
    line = LevelSet(lambda theta: theta[:1], torch.ones(1, dtype=torch.float64))
    theta = torch.tensor([first, 2.0], dtype=torch.float64)  # |F − y| may be 0.2 (1 + |y|) = 0.4
    if raises:
        with pytest.raises(ValueError, match=r"\|F − y\| is 0.41 and must be at most 0.2 \(1 \+ \|y\|\) = 0.4"):
            norm_minimising_direction(line, theta)
    else:
        assert norm_minimising_direction(line, theta).vector.tolist() == [0, -2]
