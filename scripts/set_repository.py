"""Write the repository's address into everything that needs it; _config.yml holds it.

    python scripts/set_repository.py https://github.com/OWNER/NAME    set it everywhere
    python scripts/set_repository.py --unset                          forget it everywhere
    python scripts/set_repository.py                                  write the one of _config.yml everywhere
    python scripts/set_repository.py --check                          write nothing; fail if they disagree

It goes into the notebooks' set-up cells (Colab installs from it), README.md and CITATION.cff. The buttons of the built
pages come from _config.yml itself.
"""

import argparse
import re
import sys
from copy import deepcopy

import nbformat
import yaml

import chapters

ADDRESS = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+")

SETUP_UNSET = """from importlib.util import find_spec

if find_spec("grokbook") is None:
    raise ModuleNotFoundError("Install grokbook first: run "
                              "`pip install -e .` in the repository's folder.")"""

SETUP = """from importlib.util import find_spec

# On Colab; --no-deps keeps the torch and NumPy that are there.
if find_spec("grokbook") is None:
    %pip install --quiet --no-deps git+{url}"""


def normal(url):
    """The address without a trailing `/` or `.git`; ValueError if it is not one of a GitHub repository."""
    url = url.strip().rstrip("/").removesuffix(".git")
    if url and not ADDRESS.fullmatch(url):
        raise ValueError(f"{url!r} is no repository's address; give one like https://github.com/OWNER/NAME")
    return url


def configured(root=chapters.ROOT):
    """The address that _config.yml holds; empty if none is set."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    return normal(config["repository"]["url"] or "")


def setup_source(url):
    return SETUP.format(url=url) if url else SETUP_UNSET


def with_setup(notebook, url):
    """Put the address into the notebook's set-up cells; return the notebook."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and "setup" in chapters.tags(cell):
            cell.source = setup_source(url)
    return notebook


def readme_parts(url):
    """What stands between the `<!-- repository:NAME -->` marks of README.md."""
    if not url:
        return {
            "badges": "",
            "clone": "In the repository's folder:",
            "colab": "The repository's address is not set; `python scripts/set_repository.py URL` writes it.\n"
            "Until then, upload a chapter to [Colab](https://colab.research.google.com) and install `grokbook` there\n"
            "from your copy of the repository with `pip install --no-deps`.",
        }
    owner, name = url.split("/")[-2:]
    colab = f"https://colab.research.google.com/github/{owner}/{name}/blob/main/book"
    return {
        "badges": f"[![test]({url}/actions/workflows/test.yml/badge.svg)]({url}/actions/workflows/test.yml)\n"
        f"[![read the book](https://img.shields.io/badge/read-the_book-0072B2)](https://{owner}.github.io/{name}/)\n"
        f"[![open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab}/grokking.ipynb)",
        "clone": f"```console\ngit clone {url}\ncd {name}\n```",
        "colab": f"Open [the first chapter in Colab]({colab}/grokking.ipynb), or any other by the rocket button of\n"
        "its page. The first cell installs `grokbook` and leaves the torch and NumPy of Colab alone.",
    }


def with_marks(text, parts):
    """Replace what stands between each pair of marks."""
    for name, part in parts.items():
        marks = rf"(<!-- repository:{name} -->\n).*?(<!-- /repository:{name} -->)"
        text, count = re.subn(marks, lambda m, p=part: m[1] + (p + "\n" if p else "") + m[2], text, flags=re.DOTALL)
        if count != 1:
            raise ValueError(f"README.md has {count} pairs of marks `<!-- repository:{name} -->`; it needs one")
    return text


def with_citation(text, url):
    """Put the address into CITATION.cff, on a line of its own before the license."""
    text = re.sub(r"^repository-code: .*\n", "", text, flags=re.MULTILINE)
    return re.sub(r"^license: ", f'repository-code: "{url}"\nlicense: ', text, flags=re.MULTILINE) if url else text


def wanted(url, root=chapters.ROOT):
    """{path: text} of the files that must name the address, as they must be; a notebook that is right is left out."""
    config = (root / "_config.yml").read_text(encoding="utf-8")
    readme = (root / "README.md").read_text(encoding="utf-8")
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    files = {
        root / "_config.yml": re.sub(r'^  url: ".*"$', f'  url: "{url}"', config, count=1, flags=re.MULTILINE),
        root / "README.md": with_marks(readme, readme_parts(url)),
        root / "CITATION.cff": with_citation(citation, url),
    }
    for path in sorted((root / "book").glob("*.ipynb")):
        notebook = chapters.read(path)
        if notebook != with_setup(deepcopy(notebook), url):
            files[path] = nbformat.writes(with_setup(notebook, url)) + "\n"
    return files


def disagreeing(root=chapters.ROOT):
    """The files that do not hold the address of _config.yml."""
    files = wanted(configured(root), root)
    return [path for path, text in files.items() if path.read_text(encoding="utf-8") != text]


def main():
    parser = argparse.ArgumentParser(description="Write the repository's address into everything that needs it.")
    parser.add_argument("url", nargs="?", help="https://github.com/OWNER/NAME; default: the one in _config.yml")
    parser.add_argument("--unset", action="store_true", help="forget the address")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the files disagree")
    arguments = parser.parse_args()
    if arguments.check:
        late = ", ".join(path.name for path in disagreeing())
        sys.exit(f"not the address of _config.yml: {late}; run `python scripts/set_repository.py`" if late else 0)
    try:
        url = "" if arguments.unset else normal(arguments.url) if arguments.url else configured()
        files = wanted(url)
    except ValueError as error:
        sys.exit(str(error))
    for path, text in files.items():
        if path.read_text(encoding="utf-8") != text:
            chapters.write(path, text)
            print(f"wrote {path.relative_to(chapters.ROOT)}")
    print(f"the repository's address is {url or 'not set'}")


if __name__ == "__main__":
    main()
