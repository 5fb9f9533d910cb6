import math
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from grokbook import linalg, toys
from grokbook.levelset import ConvergenceError, LevelSet
from grokbook.network import TwoLayer

NEAR = st.floats(-3, 3)
X = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 2.0]], dtype=torch.float64)
UNITS = 6
TARGET = torch.zeros(6, dtype=torch.float64)
TWO = [TwoLayer(inputs, UNITS, 2, "tanh") for inputs in (X, X.flip(0))]


def point(*entries):
    return torch.tensor(entries, dtype=torch.float64)


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def of(toy, **options):
    return LevelSet(toy.F, toy.y, **options)


def network(theta):
    """Three inputs, six tanh units, two outputs on three samples: (30,) -> (6,)."""
    E, W = theta[: 3 * UNITS].reshape(3, UNITS), theta[3 * UNITS :].reshape(UNITS, 2)
    return (torch.tanh(X @ E) @ W).reshape(-1)


class Products:
    """J by central differences: what LevelSet must not need to know."""

    def jacobian(self, theta, h=1e-6):
        return torch.stack(
            [(network(theta + h * e) - network(theta - h * e)) / (2 * h) for e in torch.eye(30).double()], 1
        )

    def jvp(self, theta, v):
        return self.jacobian(theta) @ v

    def vjp(self, theta, u):
        return self.jacobian(theta).T @ u

    def gram(self, theta):
        return self.jacobian(theta) @ self.jacobian(theta).T


def nearest_on_parabola(a, b):
    """All critical points of |(x, x^2) - (a, b)|: the real roots of 2 x^3 + (1 - 2 b) x - a."""
    roots = np.roots([2, 0, 1 - 2 * b, -a])
    x = roots[np.abs(roots.imag) < 1e-7].real
    return min(math.hypot(s - a, s * s - b) for s in x)


# Closed forms --------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(NEAR, NEAR, st.floats(0.2, 4))
def test_distance_to_a_circle(a, b, radius):
    assume(math.hypot(a, b) > 1e-3)
    assert of(toys.circle(radius)).distance(point(a, b)).item() == pytest.approx(
        abs(math.hypot(a, b) - radius), abs=1e-10
    )


@settings(max_examples=60, deadline=None)
@given(NEAR, NEAR, NEAR, st.tuples(NEAR, NEAR, NEAR))
def test_distance_to_a_plane(a, b, offset, normal):
    length = math.sqrt(sum(n * n for n in normal))
    assume(length > 1e-2)
    expected = abs(normal[0] * a + normal[1] * b + normal[2] - offset) / length
    assert of(toys.line(point(*normal), offset)).distance(point(a, b, 1.0)).item() == pytest.approx(expected, abs=1e-10)


@settings(max_examples=60, deadline=None)
@given(NEAR, st.floats(-4, 6))
def test_distance_to_the_parabola(a, b):
    assume(abs(a) > 1e-2)  # on the axis both sides are nearest, see below
    assert of(toys.parabola()).distance(point(a, b)).item() == pytest.approx(nearest_on_parabola(a, b), abs=1e-10)


def test_projection_leaves_the_saddle_it_meets_on_the_axis_of_the_parabola():
    Z = of(toys.parabola())
    for height in (0.51, 0.7, 2.0, 30.0):  # above 1/2, the centre of curvature, the vertex is the farthest point nearby
        phi = Z.project(point(0.0, height))
        np.testing.assert_allclose(phi.abs().numpy(), [math.sqrt(height - 0.5), height - 0.5], rtol=1e-8)
    np.testing.assert_allclose(Z.project(point(0.0, 0.49)).numpy(), [0.0, 0.0], atol=1e-10)


def test_a_saddle_is_left_in_the_direction_in_which_it_falls():
    Z = LevelSet(lambda t: t[2] - t[0] ** 2 - 0.1 * t[1] ** 2, 0.0)  # from (0, 0, 2) farthest along x, nearest along y
    np.testing.assert_allclose(Z.project(point(0.0, 0.0, 2.0)).abs().numpy(), [math.sqrt(1.5), 0, 1.5], atol=1e-8)


