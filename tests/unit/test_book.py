"""Every chapter keeps the book's format, and every rule of the format notices the breach it is there for."""

import copy
import itertools
import re
from functools import cache

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import chapters
import claims
import rules
import set_repository

NOTEBOOKS = chapters.notebooks()
PAGES = sorted(chapters.BOOK.glob("*.md"))
LISTED_NAMES = re.compile(r"^```\{eval-rst\}\n\.\. automodule::.*?^```$", re.DOTALL | re.MULTILINE)  # of the API page
NAMES = [rule.__name__ for rule in rules.RULES]


@pytest.fixture(scope="module", autouse=True)
def read_once():
    """The contents and the address stay as they are during the tests: YAML takes longer to read than most rules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chapters, "contents", cache(chapters.contents))
        patch.setattr(set_repository, "configured", cache(set_repository.configured))
        yield


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_chapter_keeps_the_format(path):
    breaches = rules.broken(chapters.read(path), path)
    assert not breaches, "\n".join(breaches)


def test_contents_and_folder_agree():
    listed = [page for _, page in chapters.contents()]
    assert len(listed) == len(set(listed))
    present = {path.stem for path in [*NOTEBOOKS, *PAGES]}
    assert set(listed) == present


def test_there_are_chapters():
    assert NOTEBOOKS, "a book without chapters passes every other test"


def test_titles_and_questions_differ():
    titles = [chapters.title(path) for path in [*NOTEBOOKS, *PAGES]]
    assert len(titles) == len(set(titles))


def test_claims_page_is_in_step():
    assert claims.in_step(), "run `python scripts/claims.py`"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_page_reads_well_everywhere(path):
    text = path.read_text(encoding="utf-8")
    notebook = new_notebook(cells=[new_markdown_cell(LISTED_NAMES.sub("", text))])
    checks = [rules.links_resolve, rules.no_machine_is_named, rules.nothing_loads_from_elsewhere]
    checks += [rules.markup_reads_well_everywhere, rules.pictures_have_alt_text]
    assert [breach for check in checks for breach in check(notebook, path)] == []
    assert re.match(r"# \S", notebook.cells[0].source)


def record(statement, **options):
    base = {"statement": statement, "source": "Eq. 1", "measured": 1.0, "unit": "", "shown": "1.0", "condition": "> 0"}
    return {**base, "reproduces": True, **options}


def test_claims_page_lists_failures_first_and_counts():
    found = [record("a | b"), record("c fails", reproduces=False), record("no number", measured=True, shown="yes")]
    found.append(record("learnt", controls={"a random start": "-1"}))
    text = claims.page_text([("Part", "page", "Title", found)])
    assert "**4** claims in **1** chapters: **3** hold, **1** do not. **1** were tried on a control" in text
    assert "**1** state something without a number." in text
    assert "[learnt](page.ipynb#claim-learnt) | 1.0<br>a random start: -1 | > 0 |" in text
    failing = "| ✗ | [c fails](page.ipynb#claim-c-fails) | 1.0 | > 0 | Eq. 1 | [Title](page.ipynb) |"
    assert text.index(failing) < text.index("✓")
    assert '| <a id="page-claim-a-b"></a>✓ | [a \\| b](page.ipynb#claim-a-b) | 1.0 | > 0 | Eq. 1 |' in text
    assert "| no number |  | Eq. 1 |" in text


def test_anchor_of_a_claim_is_made_of_its_first_words():
    falling = record(r"$\lVert\theta\rVert$ falls like $\lambda^2$, *always*")
    assert claims.anchor(falling) == "claim-falls-like-lambda-always"
    assert len(claims.anchor(record("word " * 50))) <= 66


def test_every_chapter_says_why_the_next_one_follows():
    pages = [(part, page) for part, page in chapters.contents() if part]
    for (part, page), (_, following) in itertools.pairwise(pages):
        if part != rules.BACK_MATTER:
            text = rules.markdown(chapters.read(chapters.BOOK / f"{page}.ipynb"))
            last = text.split("\n## Exercises")[0].rstrip().split("\n\n")[-1]
            assert f"]({following}." in last, f"{page} ends before its exercises with {last!r}"


def test_a_chapter_has_one_name():
    """A link to a chapter, unless it leads to a theorem, reads as the contents list it, capitals aside."""
    names = chapters.names()
    pages = [*NOTEBOOKS, *(path for path in PAGES if path.stem != "claims"), chapters.ROOT / "README.md"]
    texts = {path.name: rules.markdown(chapters.read(path)) for path in pages if path.suffix == ".ipynb"}
    texts |= {path.name: path.read_text(encoding="utf-8") for path in pages if path.suffix == ".md"}
    other = [
        (page, text, names[chapter])
        for page, source in texts.items()
        for text, chapter in re.findall(r"\[([^\]]+)\]\((?:book/)?(\w+)\.ipynb(?!#thm-)[^)]*\)", source)
        if chapter in names and text.lower() != names[chapter].lower()
    ]
    assert not other, "\n".join(f"{page}: [{text}] is called {name!r}" for page, text, name in other)


# --- every rule notices its breach: a sound chapter, and ways to spoil it for each rule ---

SOLUTION = "<details><summary>Solution</summary>\n\nSo.\n\n</details>"
EXERCISES = "\n\n".join(
    f":::{{exercise}} {title}\n:label: e-{n}\n\nWhy?\n\n:::\n\n{SOLUTION}"
    for n, title in enumerate(["Easy, by hand", "Hard: break an assumption", "Open", "Medium, by code"])
)
VERDICT = new_output("execute_result", data={"text/plain": "✓ Right."}, execution_count=6)
CLAIM = {"statement": "s", "source": "Eq. 1", "measured": 1.0, "unit": "", "shown": "1", "condition": "> 0"}
CLAIM["reproduces"] = True
LINE = {"text/plain": "✓ s · measured\xa01.5", "text/markdown": "✓ s · measured\xa01.5"}
PICTURE = {"image/png": "AA", "text/plain": "<Figure size 1x1 with 1 Axes>"}
SCRUBBER = (
    '<figure class="scrubber" id="s"><img src="data:image/png;base64,AA" alt="A line that rises">'
    '<label for="s-range">slope</label><input id="s-range" type="range"></figure>'
)


def display(data, **metadata):
    return new_output("display_data", data=data, metadata=metadata)


def code(number, source, *outputs, tags=(), **metadata):
    metadata = {**metadata, **({"tags": list(tags)} if tags else {})}
    cell = new_code_cell(source, execution_count=number, outputs=list(outputs), metadata=metadata)
    if folds := chapters.folds(cell):
        cell.metadata["jupyter"] = folds
    return cell


def sound():
    """Keeps every rule: 0 text, 1 set-up, 2 claim, 3 figure, 4 scrubber, 5 live, 6 exercises, 7 check."""
    figure = {"mystnb": {"image": {"alt": "A line that rises to one"}}}
    cells = [
        new_markdown_cell("# A title\n\n> **The question.** Why?\n\nRead [the claims](claims.md)."),
        code(1, set_repository.setup_source(set_repository.configured()), tags=["setup"]),
        code(2, "claim('s', 1.0, above=0, source='Eq. 1')", display(LINE, grokbook=CLAIM), tags=["hide-input"]),
        code(3, "plt.show()", display(PICTURE), tags=["hide-input"], **figure),
        code(4, "scrub(draw)", display({"text/html": SCRUBBER}), tags=["nbval-ignore-output"]),
        code(5, "live(draw)", tags=["live", "nbval-ignore-output", "hide-cell"]),
        new_markdown_cell("## Exercises\n\n" + EXERCISES),
        code(6, "check_power(power)", VERDICT),
    ]
    return stamped(new_notebook(cells=cells))


def stamped(notebook):
    notebook.metadata["grokbook"] = {"fingerprint": chapters.fingerprint(notebook)}
    return notebook


def add_text(text):
    return lambda notebook: notebook.cells[0].update(source=notebook.cells[0].source + "\n\n" + text)


def add_output(index, output):
    return lambda notebook: notebook.cells[index].outputs.append(output)


def set_source(index, source):
    return lambda notebook: notebook.cells[index].update(source=source)


def set_tags(index, *tags):
    return lambda notebook: notebook.cells[index].metadata.update(tags=list(tags))


def cover_twice(notebook):
    notebook.cells[3].metadata.tags.append("cover")
    notebook.cells.insert(4, copy.deepcopy(notebook.cells[3]))


def drop_outputs(notebook):
    for cell in notebook.cells:
        cell.pop("outputs", None)


BREACHES = {
    "outputs_are_there": [
        drop_outputs,
        lambda notebook: notebook.cells[3].update(execution_count=None),
        lambda notebook: notebook.cells[3].update(execution_count=9),
    ],
    "outputs_are_in_step": [set_source(4, "scrub(draw, 2)"), lambda notebook: notebook.metadata.pop("grokbook")],
    "nothing_failed": [
        add_output(2, new_output("error", ename="ValueError", evalue="no", traceback=[])),
        add_output(2, new_output("stream", name="stderr", text="a warning")),
    ],
    "outputs_hold_no_chance": [
        add_output(2, new_output("stream", name="stdout", text="<f at 0x7f0a1b2c3d4e>")),
        add_output(2, display({"text/plain": "<Figure size 1x1 with 1 Axes>"})),
    ],
    "pictures_have_alt_text": [
        lambda notebook: notebook.cells[3].metadata.pop("mystnb"),
        lambda notebook: notebook.cells[3].metadata.update(mystnb={"image": {"alt": "figure"}}),
        add_output(3, display({"image/png": "AA"})),
        add_output(2, display({"text/html": '<img src="data:,">'})),
        add_text("![](claims.md)"),
    ],
    "scrubbers_are_complete": [
        add_output(2, display({"text/html": SCRUBBER})),
        add_output(2, display({"text/html": '<figure class="scrubber" id="t"></figure>'})),
    ],
    "nothing_loads_from_elsewhere": [
        add_output(2, display({"text/html": '<script src="https://example.org/a.js"></script>'})),
        add_text('<img alt="A picture of it" src="//example.org/a.png">'),
    ],
    "cells_are_short": [
        set_source(4, "scrub(draw)\n" * 16),
        set_source(3, "plt.show()\n" * 25),
        set_source(4, "scrub(draw)\n" * 10),
    ],
    "lines_fit_the_page": [set_source(3, "a" * 80)],
    "what_does_not_mirror_an_equation_is_folded": [
        set_tags(2),
        set_tags(3),
        set_source(4, "from grokbook import flow\nfigures.use_style()"),
        set_source(4, "slider = explore.scrub(draw)"),
    ],
    "a_cover_is_a_figure": [set_tags(2, "hide-input", "cover"), cover_twice],
    "jupyterlab_folds_what_pages_fold": [
        lambda notebook: notebook.cells[2].metadata.pop("jupyter"),
        lambda notebook: notebook.cells[5].metadata["jupyter"].pop("outputs_hidden"),
        lambda notebook: notebook.cells[4].metadata.update(jupyter={"source_hidden": True}),
    ],
    "fences_stand_apart": [
        add_text(":::{note}\nText.\n\n:::"),
        add_text(":::{exercise}\n:label: b\nText.\n\n:::"),
        add_text(":::{note}\n\nText.\n:::"),
    ],
    "no_cell_is_empty": [set_source(5, " \n")],
    "markup_reads_well_everywhere": [
        add_text("See {ref}`there`."),
        add_text("See {prf:ref}`there`."),
        add_text("```{note}\nWell.\n```"),
        add_text(":::{figure} there\n:::"),
        add_text(r"$\bm{x}$"),
    ],
    "setup_comes_first": [
        set_tags(1, "hide-cell"),
        set_source(1, "import grokbook"),
        set_tags(2, "setup"),
    ],
    "claims_are_made": [
        lambda notebook: notebook.cells[2].update(outputs=[]),
        lambda notebook: notebook.cells[2].outputs[0].metadata.grokbook.pop("source"),
        lambda notebook: notebook.cells[2].outputs[0].metadata.grokbook.update(statement="$\varepsilon$"),
        add_output(2, display(LINE, grokbook=CLAIM)),
    ],
    "claims_record_their_numbers": [
        set_source(2, f"{before}claim({statement}, {measured}, above=0, source='Eq. 1')")
        for before, statement, measured in [
            ("", "'s'", "bool(error < 1e-10)"),
            ("", "'s'", "torch.allclose(a, b)"),
            ("", "'s'", "len(x) == k"),
            ("", "'s'", "n == k * m"),
            ("", "'s'", "sum(errors) < 1"),
            ("", "'s'", "all(a <= b for a, b in pairs)"),
            ("same = bool(error < 1e-10)\n", "'s'", "same"),
            ("", "f'{p} of them'", "1.0"),
        ]
    ],
    "printed_numbers_are_whole": [
        add_output(3, new_output("stream", name="stdout", text="error 0.5")),
        add_output(3, new_output("execute_result", data={"text/plain": "tensor(1e-3)"}, execution_count=3)),
        add_output(2, display({"text/html": "<b>nan</b>"})),
    ],
    "one_question_opens": [
        set_source(0, "Just text"),
        set_source(0, "# A title\n\nWhy?"),
        set_source(6, "# Another title\n\n## Exercises\n\n" + EXERCISES),
    ],
    "proofs_and_folds_begin_with_words": [
        add_text(":::{prf:proof}\n\n1. It is so.\n\n2. It is.\n\n:::"),
        add_text(":::{prf:proof}\n:label: of-it\n\n- It is so.\n\n:::"),
        add_text("<details><summary>(a) It is $x$.</summary>\n\nNo.\n</details>"),
    ],
    "exercises_have_solutions": [
        set_source(6, EXERCISES),
        set_source(6, "## Exercises\n\n" + EXERCISES.replace("<details>", "", 1)),
        set_source(6, "## Exercises\n\n" + EXERCISES[: EXERCISES.rindex(":::{exercise}")]),
        set_source(6, "## Exercises\n\n" + EXERCISES.replace("Easy, by hand", "By hand, easy")),
    ],
    "exercises_by_code_end_in_a_check": [
        set_source(7, "power"),
        lambda notebook: notebook.cells.pop(7),
        lambda notebook: notebook.cells[7].outputs[0].data.update({"text/plain": "✗ Not yet: more"}),
        lambda notebook: notebook.cells[7].update(outputs=[]),
        set_source(6, "## Exercises\n\n" + EXERCISES.replace("Open", "Open, by code")),
    ],
    "outputs_are_ignored_only_where_they_move": [
        set_tags(2, "nbval-ignore-output"),
        set_tags(2, "nbval-skip"),
        set_tags(2, "raises-exception"),
        set_tags(4),
        set_tags(5, "live", "nbval-ignore-output"),
        add_output(5, display({"application/vnd.jupyter.widget-view+json": {}})),
    ],
    "links_resolve": [add_text("[there](nowhere.ipynb)"), add_text('<a href="nowhere.md">there</a>')],
    "no_machine_is_named": [
        add_text("Look in /home/someone/book."),
        add_output(2, new_output("stream", name="stdout", text="saved to /tmp/run.pt")),
    ],
    "only_known_libraries": [set_source(4, "import pandas\nscrub(draw)"), set_source(4, "from seaborn import kdeplot")],
    "file_is_tidy": [lambda notebook: notebook.metadata.update(jupytext={}, widgets={})],
}


def test_every_rule_has_breaches():
    assert set(BREACHES) == set(NAMES)


def test_sound_chapter_breaks_no_rule():
    assert rules.broken(sound(), chapters.BOOK / "sound.ipynb") == []


@pytest.mark.parametrize(
    ("name", "number"), [(name, number) for name, breaches in BREACHES.items() for number in range(len(breaches))]
)
def test_rule_notices_its_breach(name, number):
    notebook = copy.deepcopy(sound())
    BREACHES[name][number](notebook)
    if name != "outputs_are_in_step":
        stamped(notebook)
    found = rules.broken(notebook, chapters.BOOK / "sound.ipynb")
    assert any(breach.startswith(f"{name}: ") for breach in found), found


NO_COMPARISON = ["error", "rank(J)", "found == names", "raised", "a in b", "torch.equal(a, b)", "a[t > 1]"]


@pytest.mark.parametrize("measured", [*NO_COMPARISON, "sum(a < b for a, b in c)"])
def test_a_number_or_a_true_statement_is_no_hidden_comparison(measured):
    notebook = sound()
    set_source(2, f"claim('s', {measured}, above=0, source='Eq. 1')")(notebook)
    assert rules.broken(stamped(notebook), chapters.BOOK / "sound.ipynb") == []


def test_large_file_is_noticed(tmp_path):
    path = tmp_path / "large.ipynb"
    notebook = sound()
    notebook.cells[0].source += "x" * (rules.LARGEST_FILE + 1)
    nbformat.write(notebook, path)
    assert list(rules.file_is_tidy(notebook, path))


@pytest.mark.parametrize(
    "text",
    [
        r"$\mathbb{R}^n$ and `{ref}` in code and ``{a}`b` ``",
        "```python\nx = {y}\n```",
        r"$$\begin{bmatrix} a \end{bmatrix} \bmod p$$",
        ":::{prf:theorem} Name\n:label: a\n\n$x$\n\n:::",
        "[paper](https://arxiv.org/abs/2511.01938) and [top](#a-title)",
    ],
)
def test_sound_markup_passes(text):
    notebook = sound()
    add_text(text)(notebook)
    assert rules.broken(stamped(notebook), chapters.BOOK / "sound.ipynb") == []
