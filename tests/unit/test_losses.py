import pytest
import torch

from grokbook.losses import LOSSES, loss_of


@pytest.fixture(params=LOSSES)
def case(request):
    generator = torch.Generator().manual_seed(0)
    outputs, V = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    Y = torch.eye(3, dtype=torch.float64)[torch.tensor([0, 2, 1, 0, 2])]
    return LOSSES[request.param], outputs, Y, V


def test_gradient_is_the_derivative_of_the_value(case):
    loss, outputs, Y, _ = case
    torch.testing.assert_close(loss.gradient(outputs, Y), torch.func.grad(loss.value)(outputs, Y))


def test_metric_is_the_second_derivative(case):
    loss, outputs, Y, V = case
    hessian = torch.func.jacrev(torch.func.grad(lambda at: loss.value(at, Y)))(outputs)
    torch.testing.assert_close(loss.metric(outputs, V), torch.einsum("abcd,cd->ab", hessian, V))


def test_leading_dimensions_are_separate_runs(case):
    loss, outputs, Y, V = case
    pair = torch.stack([outputs, 2 * outputs])
    for together, alone in (
        (loss.value(pair, Y), [loss.value(one, Y) for one in pair]),
        (loss.gradient(pair, Y), [loss.gradient(one, Y) for one in pair]),
        (loss.metric(pair, torch.stack([V, V])), [loss.metric(one, V) for one in pair]),
    ):
        torch.testing.assert_close(together, torch.stack(alone))


def test_values_are_those_of_torch():
    outputs, labels = (
        torch.randn(5, 3, generator=torch.Generator().manual_seed(1)).double(),
        torch.tensor([0, 2, 1, 0, 2]),
    )
    Y = torch.eye(3, dtype=torch.float64)[labels]
    torch.testing.assert_close(
        loss_of("cross_entropy").value(outputs, Y), torch.nn.functional.cross_entropy(outputs, labels)
    )
    torch.testing.assert_close(loss_of("mean").value(outputs, Y), torch.nn.functional.mse_loss(outputs, Y))
    assert loss_of("sum").value(outputs, Y) == pytest.approx(15 * float(loss_of("mean").value(outputs, Y)))


def test_an_unknown_loss_lists_the_known():
    with pytest.raises(ValueError, match="unknown loss 'median'; known are sum, mean, cross_entropy"):
        loss_of("median")
