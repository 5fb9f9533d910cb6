"""Panels one under the other: they are found, whole and in order, with their labels; what is not clear stays whole."""

import io
import sys
from itertools import pairwise
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from docutils import nodes
from docutils.utils import new_document
from PIL import Image

import chapters
from grokbook.display import figures

sys.path.append(str(chapters.BOOK / "_ext"))
import stacked

pytestmark = pytest.mark.xdist_group("stacked")
RED, GREEN, BLUE, PINK = COLOURS = [(255, 0, 0), (0, 200, 0), (0, 0, 255), (255, 0, 255)]


@pytest.fixture(autouse=True)
def style():
    with plt.rc_context(figures.STYLE):
        yield
    plt.close("all")


def picture(figure, **kwargs):
    """The figure as a notebook stores it."""
    file = io.BytesIO()
    figure.savefig(file, bbox_inches="tight", **kwargs)
    return Image.open(file)


def draw(panel, colour, **kwargs):
    """A panel with numbers and labels, and a square of its own colour, drawn without a blur."""
    look = {"color": np.divide(colour, 255), "linewidth": 0, "snap": True, "antialiased": False}
    panel.add_patch(plt.Rectangle((0.3, 0.3), 0.4, 0.4, **look))
    panel.set(xlabel="step", ylabel="norm", title="a panel", **kwargs)


def drawn(columns=2, rows=1, height=3.0, colours=COLOURS, **kwargs):
    figure, axes = figures.canvas(columns=columns, rows=rows, height=height, **kwargs)
    for panel, colour in zip(np.ravel(axes), colours, strict=False):
        draw(panel, colour)
    return figure, axes


def pixels(image):
    return np.asarray(image.convert("RGB")).astype(int)


def where(image, colour):
    """(row, column) of every pixel of this colour."""
    return np.argwhere((pixels(image) == colour).all(2))


def ink(image):
    """How many pixels have each colour, but for the background."""
    numbers, counts = np.unique(pixels(image) @ [65536, 256, 1], return_counts=True)
    colours = [(number >> 16, number >> 8 & 255, number & 255) for number in numbers.tolist()]
    found, ground = zip(colours, counts.tolist(), strict=True), corner(image)
    return {colour: count for colour, count in found if max(abs(np.subtract(colour, ground))) > 12}


def corner(image):
    return pixels(image)[0, 0]


def order(image, colours=COLOURS):
    """Colours from the top down; every one is there and stands free of the others."""
    spans = sorted((where(image, colour)[:, 0].min(), where(image, colour)[:, 0].max(), colour) for colour in colours)
    assert all(above[1] < below[0] for above, below in pairwise(spans))
    return [colour for _, _, colour in spans]


@pytest.mark.parametrize("columns", [2, 3])
def test_panels_stand_one_under_the_other(columns):
    figure, _ = drawn(columns)
    whole = picture(figure)
    stack = stacked.stacked(whole)
    assert order(stack, COLOURS[:columns]) == COLOURS[:columns]
    assert stack.width < whole.width * 1.1 / columns
    assert ink(stack) == ink(whole), "every pixel is still there, once"


def test_panels_fill_the_stack_to_an_equal_margin():
    stack = pixels(stacked.stacked(picture(drawn()[0])))
    rows, columns = (np.flatnonzero((stack < 200).any(2).any(side)) for side in (1, 0))
    margins = rows[0], columns[0], stack.shape[0] - 1 - rows[-1], stack.shape[1] - 1 - columns[-1]
    assert min(margins) >= 6
    assert max(margins) <= 10


def test_rows_follow_each_other_under_the_title_of_all():
    figure, _ = drawn(2, 2)
    figure.suptitle("over all four", color="orange")
    whole = picture(figure)
    stack = stacked.stacked(whole)
    assert order(stack) == COLOURS
    assert ink(stack) == ink(whole)
    assert where(stack, (255, 165, 0))[:, 0].max() < where(stack, RED)[:, 0].min()
    assert stack.width < 0.55 * whole.width


