"""Sphinx extension: symbols say what they mean when the pointer rests on them, equations have names, and no line begins
with the comma that belongs to a formula.

An equation with the paper's number, \\tag{20}, can be linked as two_layers.html#eq-20.
"""

import html
import re
import sys
from pathlib import Path

from docutils import nodes

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))
import chapters
from grokbook.display.claims import in_a_terminal

# Tables whose symbols mean the same in every chapter.
TABLES = ("The network and its data", "The geometry", "One layer at a time", "Fourier features")
FORMULA = re.compile(r'(<span class="math notranslate nohighlight")(>\\\(([^<]*)\\\)</span>)')
CLOSED = re.compile(rf"({FORMULA.pattern})([.,;:?!)\]’”]+)")  # by a sign, which stays in its line
AMBIGUOUS = {"k", "m", "g", "Z", "L"}  # they stand for something else in some chapter
TAG = re.compile(r"\\tag\{([\w.]+)\}")


def meanings(page):
    """TeX of a symbol -> its meaning as plain text, from the tables of the notation page."""
    found = {}
    for section in re.split(r"^## ", page, flags=re.MULTILINE):
        if section.split("\n")[0] not in TABLES:
            continue
        for symbols, meaning in re.findall(r"^\| (\$.*?) \| (.*?) \|", section, flags=re.MULTILINE):
            plain = in_a_terminal(meaning.replace("`", "").replace(r"\mathcal ", ""))
            for formula in re.findall(r"\$([^$]+)\$", symbols):
                names = formula.split(r" \in ")[0].split(" = ")
                found |= dict.fromkeys(names[:1] + [name for name in names[1:] if name.startswith("W_")], plain)
    return {symbol: meaning for symbol, meaning in found.items() if symbol not in AMBIGUOUS}


def read_notation(app):
    app.config.meanings = meanings((chapters.BOOK / "notation.md").read_text(encoding="utf-8"))


def explain(app, page, template, context, doctree):
    def explained(match):
        meaning = app.config.meanings.get(html.unescape(match[3]).strip())
        return f'{match[1]} title="{html.escape(meaning)}"{match[2]}' if meaning else match[0]

    body = CLOSED.sub(lambda match: f'<span class="kept">{match[0]}</span>', context.get("body") or "")
    context["body"] = body if page == "notation" else FORMULA.sub(explained, body)


def name_equations(app, doctree):
    taken = set()
    for node in doctree.findall(nodes.math_block):
        for number in TAG.findall(node.astext()):
            node["ids"] += [] if number in taken else [f"eq-{number}"]
            taken.add(number)


def setup(app):
    app.add_config_value("meanings", {}, "")
    app.connect("builder-inited", read_notation)
    app.connect("doctree-read", name_equations, priority=400)  # before a formula is handed on as it is
    app.connect("html-page-context", explain)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
