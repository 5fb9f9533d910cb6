"""One deck of slides a part, put together from the chapters: what they show, with their text as the speaker's notes.

    python scripts/slides.py            into _build/slides/html, beginning with index.html
    python scripts/slides.py FOLDER     into FOLDER/_build/slides/html

Where the book's pages are built, the slides stand beside them as well, and the first page leads there.

Nothing is executed, and nothing is written for slides alone: a chapter that changes changes its deck.
"""

import argparse
import base64
import copy
import html
import io
import re
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import numpy as np
import yaml
from PIL import Image
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

import build
import chapters
from rules import BACK_MATTER

sys.path.append(str(chapters.BOOK / "_ext"))
import offline_book
import stacked

LOOK = chapters.BOOK / "_slides"  # slides.css and slides.js
ENDS = ("Exercises", "References", "What the paper says", "What others have seen")  # the deck of a chapter ends here
LEARNT = "What we learnt"

# What a slide has room for, and what things take of it, in characters of claims.
FULL, FIGURE, FORMULA = 900, 570, 250
SIZES = dict.fromkeys(["asked", "option", "live", "learnt"], lambda content: FULL) | {
    "claims": len,
    "statement": len,
    "formula": lambda content: FORMULA,
    "figure": lambda cell: FIGURE + len(cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", "")),
}
JOINS = {"figure": {"claims"}, "formula": {"formula"}}  # and claims join all that leaves them room

# A directive or code between fences, a fold, a displayed formula, a heading, a list; else a paragraph or a table.
BLOCK = re.compile(
    r"^(:{3,}|`{3,})[^\n]*\n.*?^\1[ ]*$|^<details.*?</details>|^\$\$.*?\$\$[ ]*$|^#+ [^\n]*|^- .*?(?=\n\n(?![- ])|\Z)"
    r"|(?:^(?!:{3}|`{3}|<details|\$\$|#+ )[^\n]+\n?)+",
    re.DOTALL | re.MULTILINE,
)
HEADING = re.compile(r"#+ +(.*)")
STATEMENT = re.compile(r":{3,}\{prf:(?!proof)")
OPTION = re.compile(r"<details><summary>(\([a-z]\).*?)</summary>", re.DOTALL)
FRAME = re.compile(r"(?<=data:image/png;base64,)[\w+/=]+")
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\((?!https?:)[^)\s]*\)")

BREAK = ":::{revealjs-break}\n:::"  # one slide more under the same heading
SHOW = {
    **{"width": 1280, "height": 720, "margin": 0, "center": False, "display": "flex"},
    **{"slideNumber": "c/t", "hash": True, "transition": "none", "backgroundTransition": "none"},
}
PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Slides</title>
<link rel="icon" href="_static/favicon.svg">
<link rel="stylesheet" href="_static/slides.css">
<body class="decks">
<h1>{title}: slides</h1>
<p>One deck a part, one column of slides a chapter. The space bar goes on, → leads to the next chapter, S opens the
speaker's notes, ? lists the other keys.</p>
<ul>
{items}
</ul>
</body>
</html>
"""


@dataclass
class Slide:
    """What is seen, as [(kind, content)], below a heading, and the notes, as paragraphs of Markdown."""

    heading: str
    shown: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    def room(self):
        """What is left, in characters of claims."""
        return FULL - sum(SIZES[kind](content) for kind, content in self.shown)

    def takes(self, kind, content):
        """Whether one thing more belongs to what is there, and finds room."""
        joins = kind == "claims" or {before for before, _ in self.shown} == JOINS.get(kind)
        return joins and SIZES[kind](content) <= self.room()


def blocks(text):
    """The blocks of a Markdown cell, as texts."""
    return [match[0].rstrip() for match in BLOCK.finditer(text)]


def plain(text):
    """Markdown for the notes or a slide: links to places in the book are their texts, and folds are open."""
    return LINK.sub(r"\1", text).replace("<details>", "<details open>")


def view(cell, output, caption=True):
    """A cell that shows one output of another and no code, with the alt text of its picture."""
    found = copy.deepcopy(cell)
    found.metadata["tags"] = ["remove-input", "figure" if "image/png" in output.data else "live"]
    figure = found.metadata.get("mystnb", {}).pop("figure", None)
    if figure and caption:
        found.metadata["mystnb"]["figure"] = {"caption": figure["caption"]}  # no name: two slides may show it
    found.outputs = [copy.deepcopy(output)]
    if "text/html" in output.data:
        found.outputs[0].data["text/html"] = side_by_side(output.data["text/html"])
    return found


def side_by_side(page):
    """The HTML of a slider whose pictures have their panels side by side: they are stacked for telephones."""
    frames = {text: Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB") for text in set(FRAME.findall(page))}
    if not frames:
        return page
    drawings = [stacked.drawing(frame) for frame in frames.values()]
    ink = np.any([drawing.ink for drawing in drawings], axis=0)  # one cut for all, or panels would jump
    width = ink.shape[1]
    panels = stacked.rows(stacked.Drawing(drawings[0].pixels, ink, drawings[0].background, width), [(0, width)])
    size = (width * len(panels), max(bottom - top for top, bottom in panels))

    def joined(match):
        picture, data = Image.new("RGB", size, "white"), io.BytesIO()
        for column, (top, bottom) in enumerate(panels):
            picture.paste(frames[match[0]].crop((0, top, width, bottom)), (column * width, 0))
        picture.quantize(64, dither=Image.Dither.NONE).save(data, format="png", optimize=True)
        return base64.b64encode(data.getvalue()).decode()

    return FRAME.sub(joined, page)


def claim(output):
    """A claim in two paragraphs: the statement with its verdict, then what was measured and who says it."""
    record, line = output.metadata["grokbook"], output.data["text/markdown"]
    verdict, rest = line.split(record["statement"], 1)
    classes = "claim" if record["reproduces"] else "claim claim-fails"
    return f"::::{{container}} {classes}\n{verdict}{record['statement']}\n\n{rest.removeprefix(' · ')}\n::::"


def seen(cell):
    """What a code cell puts on slides, as (kind, content)."""
    claims = [claim(output) for output in cell.outputs if "grokbook" in output.get("metadata", {})]
    if claims:
        yield "claims", "\n\n".join(claims)
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            yield "figure", view(cell, output)
        elif "<script" in data.get("text/html", ""):
            yield "live", view(cell, output)


def things(notebook):
    """What is in a chapter from its title to its exercises, in order, as (kind, content)."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            yield from seen(cell)
            continue
        learnt = False
        for block in blocks(cell.source):
            if heading := HEADING.match(block):
                if heading[1].startswith(ENDS):
                    return
                learnt = heading[1] == LEARNT
                yield "heading", plain(heading[1])
            elif STATEMENT.match(block):
                yield "statement", plain(block)
            elif block.startswith("$$"):
                yield "formula", block
            elif option := OPTION.match(block):
                yield "option", (f"- {option[1]}", plain(block))
            elif learnt and block.startswith("- "):
                learnt = False
                yield "learnt", plain(block)
            else:
                yield "text", plain(block)


