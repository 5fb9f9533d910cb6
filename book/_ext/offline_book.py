"""Sphinx extension: pages that ask no other host for anything, and a few things the theme leaves undone."""

import importlib.util
import itertools
import re
import shutil
import sys
from pathlib import Path

from docutils import nodes

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))
import chapters
import claims

# What pages use of MathJax 3: one script with every TeX package, its fonts, and what its accessibility menu loads.
MATHJAX = "sphinx-mathjax-offline"
MATHJAX_SCRIPT = "tex-chtml-full.js"
MATHJAX_PARTS = [
    MATHJAX_SCRIPT,
    "output/chtml/fonts/woff-v2/*.woff",
    "a11y/*.js",
    "sre/mathmaps/base.json",
    "sre/mathmaps/en.json",
]

NUMBERED_FIGURE = re.compile(r'<span class="caption-number">Fig\. [\d.]+ ?</span>')
NUMBERED_EXERCISE = re.compile(r'(<span class="caption-number">Exercise )[\d.]+( ?</span>)')


def mathjax_folder():
    """Where the installed copy of MathJax lies; the package's name has hyphens, so no statement can import it."""
    origin = importlib.util.find_spec(MATHJAX)
    if origin is None:
        raise ModuleNotFoundError(f"{MATHJAX} is not installed; run `pip install -r requirements.txt`")
    return Path(origin.origin).parent / "static" / "mathjax"


def settle_options(app, config):
    """Use the local MathJax; show the buttons that need the repository's address only once it is set."""
    config.mathjax_path = f"mathjax/{MATHJAX_SCRIPT}"
    options = config.html_theme_options
    known = bool(options.get("repository_url"))
    options["use_repository_button"] = options["use_issues_button"] = known
    if not known:
        options.pop("repository_url", None)
        options["launch_buttons"] = {}


def keep_tags(app, doctree):
    """Hand equations that bring their own layout to MathJax as they are.

    Sphinx puts every equation with a line break into `split`, where `\\tag` is an error; the paper's numbers are tags.
    """
    for node in doctree.findall(nodes.math_block):
        text = node.astext()
        if not node.get("nowrap") and (r"\tag" in text or r"\begin{" in text):
            node["nowrap"] = True
            node.children = [nodes.Text(rf"\[{text}\]")]


def mark_claims(app, doctree):
    """Give the line of a claim its style, a name that links can use, and a link to its row in the table of claims."""
    page = app.env.docname
    path = Path(app.env.doc2path(page))
    records = iter(claims.stored_claims(chapters.read(path)) if path.suffix == ".ipynb" else [])
    for line in doctree.findall(is_measured_line):
        line["classes"] += ["claim"]
        if line.astext().startswith("·"):
            line["classes"] += ["claim-note"]
            continue
        record = next(records)
        name = claims.anchor(record)
        line["ids"] += [name]
        line["classes"] += [] if record["reproduces"] else ["claim-fails"]
        app.env.metadata[page].setdefault("myst_slugs", {})[name] = (line.line, name, record["statement"])
        row = nodes.reference("", "↗", refuri=f"claims.html#{page}-{name}", internal=True)
        row["reftitle"] = "Its row in the table of all claims"
        line += [nodes.Text(" "), row]


# Calls that colour by value, where light and dark mean something that the text may speak of.
COLOURED_BY_VALUE = re.compile(r"cmap|colorbar|imshow|pcolormesh|plot_surface")


def keep_colours(app, doctree):
    """Mark the cells whose pictures are coloured by value: a dark page turns the lightness of all others round."""
    for cell in doctree.findall(nodes.container):
        if "cell" in cell["classes"]:
            source = "".join(block.astext() for block in cell.findall(nodes.literal_block))
            cell["classes"] += ["coloured-by-value"] if COLOURED_BY_VALUE.search(source) else []


def show_cover(app, doctree):
    """Show the picture of the cell tagged `cover` under the page's question.

    A cell before the first section moves there. The picture of a later one is repeated, as a link to where it is drawn.
    """
    cell = next((node for node in doctree.findall(nodes.container) if "tag_cover" in node["classes"]), None)
    question = next(doctree.findall(nodes.block_quote), None)
    if cell is None or question is None:
        return
    place = question.parent.index(question) + 1
    if cell.parent is question.parent:
        cell.parent.remove(cell)
        cell["classes"] += ["cover"]
        question.parent.insert(place, cell)
        return
    if not cell["ids"]:
        cell["ids"] = ["cover"]
    # The picture by itself: its figure may bring a caption that belongs where it is drawn.
    picture = next(cell.findall(nodes.image)).deepcopy()
    link = nodes.reference("", "", picture, refuri=f"#{cell['ids'][0]}", internal=True)
    classes = ["cover", *(name for name in cell["classes"] if name == "coloured-by-value")]
    question.parent.insert(place, nodes.container("", link, classes=classes))


def is_measured_line(node):
    """The paragraph that `grokbook.claims` displays, in the form that pages show."""
    bundle = node.parent
    return (
        isinstance(node, nodes.paragraph)
        and bundle.get("mime_type") == "text/markdown"
        and node.astext().startswith(("✓ ", "✗ ", "· "))
    )


def number_within_the_page(app, page, template, context, doctree):
    """Exercises count from 1 on every page; figures go without numbers, the paper's would be mistaken."""
    count = itertools.count(1)
    body = re.sub(NUMBERED_FIGURE, "", context.get("body") or "")
    context["body"] = re.sub(NUMBERED_EXERCISE, lambda match: f"{match[1]}{next(count)}{match[2]}", body)


# Thebe names an address on another host; no page has toggle buttons, tabs or cards.
UNUSED = re.compile("thebe|togglebutton|toggleHint|toggleOpenOnPrint|design-tabs|sphinx-design", re.IGNORECASE)


def drop_unused_assets(app, page, template, context, doctree):
    """Leave out what jupyter-book brings along and no page of this book uses."""
    for kind in ("script_files", "css_files"):
        context[kind] = [asset for asset in context.get(kind, []) if not is_unused(asset)]


def is_unused(asset):
    body = str((getattr(asset, "attributes", None) or {}).get("body", ""))
    return bool(UNUSED.search(str(getattr(asset, "filename", asset))) or UNUSED.search(body))


def copy_mathjax(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    source, target = mathjax_folder(), Path(app.outdir) / "_static" / "mathjax"
    for pattern in MATHJAX_PARTS:
        for path in source.glob(pattern):
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def drop_icon_font(app, exception):
    """Empty the theme's script of icons, 1.5 MB that every page asks for; icons.css draws those in use."""
    if exception is not None or app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    for script in static.glob("scripts/fontawesome.js*"):
        script.unlink()
    (static / "scripts" / "fontawesome.js").write_text("", encoding="utf-8")
    shutil.rmtree(static / "vendor" / "fontawesome", ignore_errors=True)


def setup(app):
    app.connect("config-inited", settle_options)
    app.connect("doctree-read", keep_tags)
    app.connect("doctree-read", mark_claims)
    app.connect("doctree-read", keep_colours)
    app.connect("doctree-read", show_cover)
    app.connect("html-page-context", number_within_the_page)
    app.connect("html-page-context", drop_unused_assets, priority=900)
    app.connect("build-finished", copy_mathjax)
    app.connect("build-finished", drop_icon_font)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