def test_a_row_keeps_its_label_and_the_next_row_its_title():
    figure, axes = drawn(2, 2)
    for upper, lower in zip(*axes, strict=True):
        upper.set_xlabel("along", color="orange")
        lower.set_title("a title", color="cyan")
    stack = stacked.stacked(picture(figure))
    assert order(stack) == COLOURS
    labels, titles = where(stack, (255, 165, 0))[:, 0], where(stack, (0, 255, 255))[:, 0]
    ends = [where(stack, colour)[:, 0].max() for colour in COLOURS]
    assert {int(np.searchsorted(ends, row)) for row in labels} == {1, 2}, "under the first and the second panel"
    assert {int(np.searchsorted(ends, row)) for row in titles} == {2, 3}, "over the third and the fourth"


def test_numbers_under_an_axis_stay_there():
    figure, axes = drawn()
    for panel in axes:
        panel.set(xlabel="", xticks=[0, 0.5, 1], ylim=(-0.1, 1))
    axes[0].tick_params(axis="x", labelcolor="orange")
    stack = stacked.stacked(picture(figure))
    assert order(stack, [RED, GREEN, (255, 165, 0)]) == [RED, (255, 165, 0), GREEN]


def test_a_label_may_be_farther_from_its_panel_than_the_next_panel():
    image = np.full((300, 800, 3), 255, np.uint8)
    for left, colour in ((20, RED), (410, GREEN)):
        image[120:170, left : left + 10] = colour
        image[50:250, left + 50 : left + 52] = image[248:250, left + 50 : left + 370] = 0
    stack = stacked.stacked(Image.fromarray(image))
    assert order(stack, [RED, GREEN]) == [RED, GREEN]
    assert ink(stack) == ink(Image.fromarray(image))


def test_what_stands_under_all_panels_comes_last():
    figure, axes = drawn()
    for panel in axes:
        panel.set_xlabel("")
    figure.supxlabel("one label for the two of them", color="orange")
    whole = picture(figure)
    stack = stacked.stacked(whole)
    assert ink(stack) == ink(whole)
    assert order(stack, [RED, GREEN, (255, 165, 0)]) == [RED, GREEN, (255, 165, 0)]


def test_a_legend_over_all_panels_breaks_between_its_entries():
    figure, _ = drawn()
    colours = {"orange": (255, 165, 0), "cyan": (0, 255, 255), "olive": (128, 128, 0), "brown": (165, 42, 42)}
    lines = [plt.Line2D([], [], color=name, linewidth=6) for name in colours]
    names = [f"drawn in {name}" for name in colours]
    look = {"labelcolor": "linecolor", "fontsize": 9, "columnspacing": 1}
    figure.legend(lines, names, loc="outside upper center", ncols=4, **look)
    whole = picture(figure)
    stack = stacked.stacked(whole)
    assert ink(stack) == ink(whole)
    assert stack.width < 0.55 * whole.width
    heights = [where(stack, colour)[:, 0] for colour in colours.values()]
    assert all(rows.max() - rows.min() < 20 for rows in heights), "a line and its name are side by side"
    assert heights[1].min() < heights[0].max(), "the first two entries have room on one line"
    assert heights[0].max() < heights[-1].min() < where(stack, RED)[:, 0].min()


def test_one_panel_stays_whole():
    assert stacked.stacked(picture(drawn(1)[0])) is None


def test_a_legend_beside_a_panel_is_no_panel():
    figure, panel = drawn(1)
    panel.plot([0, 1], [0, 1], label="a line with a long name")
    panel.legend(loc="upper left", bbox_to_anchor=(1, 1))
    assert stacked.stacked(picture(figure)) is None


def test_nothing_stays_nothing():
    assert stacked.stacked(Image.new("RGBA", (800, 340), "white")) is None


def coloured(columns=2):
    figure, axes = figures.canvas(columns=columns)
    shown = figures.pair_images(axes, [np.arange(16).reshape(4, 4)] * columns, ["one"] * columns, cmap="gray")
    return figure, axes, shown


