"""The two-layer network: its closed forms against automatic differentiation, and what it refuses."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grokbook.activations import ACTIVATIONS
from grokbook.levelset import LevelSet
from grokbook.network import Deep, TwoLayer
from grokbook.tasks import modular_addition


def generator(seed):
    return torch.Generator().manual_seed(seed)


def random_network(activation="gelu", n=7, n_in=4, d_hidden=6, outputs=3, seed=0):
    """A network on Gaussian inputs, whose pre-activations miss every kink, and a point θ."""
    X = torch.randn(n, n_in, generator=generator(seed), dtype=torch.float64)
    net = TwoLayer(X, d_hidden, outputs, activation)
    return net, torch.randn(net.size, generator=generator(seed + 1), dtype=torch.float64)


def modular_network(activation="relu", p=5, d_hidden=24, seed=0):
    task = modular_addition(p, generator=generator(seed), test_size=3)
    return TwoLayer(task.X_train, d_hidden, p, activation), task


def close(a, b, within=1e-12):
    assert a.shape == b.shape
    return float((a - b).abs().max()) <= within * (1 + float(b.abs().max()))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
class TestAgainstAutograd:
    def test_derivative_of_the_activation(self, activation):
        sigma, sigma_prime = ACTIVATIONS[activation].sigma, ACTIVATIONS[activation].sigma_prime
        z = torch.linspace(-3, 3, 40, dtype=torch.float64)  # no point at the kink
        assert close(sigma_prime(z), torch.func.vmap(torch.func.grad(sigma))(z))

    @pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # PyTorch's own forward mode
    def test_jvp(self, activation):
        net, theta = random_network(activation)
        v = torch.randn(net.size, generator=generator(5), dtype=torch.float64)
        assert close(net.jvp(theta, v), torch.func.jvp(net.F, (theta,), (v,))[1])

    def test_vjp(self, activation):
        net, theta = random_network(activation)
        u = torch.randn(7 * 3, generator=generator(6), dtype=torch.float64)
        assert close(net.vjp(theta, u), torch.func.vjp(net.F, theta)[1](u)[0])

    def test_vjp_of_many_at_once(self, activation):
        net, theta = random_network(activation)
        U = torch.randn(5, 7 * 3, generator=generator(6), dtype=torch.float64)
        assert close(torch.func.vmap(lambda u: net.vjp(theta, u))(U), torch.stack([net.vjp(theta, u) for u in U]))

    @pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # PyTorch's own forward mode
    def test_the_hessian_forward_over_the_closed_form(self, activation):
        net, theta = random_network(activation)
        Y, v = torch.ones(7, 3, dtype=torch.float64), torch.randn(net.size, generator=generator(8), dtype=torch.float64)
        hessian = torch.func.jacrev(torch.func.grad(lambda t: (net.outputs(t) - Y).square().sum()))(theta)
        assert close(torch.func.jvp(lambda t: net.gradient(t, Y), (theta,), (v,))[1], hessian @ v)

    def test_gram(self, activation):
        net, theta = random_network(activation)
        J = torch.func.jacrev(net.F)(theta)
        assert close(net.gram(theta), J @ J.T)

    def test_gradient_of_the_sum_of_squares(self, activation):
        net, theta = random_network(activation)
        Y = torch.randn(7, 3, generator=generator(7), dtype=torch.float64)
        assert close(net.gradient(theta, Y), torch.func.grad(lambda t: (net.outputs(t) - Y).square().sum())(theta))


@pytest.mark.parametrize("widths", [[6], [6, 8], [5, 7, 4]])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_gram_matrix_of_any_depth(activation, widths):
    X = torch.randn(7, 4, generator=generator(0), dtype=torch.float64)
    net = Deep(X, widths, 3, activation)
    theta = 2 * net.initial(generator(1))
    J = torch.func.jacrev(net.F)(theta)
    assert close(net.gram(theta), J @ J.T)


def test_the_kink_has_the_derivative_that_autograd_gives():
    net = TwoLayer(torch.ones(1, 1, dtype=torch.float64), 1, 1, "relu")
    theta = torch.tensor([0.0, 2.0], dtype=torch.float64)
    assert torch.equal(net.gram(theta), torch.func.jacrev(net.F)(theta).square().sum().reshape(1, 1))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31),
    st.sampled_from(sorted(ACTIVATIONS)),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 8),
    st.integers(1, 4),
)
def test_the_products_are_adjoint_and_the_gram_matrix_is_their_composition(seed, activation, n, n_in, width, outputs):
    net, theta = random_network(activation, n, n_in, width, outputs, seed)
    v = torch.randn(net.size, generator=generator(seed + 2), dtype=torch.float64)
    u = torch.randn(n * outputs, generator=generator(seed + 3), dtype=torch.float64)
    scale = 1 + float(net.gram(theta).diagonal().sum()) * float(u.norm() + v.norm()) ** 2
    assert abs(float(u @ net.jvp(theta, v) - net.vjp(theta, u) @ v)) <= 1e-13 * scale
    assert float((net.gram(theta) @ u - net.jvp(theta, net.vjp(theta, u))).abs().max()) <= 1e-13 * scale


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.1, 10))
def test_a_homogeneous_activation_makes_the_outputs_homogeneous_of_degree_two(seed, factor):
    net, theta = random_network("relu", seed=seed)
    assert close(net.F(factor * theta), factor**2 * net.F(theta), 1e-10)
    # Euler's identity: Jθ = 2F.
    assert close(net.jvp(theta, theta), 2 * net.F(theta), 1e-10)


class TestShapes:
    def test_leading_dimensions_are_separate_networks(self):
        net, theta = random_network()
        thetas = torch.stack([theta, 2 * theta, -theta])
        u, Y = net.F(thetas), torch.ones(7, 3, dtype=torch.float64)
        for batched, one in (
            (net.F(thetas), net.F),
            (net.gradient(thetas, Y), lambda t: net.gradient(t, Y)),
            (net.jvp(thetas, theta.expand(3, -1)), lambda t: net.jvp(t, theta)),
            (net.vjp(thetas, u), lambda t: net.vjp(t, net.F(t))),
        ):
            assert close(batched, torch.stack([one(t) for t in thetas]))
        # One point, many directions.
        assert close(net.jvp(theta, thetas), torch.stack([net.jvp(theta, v) for v in thetas]))
        with pytest.raises(ValueError, match=r"\(3, 42\)"):
            net.gram(thetas)

    def test_split_and_join_are_inverse(self):
        net, theta = random_network()
        E, W = net.split(theta)
        assert (E.shape, W.shape) == ((4, 6), (6, 3))
        assert torch.equal(net.join(E, W), theta)

    def test_outputs_are_the_formula_of_the_paper(self):
        net, theta = random_network("square")
        E, W = net.split(theta)
        assert close(net.outputs(theta), (net.X @ E) ** 2 @ W)
        other = torch.eye(4, dtype=torch.float64)
        assert close(net.outputs(theta, other), E**2 @ W)
        assert torch.equal(net.F(theta)[3:6], net.outputs(theta)[1])  # sample by sample

    def test_initial_is_the_default_of_pytorch(self):
        net, _ = modular_network(d_hidden=400)
        E, W = net.split(net.initial(generator(1)))
        for weights, fan_in in ((E, 5), (W, 400)):
            bound = 1 / math.sqrt(fan_in)
            linear = torch.nn.Linear(fan_in, len(weights.T), bias=False).weight.detach()
            assert float(weights.abs().max()) <= bound and float(linear.abs().max()) <= bound
            assert float(weights.abs().max()) > 0.98 * bound  # it fills the interval
            assert float(weights.std()) == pytest.approx(bound / math.sqrt(3), rel=0.1)
        assert torch.equal(net.initial(generator(1)), net.initial(generator(1)))
        assert not torch.equal(net.initial(generator(1)), net.initial(generator(2)))

    def test_dtype_follows_the_inputs(self):
        net = TwoLayer(torch.ones(2, 2), 3, 2, "gelu")
        theta = net.initial(generator(0))
        assert {t.dtype for t in (theta, net.F(theta), net.gram(theta), net.jvp(theta, theta))} == {torch.float32}


class TestPinned:
    def test_pinned_are_the_small_pre_activations(self):
        net, task = modular_network()
        theta = net.initial(generator(3))
        E, W = net.split(theta)
        a, b = task.pairs_train[4].tolist()
        E = E.clone()
        E[a, 7] = -E[b, 7] + 1e-5 if a != b else 1e-5
        pairs = net.pinned(net.join(E, W), 1e-3)
        assert [4, 7] in pairs.tolist()
        z = task.X_train @ E
        assert all(abs(float(z[i, h])) < 1e-3 for i, h in pairs.tolist())
        assert len(pairs) == int((z.abs() < 1e-3).sum())

    def test_holding_rows_are_orthonormal_and_hold_exactly_the_pairs(self):
        net, _ = modular_network()
        # Unit 2 has more pairs than inputs, so its rows depend on each other; unit 9 has the same pair twice.
        pairs = torch.tensor([[i, 2] for i in range(9)] + [[0, 9], [0, 9], [3, 20]])
        rows = net.holding_rows(pairs)
        assert close(rows @ rows.T, torch.eye(len(rows), dtype=torch.float64))
        plain = torch.zeros(len(pairs), net.size, dtype=torch.float64)
        for k, (i, h) in enumerate(pairs.tolist()):
            plain[k] = torch.func.grad(lambda t, i=i, h=h: net.preactivations(t)[i, h])(net.initial(generator(0)))
        assert len(rows) == torch.linalg.matrix_rank(plain) == torch.linalg.matrix_rank(torch.cat([plain, rows]))

    def test_tangent_with_constraints_keeps_the_outputs_and_the_pinned(self):
        net, task = modular_network("relu", d_hidden=60)
        theta = net.initial(generator(4))
        pairs = net.pinned(theta, 0.02)
        assert len(pairs) > 5
        Z = LevelSet(net.F, task.Y_train, net, lambda t: net.holding_rows(pairs))
        tangent = Z.tangent(theta, -theta)
        i, h = pairs.T
        assert float(net.jvp(theta, tangent).abs().max()) < 1e-12
        assert float((net.X @ net.split(tangent)[0])[i, h].abs().max()) < 1e-12
        # Against the pseudo-inverse of all rows, formed.
        J = Z.jacobian(theta)
        assert close(tangent, -theta + torch.linalg.pinv(J) @ (J @ theta), 1e-10)

    def test_no_pairs_no_rows(self):
        net, _ = modular_network()
        assert net.holding_rows(torch.zeros(0, 2, dtype=torch.long)).shape == (0, net.size)


class TestRefusals:
    @pytest.mark.parametrize("shape, width, outputs", [((3,), 4, 2), ((3, 2), 0, 2), ((3, 2), 4, 0)])
    def test_sizes(self, shape, width, outputs):
        with pytest.raises(ValueError, match=r"X has shape|must be a whole number of at least 1"):
            TwoLayer(torch.ones(shape), width, outputs)

    def test_unknown_activation_lists_the_known(self):
        with pytest.raises(ValueError, match=r"'swish'.*gelu"):
            TwoLayer(torch.ones(2, 2), 3, 2, "swish")

    def test_a_theta_of_another_network(self):
        net, theta = random_network()
        for call in (net.F, net.gram, lambda t: net.jvp(theta, t), lambda t: net.gradient(t, torch.zeros(7, 3))):
            with pytest.raises(ValueError, match=rf"\({net.size + 1},\).*{net.size}"):
                call(torch.zeros(net.size + 1, dtype=torch.float64))

    def test_a_smooth_activation_has_no_pinned_units(self):
        assert {kind.name for kind in ACTIVATIONS.values() if kind.kinked} == {"leaky_relu", "relu"}
        net, theta = random_network("gelu")
        with pytest.raises(ValueError, match="'gelu' has no kink"):
            net.pinned(theta, 1e-3)

    @pytest.mark.parametrize("threshold", [0, -1e-3, math.nan])
    def test_a_threshold_that_is_not_positive(self, threshold):
        net, theta = random_network("relu")
        with pytest.raises(ValueError, match=f"threshold={threshold} must be a positive number"):
            net.pinned(theta, threshold)

    @pytest.mark.parametrize("pairs", [[[7, 0]], [[0, 6]], [[-1, 0]]])
    def test_pairs_outside_the_network(self, pairs):
        net, _ = random_network("relu")
        with pytest.raises(ValueError, match="7 samples and 6 units"):
            net.holding_rows(torch.tensor(pairs))

    def test_pairs_of_another_shape(self):
        net, _ = random_network("relu")
        with pytest.raises(ValueError, match=r"\(r, 2\)"):
            net.holding_rows(torch.zeros(4, 3, dtype=torch.long))

    def test_a_point_of_another_kind(self):
        net, theta = random_network("relu")
        with pytest.raises(ValueError, match=r"theta is torch.float32, X torch.float64"):
            net.F(theta.float())
        with pytest.raises(ValueError, match="theta is a ndarray; pass a torch tensor"):
            net.hidden(theta.numpy().astype("float32"))
