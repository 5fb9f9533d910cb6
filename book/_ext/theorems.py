"""Sphinx extension: theorems can be linked by their labels, [Stability](stability.ipynb#thm-stability), and are listed.

Theorems, propositions and lemmas share one count through the book (`prf_realtyp_to_countertyp` in _config.yml). The
list takes the place of LIST in whatever page has it.
"""

import html
import re
import sys
from pathlib import Path

from docutils import nodes

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))
import chapters

LIST = '<div class="theorems"></div>'
TITLE = re.compile(r'(<div class="proof \w+ admonition" id="([\w-]+)">\n<p class="admonition-title">.*?)(</p>)')


def name_theorems(app, doctree):
    """Let links find the theorems of a page, and note them for the list."""
    page = app.env.docname
    found = [node for node in doctree.findall(nodes.Element) if node.get("countertype") and node.get("title")]
    slugs = app.env.metadata[page].setdefault("myst_slugs", {})
    for node in found:
        slugs[node["label"]] = (node.line, node["label"], node["title"])
    app.env.metadata[page]["theorems"] = [(node["label"], node["realtype"], node["title"]) for node in found]


def add_links(app, page, template, context, doctree):
    """A link to itself after each theorem's title, as headings have; and the list."""
    body = context.get("body") or ""
    body = TITLE.sub(r'\1<a class="headerlink" href="#\2" title="Link to this theorem">#</a>\3', body)
    context["body"] = body.replace(LIST, theorem_list(app.env)) if LIST in body else body


def theorem_list(env):
    """Every theorem in reading order, with its number, its name and its chapter."""
    names, entries = chapters.names(), []
    for _, page in chapters.contents():
        for label, kind, title in env.metadata.get(page, {}).get("theorems", []):
            [number] = env.toc_fignumbers[page]["theorem"][label]
            name = html.escape(title.strip().removeprefix("(").removesuffix(")"))
            name = re.sub(r"\$([^$]+)\$", r'<span class="math notranslate nohighlight">\(\1\)</span>', name)
            link = f'<a class="reference internal" href="{page}.html#{label}">{kind.title()} {number}</a>'
            entries.append(f"<li>{link}, {name} <em>({html.escape(names[page])})</em></li>")
    return '<ul class="theorems simple">\n' + "\n".join(entries) + "\n</ul>"


def setup(app):
    app.connect("doctree-read", name_theorems)
    app.connect("html-page-context", add_links, priority=600)  # after the numbers stand
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