def test_a_colour_bar_stays_with_the_panel_on_its_left():
    figure, axes, shown = coloured()
    bar = figure.colorbar(shown, ax=axes)
    bar.ax.axhspan(0, 15, color="red")
    axes[1].axvline(1, color="blue")
    stack = stacked.stacked(picture(figure))
    bar_rows, panel_rows = where(stack, RED)[:, 0], where(stack, BLUE)[:, 0]
    assert panel_rows.min() > stack.height / 2
    assert bar_rows.min() > stack.height / 2
    assert where(stack, RED)[:, 1].min() > where(stack, BLUE)[:, 1].max()


def test_panels_with_a_colour_bar_between_them_stay_together():
    figure, axes, shown = coloured()
    figure.colorbar(shown, ax=axes[0], shrink=0.8)
    assert stacked.stacked(picture(figure)) is None


def test_a_colour_bar_on_the_left_keeps_no_panels_together():
    figure, axes, shown = coloured()
    figure.colorbar(shown, ax=axes, location="left", shrink=0.8)
    assert stacked.stacked(picture(figure)) is not None


def test_a_dark_figure_is_stacked_on_its_own_ground():
    with plt.style.context("dark_background"):
        figure, _ = drawn(facecolor="#102030")
        whole = picture(figure)
    stack = stacked.stacked(whole)
    assert order(stack, COLOURS[:2]) == COLOURS[:2]
    assert corner(stack).tolist() == corner(whole).tolist() == [0x10, 0x20, 0x30]
    assert stack.width < 0.55 * whole.width


def test_a_transparent_figure_is_on_white():
    clear, white = (stacked.stacked(picture(drawn()[0], transparent=transparent)) for transparent in (True, False))
    assert abs(pixels(clear) - pixels(white)).max() < 10


def test_things_without_axes_are_no_panels():
    image = np.full((300, 800, 3), 255, np.uint8)
    image[100:200, 50:350] = image[100:200, 450:750] = (0, 0, 200)
    assert stacked.stacked(Image.fromarray(image)) is not None, "two filled boxes could be pictures"
    upright = np.full_like(image, 255)
    upright[100:200, 50:52] = upright[100:200, 450:452] = 0
    upright[140:160, 50:110] = upright[140:160, 450:510] = 0
    upright[140:145, 110:350:2] = upright[140:145, 510:750:2] = 0
    assert stacked.stacked(Image.fromarray(upright)) is None
    words = np.full_like(image, 255)
    words[140:160, 50:350] = words[140:160, 450:750] = 0
    assert stacked.stacked(Image.fromarray(words)) is None


def test_unequal_panels_stay_whole_where_little_is_won():
    assert stacked.stacked(picture(drawn(width_ratios=[1, 4])[0])) is None
    assert stacked.stacked(picture(drawn(width_ratios=[2, 3])[0])) is not None


def test_many_narrow_panels_stand_side_by_side_in_half_of_the_figure():
    colours = [(200, 10 * k, 0) for k in range(12)]
    figure, axes = drawn(6, 2, height=1.8, colours=colours)
    for panel in axes.flat:
        panel.set(xlabel="", ylabel="", xticks=[], yticks=[])
    whole = picture(figure)
    stack = stacked.stacked(whole)
    tops = [where(stack, colour)[:, 0].min() for colour in colours]
    assert tops == sorted(tops)
    assert len(set(tops)) == 4
    assert ink(stack) == ink(whole)
    assert stack.width < 0.55 * whole.width


def test_a_panel_with_shared_numbers_gets_them():
    """The label and the numbers of the left axis are there twice; those of the lower axes, in the same corner, once."""
    figure, axes = drawn(sharey=True)
    axes[1].set_ylabel("")
    axes[0].set_ylabel("norm", color="orange")
    axes[0].tick_params(axis="y", labelcolor="orange")
    for panel, start, colour in zip(axes, (0, -0.03), ("cyan", "olive"), strict=True):
        panel.set_xlim(start, 1)
        panel.tick_params(axis="x", labelcolor=colour)
    whole = picture(figure)
    before, after = ink(whole), ink(stacked.stacked(whole))
    assert after[255, 165, 0] == 2 * before[255, 165, 0]
    assert all(after[colour] == before[colour] for colour in [(0, 255, 255), (128, 128, 0)])


