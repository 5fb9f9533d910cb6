"""The format of a chapter, as rules that name what breaks them.

    python scripts/rules.py                       every notebook
    python scripts/rules.py book/circles.ipynb    these notebooks

A rule takes a notebook and its path and yields one sentence for each thing to mend. The tests hold every rule.
"""

import argparse
import ast
import re
import statistics
import sys
from pathlib import Path

import nbformat

import chapters
import claims
import handouts
import set_repository

LONGEST_LINE = 79
LONGEST_CELL = 15
LONGEST_FOLDED_CELL = 24  # plots and helpers, which a page shows when asked
MEDIAN_CELL = 9
LARGEST_FILE = 3_000_000
FEWEST_EXERCISES = 4
BACK_MATTER = "Back matter"

TAGS = {"setup", "cover", "live", "nbval-ignore-output", "hide-input", "hide-cell", "hide-output", "remove-output"}
FOLDED = {"hide-input", "hide-cell", "live"}
# Calls by which a cell is known to claim or to draw.
SCAFFOLDING = ("claim", "note", "figures.canvas", "plt.show", "explore.", "draggable")
# Calls whose output moves in the page, which is why it is not compared.
MOVING = ("scrub(", "explore.play(", "draggable(")
BLOCKS = re.compile(r"prf:[a-z]+|exercise|note|tip|important|warning")
# What every notebook may import: the package's own requirements and the standard library, all there on Colab.
LIBRARIES = {"grokbook", "torch", "numpy", "scipy", "sklearn", "matplotlib", "ipywidgets", "IPython"}
LIBRARIES |= {"joblib", "tqdm", "PIL"}
MACHINE_PATHS = re.compile(r"(?<![\w/.:])(?:/(?:work|home|root|tmp|opt|mnt|Users|usr|var)/[\w.])")
ADDRESS_IN_MEMORY = re.compile(r"\bat 0x[0-9a-f]{6,}")
REMOTE_SOURCE = re.compile(r"""(?:\bsrc|<link[^>]*\bhref)\s*=\s*["']?(?:https?:)?//""", re.IGNORECASE)

# Calls whose value is visibly a number.
COUNTS = {"len", "rank", "int", "float", "abs", "item", "sum", "max", "min"}

RULES = []


def rule(function):
    RULES.append(function)
    return function


def cells_of(notebook, kind):
    return [(index, cell) for index, cell in enumerate(notebook.cells) if cell.cell_type == kind]


def markdown(notebook):
    return "\n\n".join(cell.source for _, cell in cells_of(notebook, "markdown"))


