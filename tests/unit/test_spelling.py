"""Every word of the prose is in a dictionary of English or in the book's own list, tests/words.txt."""

import ast
import re

import pytest
from spellchecker import SpellChecker

import chapters

LIST = chapters.ROOT / "tests" / "words.txt"
PAGES = [path for path in sorted(chapters.BOOK.glob("*.md")) if path.stem != "claims"]  # made of the chapters' claims
SOURCES = [
    *chapters.notebooks(),
    *PAGES,
    *sorted(chapters.ROOT.glob("*.md")),
    *sorted((chapters.ROOT / "exams").glob("*.md")),
    *sorted(chapters.PACKAGE.rglob("*.py")),
]
# What is no prose, in the order in which it is taken out.
NOT_PROSE = [
    r"```.*?```",
    r"\$\$.*?\$\$",
    r"\$[^$]*\$",
    r"`[^`]*`",
    r"\]\([^)]*\)",
    r"<[^>]*>",
    r"https?://\S+",
    r"^:\w+:.*$",
    r":::\{[^}]*\}",
]


def texts(path):
    """The prose of a file: Markdown, what a chapter claims, draws and says of its figures, docstrings."""
    if path.suffix == ".md":
        return [path.read_text(encoding="utf-8")]
    if path.suffix == ".py":
        tree = ast.parse(path.read_text(encoding="utf-8"))
        with_docstrings = (ast.Module, ast.ClassDef, ast.FunctionDef)
        found = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, with_docstrings)]
        if path.parent.name == "exercises":  # and what its checks say
            values = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
            found += [value for value in values if isinstance(value, str) and " " in value]
        return found
    found = []
    for cell in chapters.read(path).cells:
        if cell.cell_type == "markdown":
            found.append(cell.source)
            continue
        shown = cell.metadata.get("mystnb", {})
        found += [shown.get("image", {}).get("alt", ""), shown.get("figure", {}).get("caption", "")]
        for node in ast.walk(chapters.syntax_tree(cell.source)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("claim", "note") and node.args:
                found.append(getattr(node.args[0], "value", "") or "")
    return found


def words(text):
    """Words of three letters or more, without a possessive, in small letters; no names of code, and no formulas."""
    for pattern in NOT_PROSE:
        text = re.sub(pattern, " ", text, flags=re.DOTALL | re.MULTILINE)
    found = {re.sub(r"['’]s?$", "", word) for word in re.findall(r"[^\W\d_]+(?:['’][a-z]+)?", text)}
    found = {word for word in found if re.fullmatch(r"[A-Za-zÀ-ɏ'’]{3,}", word) and not re.search("[a-z][A-Z]", word)}
    return {word.lower() for word in found}


@pytest.fixture(scope="module")
def unknown():
    """The words that no dictionary of English has, and one file of each."""
    used = {word: path.name for path in SOURCES for text in texts(path) for word in words(text)}
    return {word: used[word] for word in SpellChecker(language="en").unknown(used)}


def test_every_word_is_known(unknown):
    own = LIST.read_text(encoding="utf-8").split()
    wrong = {word: page for word, page in unknown.items() if word not in own}
    assert not wrong, f"misspelt, or to be added to tests/words.txt: {wrong}"


def test_the_list_is_in_order_and_has_no_word_that_is_not_used(unknown):
    own = LIST.read_text(encoding="utf-8").split()
    assert own == sorted(set(own)) and not [word for word in own if word not in unknown]


def test_a_misspelt_word_is_found():
    known = SpellChecker(language="en")
    assert words("the *neigbour* of `notaword`, $\\alpha\\betta$ and [its linck](no.html)") == {
        "the", "neigbour", "and", "its", "linck",
    }  # fmt: skip
    assert known.unknown(["neigbour", "linck", "the", "memory"]) == {"neigbour", "linck"}
