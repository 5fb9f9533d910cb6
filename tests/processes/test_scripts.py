"""The maintenance scripts: what makes an output stale, what a run stores, and the repository's address."""

import shutil
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import chapters
import drift
import execute
import set_repository

# --- the fingerprint ---

MODULE = '''"""A module."""
import torch
from grokbook import other


def double(x):
    """Twice."""
    return 2 * x  # by hand
'''


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "grokbook"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "module.py").write_text(MODULE)
    (folder / "other.py").write_text("x = 1\n")
    (folder / "unused.py").write_text("x = 1\n")
    return folder


@pytest.fixture
def notebook():
    setup = new_code_cell("import grokbook.unused", metadata={"tags": ["setup"]})
    return new_notebook(cells=[new_markdown_cell("# T"), setup, new_code_cell("from grokbook.module import double")])


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_modules_are_reached_through_imports(notebook, package):
    assert [path.stem for path in chapters.reached_modules(notebook, package)] == ["__init__", "module", "other"]


@pytest.mark.parametrize("statement", ["import grokbook.module", "from grokbook import module as m"])
def test_every_form_of_import_is_seen(statement, notebook, package):
    notebook.cells[-1].source = f"%matplotlib inline\ndef f():\n    {statement}"
    assert "module" in [path.stem for path in chapters.reached_modules(notebook, package)]


def test_comments_docstrings_and_layout_leave_the_fingerprint(notebook, package):
    before = chapters.fingerprint(notebook, package)
    edit(package / "module.py", "  # by hand", "")
    edit(package / "module.py", '"""Twice."""', '"""Two times."""')
    edit(package / "module.py", '"""A module."""', "")
    edit(package / "module.py", "2 * x", "(2  *  x)")
    edit(package / "unused.py", "1", "2")
    notebook.cells[0].source = "# Another title"
    notebook.cells[1].source = "import something_else"
    notebook.cells[2].source = "from grokbook.module import (\n    double)  # by name"
    assert chapters.fingerprint(notebook, package) == before


def test_what_a_cell_shows_changes_the_fingerprint(notebook, package):
    prints = []
    for source in ("double(1)", "double(1);", '"double(1)"', "double(2)"):
        notebook.cells[-1].source = source
        prints.append(chapters.fingerprint(notebook, package))
    assert len(set(prints)) == len(prints)


def test_code_changes_the_fingerprint(notebook, package):
    before = chapters.fingerprint(notebook, package)
    edit(package / "other.py", "1", "2")
    after = chapters.fingerprint(notebook, package)
    assert after != before
    notebook.cells[2].source += "\ndouble(2)"
    assert chapters.fingerprint(notebook, package) != after


@pytest.mark.parametrize(
    ("one", "other"),
    [("x = 1", "x = 1.0"), ("x = '1'", "x = 1"), ("f(a, b)", "f(b, a)"), ("x = 'a'", "'a'"), ("a - b", "a + b")],
)
def test_essence_tells_programs_apart(one, other):
    trees = [chapters.syntax_tree(source + "\npass") for source in (one, other)]
    assert chapters.essence(trees[0]) != chapters.essence(trees[1])


# --- running ---


def stored(path, *sources):
    nbformat.write(new_notebook(cells=[new_markdown_cell("# T"), *map(new_code_cell, sources)]), path)
    return path


def quiet(text):
    pass


@pytest.fixture
def kernel_environment(tmp_path, monkeypatch):
    for name in ("OMP_NUM_THREADS", "PYTHONPATH", "JUPYTER_PREFER_ENV_PATH", "JUPYTER_PLATFORM_DIRS", "IPYTHONDIR"):
        monkeypatch.setenv(name, "")
    execute.prepare_environment(tmp_path)


@pytest.mark.usefixtures("kernel_environment")
def test_run_starts_in_an_empty_folder_with_one_thread_and_is_stored_tidily(tmp_path):
    sources = ["import os\nprint(os.listdir('.'), os.environ['OMP_NUM_THREADS'])", "1 + 1"]
    path = stored(tmp_path / "a.ipynb", *sources)
    execute.execute(path, report=quiet)
    notebook = chapters.read(path)
    assert notebook.cells[1].outputs[0].text == "[] 1\n"
    assert set(notebook.metadata) == {"grokbook", "kernelspec", "language_info"}
    assert all("execution" not in cell.metadata for cell in notebook.cells)
    assert chapters.in_step(notebook)


@pytest.mark.usefixtures("kernel_environment")
def test_failing_notebook_keeps_its_file_and_names_the_cell(tmp_path):
    path = stored(tmp_path / "a.ipynb", "x = 1", "y = 1 / 0")
    before = path.read_bytes()
    with pytest.raises(execute.Failed, match=r"(?s)cell 2 \(y = 1 / 0\).*ZeroDivisionError"):
        execute.execute(path, report=quiet)
    assert path.read_bytes() == before