def test_a_step_from_which_no_way_leads_back_is_shortened():
    Z = LevelSet(lambda t: (t**21).sum(), 1.0)  # from far away, Gauss–Newton takes more than its 50 steps
    with pytest.raises(ConvergenceError, match="the steps ran out"):
        Z.retract(point(40.0, 40.0))
    np.testing.assert_allclose(Z.project(point(40.0, 40.0), start=point(0.3, 1.0)).numpy(), 2 ** (-1 / 21), rtol=1e-8)


def test_a_start_beside_a_saddle_costs_few_evaluations():
    calls = []

    def F(theta):
        calls.append(1)
        return theta[1] - theta[0] ** 2

    LevelSet(F, 0.0).project(point(1e-3, 3.0))
    assert len(calls) < 300


def test_a_start_chooses_between_two_nearest_points():
    Z = of(toys.parabola())
    for side in (-1.0, 1.0):
        phi = Z.project(point(0.1, 3.0), start=point(side, 1.0))
        assert phi[0] * side > 0
        assert Z.tangent(phi, point(0.1, 3.0) - phi).norm() < 1e-9


def test_projection_crosses_a_singular_point():
    # The cross w1 w2 = 0 is nearest to (1, 1) at (1, 0) or (0, 1), and the way from (1, 1) leads into its centre.
    assert of(toys.two_layers(0.0)).distance(point(1.0, 1.0)).item() == pytest.approx(1.0, abs=1e-9)


# Against other solvers -----------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_nearest_point_of_a_network_is_the_one_scipy_finds(seed):
    theta = gaussian(30, seed=seed)
    Z = LevelSet(network, network(theta + 0.15 * gaussian(30, seed=seed + 50)))
    phi = Z.project(theta)
    assert Z.residual(phi).norm() < 1e-10
    found = scipy.optimize.minimize(
        lambda p: ((p - theta.numpy()) ** 2).sum(),
        Z.retract(theta).numpy(),
        jac=lambda p: 2 * (p - theta.numpy()),
        constraints={
            "type": "eq",
            "fun": lambda p: Z.residual(torch.as_tensor(p)).numpy(),
            "jac": lambda p: Z.jacobian(torch.as_tensor(p)).numpy(),
        },
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 500},
    )
    assert found.success
    assert (phi - theta).norm().item() == pytest.approx(math.sqrt(found.fun), abs=1e-7)


def test_products_give_what_the_explicit_jacobian_gives():
    theta, v = gaussian(30), gaussian(30, seed=1)
    y = network(theta) + 0.05 * gaussian(6, seed=2)
    rows = gaussian(3, 30, seed=3)
    for constraints in (None, lambda _: rows):
        explicit = LevelSet(network, y, constraints=constraints)
        products = LevelSet(network, y, products=Products(), constraints=constraints)
        assert (explicit.tangent(theta, v) - products.tangent(theta, v)).norm() < 1e-7
        assert (explicit.normal(theta, v) - products.normal(theta, v)).norm() < 1e-7
        assert (explicit.multipliers(theta, v) - products.multipliers(theta, v)).norm() < 1e-7
        assert (explicit.retract(theta) - products.retract(theta)).norm() < 1e-6
        assert explicit.rank(theta) == products.rank(theta) == (6 if constraints is None else 9)
        assert explicit.dimension(theta) == products.dimension(theta)
    assert (LevelSet(network, y).project(theta) - LevelSet(network, y, Products()).project(theta)).norm() < 1e-6


# Properties ----------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_tangent_and_normal_are_orthogonal_complements(seed):
    Z, theta, v = LevelSet(network, torch.zeros(6).double()), gaussian(30, seed=seed), gaussian(30, seed=seed + 1)
    tangent, normal = Z.tangent(theta, v), Z.normal(theta, v)
    assert (tangent + normal - v).norm() < 1e-12
    assert Z.jacobian(theta).mv(tangent).norm() < 1e-10
    assert abs(tangent @ normal) < 1e-10
    assert (Z.jacobian(theta).T @ Z.multipliers(theta, v) - normal).norm() < 1e-8


