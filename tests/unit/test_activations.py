import pytest
import torch

from grokbook.activations import ACTIVATIONS, activation_of, gelu, smoothed, softplus

Z = torch.linspace(-3, 3, 40, dtype=torch.float64)  # no point at the kink


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_sigma_prime_is_the_derivative(name):
    kind = ACTIVATIONS[name]
    torch.testing.assert_close(kind.sigma_prime(Z), torch.func.vmap(torch.func.grad(kind.sigma))(Z))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_pull_multiplies_by_the_derivative(name):
    kind = ACTIVATIONS[name]
    gradient = torch.randn(40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(kind.pull(gradient.clone(), Z), gradient * kind.sigma_prime(Z))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_autograd_sees_through_the_pull(name):
    kind = ACTIVATIONS[name]
    gradient = torch.ones(40, dtype=torch.float64, requires_grad=True)
    kind.pull(1 * gradient, Z).sum().backward()
    torch.testing.assert_close(gradient.grad, kind.sigma_prime(Z))
    pulled = kind.pull(torch.ones_like(Z), Z.clone().requires_grad_())
    torch.testing.assert_close(pulled.detach(), kind.sigma_prime(Z))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_degree_is_that_of_homogeneity_and_only_kinked_ones_jump(name):
    kind = ACTIVATIONS[name]
    powers = [torch.allclose(kind.sigma(3 * Z), 3.0**q * kind.sigma(Z)) for q in (1, 2)]
    assert powers == [kind.degree == 1, kind.degree == 2]
    tiny = torch.tensor([-1e-9, 1e-9], dtype=torch.float64)
    assert (float(kind.sigma_prime(tiny).diff().abs()) > 0.1) == kind.kinked


@pytest.mark.parametrize("family", [gelu, softplus])
def test_both_families_tend_to_relu_as_they_sharpen(family):
    gaps = [float((family(sharpness).sigma(Z) - Z.relu()).abs().max()) for sharpness in (1, 10, 100)]
    assert gaps[0] > 5 * gaps[1] > 25 * gaps[2]
    with pytest.raises(ValueError, match="sharpness=0 must be a positive number"):
        family(0)


@pytest.mark.parametrize("family", [gelu, softplus])
def test_sharpness_is_a_unit_of_length(family):
    """σ_β(z) = σ₁(βz)/β, and the slope with it."""
    kind = family(4)
    torch.testing.assert_close(kind.sigma(Z), family(1).sigma(4 * Z) / 4)
    torch.testing.assert_close(kind.sigma_prime(Z), torch.func.vmap(torch.func.grad(kind.sigma))(Z))


def test_gelu_of_sharpness_one_is_gelu():
    assert torch.equal(gelu(1).sigma(Z), ACTIVATIONS["gelu"].sigma(Z))


def test_a_name_may_hold_a_sharpness():
    for name, kind in (("gelu(8)", gelu(8)), ("softplus(0.5)", softplus(0.5))):
        assert activation_of(name).name == kind.name == name
        assert torch.equal(activation_of(name).sigma(Z), kind.sigma(Z))
    for name in ("gelu(8", "gelu8)", "relu(2)", "gelu()", "gelu(8)(9)", "gelu(x)", "gelu(-1)", "gelu(nan)"):
        with pytest.raises(ValueError, match="activation"):
            activation_of(name)


def test_names_and_activations_are_taken_and_others_refused():
    assert activation_of("relu") is ACTIVATIONS["relu"] is activation_of(ACTIVATIONS["relu"])
    with pytest.raises(ValueError, match="unknown activation 'swish'; known are gelu, identity"):
        activation_of("swish")


@pytest.mark.parametrize("name", ["relu", "leaky_relu"])
def test_a_kink_is_rounded_off_over_its_width_and_nowhere_else(name):
    kinked, width = ACTIVATIONS[name], 0.1
    rounded = smoothed(kinked, width)
    near = torch.linspace(-0.05, 0.05, 11, dtype=torch.float64)  # 0 among them
    for z in (Z, near):
        torch.testing.assert_close(rounded.sigma_prime(z), torch.func.vmap(torch.func.grad(rounded.sigma))(z))
    assert float(rounded.sigma_prime(near).diff().max()) < 0.1, "no jump where the kink was"
    assert float((rounded.sigma(Z) - kinked.sigma(Z)).abs().max()) < width / 2
    assert float((rounded.sigma(3 + Z / 10) - kinked.sigma(3 + Z / 10)).abs().max()) < width**2
