"""Checks of the exercises of *Simulated or trained*."""

import torch

from grokbook import isolated
from grokbook.exercises.answers import array, check, expect, function
from grokbook.network import TwoLayer
from grokbook.tasks import modular_addition
from grokbook.training import train, train_to

P, D_HIDDEN, FRACTION, TIME = 13, 128, 0.8, 2.0  # the chapter's smaller task, and when the exercise looks


def _fitting():
    """A small GELU network, its task, and a start on the zero-loss set."""
    task = modular_addition(5, 0.7, torch.Generator().manual_seed(0))
    net = TwoLayer(task.X_train, 32, 5, "gelu")
    E = isolated.initial_embedding(5, 32, torch.Generator().manual_seed(0), scale=5**-0.25)
    return net, task, net.join(E, isolated.readout(E, task, "gelu"))


@check
def check_descent(descent):
    """descent(net, task, theta, factor, decay, time): θ after that time, by descent in steps of factor/κ."""
    descent = function("descent", descent)
    net, task, theta = _fitting()
    kappa, decay, steps = float(torch.linalg.eigvalsh(net.gram(theta))[-1]), 0.1, 100
    for factor in (0.8, 2.2):
        step = factor / kappa
        time = 2 * decay * step * steps
        end = array("descent(...)", descent(net, task, theta, factor, decay, time), net.size)

        def off(step=step, steps=steps, decay=2 * decay, loss="sum", end=end):
            options = dict(steps=steps, record_every=steps, loss=loss, progress=False)
            other = train(net, task, step, decay, theta=theta, **options).theta
            return float((end - other).norm() / other.norm())

        missed, case = off(), f"with factor={factor} and decay={decay}"
        if missed > 0.02:
            stable = train_to(net, task, [0, time], decay, theta)[-1]
            mistakes = {
                "you train with half of λ: `train` steps along ∇L + decay·θ, and the gradient of λ‖θ‖² is 2λθ.": off(
                    decay=decay
                ),
                "you train on the mean of the squares. Eq. 13 has their sum.": off(loss="mean"),
                "your steps are half as long as factor/κ. κ is the largest eigenvalue of JJᵀ; the Hessian of the loss "
                "has twice that.": off(step=step / 2, steps=2 * steps),
                "you stop at half of the time. A step η is 2λη on the common clock.": off(steps=steps // 2),
                "you go on for twice the time. A step η is 2λη on the common clock.": off(steps=2 * steps),
                "you end where stable steps end. Take all steps as long as factor/κ, with κ at the start.": float(
                    (end - stable).norm() / stable.norm()
                ),
            }
            likely = min(mistakes, key=mistakes.get)
            expect(mistakes[likely] > 0.02, f"{case} {likely}")
        expect(
            missed < 0.02,
            f"{case} your end is {missed:.2g} of its length away from the one after time/(2λη) equal steps "
            "θ ← θ − η(∇L + 2λθ), η = factor/κ. Is κ that of the start, and is time in 1/(2λ)?",
        )
    return "The same start and the same clock, and yet the longer step ends elsewhere."


@check
def check_default(start, off):
    """θ of three networks with PyTorch's small W at the start, and what training has made of them at t = 2."""
    task = modular_addition(P, FRACTION, torch.Generator().manual_seed(0))
    net = TwoLayer(task.X_train, D_HIDDEN, P)
    start, off = array("start", start, 3, net.size), array("off", off, 3, net.size)
    E, W = net.split(start)
    generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    drawn = torch.stack([isolated.initial_embedding(P, D_HIDDEN, generator) for generator in generators])
    expect(
        (E - drawn).abs().max() < 1e-5,
        f"the embeddings in `start` differ from Eq. 20's by up to {float((E - drawn).abs().max()):.2g}. Only W is "
        "drawn anew; begin with the three E of `E_simulated[13][0]`.",
    )
    exact = isolated.readout(drawn, task)
    expect((W - exact).norm() > 0.1 * exact.norm(), "`start` has W = H⁺Y, the readout that fits. Draw a random one.")
    size, widest = float(W.square().mean().sqrt()), D_HIDDEN**-0.5
    expect(
        abs(size / widest * 3**0.5 - 1) < 0.05 and W.abs().max() < 1.001 * widest,
        f"the entries of W in `start` have the root mean square {size:.3g} and reach {float(W.abs().max()):.3g}. "
        f"PyTorch draws them evenly within ±1/√(fan in) = ±{widest:.3g}, which is ±√3 times their root mean square. "
        f"The readout's fan in is the number of hidden units, {D_HIDDEN}.",
    )
    gaps = [E.square().sum((1, 2)) - W.square().sum((1, 2)) for E, W in (net.split(start), net.split(off))]
    left = gaps[1] / gaps[0]
    expect(
        bool((left > 0).all()),
        "in `off` ‖E‖² − ‖W‖² has changed its sign. In training it falls as e⁻²ᵗ and keeps it. Do both layers move, "
        "by plain gradient descent?",
    )
    times = -left.log() / 2
    reached = float(times[(times - TIME).abs().argmax()].round(decimals=2)) + 0.0  # no -0.00
    expect(
        abs(reached - TIME) < 0.05,
        f"‖E‖² − ‖W‖² falls as e⁻²ᵗ in training, and by that clock a run of `off` stands at t = {reached:.2f}, not at "
        f"{TIME:g}. A step η advances the clock by 2λη, with the λ that `train_to` takes.",
    )
    answered = float(task.right(net.outputs(off), task.Y_train).double().mean())
    expect(
        answered == 1,
        f"the networks in `off` have {100 * answered:.0f} % of their training pairs right; by t = 2 training has them "
        "all. Is the loss the sum of squares of Eq. 13, and λ small?",
    )
    return "From there, compare its distance to Eq. 20 with that of the exact start."
