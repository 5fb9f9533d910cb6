"""Sphinx extension: on a narrow screen the panels of a figure stand one under the other, each as wide as the page.

A figure is as wide as the text; on a telephone it would shrink to less than half, and nobody could read its labels.
Where the picture of a cell has panels side by side, a second picture is made of it, and the page offers both in one
`picture` element: the browser loads one of them, and the alt text holds for either. Nothing is known of a picture but
its pixels; where they do not say clearly what a panel is, it stays as it is.
"""

import posixpath
from itertools import pairwise
from pathlib import Path

import numpy as np
from docutils import nodes
from PIL import Image

NARROW = "screen and (max-width: 576px)"  # as in book.css; paper has room for the whole figure

# Lengths in parts of the figure's width. Figures are 7.2 inches wide, so a point is 1/518 of it.
GAP = 1 / 160  # the least between two things: less than the 4 points that Matplotlib leaves beside numbers
ROOM = 1 / 90  # the least between panels and what stands over all of them; a title is closer to its panel
TICK = 1 / 80  # a mark on an axis is shorter, and the number of the mark farther away
LINE = 1 / 12  # the least length of an axis: no stroke of a letter is as long
PANEL = 1 / 8  # the least width of a panel: a colour bar is narrower
MARGIN = 1 / 100
WIDEST = 2 / 3  # a wider stack would hardly make the text larger


class Drawing:
    """A figure or a piece of one. pixels: (height, width, 3); ink: which stand out; unit: the width of the figure."""

    def __init__(self, pixels, ink, background, unit):
        self.pixels, self.ink, self.background, self.unit = pixels, ink, background, unit

    def length(self, part):
        """Pixels of a part of the figure's width."""
        return round(part * self.unit)

    def changed(self, change):
        return Drawing(change(self.pixels), change(self.ink), self.background, self.unit)

    def piece(self, top, bottom, left=0, right=None):
        return self.changed(lambda array: array[top:bottom, left:right])

    def turned(self):
        """Mirrored so that the lower axis is the left one, and the left axis the lower one."""
        return self.changed(lambda array: array[::-1, ::-1].swapaxes(0, 1))

    def trimmed(self):
        rows, columns = (np.flatnonzero(self.ink.any(side)) for side in (1, 0))
        return self.piece(rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)

    def blank(self, height, width):
        return np.full((height, width, 3), self.background, np.uint8)

    def axis(self):
        """The leftmost upright line of an axis' length: (column, top, bottom), or None."""
        for column in np.flatnonzero(self.ink.sum(0) >= self.length(LINE)):
            for line in stretches(self.ink[:, column]):
                if extent(line) >= self.length(LINE):
                    return column, *line
        return None

    def has_numbers(self):
        """False where the left axis has marks without numbers: it shares those of a neighbour."""
        column, top, bottom = self.axis() or (0, 0, 0)
        beside = np.flatnonzero(self.ink[top:bottom, :column].any(0))
        return len(beside) == 0 or column - beside[0] > self.length(TICK)

    def marks(self):
        """The rows of the marks on the left axis: axes beside each other with the same marks have the same scale."""
        column, top, bottom = self.axis() or (0, 0, 0)
        return (top + np.flatnonzero(self.ink[top:bottom, max(column - self.length(TICK / 4), 0)])).tolist()


