"""Draw the pictures of the first page and of README into book/_static: the phenomenon, the argument, a run that moves.

    python scripts/overview.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

from grokbook.display import figures
from grokbook.fourier import features, plane, step_round
from grokbook.isolated import initial_embedding, simulate
from grokbook.levelset import LevelSet
from grokbook.network import TwoLayer
from grokbook.tasks import modular_addition
from grokbook.training import train

STATIC = Path(__file__).resolve().parent.parent / "book" / "_static"
P, FREQUENCY = 37, 5
FRAMES, HELD = 45, 15  # of the moving picture, and how many more show its end
TEXT = {"font.size": 14, "axes.titlesize": 15, "legend.fontsize": 13}  # readable on a telephone


def phenomenon(ax):
    """The first run of the chapter Grokking: both accuracies against the step."""
    generator = torch.Generator().manual_seed(0)
    task = modular_addition(23, 0.75, generator)
    network = TwoLayer(task.X_train, 256, 23)
    run = train(network, task, 5.0, 3e-5, 15_000, theta=network.initial(generator), record_every=50)
    ax.plot(run.step, 100 * run.train_accuracy, color=figures.COLORS[0])
    ax.plot(run.step, 100 * run.test_accuracy, color=figures.COLORS[1])
    ax.text(1300, 88, "pairs it was trained on", color=figures.COLORS[0])
    ax.text(6700, 20, "pairs it has never seen", color=figures.COLORS[1])
    ax.set(xlabel="training step", ylabel="right answers, %", xlim=(0, 15_000), ylim=(-2, 104))
    ax.set_xticks([0, 5000, 10_000, 15_000], ["0", "5000", "10,000", "15,000"])


def valley(ax):
    """A zero-loss set, a start off it, and the path of L + λ‖θ‖²: into the valley, then along it."""
    circle = LevelSet(lambda theta: theta[:1] * theta[1:], torch.ones(1, dtype=torch.float64))
    theta, decay, step = torch.tensor([0.25, 2.6], dtype=torch.float64), 0.03, 0.01
    path = [theta]
    for _ in range(6000):
        gradient = 2 * circle.jacobian(theta).T @ circle.residual(theta)
        theta = theta - step * (gradient + 2 * decay * theta)
        path.append(theta)
    x = np.linspace(0.3, 3, 200)
    figures.contours(ax, lambda u, v: np.hypot(u, v), (0, 3), (0, 3), levels=8)
    ax.plot(x, 1 / x, color=figures.COLORS[0], linewidth=3, label="zero loss")
    ax.plot(*torch.stack(path).T, color=figures.COLORS[1], label="training")
    ax.plot(1, 1, "o", color=figures.COLORS[6], label="smallest norm")
    ax.set(xlim=(0, 3), ylim=(0, 3), xticks=[], yticks=[], aspect="equal", title="1  Into the valley,\nthen along it")
    ax.legend(loc="upper right")


def orthogonality(ax):
    """Fig. 4: gradients of (y − x²)² at three distances from one point of the parabola."""
    x = np.linspace(-0.2, 1.4, 200)
    foot = np.array([0.7, 0.49])
    normal = np.array([-1.4, 1.0]) / np.hypot(1.4, 1)
    ax.plot(x, x**2, color=figures.COLORS[0], linewidth=3)
    for distance in (0.6, 0.3, 0.1):
        at = foot + distance * normal
        gradient = 2 * (at[1] - at[0] ** 2) * np.array([-2 * at[0], 1])
        pull = -0.28 * gradient / np.hypot(*gradient)
        ax.annotate("", at + pull, at, arrowprops=dict(arrowstyle="->", color=figures.COLORS[1], linewidth=2))
        ax.plot(*at, "o", color=figures.COLORS[6])
    ax.plot([foot[0], foot[0] + 0.7 * normal[0]], [foot[1], foot[1] + 0.7 * normal[1]], color="#999999", linewidth=0.8)
    ax.set(xlim=(-0.1, 1.3), ylim=(-0.1, 1.3), xticks=[], yticks=[], aspect="equal")
    ax.set_title("2  The loss only\nholds it there")


def isolated(ax, run):
    """Eq. 20 alone: the cost glides down, test accuracy follows late and suddenly."""
    cost = run.cost / run.cost[50]
    ax.plot(run.time, cost, color=figures.COLORS[6], label="squared norm (scaled)")
    ax.plot(run.time, run.test_accuracy, color=figures.COLORS[0], label="test accuracy")
    ax.set(ylim=(0, 1.05), xlim=(0.5, 4), xlabel="time, in 1/(2λ)", title="3  One layer by itself\nstill groks")
    ax.legend(loc="center right")


def circle(ax, run):
    """One frequency's plane of the final embedding."""
    points = plane(run.E.double(), FREQUENCY)
    figures.residue_circle(ax, points, P, step_round(points) or 1)
    ax.set_title("4  Small means round:\nresidues on a circle")