def without_code(text):
    """Markdown without fenced code and code spans, where anything may stand."""
    text = re.sub(r"^(`{3,})[^{\n]*\n.*?^\1`*[ ]*$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"(?<![}`])(`+)(?!`).+?(?<!`)\1(?!`)", "", text)


def without_mathematics(text):
    return re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", "", text, flags=re.DOTALL)


def outputs_of(cell):
    return cell.get("outputs", [])


def texts_of(output):
    """The texts of one output by type; pictures are left out."""
    data = {key: value for key, value in output.get("data", {}).items() if not key.startswith("image/")}
    if "text" in output:
        data["stream"] = output["text"]
    return {key: "".join(value) if isinstance(value, list) else str(value) for key, value in data.items()}


def html_of(cell):
    return "\n".join(texts_of(output).get("text/html", "") for output in outputs_of(cell))


@rule
def outputs_are_there(notebook, path):
    """A notebook without outputs passes nbval: there is nothing to compare."""
    counts = [cell.get("execution_count") for _, cell in cells_of(notebook, "code")]
    if counts != list(range(1, len(counts) + 1)):
        yield f"the code cells were not run once from top to bottom: execution counts {counts}"
    if not any(outputs_of(cell) for _, cell in cells_of(notebook, "code")):
        yield "no cell has an output"


@rule
def outputs_are_in_step(notebook, path):
    if not chapters.in_step(notebook):
        yield "the outputs are out of step with the sources: run `make execute`"


@rule
def nothing_failed(notebook, path):
    for index, cell in cells_of(notebook, "code"):
        for output in outputs_of(cell):
            if output.output_type == "error":
                yield f"cell {index} stores an error: {output.ename}: {output.evalue}"
            if output.get("name") == "stderr":
                yield f"cell {index} stores stderr: {output.text[:80]!r}"


@rule
def outputs_hold_no_chance(notebook, path):
    """What differs from run to run or shows nothing must not be stored."""
    for index, cell in cells_of(notebook, "code"):
        for output in outputs_of(cell):
            shown = "\n".join(texts_of(output).values())
            if ADDRESS_IN_MEMORY.search(shown):
                yield f"cell {index} prints an address in memory: {shown[:80]!r}"
            if "<Figure size" in shown and "image/png" not in output.get("data", {}):
                yield f"cell {index} prints a figure's size instead of the figure"


@rule
def pictures_have_alt_text(notebook, path):
    for index, cell in cells_of(notebook, "code"):
        pictures = sum("image/png" in output.get("data", {}) for output in outputs_of(cell))
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        if pictures and len(alt.split()) < 4:
            yield f"cell {index} draws a figure without alt text that says what it shows (got {alt!r})"
        if pictures > 1:
            yield f"cell {index} draws {pictures} figures under one alt text; one figure a cell"
        for picture in re.findall(r"<img\b[^>]*>", re.sub(r"<script.*?</script>", "", html_of(cell), flags=re.DOTALL)):
            if not re.search(r'\balt="[^"]{10,}"', picture):
                yield f"cell {index} has an HTML picture without alt text: {picture[:40]}"
    for index, cell in cells_of(notebook, "markdown"):
        if re.search(r"!\[\s*\]\(", without_code(cell.source)):
            yield f"cell {index} has a Markdown picture without alt text"


@rule
def a_cover_is_a_figure(notebook, path):
    """The picture of the cell tagged `cover` stands under the question on the page, too."""
    covers = [(index, cell) for index, cell in cells_of(notebook, "code") if "cover" in chapters.tags(cell)]
    for index, cell in covers:
        if not any("image/png" in output.get("data", {}) for output in outputs_of(cell)):
            yield f"cell {index} is tagged cover and shows no picture"
    if len(covers) > 1:
        yield f"{len(covers)} cells are tagged cover; a page has one"


@rule
def scrubbers_are_complete(notebook, path):
    names = []
    for index, cell in cells_of(notebook, "code"):
        page = html_of(cell)
        if 'class="scrubber"' not in page:
            continue
        names += re.findall(r'class="scrubber" id="([^"]*)"', page)
        if not re.search(r"<label for=[^>]*>[^<]+</label>", page):
            yield f"cell {index} has a scrubber without a label"
        if "" in re.findall(r'"alts": \[(.*?)\]', page):
            yield f"cell {index} has a scrubber without alt texts"
    if len(names) != len(set(names)):
        yield f"scrubbers share a name: {names}"


@rule
def nothing_loads_from_elsewhere(notebook, path):
    for index, cell in enumerate(notebook.cells):
        if REMOTE_SOURCE.search(html_of(cell) if cell.cell_type == "code" else without_code(cell.source)):
            yield f"cell {index} loads something from another host"


@rule
def cells_are_short(notebook, path):
    in_sight = []
    for index, cell in cells_of(notebook, "code"):
        length = sum(bool(line.strip()) for line in cell.source.splitlines())
        folded = bool({"setup", *FOLDED} & set(chapters.tags(cell)))
        if length > (most := LONGEST_FOLDED_CELL if folded else LONGEST_CELL):
            yield f"cell {index} has {length} lines, more than {most}"
        in_sight += [] if folded or handouts.asked(cell) else [length]
    if in_sight and statistics.median(in_sight) > MEDIAN_CELL:
        yield f"the median of the cells in sight has {statistics.median(in_sight)} lines, more than {MEDIAN_CELL}"


@rule
def lines_fit_the_page(notebook, path):
    """A longer line of code is cut off on a page, or wrapped where it reads badly."""
    for index, cell in cells_of(notebook, "code"):
        for line in cell.source.splitlines():
            if len(line) > LONGEST_LINE:
                start = line.strip()[:40]
                yield f"cell {index} has a line of {len(line)} characters, more than {LONGEST_LINE}: {start}"


@rule
def what_does_not_mirror_an_equation_is_folded(notebook, path):
    """Imports, claims, plots and sliders: a page shows what comes of them, and their code when asked."""
    for index, cell in cells_of(notebook, "code"):
        if is_scaffolding(cell.source) and not {"setup", *FOLDED} & set(chapters.tags(cell)):
            yield f"cell {index} only imports, claims or draws; tag it hide-input"


def is_scaffolding(source):
    tree = chapters.syntax_tree(source)
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    rest = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    return all("use_style" in ast.unparse(node) for node in rest) or any(call.startswith(SCAFFOLDING) for call in calls)


@rule
def jupyterlab_folds_what_pages_fold(notebook, path):
    for index, cell in cells_of(notebook, "code"):
        if cell.metadata.get("jupyter", {}) != chapters.folds(cell):
            yield f"cell {index} is not folded in JupyterLab as its tags say: run `python scripts/execute.py {path}`"


@rule
def fences_stand_apart(notebook, path):
    """Where directives are not known, as in JupyterLab, their marks are paragraphs of their own beside the text."""
    for index, cell in cells_of(notebook, "markdown"):
        if re.search(r"^:{3,}\{.*\n(?::[\w-]+:.*\n)*(?![:\n])", cell.source, flags=re.MULTILINE):
            yield f"cell {index} begins a text right under the first lines of a `:::` block; leave a line empty between"
        if re.search(r"[^\n]\n:{3,} *$", cell.source, flags=re.MULTILINE):
            yield f"cell {index} ends a text right above a closing `:::`; leave a line empty between"


@rule
def no_cell_is_empty(notebook, path):
    for index, cell in enumerate(notebook.cells):
        if not cell.source.strip():
            yield f"cell {index} is empty"


@rule
def markup_reads_well_everywhere(notebook, path):
    """Colab and GitHub show roles and backtick directives as raw text, and MathJax has no bm."""
    for index, cell in cells_of(notebook, "markdown"):
        bare = without_mathematics(without_code(cell.source))
        for role in re.findall(r"\{[a-zA-Z][\w:+-]*\}`", bare):
            yield f"cell {index} uses the role {role}...`, which shows as raw text outside the book"
        for directive in re.findall(r"^ *`{3,}\{[^}]*\}", cell.source, flags=re.MULTILINE):
            yield f"cell {index} opens {directive.strip()} with backticks; use a colon fence"
        for block in re.findall(r"^ *:{3,}\{([^}]*)\}", cell.source, flags=re.MULTILINE):
            if not BLOCKS.fullmatch(block):
                yield f"cell {index} uses the block {block!r}, whose bare text would puzzle a reader in Colab"
        if re.search(r"\\bm(?![a-zA-Z])", cell.source):
            yield f"cell {index} uses \\bm, which MathJax does not know; write \\boldsymbol"


@rule
def setup_comes_first(notebook, path):
    code = [cell for _, cell in cells_of(notebook, "code")]
    if not code or "setup" not in chapters.tags(code[0]):
        yield "the first code cell is not tagged `setup`"
    if sum("setup" in chapters.tags(cell) for cell in code) > 1:
        yield "more than one cell is tagged `setup`"
    for cell in code:
        if "setup" in chapters.tags(cell) and cell.source != set_repository.setup_source(set_repository.configured()):
            yield "the set-up cell is not the common one: run `python scripts/set_repository.py`"


@rule
def claims_are_made(notebook, path):
    stored = claims.stored_claims(notebook)
    if not stored:
        yield "no claim is made"
    for claim in stored:
        missing = {"statement", "source", "measured", "unit", "shown", "condition", "reproduces"} - set(claim)
        if missing:
            yield f"the claim {claim.get('statement')!r} lacks {sorted(missing)}"
        if any(ord(sign) < 32 for sign in claim.get("statement", "")):
            yield f"the claim {claim['statement']!r} holds a control character: write it as a raw string, r'...'"
    names = [claims.anchor(claim) for claim in stored if "statement" in claim]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"two claims begin alike, so that no link can tell them apart: {name}"
    made = sum(
        isinstance(node, ast.Call) and getattr(node.func, "id", "") == "claim"
        for cell in chapters.code_cells(notebook)
        for node in ast.walk(chapters.syntax_tree(cell.source))
    )
    if made > len(stored):
        yield f"{made} calls of claim left only {len(stored)} records in the outputs"


@rule
def claims_record_their_numbers(notebook, path):
    """A comparison inside `claim` hides the numbers that it compared; a bound is what was asked and never measured."""
    assigned = {}
    for index, cell in cells_of(notebook, "code"):
        for node in ast.walk(chapters.syntax_tree(cell.source)):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                assigned[node.targets[0].id] = node.value
            if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "claim"):
                continue
            statement = ast.unparse(node.args[0])[:60] if node.args else "?"
            measured = node.args[1] if len(node.args) > 1 else node
            if isinstance(measured, ast.Name):
                measured = assigned.get(measured.id, measured)
            if compares_numbers(measured):
                yield f"cell {index} passes a comparison to the claim {statement}: give the number, and its bound"
            if node.args and not isinstance(node.args[0], ast.Constant):
                yield f"cell {index} computes the statement {statement}, which may then depend on the processor"


def compares_numbers(node):
    """Whether an expression visibly compares numbers: an order, an equality with a number, or a closeness."""
    waiting = [node]
    while waiting:
        part = waiting.pop()
        called = ast.unparse(part.func).split(".")[-1] if isinstance(part, ast.Call) else ""
        if called in {"allclose", "isclose", "isfinite"}:
            return True
        if called not in {"sum", "len"}:  # these count how many comparisons hold
            # A comparison between brackets chooses entries.
            waiting += [part.value] if isinstance(part, ast.Subscript) else ast.iter_child_nodes(part)
        if isinstance(part, ast.Compare):
            if any(isinstance(operator, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for operator in part.ops):
                return True
            if any(is_number(side) for side in [part.left, *part.comparators]):
                return True
    return False


def is_number(node):
    """Whether an expression is visibly a number."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float)
    if isinstance(node, ast.Call):
        return ast.unparse(node.func).split(".")[-1] in COUNTS
    return isinstance(node, ast.BinOp)


@rule
def printed_numbers_are_whole(notebook, path):
    """What a cell prints is compared on every processor; a measured number belongs into a claim or a note."""
    for index, cell in cells_of(notebook, "code"):
        if "nbval-ignore-output" in chapters.tags(cell):
            continue
        for output in outputs_of(cell):
            if claims.is_measured(output):
                continue
            for kind, shown in texts_of(output).items():
                shown = re.sub(r"<Figure size [^>]*>", "", shown)
                if found := re.search(r"\d\.\d|\d[eE][-+]?\d|\b(?:nan|inf)\b", shown):
                    around = shown[max(found.start() - 20, 0) : found.end() + 10]
                    yield f"cell {index} prints {around!r} in {kind}: use a claim, or a note, or a whole number"


@rule
def one_question_opens(notebook, path):
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown" or not re.match(r"# \S", first.source):
        yield "the first cell does not open with a title"
        return
    quotes = " ".join(re.findall(r"^> ?(.*)$", first.source, flags=re.MULTILINE))
    if "?" not in quotes:
        yield "the first cell has no question in a blockquote"
    if len(re.findall(r"^# \S", without_code(markdown(notebook)), flags=re.MULTILINE)) > 1:
        yield "there is more than one title"


@rule
def proofs_and_folds_begin_with_words(notebook, path):
    """A proof's first line is set after the word Proof, and a fold's title is HTML: neither is Markdown."""
    for index, cell in cells_of(notebook, "markdown"):
        if re.search(r"^:{3,}\{prf:proof\}.*\n(?::.*\n)*\n*(?:\d+\.|[-*]) ", cell.source, flags=re.MULTILINE):
            yield f"cell {index} begins a proof with a list, whose first entry would be none: put a sentence first"
        if found := re.search(r"<summary>[^<]*\$.*?</summary>", cell.source):
            yield f"cell {index} has TeX in {found[0]}, where a page shows it as it is: write x = 1"


@rule
def exercises_have_solutions(notebook, path):
    """After the heading, every exercise is graded, and a folded text or a hidden cell follows before the next one."""
    marks = []
    begun = False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            begun = begun or bool(re.search(r"^##+ .*[Ee]xercises", cell.source, flags=re.MULTILINE))
            marks += re.findall(r"^:{3,}\{exercise\}|<details>", cell.source, flags=re.MULTILINE) if begun else []
            for title in re.findall(r"^:{3,}\{exercise\} *(.*)", cell.source, flags=re.MULTILINE):
                if not re.match(r"(Easy|Medium|Hard|Open)\b", title):
                    yield f"the exercise {title!r} is not graded: its title begins with Easy, Medium, Hard or Open"
        elif begun and "hide-cell" in chapters.tags(cell):
            marks.append("hide-cell")
    exercises = [index for index, mark in enumerate(marks) if mark.endswith("{exercise}")]
    if len(exercises) < FEWEST_EXERCISES:
        yield f"there are {len(exercises)} exercises under a heading `Exercises`, fewer than {FEWEST_EXERCISES}"
    for number, index in enumerate(exercises, start=1):
        if index + 1 == len(marks) or marks[index + 1].endswith("{exercise}"):
            yield f"exercise {number} has no folded solution after it"


@rule
def exercises_by_code_end_in_a_check(notebook, path):
    """A cell in sight calls a check of grokbook.exercises; its verdict on the book's own solution is stored."""
    title = None
    waiting = iter([*notebook.cells, nbformat.v4.new_markdown_cell("## The end")])
    for index, cell in enumerate(waiting):
        if cell.cell_type == "code" and handouts.asked(cell):
            title = None
            verdicts = [texts_of(output).get("text/plain", "") for output in outputs_of(cell)]
            if len(verdicts) != 1 or not verdicts[0].startswith("✓"):
                yield f"cell {index} checks the solution and does not show ✓"
        elif cell.cell_type == "markdown":
            for begun in re.findall(r"^(?::{3,}\{exercise\}|##) *(.*)", cell.source, flags=re.MULTILINE):
                if title:
                    yield f"the exercise {title!r} before cell {index} has no check: call one of grokbook.exercises"
                title = begun if "by code" in begun else None


@rule
def outputs_are_ignored_only_where_they_move(notebook, path):
    for index, cell in cells_of(notebook, "code"):
        tags = set(chapters.tags(cell))
        if tags - TAGS:
            yield f"cell {index} has unknown tags {sorted(tags - TAGS)}; known are {sorted(TAGS)}"
        moves = "live" in tags or any(call in cell.source for call in MOVING)
        if "nbval-ignore-output" in tags and not moves:
            yield f"cell {index} escapes the comparison of outputs without being a slider"
        if moves and "nbval-ignore-output" not in tags and "def scrub" not in cell.source:
            yield f"cell {index} makes a slider and lacks the tag nbval-ignore-output"
        if "live" in tags and outputs_of(cell):
            yield f"cell {index} stores the output of a live control, an empty box without a kernel"
        if "live" in tags and "hide-cell" not in tags:
            yield f"cell {index} is live and lacks the tag hide-cell: without a kernel it shows nothing"


@rule
def links_resolve(notebook, path):
    text = without_mathematics(without_code(markdown(notebook)))
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"""(?:href|src)=["']([^"']+)["']""", text):
        page = target.split("#")[0]
        if page and not re.match(r"[a-z]+:", page) and not (chapters.BOOK / page).is_file():
            yield f"the link to {target} leads nowhere"


@rule
def no_machine_is_named(notebook, path):
    for index, cell in enumerate(notebook.cells):
        for text in [cell.source, *(text for output in outputs_of(cell) for text in texts_of(output).values())]:
            found = MACHINE_PATHS.search(re.sub(r"base64,[\w+/=]*", "", text))
            if found:
                yield f"cell {index} names a place on one machine: {found.group(0)}"


@rule
def only_known_libraries(notebook, path):
    for cell in chapters.code_cells(notebook):
        for node in ast.walk(chapters.syntax_tree(cell.source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in {name.split(".")[0] for name in names} - LIBRARIES - sys.stdlib_module_names:
                yield f"{name} is imported, which is neither in the standard library nor in pyproject.toml"


@rule
def file_is_tidy(notebook, path):
    extra = set(notebook.metadata) - {"grokbook", "kernelspec", "language_info"}
    if extra:
        yield f"the notebook carries the metadata {sorted(extra)}: run `make execute`"
    if path.exists() and path.stat().st_size > LARGEST_FILE:
        yield f"the file has {path.stat().st_size / 1e6:.1f} MB, more than {LARGEST_FILE / 1e6:.0f}"


def part_of(path):
    """The caption of the part that a page belongs to."""
    return next((part for part, page in chapters.contents() if page == path.stem), None)


def broken(notebook, path):
    """Every breach of every rule, as `rule: what to mend`."""
    return [f"{rule.__name__}: {breach}" for rule in RULES for breach in rule(notebook, path)]


def main():
    parser = argparse.ArgumentParser(description="Say where a chapter breaks the book's format.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: every notebook")
    breaches = 0
    for path in parser.parse_args().notebooks or chapters.notebooks():
        for breach in broken(chapters.read(path), path):
            print(f"{path.name}: {breach}")
            breaches += 1
    sys.exit(int(breaches > 0))


if __name__ == "__main__":
    main()
