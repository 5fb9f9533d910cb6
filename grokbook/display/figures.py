"""Drawing: arrays and axes in, the book's one style. Nothing here computes a result or calls `plt.show`."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgba_array

# Okabe and Ito's palette, told apart with every common colour vision; yellow left out, it is unreadable on white.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
WIDTH = 7.2  # inches, the width of the book's text column
NARROW = 4.5  # inches, of one panel alone: on a telephone, 350 px wide, its words are still 11 px high

STYLE = {
    "figure.dpi": 110,
    "savefig.dpi": 110,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "axes.prop_cycle": plt.cycler(color=COLORS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 11,
    "font.size": 10.5,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "lines.linewidth": 1.8,
    "image.cmap": "cividis",
    "grid.color": "#dddddd",
}


def use_style():
    """Make the book's style the default of every later figure; call it once, where a chapter imports matplotlib."""
    plt.rcParams.update(STYLE)


def canvas(columns=1, rows=1, height=3.0, **kwargs):
    """A figure and its axes, of the book's width if there is more than one column; height: inches a row.

    kwargs go to `plt.subplots`.
    """
    width = WIDTH if columns > 1 else NARROW
    return plt.subplots(rows, columns, figsize=(width, height * rows), layout="constrained", **kwargs)


def runs(ax, x, curves, label=None, color=COLORS[0]):
    """Every run as a thin line, their mean as a bold one. x: (t,); curves: (runs, t)."""
    curves = np.asarray(curves, dtype=float)
    if curves.ndim != 2 or curves.shape[1] != len(x):
        raise ValueError(f"curves has shape {curves.shape}, x has {len(x)} points; curves must be (runs, {len(x)})")
    ax.plot(x, curves.T, color=color, alpha=0.35, linewidth=0.8)
    ax.plot(x, curves.mean(0), color=color, label=label)


def contours(ax, function, x_range, y_range, levels=12, points=200):
    """Grey level lines of a scalar function of two arrays over a rectangle; returns the contour set."""
    x, y = np.meshgrid(np.linspace(*x_range, points), np.linspace(*y_range, points))
    return ax.contour(x, y, np.asarray(function(x, y)), levels=levels, colors="#999999", linewidths=0.7)


def chance(ax, level, text="chance"):
    """A dotted horizontal line at the accuracy of guessing."""
    ax.axhline(level, color="#555555", linestyle=":", linewidth=1.2)
    ax.annotate(text, (0.99, level), xycoords=("axes fraction", "data"), ha="right", va="bottom", color="#555555")


def residue_circle(ax, points, modulus, unit=1):
    """Points of the plane coloured and numbered by residue, joined in steps of `unit`. points: (p, 2)."""
    points = np.asarray(points)
    order = (np.arange(modulus + 1) * unit) % modulus
    ax.plot(*points[order].T, color="#bbbbbb", linewidth=0.8, zorder=1)
    ax.scatter(*points.T, c=np.arange(modulus), cmap="twilight_shifted", s=18, zorder=2)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])


def answers(ax, p, pairs, held_back, right):
    """The table of pairs of residues: those trained on grey, the others blue where answered rightly, orange where not.

    pairs: (m, 2) of residues; held_back, right: (m,) of truth values.
    """
    colors = np.where(held_back, np.where(right, COLORS[0], COLORS[1]), "#dddddd")
    table = np.ones((p, p, 4))
    table[pairs[:, 1], pairs[:, 0]] = to_rgba_array(colors)
    ax.imshow(table, origin="lower")
    ax.set(xlabel="a", ylabel="b")


def pair_images(axes, images, titles, **kwargs):
    """Matrices side by side on one colour scale; returns the last image, for a colour bar."""
    images = [np.asarray(image) for image in images]
    low, high = min(image.min() for image in images), max(image.max() for image in images)
    for ax, image, title in zip(axes, images, titles, strict=True):
        drawn = ax.imshow(image, vmin=low, vmax=high, **kwargs)
        ax.set_title(title)
    return drawn