def sections(notebook):
    """The same by headings: [(heading, [(kind, content)])]. The first heading is the title."""
    found = []
    for kind, content in things(notebook):
        if kind == "heading":
            found.append((content, []))
        else:
            found[-1][1].append((kind, content))
    return found


def fill(slides, heading, section):
    """Add what is in a section to its slides; text goes with what it follows. -> the text before the first slide"""
    early, previous = [], None
    for kind, content in section:
        notes = slides[-1].notes if slides else early
        if kind == "text":
            notes.append(content)
        elif kind == "option":
            if previous != "option":  # the paragraph above the answers asks
                slides.append(Slide(heading, [("asked", notes.pop() if notes else "")]))
            slides[-1].shown.append((kind, content[0]))
            slides[-1].notes.append(content[1])
        elif slides and slides[-1].takes(kind, content):
            slides[-1].shown.append((kind, content))
        else:
            begun = [notes.pop()] if kind == "formula" and previous == "text" else []
            slides.append(Slide(heading, [(kind, content)], begun))
        if kind == "formula":
            slides[-1].notes.append(content)  # a sentence runs through it
        previous = kind
    return early


def slides_of(notebook):
    """A chapter's slides: the first has the title, the question and the cover, the last what was learnt."""
    [(title, opening), *rest] = sections(notebook)
    cover = [(cell, output) for cell in notebook.cells if "cover" in chapters.tags(cell) for output in cell.outputs]
    question = next(thing for thing in opening if thing[1].startswith(">"))
    found = [Slide(title, [("asked", question[1]), *(("figure", view(*one, caption=False)) for one in cover)])]
    fill(found, title, [thing for thing in opening if thing != question])
    for heading, section in rest:
        slides = []
        early = fill(slides, heading, sorted(section, key=lambda thing: thing[0] == "learnt"))
        if slides:
            slides[0].notes[:0] = early
        elif early:  # nothing to show: the text is read on
            found[-1].notes += [f"**{heading}**", *early]
        found += slides
    return found


def cells_of(slide, opening):
    """The cells of one slide. opening: what begins it, a heading or a break."""
    yield nbformat.v4.new_markdown_cell(opening)
    for kind, content in sorted(slide.shown, key=lambda thing: thing[0] == "claims"):
        shown = kind in ("figure", "live")
        yield content if shown else nbformat.v4.new_markdown_cell(f":::::{{container}} {kind}\n{content}\n:::::")
    if slide.notes:
        yield nbformat.v4.new_markdown_cell("\n\n".join(['<aside class="notes">', *slide.notes, "</aside>"]))


def deck(caption, pages):
    """The notebook of one part: a slide with its chapters, and a column of slides for each."""
    names = chapters.names()
    links = "".join(f'<li><a href="#/{k}">{html.escape(names[page])}</a></li>' for k, page in enumerate(pages, 1))
    found = [nbformat.v4.new_markdown_cell(f'# {caption}\n\n<ol class="chapters">{links}</ol>')]
    for page in pages:
        slides, previous = slides_of(chapters.read(chapters.BOOK / f"{page}.ipynb")), None
        for slide in slides:
            heading = f"{'##' if slide is slides[0] else '###'} {slide.heading}"
            found += cells_of(slide, BREAK if slide.heading == previous else heading)
            previous = slide.heading
    for number, cell in enumerate(found):
        cell.id = f"slides-{number}"
    return nbformat.v4.new_notebook(cells=found, metadata={"language_info": {"name": "python"}})