def test_products_leave_nothing_of_a_long_vector_in_the_row_space():
    right = torch.linalg.qr(gaussian(9, 9))[0]
    A = torch.logspace(0, -3.5, 6, dtype=torch.float64)[:, None] * right[:, :6].T
    products = SimpleNamespace(jvp=lambda _, v: A @ v, vjp=lambda _, u: A.T @ u, gram=lambda _: A @ A.T)
    v, kernel = 1e6 * gaussian(9, seed=3), right[:, 6:]
    tangent = LevelSet(lambda theta: A @ theta, torch.zeros(6).double(), products).tangent(v, v)
    assert (tangent - kernel @ (kernel.T @ v)).norm() < 1e-11 * v.norm()


def test_a_step_along_the_tangent_leaves_the_set_at_second_order():
    Z, start = of(toys.two_layers(1.0)), point(2.0, 0.5)
    v = Z.tangent(start, point(1.0, 1.0))
    steps = np.array([1e-1, 1e-2, 1e-3])
    residuals = [float(Z.residual(start + h * v).norm()) for h in steps]
    assert np.polyfit(np.log(steps), np.log(residuals), 1)[0] == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize(
    ("Z", "on"),
    [
        (of(toys.circle()), point(0.6, 0.8)),
        (of(toys.parabola()), point(0.6, 0.36)),
        (LevelSet(network, network(gaussian(30, seed=1))), gaussian(30, seed=1)),
        (LevelSet(network, network(gaussian(30, seed=1)), Products()), gaussian(30, seed=1)),
    ],
)
def test_a_step_of_the_retraction_squares_the_error(Z, on):
    away = gaussian(len(on), seed=8)
    sizes = np.array([1e-1, 1e-2, 1e-3]) / float(away.norm())
    after = [float(Z.residual(one_step(Z, on + size * away)).norm()) for size in sizes]
    assert np.polyfit(np.log(sizes), np.log(after), 1)[0] == pytest.approx(2, abs=0.1)


def test_the_residuals_of_a_retraction_square_themselves():
    Z, theta, residuals = of(toys.parabola()), point(0.6, 1.4), []
    while Z.residual(theta).norm() > 1e-13:
        residuals.append(float(Z.residual(theta).norm()))
        theta = one_step(Z, theta)
    assert len(residuals) >= 4
    drops = np.diff(np.log(residuals))
    assert drops[-1] / drops[-2] == pytest.approx(2, abs=0.1)


def one_step(Z, theta):
    """The point where a retraction that is allowed one step and may never be content ends."""
    with pytest.raises(ConvergenceError) as error:
        Z.retract(theta, tolerance=0.0, iterations=1)
    return error.value.point


def test_constraint_rows_join_the_jacobian_and_are_left_alone():
    row = gaussian(1, 30, seed=4)
    theta = gaussian(30)
    Z = LevelSet(network, network(theta) + 0.1, constraints=lambda _: row)
    assert Z.jacobian(theta).shape == (7, 30)
    assert Z.dimension(theta) == 23
    assert abs(row @ Z.tangent(theta, gaussian(30, seed=5))) < 1e-10
    phi = Z.retract(theta)
    assert Z.residual(phi).norm() < 1e-11
    assert abs(row @ (phi - theta)) < 1e-10


def test_dependent_constraint_rows_do_not_spoil_the_projection():
    rows, theta, v = gaussian(2, 30, seed=4), gaussian(30), gaussian(30, seed=6)
    twice = torch.cat([rows, rows[:1] + rows[1:]])
    for products in (None, Products()):
        once = LevelSet(network, torch.zeros(6).double(), products, lambda _: rows).tangent(theta, v)
        again = LevelSet(network, torch.zeros(6).double(), products, lambda _: twice).tangent(theta, v)
        assert (once - again).norm() < 1e-6


def test_dimension_and_singular_points():
    cross = of(toys.two_layers(0.0))
    assert (cross.dimension(point(0.0, 0.0)), cross.is_singular(point(0.0, 0.0))) == (2, True)
    assert (cross.dimension(point(0.0, 1e-9)), cross.is_singular(point(0.0, 1e-9))) == (1, False)
    assert LevelSet(network, torch.zeros(6)).dimension(gaussian(30)) == 24
    dead = torch.cat([torch.zeros(3 * UNITS), torch.ones(2 * UNITS)]).double()  # all units alike and at zero
    Z = LevelSet(network, torch.zeros(6))
    assert Z.is_singular(dead)
    assert Z.rank(dead) == 3


