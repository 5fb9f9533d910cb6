"""Checks of the exercises of *Orthogonality*."""

import torch

from grokbook import toys
from grokbook.exercises.answers import check, expect, function, number
from grokbook.levelset import LevelSet
from grokbook.network import TwoLayer
from grokbook.tasks import modular_addition


def _constants(radius):
    """Λ and s on the circle: how fast J turns, and its least singular value. -> float, float."""
    ring = toys.circle(radius)
    angles = torch.linspace(0, 6, 7, dtype=torch.float64)
    points = radius * torch.stack([angles.cos(), angles.sin()], 1)
    slopes = [LevelSet(ring.F, ring.y).jacobian(point) for point in points]
    turns = [torch.func.jacrev(torch.func.jacrev(ring.F))(point)[0] for point in points]
    return (
        max(float(torch.linalg.matrix_norm(turn, 2)) for turn in turns),
        min(float(torch.linalg.svdvals(J)[-1]) for J in slopes),
    )


@check
def check_circle(bound):
    """bound(radius): Λ/s, the constant of the proof, on the circle ‖θ‖² = radius²."""
    bound = function("bound", bound)
    for radius in (3.0, 0.4):
        found, (turning, least) = number("bound(...)", bound(radius)), _constants(radius)
        case = f"bound({radius:g}) is {found:.4g}"
        expect(
            abs(found) > 1e-9,
            f"{case}. So large is the cosine itself; the bound Λ/s does not know that J changes along the normal only.",
        )
        for wrong, instead in [
            (turning, "Λ alone; divide it by s, the smallest singular value of J on the circle."),
            (turning / least**2, "Λ/s²; a residual is lifted by J once, so s enters once."),
            (2 * turning / least, "twice Λ/s. The row J is 2θᵀ: its 2 is in s as well."),
            (turning / (2 * least), "half of Λ/s. The row J is 2θᵀ: its 2 is in Λ as well."),
        ]:
            expect(abs(found / wrong - 1) > 1e-3, f"{case}, which is {instead}")
        expect(
            abs(found * least / turning - 1) < 1e-3,
            f"{case}, and that is {found * least / turning:.4g} times Λ/s. Per unit of length J changes by Λ; on the "
            "circle s is the length of J. How long is θ there?",
        )
    return "It is the curvature of the circle, and the cosine is 0: a bound need not be reached."


def _small_network(width, seed):
    """A GELU network modulo 3, its targets, and a point of its zero-loss set."""
    generator = torch.Generator().manual_seed(seed)
    task = modular_addition(3, 0.7, generator)
    net = TwoLayer(task.X_train, width, 3, "gelu")
    Z = LevelSet(net.F, task.Y_train, products=net)
    return net, task.Y_train, Z.retract(net.initial(generator)), Z


def _cosines(net, Y, phi, Z, x):
    """The largest cosine at the distance x along each right singular vector of J. -> (equations,)."""
    normals = torch.linalg.svd(Z.jacobian(phi), full_matrices=False).Vh
    pulls = [net.gradient(phi + x * way, Y) for way in normals]
    return torch.stack([Z.tangent(phi, pull).norm() / pull.norm() for pull in pulls])


@check
def check_width(mean_cosine):
    """mean_cosine(net, Y, phi, x): the largest cosine at the distance x off phi, a mean over J's singular vectors."""
    mean_cosine = function("mean_cosine", mean_cosine)
    for width, x in [(20, 1e-3), (48, 1e-2)]:
        net, Y, phi, Z = _small_network(width, seed=5)
        found = number("mean_cosine(...)", mean_cosine(net, Y.clone(), phi.clone(), x))
        cosines = _cosines(net, Y, phi, Z, x)
        mean = float(cosines.mean())
        case = f"for a network of {width} units your mean cosine at x = {x:g} is {found:.4g}"
        expect(
            abs(found) > 1e-9,
            f"{case}. A gradient is orthogonal to the level set through its own point; take the tangent space at φ.",
        )
        for wrong, instead in [
            (mean / x, "the cosine over the distance; the cosine is asked for."),
            (float(cosines.max()), "the largest of the singular vectors; the mean over them is asked for."),
            (float(cosines.square().mean()), "the mean of its square."),
        ]:
            expect(abs(found / wrong - 1) > 0.01, f"{case}: that is {instead}")
        expect(
            abs(found / mean - 1) < 0.01,
            f"{case}, {found / mean:.3g} times what the gradients at φ + xα give. α are the right singular vectors of "
            "J(φ) that span its row space, of length 1; the cosine is ‖P∇L‖/‖∇L‖ with P at φ.",
        )
    return "Try it at both widths of the exercise, with several seeds."
