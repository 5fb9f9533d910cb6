"""The geometry of any module against TwoLayer's closed forms and Jacobians by plain autograd, row by row."""

import copy
import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from grokbook.levelset import LevelSet
from grokbook.network import TwoLayer
from grokbook.probe import Check, Probe

N = 6  # samples
ANY = float("inf")  # for `memorised`


def generator(seed):
    return torch.Generator().manual_seed(seed)


def gaussian(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64).to(dtype)


def off(a, b):
    """The distance of a from b, relative to b."""
    assert a.shape == b.shape
    return float((a - b).norm() / b.norm())


# Modules ---------------------------------------------------------------------------


def perceptron(activation=nn.ReLU):
    return nn.Sequential(nn.Linear(5, 12), activation(), nn.Linear(12, 9), activation(), nn.Linear(9, 2))


def convolution():
    layers = [nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16, 3)]
    return nn.Sequential(*layers)


def normalised():
    net = nn.Sequential(nn.Linear(5, 12), nn.BatchNorm1d(12), nn.Tanh(), nn.Linear(12, 2))
    net[1].running_mean += 0.5
    net[1].running_var += 2.0
    return net.eval()


class Attention(nn.Module):
    """One layer of attention on an embedding; the answer is read at the last token."""

    def __init__(self, kind, dropout=0.0):
        super().__init__()
        self.embedding, self.norm, self.readout = nn.Embedding(7, 8), nn.LayerNorm(8), nn.Linear(8, 3)
        self.attend = nn.MultiheadAttention(8, 2, dropout=dropout, batch_first=True)
        self.kind = kind

    def forward(self, tokens):
        x = self.embedding(tokens)
        if self.kind == "module":
            x = x + self.attend(x, x, x, need_weights=False)[0]
        elif self.kind == "by hand":
            x = x + torch.softmax(x @ x.mT, -1) @ x
        else:
            x = x + functional.scaled_dot_product_attention(x, x, x)
        return self.readout(self.norm(x)[:, -1])


class Mixed(nn.Module):
    """Linear layers only, but each output sees the other samples."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(5, 12), nn.Linear(12, 2)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        return self.last(h + h.mean(0))


class Repeated(nn.Module):
    """Linear layers only, but one is applied twice and the last one again as a factor."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(5, 5), nn.Linear(5, 2)

    def forward(self, x):
        return self.last(torch.tanh(self.first(torch.tanh(self.first(x))))) * self.last.bias


class Bent(nn.Module):
    """A kinked module that sees no samples: it works on 12 biases."""

    def __init__(self):
        super().__init__()
        self.first, self.kink, self.last = nn.Linear(5, 12), nn.LeakyReLU(), nn.Linear(12, 2)

    def forward(self, x):
        return self.last(torch.tanh(self.first(x)) + self.kink(self.first.bias))


class Functional(nn.Module):
    """A ReLU without a submodule, or an answer that is no tensor."""

    def __init__(self, answer=functional.relu):
        super().__init__()
        self.first, self.answer = nn.Linear(5, 2), answer

    def forward(self, x):
        return self.answer(self.first(x))


VECTORS, TOKENS = gaussian(N, 5), torch.randint(0, 7, (N, 3), generator=generator(0))
CASES = {
    "perceptron": (perceptron, VECTORS),
    "smooth": (lambda: perceptron(nn.GELU), VECTORS),
    "on pairs": (lambda: nn.Sequential(nn.Linear(5, 12), nn.Tanh(), nn.Linear(12, 2)), gaussian(N, 2, 5)),
    "convolution": (convolution, gaussian(N, 1, 6, 6)),
    "no linear layer": (lambda: nn.Sequential(nn.Conv2d(1, 9, 5), nn.ReLU(), nn.Flatten()), gaussian(N, 1, 5, 5)),
    "batch normalisation": (normalised, VECTORS),
    "MultiheadAttention": (lambda: Attention("module"), TOKENS),
    "attention by hand": (lambda: Attention("by hand"), TOKENS),
    "fused attention": (lambda: Attention("fused"), TOKENS),
    "mixed samples": (Mixed, VECTORS),
    "repeated layer": (Repeated, VECTORS),
    "bent biases": (Bent, VECTORS),
}


