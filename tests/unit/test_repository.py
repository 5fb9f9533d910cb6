"""The package keeps its import table and its style; the files around it agree with each other."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import chapters
import rules
import set_repository

ROOT = chapters.ROOT
MODULES = sorted(path for path in chapters.PACKAGE.rglob("*.py") if path.stem != "__init__")
LONGEST_MODULE = 250  # lines that are not blank

# Which module may import which. Modules take callables and arrays; the notebooks compose them.
IMPORTS = {
    "checks": set(),
    "citations": set(),
    "linalg": set(),
    "activations": {"checks"},
    "measure": {"checks"},
    "losses": set(),
    "fourier": {"checks"},
    "checkpoint": set(),
    "display.progress": set(),
    "display.claims": set(),
    "display.figures": set(),
    "display.inline": set(),
    "display.explore": {"display.figures", "display.inline"},
    "display.valley": {"display.inline"},
    "claims": {"display.claims"},
    "toys": {"checks", "activations"},
    "operators": set(),  # X, as tasks hands it to the feature maps
    "tasks": {"checks", "operators"},
    "network": {"checks", "linalg", "activations"},
    "jacobians": {"checks", "linalg"},
    "nearest": {"linalg"},
    "levelset": {"linalg", "jacobians", "nearest"},
    "margin": {"checks"},
    "phases": {"checks", "measure"},
    "direction": {"linalg"},
    "equations": {"checks"},  # what a module computes; probe is what users call
    "probe": {"checks", "linalg", "equations", "jacobians", "levelset", "direction", "measure"},
    "watch": {"checks", "direction", "levelset", "measure", "probe"},
    "attention": {"checks"},
    "integrators": {"checks"},
    "flow": {"checks", "checkpoint", "integrators", "display.progress"},
    "training": {"checks", "checkpoint", "flow", "integrators", "losses", "measure"},
    "eq20": {"checks", "linalg", "network"},  # the formulas; isolated is what users call
    "descent": set(),  # L-BFGS, for isolated.minimise
    "isolated": {"checks", "checkpoint", "activations", "descent", "network", "eq20", "integrators", "flow"},
    "scale_free": {"checks", "activations", "eq20", "isolated"},
    "dual": {"checks", "linalg", "activations", "eq20", "isolated", "display.progress"},
    "copositive": {"checks"},
    "cross_entropy": {"checks", "dual"},
    "typical": {"checks", "checkpoint", "network", "eq20", "integrators", "flow"},
    "free_readout": {"checks", "linalg", "network"},
    "noise": {"checks", "activations"},
    "sweep": {"display.progress"},
    "stored": set(),
    "clock": {"checks", "flow", "integrators", "eq20"},
    "ways": {"checks", "eq20", "flow", "integrators"},
    "price": {"checks", "tasks", "eq20", "isolated"},
}


def name_of(path):
    return ".".join(path.relative_to(chapters.PACKAGE).with_suffix("").parts)


def listed_names():
    """The public names, as (module, name): those that the API page lists."""
    page = (chapters.BOOK / "api.md").read_text(encoding="utf-8")
    sections = re.findall(r"automodule:: (\S+)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return [(module, name) for module, text in sections for name in re.findall(r"auto(?:class|function):: (\w+)", text)]


def tree_of(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def functions_of(node):
    return [item for item in node.body if isinstance(item, ast.FunctionDef)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_keep_to_the_table(path):
    found = chapters.imported_modules(tree_of(path)) & {name_of(module) for module in MODULES}
    if name_of(path).startswith("exercises."):  # a chapter's checks call what the chapter calls; nothing calls them
        assert {name for name in found if name.startswith("exercises.")} <= {"exercises.answers"}
        return
    assert name_of(path) in IMPORTS, f"add {name_of(path)} to the table of imports above"
    assert found == IMPORTS[name_of(path)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_is_short(path):
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) <= LONGEST_MODULE, "split it"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_has_no_assert(path):
    """`assert` vanishes under -O; bad input gets a ValueError that says the way out."""
    assert not [node.lineno for node in ast.walk(tree_of(path)) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_public_names_have_docstrings(path):
    tree = tree_of(path)
    assert ast.get_docstring(tree)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    public = classes + [function for node in [tree, *classes] for function in functions_of(node)]
    assert not [node.name for node in public if not node.name.startswith("_") and not ast.get_docstring(node)]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_keeps_no_global_state(path):
    source = path.read_text(encoding="utf-8")
    assert not re.search(r"set_default_dtype|set_default_device|torch\.manual_seed|np\.random\.seed|\bglobal ", source)
    if name_of(path) != "display.explore":  # its live control draws when it is asked to
        assert "plt.show()" not in re.sub(r'""".*?"""', "", source, flags=re.DOTALL)


def test_least_squares_name_their_driver():
    """The default of torch.linalg.lstsq, gelsy, now and then pins columns at random: unset memory says which."""
    notebooks = {path: "\n".join(cell.source for cell in chapters.read(path).cells) for path in chapters.notebooks()}
    folders = [ROOT / name for name in ("benchmarks", "grokbook", "scripts", "tests")]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    sources = notebooks | {path: path.read_text(encoding="utf-8") for path in files}
    calls = [call for text in sources.values() for call in re.findall(r"torch\.linalg\.lstsq\(.*", text)]
    assert calls and not [call for call in calls if "driver=" not in call]


def test_public_names_exist():
    listed = listed_names()
    assert listed
    assert not [name for module, name in listed if not hasattr(importlib.import_module(module), name)]


def test_readme_uses_public_names_only():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", readme, flags=re.DOTALL | re.MULTILINE)
    imports = [node for node in ast.walk(ast.parse("".join(blocks))) if isinstance(node, ast.ImportFrom)]
    used = {(node.module, alias.name) for node in imports for alias in node.names}
    assert used and used <= set(listed_names())


# --- the files around the package ---


def requirements():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def pins():
    return {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in requirements() if "==" in line}


def test_requirements_are_exact():
    assert requirements()[0] == "-e ."
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in requirements()[1:])
    assert pins()["torch"] == "2.13.0"
    assert int(pins()["jupyter-book"].split(".")[0]) < 2


def test_ranges_admit_the_pins_and_colab():
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    colab = {"torch": "2.11.0", "numpy": "2.1.3", "scipy": "1.16.3", "matplotlib": "3.10.0", "pillow": "11.3.0"}
    colab |= {"ipywidgets": "7.7.1", "ipython": "7.34.0", "joblib": "1.5.3", "tqdm": "4.67.3"}  # August 2026
    colab |= {"cloudpickle": "3.1.2", "scikit-learn": "1.6.1"}
    for requirement in map(Requirement, project["dependencies"]):
        name = canonicalize_name(requirement.name)
        assert requirement.specifier.contains(pins()[name]), requirement
        assert requirement.specifier.contains(colab[name]), requirement
        assert "==" not in str(requirement) and "<" not in str(requirement), "an upper bound would break Colab one day"


def test_repository_address_is_the_same_everywhere():
    late = [path.name for path in set_repository.disagreeing()]
    assert not late, f"{late}: run `python scripts/set_repository.py`"


def test_address_stands_only_where_the_script_writes_it():
    url = set_repository.configured()
    if not url:
        pytest.skip("the repository's address is not set")
    known = set(set_repository.wanted(url)) | set(chapters.notebooks())
    tracked = subprocess.run(["git", "grep", "-l", url], cwd=ROOT, capture_output=True, text=True).stdout.split()
    assert {ROOT / name for name in tracked} <= known


def test_readme_maps_every_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [page for _, page in chapters.contents() if not re.search(rf"\(book/{page}\.(ipynb|md)\)", readme)]
    assert not missing


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_front_pages_resolve(name):
    text = rules.without_code((ROOT / name).read_text(encoding="utf-8"))
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    assert not [target for target in targets if target and "://" not in target and not (ROOT / target).exists()]


def test_readme_names_every_make_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"# make (.*?)\.", makefile).group(1).split(" | ")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    handed_out = ["student", "instructor", "pdf", "slides"]
    assert targets == ["book", "test", "lab", *handed_out, "execute", "drift", "bench", "clean"]
    assert not [target for target in targets if f"`make {target}`" not in readme]


def test_citation_names_the_paper_and_the_book():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"title", "authors", "message", "version"} <= set(citation)
    assert "2511.01938" in str(citation["references"])
    with open(ROOT / "pyproject.toml", "rb") as file:
        assert citation["version"] == tomllib.load(file)["project"]["version"]


def test_licences_are_whole():
    assert "Permission is hereby granted" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    text = (ROOT / "LICENSE-TEXT").read_text(encoding="utf-8")
    assert "Section 1 – Definitions" in text and "Section 8 – Interpretation" in text


@pytest.mark.parametrize("path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.stem)
def test_workflow_uses_public_places_only(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["jobs"]
    hosts = set(re.findall(r"https?://([\w.-]+)", path.read_text(encoding="utf-8")))
    assert not hosts


def test_scripts_say_what_they_do():
    for path in sorted((ROOT / "scripts").glob("*.py")):
        assert ast.get_docstring(tree_of(path)), path.name


def test_ci_runs_the_tests_and_nothing_else():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert script.read_text(encoding="utf-8").rstrip().endswith("make test </dev/null")
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0


def test_python_is_recent_enough():
    assert sys.version_info >= (3, 11)
