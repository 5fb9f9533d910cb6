import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb, to_rgba

from grokbook.display import figures


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def luminance(color):
    """Relative luminance as WCAG 2 defines it."""
    channels = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return float(np.dot([0.2126, 0.7152, 0.0722], channels))


def test_a_canvas_has_the_books_width():
    fig, axes = figures.canvas(columns=2, rows=3, height=2.0)
    assert axes.shape == (3, 2)
    assert tuple(fig.get_size_inches()) == (figures.WIDTH, 6.0)
    fig, _ = figures.canvas()
    assert tuple(fig.get_size_inches()) == (figures.NARROW, 3.0)


def test_the_style_is_set_only_when_asked():
    before = plt.rcParams["figure.dpi"]
    with plt.rc_context():
        figures.use_style()
        assert plt.rcParams["figure.dpi"] == figures.STYLE["figure.dpi"]
    assert plt.rcParams["figure.dpi"] == before


def test_the_colors_differ_in_luminance_or_hue_and_show_on_white():
    assert len(set(figures.COLORS)) == 7
    assert all(1.05 / (luminance(color) + 0.05) > 2 for color in figures.COLORS)


def test_runs_draws_every_run_and_the_mean():
    _, ax = figures.canvas()
    curves = np.array([[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]])
    figures.runs(ax, [0, 1, 2], curves, label="mean")
    drawn = [line.get_ydata().tolist() for line in ax.lines]
    assert drawn == [[0, 1, 2], [2, 3, 4], [1, 2, 3]]


def test_runs_refuses_curves_of_another_length():
    _, ax = figures.canvas()
    with pytest.raises(ValueError, match=r"\(2, 3\).*4 points"):
        figures.runs(ax, range(4), np.zeros((2, 3)))


def test_contours_follow_the_function():
    _, ax = figures.canvas()
    drawn = figures.contours(ax, lambda x, y: x**2 + y**2, (-2, 2), (-2, 2), levels=[1.0])
    radii = np.linalg.norm(np.concatenate(drawn.allsegs[0]), axis=1)
    np.testing.assert_allclose(radii, 1, atol=1e-3)


def test_pair_images_share_one_scale():
    _, axes = figures.canvas(columns=2)
    figures.pair_images(axes, [np.zeros((2, 2)), np.full((2, 2), 5.0)], ["a", "b"])
    assert [ax.images[0].get_clim() for ax in axes] == [(0, 5), (0, 5)]


def test_the_residue_circle_joins_in_steps():
    _, ax = figures.canvas()
    points = np.stack([np.arange(5.0), np.zeros(5)], axis=1)
    figures.residue_circle(ax, points, 5, unit=2)
    assert ax.lines[0].get_xdata().tolist() == [0, 2, 4, 1, 3, 0]


def test_the_table_of_pairs_is_grey_where_trained_on_and_coloured_by_the_answer():
    _, ax = figures.canvas()
    pairs = np.array([[0, 1], [2, 2], [1, 2]])
    figures.answers(ax, 3, pairs, np.array([False, True, True]), np.array([True, True, False]))
    table = ax.images[0].get_array()
    for (a, b), color in zip(pairs, ("#dddddd", figures.COLORS[0], figures.COLORS[1]), strict=True):
        assert to_rgba(color) == pytest.approx(tuple(table[b, a]))
    assert (table[1, 0] != 1).any() and (table[0, 1] == 1).all()  # the other half of the table stays white
    plt.close("all")