def test_tidy_drops_widgets_editors_and_live_outputs():
    live = new_code_cell("live()", metadata={"tags": ["live"], "collapsed": True, "mystnb": {"image": {"alt": "a"}}})
    live.outputs = [new_output("display_data", data={"application/vnd.jupyter.widget-view+json": {}})]
    notebook = new_notebook(cells=[live, new_code_cell("live()")], metadata={"widgets": {}, "jupytext": {}})
    execute.tidy(notebook, "mark")
    assert notebook.cells[0].outputs == []
    assert set(notebook.cells[0].metadata) == {"tags", "mystnb"}
    assert set(notebook.metadata) == {"grokbook", "kernelspec", "language_info"}
    assert notebook.cells[0].id != notebook.cells[1].id
    nbformat.validate(notebook)


def test_write_replaces_the_file_in_one_move(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("old")
    chapters.write(path, "new λ")
    assert path.read_text(encoding="utf-8") == "new λ"
    assert [item.name for item in tmp_path.iterdir()] == ["a.md"]


@pytest.mark.parametrize("script", ["execute", "claims", "set_repository", "rules", "build", "drift"])
def test_script_explains_itself(script):
    command = [sys.executable, str(chapters.ROOT / "scripts" / f"{script}.py"), "--help"]
    assert "usage" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_unknown_notebook_is_refused():
    command = [sys.executable, str(chapters.ROOT / "scripts" / "execute.py"), "book/nowhere.ipynb"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 2 and "nowhere.ipynb" in process.stderr


# --- drift ---

ROUNDS = "import os\nfrom grokbook.claims import claim\nvalue = 1.0 + int(os.environ['OMP_NUM_THREADS'])\n"


@pytest.mark.usefixtures("kernel_environment")
def test_drift_names_a_verdict_that_depends_on_the_machine_and_lets_a_value_pass(tmp_path):
    value, verdict = ROUNDS + "claim('v', value, above=0, source='s')", ROUNDS + "print(value > 2.5)"
    path = stored(tmp_path / "a.ipynb", value, verdict)
    execute.execute(path, report=quiet)
    assert drift.run("as it is", [path])[:2] == (2, [])
    cells, failed, _ = drift.run("two threads", [path])
    assert cells == 2
    assert [name.split(" ", 1)[1] for name, _ in failed] == ["Cell 1"]
    assert "False" in failed[0][1]


def test_a_way_sets_its_choices_and_no_others(monkeypatch):
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx512")
    assert "ATEN_CPU_CAPABILITY" not in drift.environment("as it is")
    assert drift.environment("oldest")["ATEN_CPU_CAPABILITY"] == "default"
    assert drift.environment("two threads")["OMP_NUM_THREADS"] == "2"


# --- the repository's address ---

URL = "https://github.com/someone/some.book-2"


@pytest.fixture
def repository(tmp_path):
    """A copy of the files that name the address, and one small notebook."""
    for name in ("_config.yml", "README.md", "CITATION.cff"):
        shutil.copy(chapters.ROOT / name, tmp_path / name)
    (tmp_path / "book").mkdir()
    setup = new_code_cell(set_repository.SETUP_UNSET, metadata={"tags": ["setup"]})
    nbformat.write(new_notebook(cells=[setup, new_code_cell("1 + 1")]), tmp_path / "book" / "a.ipynb")
    put(tmp_path, "")
    return tmp_path


def put(root, url):
    for path, text in set_repository.wanted(url, root).items():
        path.write_text(text, encoding="utf-8")


def test_address_reaches_every_file_and_goes_again(repository):
    before = {path: path.read_text() for path in repository.rglob("*.*")}
    put(repository, URL)
    assert set_repository.configured(repository) == URL
    assert set_repository.disagreeing(repository) == []
    for name in ("_config.yml", "README.md", "CITATION.cff", "book/a.ipynb"):
        assert URL in (repository / name).read_text()
    put(repository, "")
    assert before == {path: path.read_text() for path in repository.rglob("*.*")}


@pytest.mark.parametrize("name", ["_config.yml", "README.md", "CITATION.cff", "book/a.ipynb"])
def test_disagreement_is_noticed(repository, name):
    put(repository, URL)
    edit(repository / name, URL, "https://github.com/someone/else")
    assert set_repository.disagreeing(repository)


def test_setup_cell_is_valid_either_way_and_touches_nothing_installed():
    for url in ("", URL):
        source = set_repository.setup_source(url)
        exec(compile(chapters.syntax_tree(source), "setup", "exec"), {})  # grokbook is here: nothing happens
    assert "--no-deps" in set_repository.setup_source(URL)


def test_setup_cell_says_what_to_do_until_the_address_is_set(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="Install grokbook first"):
        exec(set_repository.setup_source(""), {})


@pytest.mark.parametrize("url", ["someone/book", "http://github.com/a/b", "https://gitlab.com/a/b", "https://github.com/a"])
def test_wrong_address_is_refused(url):
    with pytest.raises(ValueError, match=r"OWNER/NAME"):
        set_repository.normal(url)


@pytest.mark.parametrize("url", [URL, URL + "/", URL + ".git", f" {URL} "])
def test_address_is_normalised(url):
    assert set_repository.normal(url) == URL