def test_a_panel_with_numbers_of_its_own_keeps_its_label():
    figure, axes = drawn()
    for panel, colour in zip(axes, ("orange", "cyan"), strict=True):
        panel.set_ylabel(colour, color=colour)
    whole = picture(figure)
    assert ink(stacked.stacked(whole)) == ink(whole)


@pytest.mark.parametrize("ticks", [[0, 0.25, 1], []])
def test_a_panel_of_another_scale_gets_no_numbers(ticks):
    figure, axes = drawn()
    axes[1].set(ylabel="", yticks=ticks, yticklabels=[""] * len(ticks))
    whole = picture(figure)
    assert ink(stacked.stacked(whole)) == ink(whole)


def test_rows_that_share_their_numbers_stay_together():
    figure, axes = drawn(2, 2, sharex=True)
    for panel in axes[0]:
        panel.set_xlabel("")
    whole = picture(figure)
    stack = stacked.stacked(whole)
    assert order(stack) == [RED, BLUE, GREEN, PINK]
    assert ink(stack) == ink(whole)


def test_a_place_without_a_panel_is_left_out():
    figure, axes = drawn(2, 2)
    axes[1, 1].remove()
    whole = picture(figure)
    stack = stacked.stacked(whole)
    assert order(stack, COLOURS[:3]) == COLOURS[:3]
    assert ink(stack) == ink(whole)


def page(tmp_path, classes, uri="two.png"):
    """A page with one image in a box of these classes, and what the extension needs of the builder."""
    (tmp_path / "source").mkdir(exist_ok=True)
    picture(drawn()[0]).convert("RGB").save(tmp_path / "source" / uri)
    document = new_document("page")
    document += nodes.container("", nodes.image(uri=uri, alt="two panels"), classes=classes)
    builder = SimpleNamespace(format="html", imagedir="_images")
    app = SimpleNamespace(builder=builder, srcdir=tmp_path / "source", outdir=tmp_path / "html")
    return app, document


@pytest.mark.parametrize("classes", [["cell_output", "container"], ["cover", "coloured-by-value"]])
def test_a_page_offers_both_pictures(tmp_path, classes):
    app, document = page(tmp_path, classes)
    stacked.stack_panels(app, document, "page")
    (image,) = document.findall(nodes.image)
    assert (image["uri"], image["alt"], image["stacked"]) == ("two.png", "two panels", "two-stacked.png")
    with Image.open(tmp_path / "html" / "_images" / "two-stacked.png") as stack, picture(drawn()[0]) as whole:
        assert stack.width < 0.55 * whole.width


def test_a_cover_that_is_a_whole_cell_is_offered_once(tmp_path):
    app, document = page(tmp_path, ["cell_output"])
    (output,) = document.findall(nodes.container)
    output.replace_self(nodes.container("", output.deepcopy(), classes=["cell", "cover"]))
    stacked.stack_panels(app, document, "page")
    assert [image["stacked"] for image in document.findall(nodes.image)] == ["two-stacked.png"]


def test_other_images_and_other_formats_stay_as_they_are(tmp_path):
    app, document = page(tmp_path, ["somewhere"])
    stacked.stack_panels(app, document, "page")
    assert "stacked" not in next(document.findall(nodes.image))
    app, document = page(tmp_path, ["cell_output"], uri="two.jpeg")
    stacked.stack_panels(app, document, "page")
    assert "stacked" not in next(document.findall(nodes.image))
    app, document = page(tmp_path, ["cell_output"])
    app.builder.format = "latex"
    stacked.stack_panels(app, document, "page")
    assert "stacked" not in next(document.findall(nodes.image))