def near(module, inputs, dtype=torch.float64, **options):
    """A Probe of the module with targets near its outputs."""
    module = module.to(dtype)
    inputs = inputs.to(dtype) if inputs.is_floating_point() else inputs
    outputs = module(inputs).detach()
    return Probe(module, inputs, outputs + 0.01 * gaussian(*outputs.shape, seed=7, dtype=dtype), **options)


def case(name, dtype=torch.float64, **options):
    build, inputs = CASES[name]
    torch.manual_seed(1)
    return near(build(), inputs, dtype, **options)


def jacobian(module, entries):
    """J of a tensor that was computed from the trainable parameters, row by row."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    rows = []
    for entry in entries.flatten():
        parts = torch.autograd.grad(entry, parameters, retain_graph=True, allow_unused=True)
        parts = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, parts, strict=True)]
        rows.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(rows)


def projected(J, v):
    return v - torch.linalg.pinv(J) @ (J @ v)


# Against TwoLayer ------------------------------------------------------------------


def twins(activation, n=9, n_in=4, width=30, outputs=3):
    """A TwoLayer, a point near its level set, the same as a Probe, and the map from the Probe's θ to the network's."""
    net = TwoLayer(gaussian(n, n_in), width, outputs, activation)
    theta = net.initial(generator(1))
    E, W = net.split(theta)
    kinds = {"relu": nn.ReLU(), "leaky_relu": nn.LeakyReLU(0.1), "gelu": nn.GELU(), "tanh": nn.Tanh()}
    module = nn.Sequential(nn.Linear(n_in, width, False), kinds[activation], nn.Linear(width, outputs, False)).double()
    with torch.no_grad():
        module[0].weight.copy_(E.T)
        module[2].weight.copy_(W.T)
    Y = net.outputs(theta) + 0.01 * gaussian(n, outputs, seed=2)

    def back(flat):
        return net.join(flat[: E.numel()].view(E.T.shape).T, flat[E.numel() :].view(W.T.shape).T)

    return net, theta, Y, Probe(module, net.X, Y), back


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "gelu", "tanh"])
def test_it_agrees_with_the_closed_forms_of_two_layers(activation):
    net, theta, Y, probe, back = twins(activation)
    v, u = gaussian(net.size, seed=3), gaussian(27, seed=4)
    assert off(back(probe.theta()), theta) == 0
    assert off(probe.residual(), (net.outputs(theta) - Y).flatten()) < 1e-12
    assert off(probe.jvp(v), net.jvp(theta, back(v))) < 1e-12
    assert off(back(probe.vjp(u)), net.vjp(theta, u)) < 1e-12
    assert off(back(probe.loss_gradient()), net.gradient(theta, Y)) < 1e-12
    assert off(probe.gram(), net.gram(theta)) < 1e-12
    level_set = LevelSet(net.F, Y, products=net)
    assert off(back(probe.direction()), level_set.tangent(theta, -theta)) < 1e-12
    assert off(back(probe.tangent(v)), level_set.tangent(theta, back(v))) < 1e-12
    smallest = torch.linalg.svdvals(torch.func.jacrev(net.F)(theta))[-1]
    assert probe.smallest_singular_value() == pytest.approx(float(smallest), rel=1e-12)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
@pytest.mark.parametrize("threshold", [1e-2, 0.1, 0.3])
def test_pinned_kinks_agree_with_the_rows_that_two_layers_hold(activation, threshold):
    """At 0.3 more samples sit on one unit than it has inputs, so their rows depend on each other."""
    net, theta, Y, probe, back = twins(activation)
    pairs = net.pinned(theta, threshold)
    assert len(pairs) > 0
    assert (int(pairs[:, 1].bincount().max()) > net.X.shape[1]) == (threshold == 0.3)
    held = LevelSet(net.F, Y, products=net, constraints=lambda _: net.holding_rows(pairs))
    assert off(back(probe.direction(kinks=threshold)), held.tangent(theta, -theta)) < 1e-11
    assert off(probe.direction(kinks=threshold), probe.direction()) > 1e-3


def test_a_threshold_below_all_preactivations_pins_nothing():
    probe = twins("relu")[3]
    assert off(probe.direction(kinks=1e-12), probe.direction()) < 1e-13


# Against autograd ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", CASES)
def test_it_agrees_with_autograd(name, dtype):
    probe = case(name, dtype, chunk=5)
    J = jacobian(probe.module, probe.module(probe.inputs))
    digits = torch.finfo(dtype).eps
    assert off(probe.gram(), J @ J.T) < 100 * digits
    v, u = gaussian(J.shape[1], seed=3, dtype=dtype), gaussian(J.shape[0], seed=4, dtype=dtype)
    assert off(probe.jvp(v), J @ v) < 100 * digits
    assert off(probe.vjp(u), J.T @ u) < 100 * digits
    values = torch.linalg.svdvals(J.double())
    condition = float(values[0] / values[-1])
    if condition**2 * digits < 1e-3:  # in float32 the Gram matrix of two of them has lost the small ones
        assert off(probe.direction(), projected(J.double(), -probe.theta().double()).to(dtype)) < 1e4 * digits
    if dtype == torch.float64:
        assert probe.smallest_singular_value() == pytest.approx(float(values[-1]), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5), st.lists(st.integers(1, 6), min_size=2, max_size=5), st.booleans())
def test_the_products_are_adjoint_and_the_gram_matrix_is_their_composition(seed, n, widths, bias):
    torch.manual_seed(seed)
    layers = [nn.Linear(a, b, bias) for a, b in itertools.pairwise(widths)]
    module = nn.Sequential(*(part for layer in layers for part in (layer, nn.Tanh()))).double()
    inputs = gaussian(n, widths[0], seed=seed)
    probe = near(module, inputs)
    v, u = gaussian(len(probe.theta()), seed=seed + 1), gaussian(len(probe.targets), seed=seed + 2)
    assert float(u @ probe.jvp(v)) == pytest.approx(float(v @ probe.vjp(u)), rel=1e-9, abs=1e-9)
    assert torch.allclose(probe.gram() @ u, probe.jvp(probe.vjp(u)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["perceptron", "convolution", "no linear layer"])
def test_pinned_kinks_of_deeper_modules(name):
    probe, threshold = case(name), 0.1
    layers, inputs = list(probe.module), probe.inputs
    z, rows = inputs, [jacobian(probe.module, probe.module(inputs))]
    for layer in layers:
        if isinstance(layer, nn.ReLU):
            rows.append(jacobian(probe.module, z[z.abs() < threshold]))
        z = layer(z.clone())
    assert off(probe.direction(kinks=threshold), projected(torch.cat(rows), -probe.theta())) < 1e-10
    v = gaussian(len(probe.theta()), seed=5)
    assert off(probe.tangent(v, kinks=threshold), projected(torch.cat(rows), v)) < 1e-10


def test_a_kinked_module_may_see_something_else_than_samples():
    probe = case("bent biases")
    bias = probe.module.first.bias
    rows = torch.cat(
        [jacobian(probe.module, probe.module(probe.inputs)), jacobian(probe.module, bias[bias.abs() < 0.2])]
    )
    assert 0 < len(rows) - 2 * N < 12
    assert off(probe.direction(kinks=0.2), projected(rows, -probe.theta())) < 1e-10


def test_weights_that_two_layers_share_count_once():
    module = Attention("by hand")
    module.readout = nn.Linear(8, 7)
    module.readout.weight = module.embedding.weight
    probe = near(module, TOKENS)
    J = jacobian(probe.module, probe.module(TOKENS))
    assert J.shape[1] == len(probe.theta())
    assert off(probe.gram(), J @ J.T) < 1e-13


# What it holds in memory -----------------------------------------------------------


class Largest(TorchDispatchMode):
    """The number of entries of the largest tensor that any operation returns."""

    entries = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else (result,):
            if torch.is_tensor(tensor):
                self.entries = max(self.entries, tensor.numel())
        return result


def wide(linear=True):
    """40 equations in 6496 parameters; linear=False: the same function, but its layers see pairs (sample, 1)."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 80), nn.ReLU(), nn.Linear(80, 58), nn.ReLU(), nn.Linear(58, 2)).double()
    return net if linear else nn.Sequential(nn.Unflatten(1, (1, 20)), net, nn.Flatten())


