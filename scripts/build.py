"""Build the book's pages: every warning is an error, and a page that is missing afterwards is one too.

    python scripts/build.py             into _build/html
    python scripts/build.py FOLDER      into FOLDER/_build/html
    python scripts/build.py --links     no pages: ask for every link to another site, and name those that fail
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import chapters


def command(output, builder="html"):
    """Absolute paths: jupyter-book takes relative ones for relative to the book's folder."""
    return [
        *(sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(chapters.BOOK)),
        *("--config", str(chapters.ROOT / "_config.yml"), "--toc", str(chapters.ROOT / "_toc.yml")),
        *("--path-output", str(output), "-W", "-n", "--keep-going"),
        *("--builder", builder),
    ]


def build(output, builder="html", **options):
    """Build from nothing: after a failed build, a second one over the same folder would pass. Returns the process.

    What else is in the folder, such as handouts, stays."""
    for made in (builder, ".doctrees", "jupyter_execute"):
        shutil.rmtree(Path(output) / "_build" / made, ignore_errors=True)
    environment = {**os.environ, "JUPYTER_PLATFORM_DIRS": "1"}
    return subprocess.run(command(output, builder), env=environment, stdin=subprocess.DEVNULL, **options)


def missing_pages(html):
    """Pages of the contents without HTML: jupyter-book 2 would build none of them and say nothing."""
    return [page for _, page in chapters.contents() if not (html / f"{page}.html").is_file()]


def offer(place, text, html):
    """Put text, with its links, in this place on the first page, in place of what was there."""
    first = html / f"{chapters.contents()[0][1]}.html"
    empty, found = f'<div id="{place}">', first.read_text(encoding="utf-8")
    filled, count = re.subn(f"{empty}.*?</div>", lambda _: f"{empty}<p>{text}</p></div>", found, flags=re.DOTALL)
    if count != 1:
        sys.exit(f"{first} has {count} times {empty}, where one link should stand; run `make book` again")
    chapters.write(first, filled)


def main():
    parser = argparse.ArgumentParser(description="Build the book's pages.")
    parser.add_argument("output", nargs="?", type=Path, default=chapters.ROOT, help="default: the repository")
    parser.add_argument("--links", action="store_true", help="check the links to other sites, and build no pages")
    given = parser.parse_args()
    output = given.output.resolve()
    if given.links:
        if build(output, "linkcheck").returncode:
            sys.exit(f"some links fail; {output / '_build' / 'linkcheck' / 'output.txt'} names them")
        return
    begun = time.perf_counter()
    if build(output).returncode:
        sys.exit("the build failed; the warnings above say where")
    html = output / "_build" / "html"
    if missing := missing_pages(html):
        sys.exit(f"no HTML for {', '.join(missing)}: is jupyter-book older than 2, as requirements.txt asks?")
    print(f"built {len(chapters.contents())} pages in {time.perf_counter() - begun:.0f} s. Open {html / 'index.html'}")


if __name__ == "__main__":
    main()