def test_a_plain_target_is_taken_to_all_its_digits():
    assert LevelSet(lambda t: t.sum(), 0.1).y.item() == 0.1


def test_a_large_target_is_met_to_as_many_digits_as_a_small_one():
    theta = gaussian(30, seed=4)
    large = LevelSet(lambda at: 1e9 * network(at), 1e9 * network(theta))
    end = large.retract(theta + 0.01 * gaussian(30, seed=5))
    assert large.residual(end).norm() <= 1e-12 * large.y.norm()


def test_float32_arrives_as_near_as_it_can():
    Z = LevelSet(lambda t: (t**2).sum(), torch.tensor(1.0))
    phi = Z.retract(torch.tensor([0.7, 0.3, 0.4]))
    assert phi.dtype == torch.float32
    assert abs(float(phi.norm()) - 1) < 1e-5


# Bad input -----------------------------------------------------------------------


def test_f_and_y_of_different_length():
    with pytest.raises(ValueError, match="F returns 6 numbers and y holds 2"):
        LevelSet(network, torch.zeros(2)).jacobian(gaussian(30))


def test_more_equations_than_unknowns_are_not_regular():
    Z = LevelSet(lambda t: torch.cat([t, t**2]), torch.zeros(4))
    with pytest.raises(ValueError, match=r"4 equations in 2 unknowns are nowhere regular"):
        Z.require_regular(point(1.0, 2.0))
    assert Z.is_singular(point(1.0, 2.0))


def test_a_set_declared_regular_where_it_is_not_names_rank_tolerance_and_rows():
    Z = LevelSet(lambda t: torch.stack([t[0] * t[1], t[2] ** 2, 3 * t[0] * t[1]]), torch.zeros(3))
    for ask in (Z.require_regular, lambda theta: Z.multipliers(theta, theta)):
        with pytest.raises(linalg.SingularGramError, match=r"rank 2 of 3 at relative tolerance .*rows \[0, 2\]"):
            ask(point(1.0, 2.0, 1.0))


def test_a_retraction_that_cannot_arrive_says_how_far_it_got():
    Z = LevelSet(lambda t: (t**2).sum(), -1.0)  # no real solution
    with pytest.raises(ConvergenceError, match=r"\|F - y\| is .*rank . of 1.*check that F = y can be met") as error:
        Z.retract(point(1.0, 0.5))
    assert error.value.left >= 1.0
    assert torch.isfinite(error.value.point).all()


def test_a_retraction_from_a_singular_point_names_the_rank():
    with pytest.raises(ConvergenceError, match=r"after 0 steps: no step .*rank 0 of 1"):
        of(toys.circle()).retract(point(0.0, 0.0))


def test_a_retraction_that_runs_out_of_steps_says_so():
    with pytest.raises(ConvergenceError, match="after 2 steps: the steps ran out"):
        of(toys.parabola()).retract(point(3.0, -5.0), iterations=2)


def test_a_projection_that_runs_out_of_steps_says_so():
    with pytest.raises(ConvergenceError, match=r"no nearest point after 1 steps.*start="):
        of(toys.parabola()).project(point(2.0, 3.0), start=point(-1.0, 1.0), iterations=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LevelSet(network, point(*[math.nan] * 6)), "target y holds entries that are not finite"),
        (lambda: LevelSet(network, torch.zeros(6)).residual(gaussian(2, 15)), r"\(2, 15\); pass one flat point"),
        (lambda: LevelSet(network, torch.zeros(2, 3), SimpleNamespace(n_outputs=2)), r"\(2, 3\) and the network 2"),
        (lambda: LevelSet(TWO[0].F, torch.zeros(6), TWO[1]), "F is of one network and products another"),
        (lambda: LevelSet(network, TARGET, Products()).tangent(TARGET.new_ones(30), gaussian(30) / 0), "the vector"),
        (lambda: LevelSet(lambda t: 1 / t, torch.zeros(2)).residual(point(0.0, 1.0)), "F is not finite"),
        (
            lambda: LevelSet(network, torch.zeros(6), constraints=lambda t: t).tangent(gaussian(30), gaussian(30)),
            r"\(r, 30\)",
        ),
    ],
)
def test_other_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