def test_layers_need_no_row_of_the_jacobian_beside_another():
    with Largest() as seen:
        near(wide(), gaussian(20, 20), chunk=99).direction(kinks=1e-3)
    assert seen.entries < 2 * 6496


def test_products_need_a_chunk_of_rows():
    probes = [near(wide(linear), gaussian(20, 20), chunk=3) for linear in (True, False)]
    with Largest() as seen:
        vector = probes[1].direction()
    assert 2 * 6496 < seen.entries <= 3 * 6496
    assert off(vector, probes[0].direction()) < 1e-12


# The module stays as it is ---------------------------------------------------------


class Counting(nn.Module):
    """A forward pass that writes into a buffer."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(5, 12), nn.ReLU(inplace=True), nn.Linear(12, 2))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.inner(x)


def test_parameters_buffers_mode_gradients_and_hooks_stay_as_they_are():
    module = Counting().double()
    module.inner[0].bias.requires_grad_(False)
    module.train()
    module.inner[2].eval()
    probe = Probe(module, VECTORS, gaussian(N, 2))
    before, modes = copy.deepcopy(module.state_dict()), [child.training for child in module.modules()]
    probe.direction(memorised=ANY, kinks=0.1)
    probe.smallest_singular_value()
    probe.check(probe.tangent(gaussian(len(probe.theta()))))
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert [child.training for child in module.modules()] == modes
    assert [parameter.requires_grad for parameter in module.parameters()] == [True, False, True, True]
    assert all(parameter.grad is None for parameter in module.parameters())
    assert not any(child._forward_hooks or child._forward_pre_hooks for child in module.modules())


def test_hooks_are_removed_after_a_module_that_fails():
    module = perceptron().double()
    with pytest.raises(RuntimeError):
        Probe(module, gaussian(N, 4), gaussian(N, 2))
    assert not any(child._forward_hooks or child._forward_pre_hooks for child in module.modules())


def test_it_follows_the_module_as_it_trains():
    probe = case("smooth")
    before = probe.theta()
    with torch.no_grad():
        for parameter in probe.module.parameters():
            parameter *= 1.5
    assert torch.equal(probe.theta(), 1.5 * before)
    assert torch.equal(probe.F(probe.theta()), probe.module(VECTORS).detach().flatten())
    assert not torch.equal(probe.F(before), probe.F(probe.theta()))


def test_the_caller_may_have_switched_gradients_off():
    probe = case("MultiheadAttention")
    expected = probe.direction()
    with torch.no_grad():
        assert off(probe.direction(), expected) < 1e-12


@pytest.mark.parametrize("frozen", [["0.weight"], ["0.bias", "4.weight"], ["2.weight", "2.bias"]])
def test_frozen_parameters_are_held_and_named(frozen):
    module = perceptron().double()
    for name in frozen:
        module.get_parameter(name).requires_grad_(False)
    probe = near(module, VECTORS)
    J = jacobian(module, module(VECTORS))
    assert J.shape[1] == len(probe.theta())
    with Largest() as seen:
        gram = probe.gram()
    assert off(gram, J @ J.T) < 1e-13
    assert seen.entries < 2 * J.shape[1]  # so it was made layer by layer
    assert probe.frozen == frozen
    assert f"12 equations, {J.shape[1]} parameters, frozen: {', '.join(frozen)}" in repr(probe)


# Updates and forces ----------------------------------------------------------------


def test_an_update_may_be_a_vector_or_tensors_in_order_or_by_name():
    probe = case("smooth")
    parts = {name: torch.randn_like(parameter) for name, parameter in probe.module.named_parameters()}
    flat = torch.cat([part.flatten() for part in parts.values()])
    shuffled = dict(sorted(parts.items(), reverse=True)) | {"a buffer": torch.zeros(3)}
    direction = projected(jacobian(probe.module, probe.module(VECTORS)), -probe.theta())
    expected = float(flat @ direction / flat.norm() / direction.norm())
    for update in (flat, list(parts.values()), tuple(parts.values()), parts, shuffled):
        assert probe.cosine(update) == pytest.approx(expected, abs=1e-12)
    assert torch.equal(probe.jvp(parts), probe.jvp(flat))


def test_nothing_it_returns_hangs_on_a_graph():
    module = perceptron().double()
    probe = Probe(module, VECTORS, module(VECTORS))
    update = [parameter + 1 for parameter in module.parameters()]
    assert not probe.residual().requires_grad
    assert not probe.tangent(update).requires_grad and not probe.flatten(update).requires_grad


def test_the_cosine_of_the_direction_with_itself_and_with_kinks():
    probe = case("perceptron")
    assert probe.cosine(3 * probe.direction()) == pytest.approx(1, abs=1e-12)
    assert probe.cosine(-probe.direction(kinks=0.1), kinks=0.1) == pytest.approx(-1, abs=1e-12)
    assert probe.cosine(probe.direction(kinks=0.1)) < 0.99


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_of_the_loss_has_no_tangential_share(name):
    probe = case(name)
    assert probe.tangential_share(probe.loss_gradient()) < 1e-9
    parameters = list(probe.module.parameters())
    loss = (probe.module(probe.inputs).flatten() - probe.targets).square().sum()
    gradient = torch.autograd.grad(loss, parameters, allow_unused=True)
    full = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradient, strict=True)]
    assert off(probe.loss_gradient(), probe.flatten(full)) < 1e-12


def test_the_tangential_share_is_the_cosine_of_the_angle_with_the_tangent_space():
    probe = case("perceptron")
    force = gaussian(len(probe.theta()), seed=3)
    J = jacobian(probe.module, probe.module(VECTORS))
    across = torch.linalg.pinv(J) @ (J @ force) / force.norm()
    assert probe.tangential_share(force) == pytest.approx(float((1 - across @ across).sqrt()), abs=1e-12)
    assert probe.tangential_share(force, kinks=0.1) < probe.tangential_share(force)
    assert probe.tangential_share(probe.direction()) == pytest.approx(1, abs=1e-12)


# The smallest singular value -------------------------------------------------------


def nearly_repeated(apart):
    """Linear in one layer, so that J holds the inputs: σ_min is known where two of them almost agree."""
    inputs = torch.eye(4, dtype=torch.float64)
    inputs[1] = inputs[0] + apart * inputs[1]
    return near(nn.Linear(4, 1, bias=False), inputs), float(torch.linalg.svdvals(inputs)[-1])


@pytest.mark.parametrize("apart", [1e-2, 1e-4, 1e-6])
def test_a_small_singular_value_keeps_its_digits(apart):
    probe, expected = nearly_repeated(apart)
    assert probe.smallest_singular_value() == pytest.approx(expected, rel=1e-4 * apart)


def test_a_singular_value_that_squaring_has_lost_is_zero():
    assert nearly_repeated(1e-9)[0].smallest_singular_value() == 0.0
    assert nearly_repeated(0.0)[0].smallest_singular_value() == 0.0


# Check -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["smooth", "batch normalisation", "attention by hand"])
def test_a_tangent_vector_has_order_two_and_any_other_order_one(name):
    probe = case(name)
    down = probe.check(probe.direction())
    assert down.tangent and down.lowers_norm and down.order == pytest.approx(2, abs=0.01) and down.normal < 1e-10
    assert down.slope == pytest.approx(-float(probe.direction().norm()), rel=1e-9)  # θ·Pθ = |Pθ|²
    up = probe.check(-5 * probe.direction())
    assert up.tangent and not up.lowers_norm and up.slope == pytest.approx(-down.slope, rel=1e-9)
    decay = probe.check(-probe.theta())
    assert not decay.tangent and decay.lowers_norm and decay.order == pytest.approx(1, abs=0.01)
    assert decay.slope == pytest.approx(-float(probe.theta().norm()), rel=1e-12)
    gradient = probe.check(-probe.loss_gradient())
    assert not gradient.tangent and gradient.order == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("across", [1e-1, 1e-3, 1e-5])
def test_a_small_part_across_the_set_is_found(across):
    probe = case("smooth")
    v, force = probe.direction(), probe.loss_gradient()
    found = probe.check(v / v.norm() + across * force / force.norm())
    assert not found.tangent and found.order < 1.3
    assert found.normal == pytest.approx(across * float(probe.jvp(force).norm() / force.norm()), rel=0.01)


def test_a_check_reads_as_a_sentence():
    assert str(Check(False, True, 1.0, -3.0, 0.03)) == (
        "leaves the set at first order, |Jv| = 0.03 |v|: project it with .tangent(v); lowers the norm (slope of "
        "|θ|²/2: -3)"
    )
    assert str(Check(True, False, 2.0, 0.5, 0.0)) == (
        "stays on the set to first order (F changes at order 2.0); does not lower the norm, as .direction() does "
        "(slope of |θ|²/2: 0.5)"
    )
    assert "(F changes at order 1.0, as kinks are crossed)" in str(Check(True, True, 1.0, -1.0, 0.0))


def test_a_vector_across_the_radius_lowers_no_norm():
    probe = case("smooth")
    v, theta = gaussian(len(probe.theta())), probe.theta()
    v = v - theta * (theta @ v) / (theta @ theta)
    assert not probe.check(v).lowers_norm and not probe.check(-v).lowers_norm


def test_a_linear_module_never_leaves_its_set_along_a_tangent_vector():
    probe = near(nn.Linear(5, 1), gaussian(3, 5))
    assert probe.check(probe.direction()).order == torch.inf
    assert probe.check(probe.direction()).tangent
    across = probe.check(-probe.theta())
    assert across.order == pytest.approx(1, abs=1e-6) and not across.tangent


def test_a_module_of_zeros_can_be_checked():
    probe = Probe(nn.Linear(5, 1).double(), torch.zeros(3, 5).double(), torch.zeros(3, 1).double())
    with torch.no_grad():
        probe.module.bias.zero_()
    along, across = torch.eye(6, dtype=torch.float64)[[0, 5]]
    assert probe.check(along).tangent and not probe.check(across).tangent


def test_float32_tells_tangent_from_not():
    for name in ("perceptron", "smooth", "convolution"):
        probe = case(name, torch.float32)
        assert probe.check(probe.direction()).tangent
        assert not probe.check(-probe.theta()).tangent


def near_a_kink():
    """F = relu(a) + relu(b) on one sample with a = -1e-5 and b = 0: flat in a up to the kink, then of slope 1."""
    module = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)).double()
    with torch.no_grad():
        module[0].weight.fill_(1)
        module[0].bias.copy_(torch.tensor([-1e-5, 0.0]))
        module[2].weight.fill_(1)
        module[2].bias.fill_(0)
    probe = near(module, torch.zeros(1, 1))
    return probe, torch.eye(7, dtype=torch.float64)[2]  # |θ| = 2, and the direction in which a grows


def test_steps_set_the_scale_at_which_kinks_show():
    probe, a = near_a_kink()
    assert probe.check(a, steps=(4e-6, 3e-6)).order == torch.inf
    assert probe.check(a, steps=(1e-1, 1e-2, 1e-3)).order == pytest.approx(1, abs=0.01)
    beyond = probe.check(a, steps=(1e-7, 6e-6, 8e-6))  # the first ends before the kink
    assert beyond.order == pytest.approx(math.log(6 / 2) / math.log(8 / 6), rel=1e-4)
    assert beyond.tangent
    assert probe.tangent(a, kinks=1e-4).norm() < 1e-12


def test_an_order_that_rounding_hides_is_bounded_from_below():
    probe, a = near_a_kink()
    assert 1.5 < probe.check(a, steps=(1e-1, 1e-7)).order < 3


# Refusals --------------------------------------------------------------------------


def of_labels():
    return Probe(perceptron(), VECTORS.float(), torch.zeros(N, 2, dtype=torch.long))


def of_classes():
    return Probe(perceptron(), VECTORS.float(), torch.zeros(N, dtype=torch.long))


def mixed_types():
    module = perceptron()
    module[0].double()
    return Probe(module, VECTORS, gaussian(N, 2))


def unused_nan():
    module = Attention("by hand")
    with torch.no_grad():
        module.embedding.weight[6] = torch.nan
    return Probe(module, TOKENS.clamp(max=5), torch.zeros(N, 3))


def in_training(*layers):
    module = nn.Sequential(nn.Linear(5, 2), *layers)
    return Probe(module, VECTORS.float(), torch.zeros(N, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (of_labels, r"targets is torch.int64"),
        (of_classes, r"the targets are \(6,\) and the outputs \(6, 2\)"),
        (lambda: Probe(perceptron(), VECTORS.float(), torch.zeros(2, N)), r"the targets are \(2, 6\)"),
        (lambda: Probe(perceptron(), VECTORS.float(), [[0.0, 0.0]] * N), r"the targets are list and the outputs"),
        (lambda: Probe(perceptron(), VECTORS.float(), gaussian(N, 2)), "targets is torch.float64 on cpu, outputs is"),
        (lambda: Probe(perceptron(), VECTORS.float(), torch.full((N, 2), torch.nan)), "12 of the 12 entries"),
        (mixed_types, "torch.float32 on cpu and torch.float64 on cpu; bring them together"),
        (lambda: Probe(perceptron().half(), VECTORS.half(), torch.zeros(N, 2).half()), "theta is torch.float16"),
        (unused_nan, "8 of the 387 entries of theta are not finite"),
        (lambda: Probe(nn.ReLU(), VECTORS, VECTORS), "none of the 0 parameters is trainable"),
        (lambda: Probe(perceptron().requires_grad_(False), VECTORS, VECTORS), "none of the 6 parameters is trainable"),
        (lambda: Probe(Functional(lambda h: (h, h)), VECTORS.float(), torch.zeros(N, 2)), "returns a tuple"),
        (lambda: Probe(Functional(torch.sum), VECTORS.float(), torch.zeros(())), r"\(samples, ...\) outputs"),
        (lambda: Probe(Functional(torch.log), VECTORS.float(), torch.zeros(N, 2)), "outputs are not finite"),
        (lambda: in_training(nn.Dropout(0.1)), r"1, a Dropout, is in training mode.*module.eval\(\)"),
        (lambda: in_training(nn.BatchNorm1d(2)), "1, a BatchNorm1d, is in training mode"),
        (lambda: Probe(Attention("module", 0.1), TOKENS, torch.zeros(N, 3)), "attend, a MultiheadAttention, is in"),
        (lambda: case("perceptron", chunk=0), "chunk=0"),
        (lambda: case("perceptron").direction(kinks=0.0), "kinks=0.0"),
        (lambda: case("smooth").direction(kinks=1e-3), "no nn.ReLU or nn.LeakyReLU runs in Sequential"),
        (lambda: near(Functional(), VECTORS).tangent(torch.ones(12).double(), kinks=0.1), "F.relu cannot be seen"),
        (lambda: case("smooth").vjp(torch.zeros(11).double()), r"u has shape \(11,\); it must be \(12\)"),
        (lambda: case("smooth").jvp(torch.zeros(11).double()), r"shape \(11,\); it must be \(209\)"),
        (lambda: case("smooth").jvp(torch.zeros(209)), "vector is torch.float32 on cpu, parameters is torch.float64"),
        (lambda: case("smooth").jvp([torch.zeros(12, 5)]), r"shapes \[\(12, 5\)\] and the trainable parameters \[\("),
        (lambda: case("smooth").jvp({"0.weight": torch.zeros(12, 5)}), "no 0.bias, 2.weight, .* among 0.weight"),
        (lambda: case("smooth").cosine(torch.zeros(209).double()), "zero"),
        (lambda: case("smooth").tangential_share(torch.zeros(209).double()), "zero"),
        (lambda: case("smooth").check(torch.zeros(209).double()), "zero"),
        (lambda: case("smooth").check(torch.ones(209).double(), steps=(1e-3,)), r"steps=\(0.001,\); pass two"),
        (lambda: case("smooth").check(torch.ones(209).double(), steps=(1e-3, 0)), "step=0"),
        (lambda: near(nn.Linear(5, 2), gaussian(20, 5)).direction(), "12 parameters cannot fit 40 targets"),
        (
            lambda: Probe(perceptron().double(), VECTORS, gaussian(N, 2)).direction(),
            "not memorised: .* must be at most",
        ),
    ],
)
def test_it_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_dropout_that_drops_nothing_is_no_harm():
    module = nn.Sequential(nn.Linear(5, 12), nn.Dropout(0.0), nn.Tanh(), nn.Linear(12, 2))
    assert near(module.train(), VECTORS).direction().norm() > 0


def test_a_module_that_went_back_to_training_is_refused():
    module = nn.Sequential(nn.Linear(5, 12), nn.Dropout(), nn.Tanh(), nn.Linear(12, 2))
    probe = near(module.eval(), VECTORS)
    module.train()
    with pytest.raises(ValueError, match=r"module.eval\(\)"):
        probe.direction()
