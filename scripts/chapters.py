"""The book's pages, its notebooks, and what a notebook's outputs depend on; shared by the scripts and the tests."""

import ast
import functools
import hashlib
import os
import re
from pathlib import Path

import nbformat
import yaml
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).resolve().parent.parent
BOOK = ROOT / "book"
PACKAGE = ROOT / "grokbook"


def write(path, text):
    """Replace the file in one move, so that nobody ever reads half of it and a crash leaves the old one."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def contents(root=ROOT):
    """The pages in reading order, as (part's caption, page's name); the root page has no part."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    pages = [(None, toc["root"])]
    for part in toc.get("parts") or []:
        pages += [(part["caption"], chapter["file"]) for chapter in part["chapters"]]
    return pages


def names(root=ROOT):
    """What every chapter is called: its title in the contents, or else its first heading, by the page's name."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    listed = {entry["file"]: entry.get("title") for part in toc.get("parts") or [] for entry in part["chapters"]}
    return {path.stem: listed.get(path.stem) or title(path) for path in notebooks(root)}


def notebooks(root=ROOT):
    """Every notebook of the book: those of the contents in their order, then the rest by name."""
    order = [page for _, page in contents(root)]
    found = sorted((root / "book").glob("*.ipynb"))
    return sorted(found, key=lambda path: order.index(path.stem) if path.stem in order else len(order))


def read(path):
    return nbformat.read(path, as_version=4)


def tags(cell):
    return cell.metadata.get("tags", [])


def folds(cell):
    """What JupyterLab folds of a cell, by its tags: the code that pages fold, and solutions with all that they show."""
    found = set(tags(cell))
    if "hide-cell" in found:
        return {"source_hidden": True, "outputs_hidden": True}
    return {"source_hidden": True} if found & {"setup", "hide-input"} else {}


def title(path):
    """The first heading of a page or a notebook."""
    path = Path(path)
    if path.suffix == ".ipynb":
        text = next((cell.source for cell in read(path).cells if cell.cell_type == "markdown"), "")
    else:
        text = path.read_text(encoding="utf-8")
    heading = re.search(r"^# +(.+?)\s*$", text, flags=re.MULTILINE)
    return heading.group(1) if heading else path.stem


def code_cells(notebook):
    """The cells that outputs depend on: all code but the `setup` cell, which changes with the repository's address."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and "setup" not in tags(cell)]


@functools.cache
def syntax_tree(source):
    """Python's syntax tree of a cell, to be read and not written; magics are turned into calls first."""
    return ast.parse(TransformerManager().transform_cell(source), filename="<cell>")


def imported_modules(tree):
    """Dotted names inside grokbook, of modules and of what is in them, that a syntax tree imports, relatively too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = "grokbook" if node.level else ""
            origin = ".".join(filter(None, [package, node.module]))
            found |= {origin} | {f"{origin}.{alias.name}" for alias in node.names}
    return {name.removeprefix("grokbook.") for name in found if name.startswith("grokbook.")}


def module_file(name, package=PACKAGE):
    """The file of a module or a package inside grokbook by its dotted name, or None: `tasks.Task` names no file."""
    path = package.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


def reached_modules(notebook, package=PACKAGE):
    """Files of the package that the notebook's outputs depend on, through any chain of imports."""
    waiting = {"__init__"}.union(*(imported_modules(syntax_tree(cell.source)) for cell in code_cells(notebook)))
    reached = {}
    while waiting:
        name = waiting.pop()
        path = module_file(name, package)
        if name in reached or path is None:
            continue
        reached[name] = path
        waiting |= _read_once(path.read_text(encoding="utf-8"))[0]
    return [reached[name] for name in sorted(reached)]


def essence(node):
    """A syntax tree as nested tuples without docstrings, positions and empty fields, alike on every Python."""
    if isinstance(node, list):
        return tuple(essence(item) for item in node)
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = dict(ast.iter_fields(node))
    fields.pop("kind", None)
    body = fields.get("body")
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and is_docstring(body[:1]):
        fields["body"] = body[1:]
    return type(node).__name__, *((key, essence(value)) for key, value in fields.items() if value not in (None, []))


def is_docstring(statements):
    """Whether a list of statements is one bare string."""
    return any(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for node in statements
    )


@functools.cache
def _read_once(source):
    """What a module of this source imports, and its essence as a text: chapters share most of their modules."""
    tree = ast.parse(source)
    return imported_modules(tree), repr(essence(tree))


def fingerprint(notebook, package=PACKAGE):
    """sha256 over the meaning of the code cells and of every grokbook module that they reach."""
    digest = hashlib.sha256()
    for cell in code_cells(notebook):
        silent = cell.source.rstrip().endswith(";")  # the one sign of layout that changes what a cell shows
        digest.update(f"{essence(syntax_tree(cell.source).body)!r}{silent}\0".encode())
    for path in reached_modules(notebook, package):
        _, meaning = _read_once(path.read_text(encoding="utf-8"))
        digest.update(f"{path.stem}\0{meaning}\0".encode())
    return digest.hexdigest()


def in_step(notebook, package=PACKAGE):
    """Whether the stored outputs come from today's sources."""
    return notebook.metadata.get("grokbook", {}).get("fingerprint") == fingerprint(notebook, package)
