"""Write book/claims.md: every claim of every executed notebook, where the paper makes it, and whether it holds.

    python scripts/claims.py            write the page
    python scripts/claims.py --check    only say whether it is in step with the notebooks
"""

import argparse
import re
import sys

import chapters
from grokbook.display.claims import MEASURED, in_a_terminal

PAGE = "claims.md"
HEADER = ["Holds", "Statement", "Measured", "Asked", "Who says it"]
INTRODUCTION = """# Every claim, measured

This table is built from the executed notebooks; no number in it was typed. Each line is one `claim(...)` of a chapter:
what is stated, the number that was measured, the condition that it was asked to meet, and where the paper makes the
statement ("this book" where it is ours). The statement leads to its line in the chapter, and that line leads back here.
Where a control stands below the measured number, the same was measured of something that should miss the condition, a
random start for instance, and was asserted to miss it. A chapter stops running when a verdict changes, so no claim can
cease to hold, or begin to, without notice. Processors round differently, and a measured number may differ from yours in
its last digits; the verdicts may not.
"""


def stored_claims(notebook):
    """The records that `grokbook.claims.claim` left in the outputs' metadata, in order."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    return [output.metadata["grokbook"] for output in outputs if "grokbook" in output.get("metadata", {})]


def is_measured(output):
    """Whether an output is the line of a claim or of a note, whose number the tests do not compare."""
    text = output.get("data", {}).get("text/markdown", "")
    return MEASURED in ("".join(text) if isinstance(text, list) else text)


def collect(root):
    """[(part, page, title, claims)] for the chapters of the contents that state any."""
    found = []
    for part, page in chapters.contents(root):
        path = root / "book" / f"{page}.ipynb"
        claims = stored_claims(chapters.read(path)) if path.exists() else []
        if claims:
            found.append((part, page, chapters.title(path), claims))
    return found


def anchor(claim):
    """The name that links to a claim use: the first words of its statement. No two claims of a chapter share it."""
    words = re.findall(r"[a-z0-9]+", in_a_terminal(claim["statement"]).replace("λ", "lambda").lower())
    return "claim-" + "-".join(words)[:60].strip("-")


def statement(claim):
    """A statement inside a Markdown table, where a bar would end the cell."""
    return claim["statement"].replace("|", "\\|")


def row(page, claim, title=None, mark=True):
    """One line of a table. `mark` makes it the place that the chapter's line leads to; `title` names the chapter."""
    place = f'<a id="{page}-{anchor(claim)}"></a>' if mark else ""
    chapter = [f"[{title}]({page}.ipynb)"] if title else []
    verdict = "✓" if claim["reproduces"] else "✗"
    measured = "no number" if isinstance(claim["measured"], bool) else claim["shown"]
    measured += "".join(f"<br>{name}: {shown}" for name, shown in claim.get("controls", {}).items())
    asked = "" if isinstance(claim["measured"], bool) else claim["condition"]
    cells = [place + verdict, f"[{statement(claim)}]({page}.ipynb#{anchor(claim)})", measured, asked, claim["source"]]
    return "| " + " | ".join(cells + chapter) + " |"


def table(rows, *more):
    header = [*HEADER, *more]
    return "\n".join(["| " + " | ".join(header) + " |", "|" + " --- |" * len(header), *rows]) + "\n"


def page_text(collected):
    """The whole page: the count, what fails to reproduce, then part by part and chapter by chapter."""
    everything = [(page, claim, title) for _, page, title, claims in collected for claim in claims]
    failing = [entry for entry in everything if not entry[1]["reproduces"]]
    controlled = sum(bool(claim.get("controls")) for _, claim, _ in everything)
    wordless = sum(isinstance(claim["measured"], bool) for _, claim, _ in everything)
    sections = [
        INTRODUCTION,
        f"**{len(everything)}** claims in **{len(collected)}** chapters: **{len(everything) - len(failing)}** hold, "
        f"**{len(failing)}** do not. **{controlled}** were tried on a control, which fails. "
        f"**{wordless}** state something without a number.\n",
        "## What does not hold\n",
    ]
    if failing:
        rows = [row(*entry, mark=False) for entry in failing]
        sections.append("The chapter explains each of these.\n\n" + table(rows, "Chapter"))
    else:
        sections.append("Nothing so far.\n")
    latest = None
    for part, page, title, claims in collected:
        if part != latest:
            sections.append(f"## {part}\n")
            latest = part
        rows = [row(page, claim) for claim in claims]
        sections.append(f"### [{title}]({page}.ipynb)\n\n" + table(rows))
    return "\n".join(sections)


def build(root=chapters.ROOT):
    """The text that book/claims.md must have."""
    return page_text(collect(root))


def in_step(root=chapters.ROOT):
    path = root / "book" / PAGE
    return path.exists() and path.read_text(encoding="utf-8") == build(root)


def main():
    parser = argparse.ArgumentParser(description="Write book/claims.md from the executed notebooks.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is out of step")
    if parser.parse_args().check:
        sys.exit(0 if in_step() else "book/claims.md is out of step with the notebooks: run `python scripts/claims.py`")
    chapters.write(chapters.BOOK / PAGE, build())


if __name__ == "__main__":
    main()