def decks():
    """The decks in the order of the contents: {caption: pages}."""
    found = {}
    for part, page in chapters.contents():
        if part not in (None, BACK_MATTER) and (chapters.BOOK / f"{page}.ipynb").exists():
            found.setdefault(part, []).append(page)
    return found


def name(caption):
    """The name of a deck's file, without its ending."""
    return "-".join(re.findall(r"[a-z0-9]+", caption.lower()))


def settings():
    """Sphinx's configuration: the book's where slides need it, and their own."""
    book = yaml.safe_load((chapters.ROOT / "_config.yml").read_text(encoding="utf-8"))
    of_sphinx = book["sphinx"]["config"]
    return {
        "project": book["title"],
        "extensions": ["myst_nb", "sphinx_proof", "sphinx_revealjs"],
        "myst_enable_extensions": book["parse"]["myst_enable_extensions"],
        "nb_execution_mode": "off",
        "nb_ipywidgets_js": of_sphinx["nb_ipywidgets_js"],
        "nb_mime_priority_overrides": [("revealjs", "image/png", 10), ("revealjs", "text/html", 20)],
        "numfig": True,
        "prf_realtyp_to_countertyp": of_sphinx["prf_realtyp_to_countertyp"],
        "html_favicon": str(chapters.BOOK / "_static" / "favicon.svg"),
        **{"html_copy_source": False, "html_use_index": False, "html_domain_indices": False},
        "mathjax_path": f"mathjax/{offline_book.MATHJAX_SCRIPT}",
        "mathjax3_config": of_sphinx["mathjax3_config"] | {"startup": {"typeset": False}},  # slides.js does
        "revealjs_style_theme": "slides.css",
        "revealjs_static_path": [str(LOOK)],
        "revealjs_script_files": ["slides.js"],
        "revealjs_script_plugins": [{"name": "RevealNotes", "src": "revealjs/plugin/notes/notes.js"}],
        "revealjs_script_conf": SHOW,
    }


def run_sphinx(folder):
    """Build the decks of folder/source, a notebook each, into folder/html. -> whether there was no warning"""
    with patch_docutils(), docutils_namespace():
        paths = [folder / "source", None, folder / "html", folder / "doctrees"]
        options = {"confoverrides": settings(), "status": None, "warningiserror": True, "keep_going": True}
        sphinx = Sphinx(*paths, "revealjs", **options)
        sphinx.connect("doctree-read", offline_book.keep_tags)
        sphinx.connect("build-finished", offline_book.copy_mathjax)
        sphinx.build()
        return sphinx.statuscode == 0


def page_of(found):
    """The page that lists the decks, and the chapters of each."""
    names, items = chapters.names(), []
    for caption, pages in found.items():
        address = f"{name(caption)}.html"
        links = [f'<a href="{address}#/{k}">{html.escape(names[page])}</a>' for k, page in enumerate(pages, 1)]
        items.append(f'<li><a href="{address}">{html.escape(caption)}</a>: {", ".join(links)}</li>')
    return PAGE.format(title=html.escape(settings()["project"]), items="\n".join(items))


def write(output=chapters.ROOT):
    """All decks, anew, into output/_build/slides. -> the page that lists them"""
    folder, found = output / "_build" / "slides", decks()
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "source"
    source.mkdir(parents=True)
    chapters.write(source / "index.md", "\n".join(["# Slides", "", ":::{toctree}", *map(name, found), ":::", ""]))
    for caption, pages in found.items():
        chapters.write(source / f"{name(caption)}.ipynb", nbformat.writes(deck(caption, pages)) + "\n")
    if not run_sphinx(folder):
        sys.exit("the slides are not as they should be; the warnings above say why")
    chapters.write(folder / "html" / "index.html", page_of(found))
    for made in ("source", "doctrees", "jupyter_execute"):
        shutil.rmtree(folder / made)
    return folder / "html" / "index.html"


def offer(slides, folder):
    """Put the slides beside the built pages, and a link to them on the first of these."""
    shutil.copytree(slides, folder / "slides", dirs_exist_ok=True)
    link = '<a href="slides/index.html">A deck of slides for each part</a>, with notes for the speaker'
    build.offer("shown", f"<strong>Show.</strong> {link}.", folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", nargs="?", type=Path, default=chapters.ROOT, help="default: the repository")
    begun = time.perf_counter()
    output = parser.parse_args().output.resolve()
    page = write(output)
    if (output / "_build" / "html").is_dir():
        offer(page.parent, output / "_build" / "html")
    print(f"built {len(decks())} decks in {time.perf_counter() - begun:.0f} s. Open {page}")


if __name__ == "__main__":
    main()