def drawing(picture):
    """The drawing in a Pillow image; what is transparent is white paper."""
    paper = Image.new("RGBA", picture.size, "white")
    pixels = np.asarray(Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB"))
    return Drawing(pixels, inked(pixels, pixels[0, 0]), pixels[0, 0], pixels.shape[1])


def inked(pixels, background):
    """Which pixels stand out; one colour at a time, which is several times faster than a maximum over short rows."""
    differences = [np.abs(pixels[..., i].astype(np.int16) - int(background[i])) > 12 for i in range(3)]
    return differences[0] | differences[1] | differences[2]


def stretches(ink, gap=1):
    """Where a line has ink, as (start, stop); what is less than a gap apart is one stretch."""
    edges = np.flatnonzero(np.diff(ink, prepend=False, append=False)).tolist()
    found = []
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if found and start - found[-1][1] < gap:
            start = found.pop()[0]
        found.append((start, stop))
    return found


def breaks(ink):
    """The widest blanks of a line, give or take a pixel."""
    blanks = stretches(~ink)
    most = max(map(extent, blanks), default=0)
    return [blank for blank in blanks if extent(blank) >= most - 1]


def extent(stretch):
    return stretch[1] - stretch[0]


def columns(body):
    """(left, right) of the panels, each with the labels on its left; a panel has two axes, a colour bar is narrow."""
    ends, bar = [], False
    for left, right in stretches(body.ink.any(0), body.length(GAP)):
        part = body.piece(0, None, left, right)
        if part.axis() is None:
            continue
        if right - left < body.length(PANEL):
            bar = bool(ends)
        elif part.turned().axis() is None:
            return []
        elif bar:  # between two panels: its numbers may be taken for the next one's, so all three stay together
            ends[-1], bar = right, False
        else:
            ends.append(right)
    if any(not parted(body.piece(*strip), ends[:-1]) for strip in strips(body) if strip):
        return []
    return list(pairwise([0, *ends[:-1], body.ink.shape[1]]))


def parted(strip, cuts):
    """Whether words in a row are several texts: their blanks at the cuts are wider than all others between words."""
    blanks = stretches(~strip.ink.any(0))
    at = [blank for blank in blanks if any(blank[0] <= cut < blank[1] for cut in cuts)]
    words = [blank for blank in blanks[1:-1] if blank not in at]
    return max(map(extent, words), default=0) < min(map(extent, at), default=1)


def rows(body, sides):
    """(top, bottom) of each row of panels. Rows that share the marks under the last one stay together."""
    edges = [0]
    upright = [part for part in stretches(body.ink.any(1), body.length(GAP)) if body.piece(*part).axis()]
    for (_, above), (below, _) in pairwise(upright):
        # A label may be as far from its numbers as one row from the next, which begins after the last of these blanks.
        edges.append(above + breaks(body.ink[above:below].any(1))[-1][1])
        if not all(body.piece(*edges[-2:], *side).turned().has_numbers() for side in sides):
            return [(0, body.ink.shape[0])]
    return list(pairwise([*edges, body.ink.shape[0]]))


def numbered(panel, neighbour):
    """The panel with the numbers of its neighbour's left axis, where it has the same marks and none of its own."""
    if panel.has_numbers() or not neighbour.has_numbers() or panel.marks() != neighbour.marks():
        return panel
    (here, *_), (there, _, bottom) = panel.axis(), neighbour.axis()
    height, width = panel.ink.shape
    axis = max(here, there)
    pixels = panel.blank(height, axis + width - here)
    pixels[:, axis - here :] = panel.pixels
    low = bottom + panel.length(TICK / 2)  # half a number; farther down are those of the lower axis, which are its own
    pixels[:low, axis - there : axis] = neighbour.pixels[:low, :there]
    return Drawing(pixels, inked(pixels, panel.background), panel.background, panel.unit)


def strips(figure):
    """(top, bottom) of the first and the last row of ink; None for one that is high enough for panels."""
    found = stretches(figure.ink.any(1), figure.length(ROOM))
    return [end[0] if end and extent(end[0]) < figure.length(LINE) else None for end in (found[:1], found[-1:])]


def bodies(figure):
    """(top, bottom) of what may hold the panels: all of it, or all but a legend or a title over them, or under them."""
    over, under = strips(figure)
    tops, bottoms = [0, *(over or [])[1:]], [figure.ink.shape[0], *(under or [])[:1]]
    return [(top, bottom) for bottom in bottoms for top in tops if top < bottom]


def lines(strip, width):
    """A legend or a title in pieces of this width, broken at its widest blanks only: between entries, or words."""
    if not strip.ink.any():
        return []
    strip = strip.trimmed()
    edges = [0, *(edge for blank in breaks(strip.ink.any(0)) for edge in blank), strip.ink.shape[1]]
    found = []
    for left, right in zip(edges[::2], edges[1::2], strict=True):
        if found and right - found[-1][0] <= width:
            left = found.pop()[0]
        found.append((left, right))
    return [strip.piece(0, None, *line) for line in found]


def panels(body):
    """The pieces of a figure, row by row; of many narrow panels, as many side by side as half of the figure holds."""
    sides = columns(body)
    if len(sides) < 2:
        return []
    step = len(sides) // 2
    groups = [sides[i : i + step] for i in range(0, len(sides), step)]
    found = []
    for top, bottom in rows(body, sides):
        row = []
        for group in groups:
            panel = body.piece(top, bottom, group[0][0], group[-1][1])
            row.append(numbered(panel, row[-1]) if row else panel)
        found += [panel.trimmed() for panel in row if panel.ink.any()]
    return found


def stacked(picture):
    """A Pillow image with the panels of this one stacked; None if it has no two panels side by side."""
    figure = drawing(picture)
    for top, bottom in bodies(figure):
        found = panels(figure.piece(top, bottom))
        if found:
            break
    else:
        return None
    width = max(panel.ink.shape[1] for panel in found)
    found = [*lines(figure.piece(0, top), width), *found, *lines(figure.piece(bottom, None), width)]
    width = max(panel.ink.shape[1] for panel in found)
    if width > figure.length(WIDEST):
        return None
    return Image.fromarray(pile(found, width, figure.length(MARGIN)))


def pile(pieces, width, margin):
    """Pixels of all pieces one under the other, at the left, with a margin round each."""
    padded = []
    for piece in pieces:
        height, own = piece.ink.shape
        padded.append(piece.blank(height + 2 * margin, width + 2 * margin))
        padded[-1][margin : margin + height, margin : margin + own] = piece.pixels
    return np.concatenate(padded)


class two_pictures(nodes.image):
    """An image with a second one, `stacked`, for narrow screens. Other writers than HTML take it for a plain image."""


def begin(translator, node):
    address = posixpath.join(translator.builder.imgpath, node["stacked"])
    translator.body.append(f'<picture class="panels"><source media="{NARROW}" srcset="{address}">')
    translator.visit_image(node)


def end(translator, node):
    translator.depart_image(node)
    translator.body.append("</picture>")


def stack_panels(app, doctree, page):
    """Offer a stack wherever the page shows the picture of a cell: in its output, and under the question."""
    if app.builder.format != "html":
        return
    folder, names = Path(app.outdir) / app.builder.imagedir, {}
    folder.mkdir(parents=True, exist_ok=True)
    boxes = [box for box in doctree.findall(nodes.container) if {"cell_output", "cover"} & set(box["classes"])]
    found = dict.fromkeys(node for box in boxes for node in box.findall(nodes.image))  # a cover may be a whole cell
    for node in [node for node in found if node["uri"].endswith(".png")]:
        path = Path(app.srcdir) / node["uri"]
        if path not in names:
            with Image.open(path) as picture:
                stack = stacked(picture)
            names[path] = stack and f"{path.stem}-stacked.png"
            if stack:
                stack.save(folder / names[path])
        if names[path]:
            node.replace_self(two_pictures("", **node.attributes, stacked=names[path]))


def setup(app):
    app.add_node(two_pictures, html=(begin, end))
    app.connect("doctree-resolved", stack_panels)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