def moment(left, right, run, time, points, unit, reach):
    """One moment of a run: how far norm and accuracy have come, and where the residues are by then."""
    until = run.time <= time
    cost = run.cost / run.cost[50]
    left.plot(run.time[until], cost[until], color=figures.COLORS[6])
    left.plot(run.time[until], run.test_accuracy[until], color=figures.COLORS[0])
    left.text(2.2, 0.42, "squared norm (scaled)", color=figures.COLORS[6])
    left.text(2.2, 0.88, "right on unseen pairs", color=figures.COLORS[0])
    left.set(ylim=(0, 1.05), xlim=(0.5, run.time[-1]), xlabel="time")
    figures.residue_circle(right, points, P, unit)
    right.set(xlim=(-reach, reach), ylim=(-reach, reach))
    right.set_axis_off()


def move(name, run):
    """A moving picture of a run: its curves, and the residues in the plane where their circle will stand."""
    direction = features(run.snapshots[-1].double())[FREQUENCY - 1]
    axes = torch.linalg.qr(torch.stack([direction.real, direction.imag], 1)).Q
    points = run.snapshots.double() @ axes
    unit, first = step_round(points[-1]), 25  # where the curves begin
    reach, pictures = 1.05 * float(points[first:].abs().max()), []
    for number in torch.linspace(first, len(points) - 1, FRAMES).long().tolist():
        fig, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained", width_ratios=(1.25, 1))
        moment(left, right, run, run.snapshot_time[number], points[number], unit, reach)
        fig.canvas.draw()
        pictures.append(Image.fromarray(np.asarray(fig.canvas.buffer_rgba())).convert("RGB"))
        plt.close(fig)
    palette = pictures[-1].quantize(48)
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    frames += [frames[-1]] * HELD
    frames[0].save(STATIC / f"{name}.gif", save_all=True, append_images=frames[1:], duration=110, loop=0, optimize=True)


def draw(name, size, paint, *arguments):
    fig, ax = plt.subplots(figsize=size, layout="constrained")
    paint(ax, *arguments)
    fig.savefig(STATIC / f"{name}.png", dpi=150)
    plt.close(fig)


def main():
    figures.use_style()
    plt.rcParams.update(TEXT)
    generator = torch.Generator().manual_seed(0)
    task = modular_addition(P, 0.7, generator)
    start = initial_embedding(P, 512, generator)
    run = simulate(start, task, steps=4500, dtype=torch.float32, snapshot_every=20)
    move("run", run)
    draw("phenomenon", (6, 3.4), phenomenon)
    draw("valley", (4.6, 4.2), valley)
    draw("holds", (4.6, 4.2), orthogonality)
    draw("isolated", (4.6, 4.2), isolated, run)
    draw("circle", (4.6, 4.2), circle, run)


if __name__ == "__main__":
    main()
